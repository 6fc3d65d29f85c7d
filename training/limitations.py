"""What a network of this line cannot do, with the figures that show it."""

from training.baselines import LOGISTIC
from training.dataconfig import UNKNOWN_TUMOR
from training.report import Report, Source

INTENDED_USE = (
    "Research and triage support, never a diagnosis: ordering a reading list or trying a pipeline, where a radiologist "
    "reads every slice all the same."
)


def limitations(report: Report) -> tuple[str, ...]:
    """One sentence or two each, the most dangerous first."""
    return (
        _source_is_label(report),
        *(_tumors_elsewhere(source) for source in report.sources if source.label == UNKNOWN_TUMOR),
        "No patient ids are published but for the folds of figshare: what is called group-wise is not patient-wise, "
        "and a patient may still lie on both sides of such a split.",
        f"Measured once, on one split ({_total(report)} test slices): another split would give other figures, and the "
        "intervals do not cover that.",
        "It sees a single 2-D slice: no volume, no second sequence, no history. A slice beside the lesion is a slice "
        "without a tumour to it.",
        f"It knows only {', '.join(report.class_names)}. Any other finding (metastasis, lymphoma, stroke, abscess, "
        "haemorrhage) is answered with one of these names.",
        "Behaviour on other sequences, scanners, field strengths, planes, ages and body parts is unknown, and it does "
        "not notice when a picture is not a brain MRI at all.",
        f"Probabilities were calibrated on slices like the training's (test ECE {report.figures['ece'].value:.3f}); "
        "elsewhere they promise too much.",
        "It is not a medical device, has not been tried in a clinic, and must not be used to diagnose.",
    )


def _source_is_label(report: Report) -> str:
    rival = report.baselines[LOGISTIC].accuracy.value
    return (
        "Source is nearly the label: no_tumor comes from other scanners and sequences than the tumours, so that part "
        f"of the accuracy of {report.figures['accuracy'].value:.3f} is recognition of the source; a logistic "
        f"regression on picture size and grey levels, which sees no anatomy, reaches {rival:.3f}."
    )


def _tumors_elsewhere(source: Source) -> str:
    found, mean = source.by_label, source.mean_tumor_probability
    return (
        f"Of tumours of unknown type from {source.dataset} ({source.slices} test slices in {source.groups} groups) it "
        f"calls {found.value:.3f} [{found.low:.3f}, {found.high:.3f}] a tumour, with a mean tumour probability of "
        f"{mean.value:.3f}. A source it was not trained on should be expected to do worse."
    )


def _total(report: Report) -> int:
    return sum(report.counts["test"].values())

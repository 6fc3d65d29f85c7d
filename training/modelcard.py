"""The generated model card: a version's `README.md`, all of it from its card and report."""

from service.contract.card import Card
from training.config import Recipe
from training.confusion import CONFUSION
from training.data.provenance import ATTRIBUTION, provenance
from training.judge.page import PAGE
from training.judge.report import ExplanationReport
from training.judge.text import judgement
from training.report import MaskFigures, Report
from training.tables import bullets, listed, number, section, table
from training.tumor import tumor_table
from training.variants.report import VariantReport, beside

MODEL_CARD = "README.md"

NAMES = {
    "macro_f1": "macro F1",
    "auroc": "AUROC (one against the rest, macro)",
    "ece": "ECE (15 bins)",
    "ece_uncalibrated": "ECE at temperature 1",
    "nll": "negative log-likelihood",
    "nll_uncalibrated": "negative log-likelihood at temperature 1",
    "brier": "Brier (summed over classes)",
    "brier_uncalibrated": "Brier at temperature 1",
}


def render(
    card: Card, report: Report, judged: ExplanationReport | None = None, variant: VariantReport | None = None
) -> str:
    """Markdown, section by section."""
    sections = [
        _head(card),
        section("What it answers", _answers(card)),
        section("Data", _data(card, report)),
        section("How it was measured", f"{report.protocol}\n\n{bullets(report.notes)}"),
        section("Figures on the test folds", _figures(report)),
        *([section(f"Beside {variant.base}", beside(variant))] if variant else []),
        section("Tumour or not, by source", _sources(report)),
        *([section("Where it looks", _looks(judged))] if judged else []),
        section("Limitations", bullets(card.limitations)),
        section("How it was made", _made(card, report)),
    ]
    return "\n\n".join(sections) + "\n"


def _head(card: Card) -> str:
    return f"# {card.name}, version {card.version}\n\n{card.change}\n\n{card.intended_use}"


def _answers(card: Card) -> str:
    classes = ", ".join(f"`{name}`" for name in card.class_names)
    return (
        f"One brain-MRI slice, {card.input.height} by {card.input.width} 8-bit grey after "
        f"`service.contract.preprocess`; logits of {classes}, in this order. Probabilities are the softmax of the "
        f"logits over the temperature {card.temperature:.4f}; the tumour probability sums all classes but `no_tumor`."
    )


def _data(card: Card, report: Report) -> str:
    origins = [f"* **{name}**: {provenance(name).origin}; {provenance(name).licence}." for name in _datasets(card)]
    labels = sorted({label for counts in report.counts.values() for label in counts})
    lines = (
        [split, listed(report.folds[split]), *(_cell(report, split, label) for label in labels)]
        for split in report.counts
    )
    return "\n".join(origins) + "\n\nSlices (groups of near-duplicates):\n\n" + table(["", "folds", *labels], lines)


def _figures(report: Report) -> str:
    overall = ([NAMES.get(name, name), number(interval)] for name, interval in report.figures.items())
    classes = (
        [f"`{name}`", number(of.precision), number(of.recall), number(of.f1), str(of.support)]
        for name, of in report.per_class.items()
    )
    rivals = (
        [name.replace("_", " "), number(of.accuracy), number(of.macro_f1), number(of.auroc)]
        for name, of in report.baselines.items()
    )
    matrix = ([f"`{name}`", *map(str, row)] for name, row in zip(report.class_names, report.confusion, strict=True))
    return "\n\n".join(
        (
            f"Value and 95 % interval ({report.resamples} resamples), by {report.measured.engine}.",
            table(["figure", "value"], overall),
            table(["class", "precision", "recall", "F1", "slices"], classes),
            "Trivial answers to the same slices, for comparison; the logistic regression sees width, height, aspect, "
            "mean grey level and grey percentiles of the original picture, and nothing else:",
            table(["baseline", "accuracy", "macro F1", "AUROC"], rivals),
            "Right class by row, answer by column:",
            table(["", *(f"`{name}`" for name in report.class_names)], matrix),
            f"![Confusion matrix]({CONFUSION})",
            *([_masks(report.masks)] if report.masks else []),
        )
    )


def _masks(masks: MaskFigures) -> str:
    return (
        f"Tumour masks, which the checkpoint draws and the graph does not, on {masks.slices} outlined test slices: "
        f"mean Dice {number(masks.dice)}, mean IoU {number(masks.iou)}."
    )


def _sources(report: Report) -> str:
    lines = (
        [f"{of.dataset} `{of.label}`", f"{of.slices} ({of.groups})", of.question, number(of.by_label),
         number(of.by_probability), number(of.mean_tumor_probability)]
        for of in report.sources
    )  # fmt: skip
    head = ["source", "slices (groups)", "rate", "by label", "by tumour probability ≥ 0.5", "mean tumour probability"]
    return (
        f"{table(head, lines)}\n\nBy tumour probability, at 0.5 where a threshold is needed:\n\n{tumor_table(report)}"
    )


def _looks(judged: ExplanationReport) -> str:
    page = f"![Pictures with outline and map, drawn by lot]({PAGE})"
    return f"{judgement(judged)}\n\n{page}\n\n{ATTRIBUTION}"


def _made(card: Card, report: Report) -> str:
    versions = ", ".join(f"{library} {version}" for library, version in card.training.versions.items())
    recipe = Recipe.model_validate(card.training.recipe)
    taught = "classes and tumour outlines" if recipe.optimizer.outlines_count else "classes"
    return (
        f"{card.architecture} from `{card.training.weights}`, taught {taught}, seed {card.training.seed}, ONNX opset "
        f"{card.training.opset}, commit `{card.training.commit}`, index sha256 `{card.data.index_sha256}`, graph "
        f"sha256 `{report.measured.sha256}`; {versions}. The recipe in effect is `training.recipe` in `card.json`.\n\n"
        "To retrain:\n\n"
        f'    python -m training line <recipe.yaml> --data <data> --run runs/<new run> --change "<why>"'
    )


def _datasets(card: Card) -> list[str]:
    return card.data.name.split(" + ")


def _cell(report: Report, split: str, label: str) -> str:
    return f"{report.counts[split].get(label, 0)} ({report.groups[split].get(label, 0)})"

"""A judgement in words: its protocol, and the Markdown of model cards and results."""

from collections.abc import Iterable

from training.dataconfig import DataConfig
from training.intervals import Interval
from training.judge.report import ExplanationReport, MapFigures
from training.tables import listed, number, table

HEAD = ["map", "pointing ↑", "energy inside ↑", "IoU ↑", "oracle IoU ↑", "deletion ↓", "insertion ↑", "shuffled ↓"]


def protocol(data: DataConfig, curves: int, sanity: int) -> str:
    """One paragraph: what was measured on which slices, and what an interval is."""
    return (
        f"Every outlined tumour of fold {listed(data.test_folds)}, the map of the class that the network answers, "
        "drawn over the network's input as `/explain` draws it. Pointing: the map's peak lies inside the outline, "
        "tolerance 0. Energy: share of the map's sum inside. IoU: with the pixels from a threshold on, one threshold a "
        f"kind of map, chosen on {_choosing(data)}; oracle IoU takes each picture's own best threshold. Deletion "
        "and insertion: area under the class's probability while the map's highest pixels are blurred away, or put "
        f"back into the blurred slice, on {curves} tumours spread evenly over the list. Shuffled: mean rank "
        f"correlation with the map of the same network with all its weights shuffled, on {sanity} tumours (Adebayo et "
        "al. 2018). A map without evidence counts 0 for pointing, energy, IoU and correlation. The default has the "
        f"highest mean of pointing, energy and IoU on {_choosing(data)}. Intervals are 95 % percentile "
        "intervals of a bootstrap over groups of near-duplicates, within labels; differences are paired. The outlines "
        f"also taught networks whose recipe says so, of {_taught(data)} alone."
    )


def _choosing(data: DataConfig) -> str:
    return f"fold {listed(data.val_folds)}" + (", whose outlines were learnt" if data.refit else "")


def _taught(data: DataConfig) -> str:
    return f"folds {listed(data.learnt_folds)}" if data.refit else "the training folds"


def judgement(report: ExplanationReport) -> str:
    """The whole of it in Markdown."""
    counted = ", ".join(f"{number} {kind}" for kind, number in report.tumors.items())
    return "\n\n".join(
        (
            f"{report.protocol} Tumours: {counted}.",
            table(HEAD, _lines(report)),
            f"How much better the default, `{report.default}`, is than each prior:",
            table(["", *next(iter(report.differences.values()))], _differences(report)),
            "The default by what the network answered:",
            table(["", "tumours", "pointing", "energy inside", "IoU", "oracle IoU"], _shown(report)),
            "\n".join(f"* {verdict}" for verdict in report.verdicts()),
        )
    )


def _lines(report: ExplanationReport) -> Iterable[list[str]]:
    for name, figures in report.maps.items():
        yield [f"**`{name}`** (default)" if name == report.default else f"`{name}`", *_figures(figures)]
    for name, figures in report.priors.items():
        yield [f"prior: {name}", *_figures(figures)]


def _figures(of: MapFigures) -> list[str]:
    measured = (of.pointing, of.energy, of.iou, of.oracle_iou, of.deletion, of.insertion)
    shuffled = [_short(of.sanity["all"])] if "all" in of.sanity else [""]
    return [*map(_short, measured), *shuffled]


def _differences(report: ExplanationReport) -> Iterable[list[str]]:
    for prior, differences in report.differences.items():
        yield [f"than the {prior}", *map(_short, differences.values())]


def _shown(report: ExplanationReport) -> Iterable[list[str]]:
    for name, of in report.shown.items():
        yield [name, str(of.slices), *map(_short, (of.pointing, of.energy, of.iou, of.oracle_iou))]


def _short(interval: Interval) -> str:
    return number(interval, digits=3)

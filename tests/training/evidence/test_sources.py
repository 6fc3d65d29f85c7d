from service.contract.card import REPORT_FILE
from tests.training.evidence.conftest import Put, away, point, source
from training.evidence.kept import Kept
from training.evidence.published import Study
from training.evidence.sources import cross
from training.report import Report, Source
from training.shortcut import SHORTCUT, Shortcut, Told

STUDY = Study(title="Across", runs=("some",))


def keep(put: Put, report: Report, *sources: Source) -> None:
    """A run that left out `away`, of which the shortcut alone knows that it did."""
    told = Told(dataset="away", left_out=True, slices=40, blind=None, accuracy=point(0.75), auroc=None)
    put("some", REPORT_FILE, report.model_copy(update={"sources": sources}))
    put("some", SHORTCUT, Shortcut(run="some", protocol="", frame=0, in_sight=None, network={"whole slice": (told,)},
                                   baselines={}))  # fmt: skip


def test_of_a_source_of_tumours_alone_each_type_is_told(report: Report, put: Put, shelf: Kept) -> None:
    keep(put, report, source("glioma", "sensitivity", 30, 0.5), source("pituitary", "sensitivity", 10, 1.0))
    line = cross(STUDY, shelf).splitlines()[-1]
    each = "0.625: glioma 0.500 [0.500, 0.500]; pituitary 1.000 [1.000, 1.000]"
    assert line == f"| some | away | 40 | 0.750 [0.750, 0.750] | no such slices | {each} | no such slices |"


def test_of_a_source_without_a_tumour_its_specificity_is_told(report: Report, put: Put, shelf: Kept) -> None:
    keep(put, report, source("no_tumor", "specificity", 40, 0.875))
    assert cross(STUDY, shelf).endswith("| no such slices | no such slices | no_tumor 0.875 [0.875, 0.875] |")


def test_a_network_of_two_classes_has_an_accuracy_without_its_shortcut(report: Report, put: Put, shelf: Kept) -> None:
    found = (away("away", accuracy=0.25),)
    two = report.model_copy(update={"class_names": ("no_tumor", "tumor"), "tumor_or_not": found})
    put("some", REPORT_FILE, two)
    assert "| some | away | 10 | 0.250 [0.250, 0.250] | 0.500 [" in cross(STUDY, shelf)
    put("some", REPORT_FILE, report.model_copy(update={"tumor_or_not": found}))
    assert "| some | away | 10 |  | 0.500 [" in cross(STUDY, shelf)

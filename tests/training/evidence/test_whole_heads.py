from tests.training.evidence.conftest import Put, point
from training.evidence.kept import Kept
from training.evidence.published import Study
from training.evidence.whole_heads import whole_heads
from training.external import EXTERNAL, External
from training.heads import ASKED, ILL
from training.tumor import SHOWN, THRESHOLD


def asked(folder: str, clear: int, specificity: float) -> External:
    figures = dict.fromkeys(SHOWN, point(0.75)) | {"specificity": point(specificity), "sensitivity": point(6 / 7)}
    return External(
        folder=folder, graph_sha256="0" * 64, slices={"no_tumor": clear, "tumor": 7}, groups={}, unreadable=0,
        threshold=THRESHOLD, figures=figures, class_names=("glioma", "no_tumor"), confusion={},
    )  # fmt: skip


def test_healthy_heads_are_told_apart_from_those_with_a_tumour_elsewhere(put: Put, shelf: Kept) -> None:
    put("some", EXTERNAL.format(ASKED), asked(ASKED, 30, 0.6))
    put("some", EXTERNAL.format(ILL), asked(ILL, 10, 0.2))
    text = whole_heads(Study(title="", words="Said before.", runs=("some", "another")), shelf)
    assert text.startswith("Said before.\n\n| run ")
    assert "| some | 4 of 20 | 8 of 10 | 6 of 7 | 0.750 [0.750, 0.750] |" in text
    assert "| another | not run yet | " in text

from tests.training.evidence.conftest import Put, point
from training.evidence.elsewhere import FILE, elsewhere
from training.evidence.kept import Kept
from training.evidence.published import Study
from training.external import External
from training.heads import ASKED
from training.tumor import SHOWN, THRESHOLD


def test_each_run_has_a_line_and_one_that_was_not_asked_says_so(put: Put, shelf: Kept) -> None:
    asked = External(
        folder=ASKED, graph_sha256="0" * 64, slices={"no_tumor": 30, "tumor": 7}, groups={"no_tumor": 3, "tumor": 1},
        unreadable=0, threshold=THRESHOLD, figures=dict.fromkeys(SHOWN, point(0.75)),
        class_names=("glioma", "no_tumor"), confusion={"no_tumor": (1, 29), "tumor": (7, 0)},
    )  # fmt: skip
    put("some", FILE, asked)
    text = elsewhere(Study(title="", words="Said before.", runs=("some", "another")), shelf)
    assert text.startswith("Said before.\n\n| run ")
    assert "| some | 7 | 30 | 0.750 [0.750, 0.750] | " in text
    assert "| another | not run yet | " in text

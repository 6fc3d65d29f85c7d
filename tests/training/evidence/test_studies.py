from pydantic import RootModel

from tests.training.evidence.conftest import Put
from training.evidence.kept import Kept
from training.evidence.published import NOT_YET, Study
from training.evidence.studies import balance
from training.train import BALANCE


def test_shares_stand_before_and_after_with_their_counts(put: Put, shelf: Kept) -> None:
    classes = {"glioma": {"slices": 30, "drawn": 0.5}, "no_tumor": {"slices": 10, "drawn": 0.5}}
    put("even", BALANCE, RootModel[dict[str, dict[str, float]]](classes))
    lines = balance(Study(title="Balance", runs=("even", "another")), shelf).splitlines()[-3:]
    assert lines[0] == "| even | glioma | 30 | 75.0% | 50.0% |  |"
    assert lines[1] == "| even | no_tumor | 10 | 25.0% | 50.0% |  |"
    assert lines[2].startswith(f"| another | {NOT_YET} |")
    assert len({line.count("|") for line in lines}) == 1

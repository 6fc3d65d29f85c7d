import shutil

import pytest

from service.contract.card import REPORT_FILE
from tests.training.evidence.conftest import Put, away
from training.beside import BESIDE, TEST, Beside
from training.evidence.kept import Kept
from training.evidence.left_out import GAINS, left_out, mean_auroc
from training.evidence.published import NOT_YET, Candidate, LeftOut, Made, missing, read_plan
from training.intervals import Interval
from training.paired import TUMOR_AUROC
from training.report import Report
from training.variants.report import Difference

RUNS = {source: Made(run=f"no_{source}", command=f"experiment {source}.yaml") for source in ("sartaj", "br35h")}
LITE = Candidate(name="lite", words="small", without=RUNS)


@pytest.fixture
def plan() -> LeftOut:
    return LeftOut(title="Chosen", words="Why.", candidates=(LITE,))


def keep(put: Put, report: Report, **aurocs: float) -> None:
    for source, auroc in aurocs.items():
        found = (away("drawn", left_out=False), away(source, auroc=auroc, specificity_at_95=0.25))
        put(f"no_{source}", REPORT_FILE, report.model_copy(update={"tumor_or_not": found}))


def test_a_candidate_has_a_line_a_source_and_the_mean_of_their_aurocs(
    plan: LeftOut, report: Report, put: Put, shelf: Kept
) -> None:
    keep(put, report, sartaj=0.75, br35h=1.0)
    first, second = left_out(plan, shelf).splitlines()[-2:]
    assert first.startswith("| lite | small | sartaj | 10 | 0.750 [0.750, 0.750] | 0.500 [")
    assert first.endswith("| 0.250 [0.250, 0.250] | 0.875 | no_sartaj |")
    assert second.startswith("| lite |  | br35h | 10 | 1.000 [")
    assert second.endswith("| 0.875 | no_br35h |")


def test_without_one_of_its_runs_a_candidate_has_no_mean(plan: LeftOut, report: Report, put: Put, shelf: Kept) -> None:
    keep(put, report, sartaj=0.75)
    assert mean_auroc(LITE, shelf) is None
    lines = left_out(plan, shelf).splitlines()[-2:]
    assert [NOT_YET in line for line in lines] == [False, True]
    assert len({line.count("|") for line in lines}) == 1


def test_a_run_that_left_out_another_source_does_not_count(report: Report, put: Put, shelf: Kept) -> None:
    keep(put, report, sartaj=0.75, br35h=1.0)
    (home,) = shelf.folders
    shutil.copyfile(home / "no_sartaj" / REPORT_FILE, home / "no_br35h" / REPORT_FILE)
    assert mean_auroc(LITE, shelf) is None


def test_a_candidates_missing_runs_are_named_with_what_makes_them(plan: LeftOut, shelf: Kept) -> None:
    wanted = {each.run: each for each in missing(read_plan().model_copy(update={"left_out": plan}), shelf)}
    assert str(wanted["no_br35h"]) == "python -m training experiment br35h.yaml --data DATA --run runs/no_br35h"


def test_the_shipped_candidates_are_left_without_the_same_sources() -> None:
    candidates = read_plan().left_out.candidates
    assert "lite0" in {each.name for each in candidates}
    assert {tuple(each.without) for each in candidates} == {("sartaj", "br35h")}


def test_what_a_run_has_over_another_one_stands_below(plan: LeftOut, report: Report, put: Put, shelf: Kept) -> None:
    keep(put, report, sartaj=0.75, br35h=1.0)
    assert GAINS not in left_out(plan, shelf)
    gained = Interval(value=0.02, low=-0.01, high=0.05)
    both = {name: Difference(base=0.5, variant=0.5 + by, difference=Interval(value=by, low=by, high=by))
            for name, by in {"macro_f1": -0.25, "nll": 0.125}.items()}  # fmt: skip
    figures = {"sartaj": {TUMOR_AUROC: Difference(base=0.73, variant=0.75, difference=gained)}, TEST: both}
    found = Beside(run="no_sartaj", of="earlier", protocol="p", slices={"sartaj": 10, TEST: 4}, figures=figures)
    put("no_sartaj", BESIDE, found)
    lines = left_out(plan, shelf).splitlines()
    assert GAINS in lines
    assert lines[-1].startswith("| no_sartaj | earlier | sartaj | 0.0200 [-0.0100, 0.0500] | -0.2500 [")
    assert lines[-1].endswith("| 0.1250 [0.1250, 0.1250] |")

import json
import re
import shutil
from pathlib import Path

import pytest

from service.contract.card import REPORT_FILE
from tests.training.evidence.conftest import STUDIES
from training.beside import measure_beside
from training.config import read_recipe
from training.crossvalidate import CROSSVALIDATION, CrossValidation, Spread
from training.data.provenance import PUBLISHABLE
from training.evidence.collect import collect
from training.evidence.kept import Kept
from training.evidence.page import evidence
from training.evidence.published import NOT_YET, Candidate, Made, Plan, read_plan
from training.evidence.summary import SUMMARY, Summary
from training.intervals import Interval
from training.mirror import measure_mirror
from training.misclassified import draw_misclassified
from training.pruning_report import PRUNING
from training.report import Report
from training.results import results
from training.robustness import measure_robustness
from training.run import RECIPE
from training.shortcut import measure_shortcut
from training.tune import BEST_TRIAL

METHODS = (("oneshot", 50, 1.0), ("channels", 50, 0.4))


@pytest.fixture(scope="module")
def kept(finished: Path, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """Results of one run, `some`, with every file the page reads."""
    home = tmp_path_factory.mktemp("page")
    run = Path(shutil.copytree(finished, home / "runs" / "some"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(PUBLISHABLE, "drawn", "Drawn here.")
        draw_misclassified(pictures, run)
    measure_shortcut(pictures, run, run, resamples=20)
    measure_robustness(pictures, run, run, resamples=20)
    measure_mirror(pictures, run, run, resamples=20)
    measure_beside(pictures, run, run, run, resamples=20)
    level = {"weights": 9, "zeros": 0.5, "accuracy_before": 0.5, "accuracy_after": 0.75}
    levels = [level | {"method": method, "percent": percent, "time": {"median": time, "low": time, "high": time}}
              for method, percent, time in METHODS]  # fmt: skip
    (run / PRUNING).write_text(json.dumps({"dense_accuracy": 0.875, "levels": levels}))
    trial = {"trial": 4, "val_accuracy": 0.5, "parameters": {"dropout": 0.25, "width": 8},
             "trials": {"complete": 3, "pruned": 2}, "importances": {"dropout": 0.75}}  # fmt: skip
    (run / BEST_TRIAL).write_text(json.dumps(trial))
    spread, half = Spread(mean=0.9, sd=0.01, folds=(0.89, 0.91)), Interval(value=0.5, low=0.25, high=0.75)
    folds = CrossValidation(
        recipe="some", split_by="group", test=dict.fromkeys(("accuracy", "macro_f1", "auroc", "ece"), spread),
        chosen_epoch={}, pooled=dict.fromkeys(("accuracy", "macro_f1"), half), slices=4,
    )  # fmt: skip
    (run / CROSSVALIDATION).write_text(folds.model_dump_json())
    collect(run, home / "results")
    shutil.copyfile(run / PRUNING, home / "results" / "some" / PRUNING)
    report = Report.model_validate_json((run / REPORT_FILE).read_bytes())
    away = report.tumor_or_not[0].model_copy(update={"dataset": "away", "left_out": True})
    left = report.model_copy(update={"tumor_or_not": (*report.tumor_or_not, away)})
    (home / "results" / "some" / REPORT_FILE).write_text(left.model_dump_json())
    take(home / "results" / "some", seconds=2.0)
    return Kept([home / "results"])


def take(run: Path, seconds: float) -> None:
    """Let the run's epochs have taken so long: tiny ones may take next to nothing."""
    summary = Summary.model_validate_json((run / SUMMARY).read_bytes())
    (run / SUMMARY).write_text(summary.model_copy(update={"seconds": seconds}).model_dump_json())


@pytest.fixture
def plan() -> Plan:
    """The shipped plan, its studies asking for the run that there is and one that there is not."""
    shipped = read_plan()
    named = {"runs": ("some", "another"), "beside": "some"}
    studies = {name: getattr(shipped, name).model_copy(update=named) for name in STUDIES}
    lists = {name: tuple(each.model_copy(update=named) for each in getattr(shipped, name)[:1])
             for name in ("curves", "networks")}  # fmt: skip
    without = {run: Made(run=run, command=f"experiment {run}.yaml") for run in ("some", "another")}
    candidate = Candidate(name="tiny", words="", without={"away": without["some"], "far": without["another"]})
    left_out = shipped.left_out.model_copy(update={"candidates": (candidate,)})
    return shipped.model_copy(update=studies | lists | {"left_out": left_out})


@pytest.fixture
def text(plan: Plan, kept: Kept, tmp_path: Path) -> str:
    return "\n\n".join(evidence(plan, kept, tmp_path / "PAGE.md"))


def part(text: str, title: str) -> str:
    """What stands under a heading of the second level."""
    return text.partition(f"## {title}\n")[2].partition("\n## ")[0]


def test_every_section_shows_the_run_that_there_is_and_names_the_one_that_there_is_not(text: str) -> None:
    for title in ("Learning curves", "Networks and what they cost", "Class balance", "Tumour or not",
                  "Cross-validation", "Levers", "Joint or apart", "The source shortcut", "Shown otherwise",
                  "Chosen by sources left out", "Across sets"):  # fmt: skip
        assert "some" in part(text, title), title
        assert NOT_YET in part(text, title).lower(), title


def costs(text: str) -> list[str]:
    """The cells of the run's line."""
    line = next(line for line in part(text, "Networks and what they cost").splitlines() if line.startswith("| some"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_costs_are_set_beside_the_run_they_are_compared_with(text: str, finished: Path) -> None:
    cells = costs(text)
    recipe = read_recipe(finished / RECIPE)
    assert cells[1:3] == [recipe.architecture, "random"]
    assert cells[4] == f"{recipe.data.epoch_slices} + 10"
    assert cells[6] == "8, 8"
    assert cells[10] == "1.00"


def test_a_run_too_short_for_the_clock_is_compared_with_nothing(plan: Plan, kept: Kept, tmp_path: Path) -> None:
    shutil.copytree(kept.folders[0], tmp_path / "results")
    take(tmp_path / "results" / "some", seconds=0.0)
    text = "\n\n".join(evidence(plan, Kept([tmp_path / "results"]), tmp_path / "PAGE.md"))
    assert costs(text)[10] == ""


def test_a_source_left_out_has_a_line_and_the_test_folds_have_none(text: str) -> None:
    assert "| some | away | 10 |  | " in part(text, "Across sets")
    assert "| some | drawn |" not in part(text, "Across sets")


def test_pictures_are_drawn_beside_the_page_and_found_from_it(text: str, tmp_path: Path) -> None:
    places = re.findall(r"!\[[^]]*\]\(([^)]+)\)", text)
    assert len(places) == 3
    assert all((tmp_path / place).resolve().stat().st_size > 1000 for place in places)


def test_pruning_tuning_folds_and_wrong_answers_are_told(text: str) -> None:
    assert "Masks alone bring no speed" in part(text, "Pruning")
    assert "| dropout | 0.25 | 0.75 |" in part(text, "Tuning")
    assert "| some | all test folds | 8 | accuracy |" in part(text, "Levers")
    assert "| 0.000 [0.000, 0.000] | 0.000 [0.000, 0.000] | some |" in part(text, "Levers")
    assert "| some | 4 | 0.900 ± 0.010 |" in part(text, "Cross-validation")
    assert "slices of known class answered wrongly" in part(text, "Misclassified")


def test_every_pruned_run_is_shown(plan: Plan, kept: Kept, tmp_path: Path) -> None:
    shutil.copytree(kept.folders[0] / "some", tmp_path / "kept" / "further")
    text = "\n\n".join(evidence(plan, Kept([*kept.folders, tmp_path / "kept"]), tmp_path / "PAGE.md"))
    assert re.findall("### run (.+)", part(text, "Pruning")) == ["further", "some"]


def test_what_was_gained_over_another_run_than_the_studys_is_not_shown(plan: Plan, kept: Kept, tmp_path: Path) -> None:
    levers = plan.levers.model_copy(update={"beside": "another"})
    text = "\n\n".join(evidence(plan.model_copy(update={"levers": levers}), kept, tmp_path / "PAGE.md"))
    assert "|  |  | some |" in part(text, "Levers")


def test_a_page_of_a_few_reports_says_of_the_rest_that_it_was_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results([tmp_path], tmp_path / "RESULTS.md")
    page = (tmp_path / "RESULTS.md").read_text()
    assert page.count(NOT_YET) > 20
    assert "## Classification" not in page
    assert "not run yet: python -m training experiment training/recipes/b0_sgd.yaml" in capsys.readouterr().out

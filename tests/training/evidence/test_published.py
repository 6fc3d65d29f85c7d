import json
from pathlib import Path

import pytest
import yaml

from service.contract.card import REPORT_FILE
from training.config import Recipe, read_recipe
from training.crossvalidate import CROSSVALIDATION, CrossValidation, Spread, recipe_of_fold
from training.errors import OrderError, RecipeError
from training.evidence.figures import figure
from training.evidence.kept import Kept
from training.evidence.published import NOT_YET, PUBLISHED, Cell, comparison, missing, read_plan
from training.external import External
from training.intervals import Interval
from training.pruning_report import PRUNING
from training.report import Report
from training.tune import BEST_TRIAL

HALF = Interval(value=0.5, low=0.25, high=0.75)
RECIPES = PUBLISHED.parent / "recipes"


@pytest.fixture
def kept(finished: Path, tmp_path: Path) -> Kept:
    """One run with every kind of file."""
    home = tmp_path / "results" / "some"
    home.mkdir(parents=True)
    report = Report.model_validate_json((finished / REPORT_FILE).read_bytes())
    away = report.tumor_or_not[0].model_copy(update={"dataset": "away", "left_out": True, "figures": {"auroc": HALF}})
    updated = report.model_copy(update={"figures": {"accuracy": HALF}, "tumor_or_not": (*report.tumor_or_not, away)})
    (home / REPORT_FILE).write_text(updated.model_dump_json())
    spread = Spread(mean=0.9, sd=0.01, folds=(0.89, 0.91))
    folds = CrossValidation(recipe="some", split_by="group", test={"accuracy": spread},
                            chosen_epoch={"val_loss": spread}, pooled={"accuracy": HALF}, slices=4)  # fmt: skip
    (home / CROSSVALIDATION).write_text(folds.model_dump_json())
    levels = [{"method": "oneshot", "percent": percent, "accuracy_after": 0.95 - percent / 200} for percent in (50, 90)]
    (home / PRUNING).write_text(json.dumps({"dense_accuracy": 0.9, "levels": levels}))
    (home / BEST_TRIAL).write_text(json.dumps({"trial": 3, "val_accuracy": 0.875}))
    there = External(folder="there", graph_sha256="0", slices={}, groups={}, unreadable=0, threshold=0.5,
                     figures={"accuracy": HALF}, class_names=(), confusion={})  # fmt: skip
    for folder in ("there", "v1.1"):
        (home / f"external-{folder}.json").write_text(there.model_dump_json())
    return Kept([tmp_path / "empty", tmp_path / "results"])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("test.accuracy", "0.500 [0.250, 0.750]"),
        ("test.dice", None),
        ("folds.accuracy", "0.900 ± 0.010"),
        ("folds.val_loss", "0.900 ± 0.010"),
        ("pooled.accuracy", "0.500 [0.250, 0.750]"),
        ("left_out.away.auroc", "0.500 [0.250, 0.750]"),
        ("left_out.drawn.auroc", None),
        ("external.there.accuracy", "0.500 [0.250, 0.750]"),
        ("external.v1.1.accuracy", "0.500 [0.250, 0.750]"),
        ("pruned.oneshot.accuracy_after", "50 %: 0.700 / 90 %: 0.500"),
        ("pruned.channels.accuracy_after", None),
        ("trial.val_accuracy", "0.875"),
        ("epoch.val_accuracy", None),
    ],
)
def test_a_figure_is_found_by_its_name(kept: Kept, name: str, text: str | None) -> None:
    assert figure(kept, "some", name) == text
    assert figure(kept, "another", name) is None


def test_a_classes_figure_is_its_range(kept: Kept, finished: Path) -> None:
    report = Report.model_validate_json((finished / REPORT_FILE).read_bytes())
    values = sorted(of.f1.value for of in report.per_class.values())
    assert figure(kept, "some", "classes.f1") == f"{values[0]:.3f} to {values[-1]:.3f}"


@pytest.mark.parametrize(
    "name",
    [
        "accuracy", "classes.f2", "classes.support", "folds.acc", "pooled.acc", "left_out.away.acc",
        "external.there.acc", "pruned.oneshot.acc",
    ],
)  # fmt: skip
def test_a_figure_that_there_is_none_of_is_refused(kept: Kept, name: str) -> None:
    with pytest.raises(RecipeError, match=f"{name} is no figure"):
        figure(kept, "some", name)


def test_a_file_that_breaks_off_is_refused(kept: Kept) -> None:
    for file, name in ((REPORT_FILE, "test.accuracy"), (BEST_TRIAL, "trial.val_accuracy"), (PRUNING, "pruned.a.b")):
        path = kept.path("some", file)
        assert path
        path.write_bytes(path.read_bytes()[:-4])
        with pytest.raises(OrderError, match=f"{file} cannot be read"):
            figure(kept, "some", name)


def test_a_cell_says_its_figures_or_its_reason_or_that_it_was_not_run(kept: Kept) -> None:
    asked = {"test.accuracy": "test", "test.dice": "Dice"}
    assert Cell(run="some", figures=asked).render(kept) == "test 0.500 [0.250, 0.750]"
    assert Cell(run="another", figures=asked).render(kept) == NOT_YET
    assert Cell(run="another", figures=asked, reason="no weights").render(kept) == "no weights"
    assert Cell(run="another", figures=asked, command="train", reason="alike").render(kept) == f"{NOT_YET}; alike"
    assert Cell(reason="no such data set").render(kept) == "no such data set"


def test_the_shipped_plan_names_only_figures_and_recipes_that_there_are(kept: Kept) -> None:
    plan = read_plan()
    assert len(plan.rows) > 25
    for cell in (cell for row in plan.rows for cell in (row.same, row.honest)):
        assert cell.run or cell.reason
        for name in cell.figures:
            figure(kept, cell.run or "", name)
    for run in missing(plan, kept):
        file, *changes = run.command.replace("'", "").partition("recipes/")[2].split(" --set ")
        if file:
            read_recipe(PUBLISHED.parent / "recipes" / file.split()[0], changes)


def test_a_run_that_goes_on_from_another_waits_for_it(tmp_path: Path) -> None:
    waited = {run.run: run.needs for run in missing(read_plan(), Kept([tmp_path])) if "recipes/" in run.command}
    for run, needs in waited.items():
        path = RECIPES / f"{run}.yaml"
        for start in read_recipe(path).starts if path.exists() else ():
            assert start.parts[0] != "runs" or start.parts[1] in needs
    assert waited["leave_out_sartaj_cells"] == ["leave_out_sartaj_224", "leave_out_sartaj_averaged"]
    assert waited["leave_out_br35h_224"] == ["leave_out_br35h_open"]


def test_missing_runs_are_named_with_their_command(kept: Kept) -> None:
    plan = read_plan()
    commands = [str(run) for run in missing(plan, kept)]
    assert "python -m training experiment training/recipes/b0_adam.yaml --data DATA --run runs/b0_adam" in commands
    assert len(commands) == len(set(commands))
    assert comparison(plan, kept).count(NOT_YET) > 20
    assert any(
        "unet_theta.yaml --set optimizer.theta=0.25 --data DATA --run runs/unet_theta25" in each for each in commands
    )


def test_a_plan_with_an_unknown_word_is_refused(tmp_path: Path) -> None:
    raw = yaml.safe_load(PUBLISHED.read_text()) | {"colour": "blue"}
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(raw))
    with pytest.raises(RecipeError, match="colour"):
        read_plan(tmp_path / "p.yaml")


def shipped(name: str) -> Recipe:
    return read_recipe(RECIPES / f"{name}.yaml")


def test_all_that_theta_s_recipe_changes_of_the_u_net_s_is_said() -> None:
    base, swept = (shipped(name).model_dump() for name in ("unet_cls", "unet_theta"))
    assert {key for key in base if base[key] != swept[key]} == {
        "name", "stages", "patience", "optimizer", "precision",
    }  # fmt: skip
    changed = {
        key: swept["optimizer"][key] for key in base["optimizer"] if base["optimizer"][key] != swept["optimizer"][key]
    }
    words = read_plan().theta.words
    assert shipped("unet_theta").epochs == 12
    assert "twelve epochs" in words
    assert changed == {"schedule": "cosine"}
    assert "cosine" in words
    assert shipped("unet_theta").precision == "bf16"
    assert "bfloat16" in words


@pytest.mark.parametrize("name", ["b0_cv5", "figshare_cv5", "lite0_cv5"])
def test_of_a_cross_validation_it_is_said_on_how_many_folds_it_trains(name: str) -> None:
    data = recipe_of_fold(shipped(name), 1).data
    assert (data.folds, len(data.train_folds)) == (5, 3)
    plan = read_plan()
    assert "of five folds three train" in plan.crossvalidations.words.lower()
    assert any("trains on three folds of five" in note for note in plan.notes)


def test_of_slices_that_helped_to_choose_the_recipe_that_is_said() -> None:
    """ARCHITECTURE.md says that heads were told apart on Sartaj, version 2's report that fold 5 was seen."""
    plan = read_plan()
    assert "was in sight when counter-examples and the head were chosen" in plan.cross.words
    assert "with fold 5 in sight" in plan.crossvalidations.words
    assert "errors there were seen when the recipe was made" in plan.levers.words


def test_a_run_of_several_cells_is_missing_while_one_of_them_is_empty(kept: Kept) -> None:
    """Its levels of one kind are there, those of another are not."""
    there, awaited = (
        Cell(run="some", figures={f"pruned.{kind}.accuracy_after": "pruned"}, command="prune")
        for kind in ("oneshot", "channels")
    )
    plan = read_plan()
    for first, second in ((there, awaited), (awaited, there)):
        row = plan.rows[0].model_copy(update={"same": first, "honest": second})
        assert "some" in {run.run for run in missing(plan.model_copy(update={"rows": (row,)}), kept)}
    row = plan.rows[0].model_copy(update={"same": there, "honest": there})
    assert "some" not in {run.run for run in missing(plan.model_copy(update={"rows": (row,)}), kept)}


def test_that_the_published_971_was_not_beaten_holds_by_the_figures_kept() -> None:
    row = next(row for row in read_plan().rows if "0.971" in row.published)
    found = Kept([PUBLISHED.parent / "results"]).read(row.same.run or "", CROSSVALIDATION, CrossValidation)
    assert found
    assert ("0.971 was not beaten" in (row.same.reason or "")) == (found.pooled["accuracy"].value <= 0.971)


def test_of_the_registered_model_it_is_said_that_the_five_folds_are_a_smaller_form_s() -> None:
    small, model = shipped("lite0_cv5"), shipped("lite0_t2")
    words = read_plan().crossvalidations.words
    assert (small.size, small.epochs, small.data.datasets) == (160, 12, ("figshare", "br35h"))
    assert f"The registered versions, at {model.size} pixels, have that one split alone" in words
    assert "twelve epochs at 160 pixels without Sartaj" in words


def test_how_sartaj_is_dealt_and_classes_evened_out_is_said() -> None:
    data, even = shipped("b0_adam").data, shipped("b0_rebalanced")
    parts = [len(part) for part in (data.train_folds, data.val_folds, data.test_folds)]
    assert (data.folds, parts) == (10, [8, 1, 1])
    notes = " ".join(read_plan().notes)
    assert "(80/10/10)" in notes
    assert (even.draw, even.augment.angles, even.augment.rotation) == ("added", (45, 225), 0)
    assert "turns these by 45° or by 225°" in notes

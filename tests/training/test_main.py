import sys
from pathlib import Path

import pytest

from service.contract.card import read_card
from training.__main__ import main
from training.config import Recipe
from training.datacard import CARD
from training.register import register


def run_line(monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> int:
    """The exit code of `python -m training` with these words."""
    monkeypatch.setattr(sys, "argv", ["training", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.fixture
def recipe_file(recipe: Recipe, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(recipe.model_dump_json())
    return path


def test_one_command_goes_from_pictures_to_a_registered_version(
    recipe_file: Path,
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ("line", recipe_file, "--data", pictures, "--run", tmp_path / "runs/a", "--models", tmp_path / "models",
             "--set", "dropout=0.15")  # fmt: skip
    assert run_line(monkeypatch, *words) == 0
    card = read_card(tmp_path / "models" / "tiny" / "1")
    assert card.training.recipe["dropout"] == 0.15
    assert card.change == "First version: test_efficientnet trained on drawn."
    said = capsys.readouterr().out
    steps = ("index →", "train →", "calibrate →", "export →", "evaluate →", "register →")
    assert sorted(steps, key=said.index) == list(steps)
    assert "macro_f1" in said
    epochs = [text for text in said.splitlines() if text.startswith("  runs/a, epoch ")]
    assert [text.split(":")[0] for text in epochs] == [
        f"  runs/a, epoch {n} of 2, {px} px" for n, px in ((1, 24), (2, 64))
    ]
    assert [text.endswith(" left") for text in epochs] == [True, False]

    assert run_line(monkeypatch, *words) == 1
    assert "say with --change why" in capsys.readouterr().err
    assert run_line(monkeypatch, *words, "--change", "Once more.") == 0
    assert read_card(tmp_path / "models" / "tiny" / "2").change == "Once more."


def test_the_card_of_the_data_is_of_the_recipe_as_it_was_changed(
    recipe_file: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (recipe_file, "--data", pictures, "--run", tmp_path / "run", "--set", "name=changed")
    for step in ("index", "data-card"):
        assert run_line(monkeypatch, step, *words) == 0
    assert (tmp_path / "run" / CARD).read_text().startswith("# Pictures of changed\n")


def test_a_mistake_is_one_sentence_and_exit_code_1(
    recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for step, sentence in (("train", "python -m training index"), ("index", "drawn holds no pictures")):
        assert run_line(monkeypatch, step, recipe_file, "--data", tmp_path, "--run", tmp_path / "run") == 1
        complaint = capsys.readouterr().err
        assert sentence in complaint
        assert complaint.count("\n") == 1


def test_a_recipe_that_is_not_there_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_line(monkeypatch, "index", tmp_path / "no.yaml", "--data", tmp_path, "--run", tmp_path) == 1
    assert capsys.readouterr().err == f"{tmp_path / 'no.yaml'} does not exist\n"


@pytest.mark.parametrize("step", ["calibrate", "export", "evaluate"])
def test_a_step_out_of_order_says_which_one_comes_first(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_line(monkeypatch, step, "--data", tmp_path, "--run", tmp_path / "run") == 1
    assert "run `python -m training train` first" in capsys.readouterr().err


def test_registering_needs_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_line(monkeypatch, "register", "--run", tmp_path) == 2


def test_a_registered_version_is_asked_about_a_folder_without_being_added_to(
    finished: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = register(finished, tmp_path / "models", "First version.")
    files = {path.name for path in bundle.iterdir()}
    words = ("evaluate", "--run", bundle, "--folder", pictures / "drawn", "--resamples", "1000")
    assert run_line(monkeypatch, *words) == 2
    assert "--out" in capsys.readouterr().err
    assert run_line(monkeypatch, *words, "--out", tmp_path / "asked") == 0
    assert (tmp_path / "asked" / "external-drawn.json").exists()
    assert {path.name for path in bundle.iterdir()} == files

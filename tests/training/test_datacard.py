import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from service.contract.card import REPORT_FILE
from training.config import Recipe, read_recipe
from training.data.index import read_index, write_index
from training.datacard import write_datacard
from training.index import INDEX, index
from training.predictions import PREDICTIONS
from training.report import Report
from training.run import RECIPE


@pytest.fixture
def parted(pictures: Path, recipe: Recipe, tmp_path: Path) -> Path:
    """A run whose slices were dealt one by one, so that mirror images part."""
    chosen = recipe.model_copy(update={"data": recipe.data.model_copy(update={"split": "random"})})
    (tmp_path / "recipe.json").write_text(chosen.model_dump_json())
    index(chosen, pictures, tmp_path / "run")
    return tmp_path


def test_a_split_by_slice_shows_what_it_leaks(parted: Path, pictures: Path) -> None:
    text = write_datacard(read_recipe(parted / "recipe.json"), pictures, parted / "run").read_text()
    leaking = [line for line in text.splitlines() if line.startswith("| test |")]
    assert len(leaking) == 5
    assert any("(0.0%)" not in line for line in leaking)
    assert "| drawn | glioma | 10 | 10 |" in text


def test_the_contact_sheet_has_a_line_a_label(parted: Path, pictures: Path) -> None:
    write_datacard(read_recipe(parted / "recipe.json"), pictures, parted / "run")
    with Image.open(parted / "run" / "contact.png") as sheet:
        assert sheet.size == (1120, 5 * 126)
        assert np.asarray(sheet)[20:126, :112].max() > 100


def test_a_split_by_group_leaks_nothing(pictures: Path, recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text(recipe.model_dump_json())
    index(recipe, pictures, tmp_path / "run")
    text = write_datacard(read_recipe(tmp_path / "recipe.json"), pictures, tmp_path / "run").read_text()
    assert all("0 (0.0%)" in line for line in text.splitlines() if line.startswith(("| test |", "| val |")))


def test_a_picture_that_differs_by_its_border_alone_leaks(pictures: Path, recipe: Recipe, tmp_path: Path) -> None:
    data = Path(shutil.copytree(pictures, tmp_path / "data"))
    with Image.open(data / "drawn" / "glioma" / "0.png") as head:
        ImageOps.expand(head, 60).save(data / "drawn" / "glioma" / "wide.png")
    (tmp_path / "recipe.json").write_text(recipe.model_dump_json())
    rows = read_index(index(recipe, data, tmp_path / "run"))
    told = [
        replace(row, group="another", fold=5) if row.path.endswith("wide.png") else replace(row, fold=1) for row in rows
    ]
    write_index(told, tmp_path / "run" / INDEX)
    text = write_datacard(read_recipe(tmp_path / "recipe.json"), data, tmp_path / "run").read_text()
    assert "| test | glioma | 1 | 0 (0.0%) | 1 (100.0%) |" in text


def test_a_source_left_out_may_leak_too(left_out: Path, pictures: Path) -> None:
    text = write_datacard(read_recipe(left_out / "recipe.json"), pictures, left_out).read_text()
    assert "| left out | glioma | 2 | 0 (0.0%) |" in text


def test_a_measured_run_says_what_its_leaks_are_worth(finished: Path, pictures: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    chosen = read_recipe(run / RECIPE)
    answered = [
        line for line in write_datacard(chosen, pictures, run).read_text().splitlines() if "known class" in line
    ]
    report = Report.model_validate_json((run / REPORT_FILE).read_bytes())
    asked = f"{report.figures['accuracy'].value:.4f} of {sum(map(sum, report.confusion))}"
    assert answered == [f"| all test folds | accuracy, known class | {asked} | {asked} | {asked} |"]
    (run / PREDICTIONS).unlink()
    assert "What the leaks are worth" not in write_datacard(chosen, pictures, run).read_text()

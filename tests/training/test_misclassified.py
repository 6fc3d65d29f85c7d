import shutil
from pathlib import Path

import pytest
from PIL import Image

from training.data.index import read_index
from training.data.provenance import PUBLISHABLE
from training.index import INDEX
from training.misclassified import PUBLIC_SHEET, SHEET, draw_misclassified, wrong_answers
from training.predictions import read_predictions


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "runs" / "tiny"))


def test_every_wrong_answer_of_the_test_folds_is_there_the_surest_first(run: Path, pictures: Path) -> None:
    rows = {row.path: row for row in read_index(run / INDEX)}
    lines = read_predictions(run)
    expected = {
        line["path"]
        for line in lines
        if (line["predicted"] == "no_tumor" if line["label"] == "tumor" else line["label"] != line["predicted"])
    }
    found = draw_misclassified(pictures, run)
    assert {each.row.path for each in found} == expected != set()
    assert all(rows[each.row.path].fold == 5 for each in found)
    assert [each.probability for each in found] == sorted((each.probability for each in found), reverse=True)
    assert all(each.probability == max(float(line[name]) for name in ("glioma", "meningioma", "no_tumor", "pituitary"))
               for each in found for line in lines if line["path"] == each.row.path)  # fmt: skip


def test_the_sheet_holds_the_slices_and_only_publishable_ones_are_for_others(
    run: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = draw_misclassified(pictures, run)
    with Image.open(run / SHEET) as sheet:
        assert sheet.width == 900
        assert sheet.height > 150 * (len(wrong) // 6)
    assert not (run / PUBLIC_SHEET).exists()
    monkeypatch.setitem(PUBLISHABLE, "drawn", "Drawn here.")
    draw_misclassified(pictures, run, run / "elsewhere")
    assert (run / "elsewhere" / PUBLIC_SHEET).exists()
    monkeypatch.delitem(PUBLISHABLE, "drawn")
    draw_misclassified(pictures, run, run / "elsewhere")
    assert not (run / "elsewhere" / PUBLIC_SHEET).exists()


def test_the_folds_of_a_cross_validation_count_together(run: Path, pictures: Path, tmp_path: Path) -> None:
    for fold in ("fold-1", "fold-2"):
        shutil.copytree(run, tmp_path / "cv" / fold)
    assert len(draw_misclassified(pictures, tmp_path / "cv")) == 2 * len(wrong_answers(run))

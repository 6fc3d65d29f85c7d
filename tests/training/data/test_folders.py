from pathlib import Path

import pytest
from PIL import ImageOps

from training.data.folders import label_of, rows_of_folders
from training.data.phantom import draw_phantom
from training.errors import DataError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three public layouts: class folders, Training and Testing, yes and no."""
    for number, place in enumerate(
        (
            "plain/glioma/0.png",
            "split/Training/glioma_tumor/0.jpg",
            "split/Training/no_tumor/0.jpg",
            "split/Testing/Pituitary-Tumor/0.jpg",
            "answers/yes/0.png",
            "answers/no/0.png",
        )
    ):
        path = tmp_path / place
        path.parent.mkdir(parents=True)
        draw_phantom("glioma", (80, 90), seed=number).save(path)
    return tmp_path


def test_public_layouts_are_read(root: Path) -> None:
    rows = rows_of_folders(root, ["plain", "split", "answers"]).rows
    assert [(row.dataset, row.label, row.official_split) for row in rows] == [
        ("plain", "glioma", ""),
        ("split", "pituitary", "Testing"),
        ("split", "glioma", "Training"),
        ("split", "no_tumor", "Training"),
        ("answers", "no_tumor", ""),
        ("answers", "tumor", ""),
    ]


@pytest.mark.parametrize(
    ("folder", "label"),
    [("notumor", "no_tumor"), ("No Tumor", "no_tumor"), ("meningioma_tumor", "meningioma"), ("Glioma", "glioma")],
)
def test_a_folders_name_is_read_as_a_label(folder: str, label: str) -> None:
    assert label_of(folder) == label


def test_what_cannot_be_read_is_named_and_the_rest_goes_on(root: Path) -> None:
    (root / "plain/glioma/1.png").write_bytes(b"text")
    found = rows_of_folders(root, ["plain"])
    assert [row.path for row in found.rows] == ["plain/glioma/0.png"]
    assert len(found.unreadable) == 1
    assert found.unreadable[0].startswith("plain/glioma/1.png: ")
    assert str(root) not in found.unreadable[0]


def test_a_copy_in_a_later_dataset_says_of_what(root: Path) -> None:
    head = draw_phantom("glioma", (80, 90), seed=0)
    ImageOps.mirror(head).save(root / "answers/yes/copy.png")
    head.save(root / "plain/glioma/again.png")
    rows = {row.path: row for row in rows_of_folders(root, ["plain", "answers"]).rows}
    assert rows["answers/yes/copy.png"].same_as == "plain/glioma/0.png"
    assert rows["answers/yes/0.png"].same_as == ""
    assert rows["plain/glioma/again.png"].same_as == ""
    assert rows["plain/glioma/again.png"].group == rows["plain/glioma/0.png"].group


def test_a_copy_on_a_larger_black_field_stays_in_its_group(root: Path) -> None:
    head = draw_phantom("glioma", (80, 90), seed=0)
    ImageOps.expand(head, border=(60, 0, 0, 25), fill=0).save(root / "plain/glioma/again.png")
    first, again = rows_of_folders(root, ["plain"]).rows
    assert first.group == again.group


def test_a_dataset_without_pictures_is_refused(root: Path) -> None:
    with pytest.raises(DataError, match="elsewhere holds no pictures"):
        rows_of_folders(root, ["plain", "elsewhere"])

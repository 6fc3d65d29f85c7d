import math
import os
from pathlib import Path

import pytest
from PIL import Image

from training.errors import OrderError
from training.history import HISTORY, chosen_line, draw_curves, kinds_of, read_history, without_nan, write_line


def write(run: Path, losses: list[float]) -> Path:
    run.mkdir()
    for epoch, loss in enumerate(losses):
        kinds = {f"{split}_{kind}": loss for split in ("train", "val") for kind in ("accuracy", "precision", "recall")}
        write_line(run, {"epoch": epoch, "train_loss": loss, "val_loss": None, **kinds})
    return run


def test_an_epoch_that_was_written_twice_counts_once(tmp_path: Path) -> None:
    run = write(tmp_path / "a", [0.5, 0.4])
    write_line(run, {"epoch": 1, "train_loss": 0.3})
    assert [line["train_loss"] for line in read_history(run)] == [0.5, 0.3]


def test_a_line_that_broke_off_does_not_count_and_makes_room_for_its_epoch(tmp_path: Path) -> None:
    """As a full disk leaves it: the epoch has no checkpoint yet, and comes again."""
    run = write(tmp_path / "a", [0.5, 0.4])
    os.truncate(run / HISTORY, (run / HISTORY).stat().st_size - 20)
    assert [line["train_loss"] for line in read_history(run)] == [0.5]
    write_line(run, {"epoch": 1, "train_loss": 0.3})
    assert [line["train_loss"] for line in read_history(run)] == [0.5, 0.3]


def test_without_a_finished_epoch_none_was_chosen() -> None:
    with pytest.raises(OrderError, match="no epoch"):
        chosen_line([])


def test_what_cannot_be_known_is_none() -> None:
    assert without_nan({"a": math.nan, "b": 0.5}) == {"a": None, "b": 0.5}


def test_curves_of_several_runs_are_drawn(tmp_path: Path) -> None:
    runs = [write(tmp_path / name, [0.5, 0.4, 0.3]) for name in ("adam", "sgd")]
    with Image.open(draw_curves(runs, tmp_path / "both.png")) as picture:
        assert picture.width > 1000


def test_every_figure_that_some_line_holds_has_a_panel(tmp_path: Path) -> None:
    """Macro F1 and the masks' figures are of validation alone; an AUROC that was never known has no panel."""
    run = write(tmp_path / "adam", [0.5, 0.4])
    known = {"train_loss": 0.3, "val_loss": 0.2, "val_macro_f1": 0.5, "val_auroc": None, "val_dice": 0.5}
    write_line(run, {"epoch": 2, **known})
    assert kinds_of(read_history(run)) == ["loss", "accuracy", "precision", "recall", "macro_f1", "dice"]
    with Image.open(draw_curves([run], tmp_path / "six.png")) as picture:
        six = picture.height
    with Image.open(draw_curves([write(tmp_path / "sgd", [0.5])], tmp_path / "four.png")) as picture:
        assert six > 1.4 * picture.height


def test_a_run_without_a_finished_epoch_has_curves_without_lines(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / HISTORY).write_text("")
    assert draw_curves([tmp_path / "a"], tmp_path / "none.png").exists()

import math
from pathlib import Path

from PIL import Image

from training.history import draw_curves, read_history, without_nan, write_line


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


def test_what_cannot_be_known_is_none() -> None:
    assert without_nan({"a": math.nan, "b": 0.5}) == {"a": None, "b": 0.5}


def test_curves_of_several_runs_are_drawn(tmp_path: Path) -> None:
    runs = [write(tmp_path / name, [0.5, 0.4, 0.3]) for name in ("adam", "sgd")]
    with Image.open(draw_curves(runs, tmp_path / "both.png")) as picture:
        assert picture.width > 1000

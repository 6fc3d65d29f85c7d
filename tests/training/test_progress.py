from pathlib import Path

import pytest

from training.config import Recipe, Stage
from training.history import Line
from training.progress import duration, in_words, seconds_left, teller


def line(epoch: int, size: int, seconds: float, **figures: object) -> Line:
    told = {"train_loss": 1.25, "val_loss": 1.5, "val_accuracy": 0.5, "val_macro_f1": 0.375, "best": False}
    return {"epoch": epoch, "size": size, "seconds": seconds, **told, **figures}


@pytest.fixture
def growing(recipe: Recipe) -> Recipe:
    return recipe.model_copy(update={"stages": (Stage(size=32, epochs=2), Stage(size=64, epochs=3))})


def test_time_left_counts_pixels_not_epochs(growing: Recipe) -> None:
    assert seconds_left(growing, [line(0, 32, 10)]) == 10 * (1 + 3 * 4)
    assert seconds_left(growing, [line(0, 32, 10), line(1, 32, 14)]) == 12 * 3 * 4
    assert seconds_left(growing, [line(4, 64, 40)]) == 0


def test_a_run_that_goes_on_reckons_by_its_own_pace(growing: Recipe) -> None:
    assert seconds_left(growing, [line(3, 64, 8)]) == 8


def test_each_epoch_is_told_with_its_figures_and_the_time_left(growing: Recipe) -> None:
    said: list[str] = []
    watch = teller(said.append)(growing.model_copy(update={"best_by": "val_loss"}), Path("some/runs/mine"))
    watch(line(0, 32, 10, best=True))
    watch(line(4, 64, 40, val_accuracy=None))
    assert said == [
        "  runs/mine, epoch 1 of 5, 32 px: train_loss 1.2500  val_loss 1.5000  val_accuracy 0.5000  val_macro_f1 0.3750"
        ", the best so far; at most 2 min left",
        "  runs/mine, epoch 5 of 5, 64 px: train_loss 1.2500  val_loss 1.5000  val_macro_f1 0.3750",
    ]


def test_of_a_refit_no_epoch_is_called_the_best(growing: Recipe) -> None:
    refit = growing.model_copy(update={"data": growing.data.model_copy(update={"refit": True})})
    told = {name: figure for name, figure in line(0, 32, 10, best=True).items() if not name.startswith("val_")}
    assert in_words(refit, [told]) == "epoch 1 of 5, 32 px: train_loss 1.2500; at most 2 min left"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (99, "99 s"), (100, "2 min"), (5900, "98 min"), (12000, "3 h 20 min")]
)
def test_a_duration_is_told_as_exactly_as_it_is_known(seconds: float, words: str) -> None:
    assert duration(seconds) == words

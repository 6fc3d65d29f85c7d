"""What a run's weights answer at another input size, without a step of training, and how much faster.

    python -m benchmarks.sizes DATA runs/lite0-3 192 208

For each size: the temperature fitted anew on the validation folds, macro-F1 and ECE on validation and test folds
(slices of known class), the share of test slices that get the label they get at the run's own size, and the time of one
slice on one thread over the own size's, in rounds that take turns.
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from service.contract.probabilities import probabilities
from training.calibrate import fit_temperature
from training.config import Recipe, read_recipe
from training.data.slices import Slices
from training.export import export_network
from training.graph import Graph
from training.pruning_report import compare_times
from training.run import RECIPE, load_best, load_folds
from training.scores import confusion_matrix, expected_calibration_error, precision_recall_f1

Floats = npt.NDArray[np.float32]


def main(data: Path, run: Path, sizes: Sequence[int]) -> None:
    """Measure and print."""
    recipe = read_recipe(run / RECIPE)
    with tempfile.TemporaryDirectory() as room:
        own, wanted, shown = measure(recipe, data, run, Path(room))
        print(f"{recipe.size} px: {shown}")
        for size in sizes:
            graph, answers, shown = measure(recipe.model_copy(update={"size": size}), data, run, Path(room))
            seen = [known(recipe.model_copy(update={"size": side}), data, run, recipe.data.test_folds).pixels[:8]
                    for side in (recipe.size, size)]  # fmt: skip
            time = compare_times(own, graph, seen[0], others=seen[1])
            print(f"{size} px: {shown}, same label {np.mean(answers == wanted):.4f}, "
                  f"time {time.median:.2f} [{time.low:.2f}, {time.high:.2f}]")  # fmt: skip


def measure(recipe: Recipe, data: Path, run: Path, room: Path) -> tuple[Path, npt.NDArray[np.intp], str]:
    """The graph at the recipe's size, its labels for the test slices, and its figures in words."""
    held_out, tested = (known(recipe, data, run, folds) for folds in (recipe.data.val_folds, recipe.data.test_folds))
    target = room / f"{recipe.size}.onnx"
    graph = Graph(export_network(load_best(recipe, run), target, held_out.pixels[:8], origin="0" * 64))
    logits = [graph(slices.pixels).logits for slices in (held_out, tested)]
    temperature = fit_temperature(logits[0], held_out.targets)
    said = (f"{name} {figures(each, temperature, slices)}"
            for name, each, slices in zip(("validation", "test"), logits, (held_out, tested), strict=True))  # fmt: skip
    return target, logits[1].argmax(axis=1), f"temperature {temperature:.3f}, {', '.join(said)}"


def known(recipe: Recipe, data: Path, run: Path, folds: tuple[int, ...]) -> Slices:
    """The slices of known class of some folds, at the recipe's size."""
    slices = load_folds(recipe, data, run, folds)
    return slices.select(slices.known)


def figures(logits: Floats, temperature: float, slices: Slices) -> str:
    """Macro-F1 and ECE in words."""
    probs = probabilities(logits, temperature)
    matrix = confusion_matrix(probs.argmax(axis=1), slices.targets, probs.shape[1])
    ece = expected_calibration_error(probs, slices.targets)
    return f"macro-F1 {precision_recall_f1(matrix)[2].mean():.4f} ECE {ece:.4f}"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), [int(word) for word in sys.argv[3:]])

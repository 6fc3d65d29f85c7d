from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from training.data.index import Row
from training.roc import draw_roc
from training.tumor import tumor_intervals


def test_the_threshold_s_point_lies_on_the_curve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = ["glioma"] * 4 + ["no_tumor"] * 4
    rows = [Row("d", f"{i}.png", kind, f"g{i}", 1, 8, 8, str(i)) for i, kind in enumerate(kinds)]
    tumor = np.array([0.9, 0.8, 0.6, 0.3, 0.7, 0.4, 0.2, 0.1])
    figures = tumor_intervals(rows, tumor, seed=1, resamples=20)
    seen: list[Axes] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: seen.extend(figure.axes))
    draw_roc(rows, tumor, figures, "somewhere", tmp_path / "roc.png")
    curve, point, _ = (np.asarray(line.get_xydata()).tolist() for line in seen[0].lines)
    assert point == [[0.25, 0.75]]
    assert point[0] in curve
    labels = [f"AUROC {figures['auroc'].value:.3f}", "tumour probability ≥ 0.5"]
    assert seen[0].get_legend_handles_labels()[1] == labels

"""What a map is worth against an outline: heatmap (h, w) in [0, 1], the tumour's inside (h, w) as booleans."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.contract.geometry import Heatmap, peak_of

Inside = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

STEPS = 20
THRESHOLDS = np.arange(1, STEPS) / STEPS
"""Shares of a map's maximum from which a pixel may count as shown."""


@dataclass(frozen=True)
class Agreement:
    """One kind of map against the outlines of N tumours: pointing (N,), energy (N,) and IoU (N, thresholds)."""

    pointing: Floats
    energy: Floats
    ious: Floats

    @property
    def best_threshold(self) -> int:
        """Which of `THRESHOLDS` gives the highest mean IoU."""
        return int(self.ious.mean(axis=0).argmax())

    def select(self, keep: npt.NDArray[np.bool_]) -> "Agreement":
        """That of the tumours where `keep` (N,) holds."""
        return Agreement(self.pointing[keep], self.energy[keep], self.ious[keep])

    def columns(self, threshold: int) -> dict[str, Floats]:
        """Each measure's values (N,), IoU at the given threshold; `oracle_iou` at each picture's own best one."""
        return {
            "pointing": self.pointing,
            "energy": self.energy,
            "iou": self.ious[:, threshold],
            "oracle_iou": self.ious.max(axis=1),
        }

    def overall(self, threshold: int) -> float:
        """Mean of pointing, energy and IoU: what the default is chosen by."""
        return float(np.mean([self.columns(threshold)[name].mean() for name in ("pointing", "energy", "iou")]))


def agreement(heatmap_of: Callable[[int], Heatmap], insides: npt.NDArray[np.bool_]) -> Agreement:
    """How the heatmap of each place agrees with the inside (N, h, w) there."""
    rows = [_row(heatmap_of(place), inside) for place, inside in enumerate(insides)]
    pointed, energies, ious = zip(*rows, strict=True)
    return Agreement(np.array(pointed), np.array(energies), np.stack(ious))


def agreements(
    heatmaps: Mapping[str, Callable[[int], Heatmap]], insides: npt.NDArray[np.bool_]
) -> dict[str, Agreement]:
    """`agreement` of each kind of map."""
    return {name: agreement(heatmap_of, insides) for name, heatmap_of in heatmaps.items()}


def pointing(heatmap: Heatmap, inside: Inside) -> float:
    """1 where the map's peak lies inside, with no tolerance (Zhang et al. 2018, §4.2); 0 without evidence."""
    peak = peak_of(heatmap)
    return float(peak is not None and inside[peak.y, peak.x])


def energy(heatmap: Heatmap, inside: Inside) -> float:
    """Share of the map's sum that lies inside (Wang et al. 2020, §4.3); 0 without evidence."""
    total = float(heatmap.sum(dtype=np.float64))
    return float(heatmap[inside].sum(dtype=np.float64)) / total if total > 0 else 0.0


def ious(heatmap: Heatmap, inside: Inside) -> Floats:
    """Intersection over union with the pixels from each of `THRESHOLDS` on: (thresholds,)."""
    levels = np.floor(heatmap * STEPS + 1e-6).astype(np.int64)  # float32's 0.15 times 20 lies just below 3
    shown, both = _at_least(levels.ravel()), _at_least(levels[inside])
    return np.asarray(both / (shown + int(inside.sum()) - both))


def _at_least(levels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.asarray(np.bincount(levels, minlength=STEPS + 1)[::-1].cumsum()[::-1][1:STEPS])


def _row(heatmap: Heatmap, inside: Inside) -> tuple[float, float, Floats]:
    return pointing(heatmap, inside), energy(heatmap, inside), ious(heatmap, inside)

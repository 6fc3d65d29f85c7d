"""From raw network outputs to calibrated numbers."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

NO_TUMOR = "no_tumor"
"""The class whose complement is the tumour probability."""

Probabilities = npt.NDArray[np.float64]


def probabilities(logits: npt.ArrayLike, temperature: float) -> Probabilities:
    """Softmax of logits (…, classes) over `temperature` (Guo et al. 2017, eq. 9), in float64.

    Raises `ValueError` on logits that are not finite: such an answer must not leave the building.
    """
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    if not np.isfinite(scaled).all():
        raise ValueError("logits are not finite")
    exponents = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(exponents / exponents.sum(axis=-1, keepdims=True))


def tumor_probability(probs: Probabilities, class_names: Sequence[str]) -> Probabilities:
    """Summed probability of every class but `no_tumor`: shape (…,) from (…, classes)."""
    tumors = [i for i, name in enumerate(class_names) if name != NO_TUMOR]
    return np.asarray(probs[..., tumors].sum(axis=-1))

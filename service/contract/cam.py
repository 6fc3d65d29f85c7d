"""Class-activation maps: where in a layer the evidence for one class lies.

Each method takes a layer's activations A and the gradients G of one class's logit with respect to them, both of
shape (K, h, w), and gives a map (h, w) ≥ 0 in float64. A map of zeros alone says that no place speaks for the class.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

Tensor = npt.NDArray[np.floating]
"""Activations or gradients of one slice, (K, h, w)."""
Cam = npt.NDArray[np.float64]
"""A map (h, w), nowhere negative."""
Method = Callable[[Tensor, Tensor], Cam]

ROUNDING = 1e-6
"""Share of the summed magnitudes below which a map is float32's rounding: scaled up, it would look like evidence."""


def grad_cam(activations: Tensor, gradients: Tensor) -> Cam:
    """relu(Σₖ mean(Gₖ)·Aₖ): Selvaraju et al. 2017, eq. 1 and 2."""
    return _positive_sum(gradients.mean(axis=(1, 2), keepdims=True, dtype=np.float64), activations)


def grad_cam_plus_plus(activations: Tensor, gradients: Tensor) -> Cam:
    """relu(Σₖ (Σ αₖ·relu(Gₖ))·Aₖ) with α = G² / (2G² + ΣAₖ·G³): Chattopadhay et al. 2018, eq. 19.

    The paper takes A ≥ 0, so that α ≤ 1/2 wherever G > 0. Where a layer without ReLU makes the denominator zero
    or negative, α has no meaning and is 0.
    """
    rising = np.maximum(gradients, 0.0, dtype=np.float64)
    denominator = 2.0 + activations.sum(axis=(1, 2), keepdims=True, dtype=np.float64) * rising  # both sides over G²
    alpha = np.divide(1.0, denominator, out=np.zeros_like(rising), where=denominator > 0)
    return _positive_sum((alpha * rising).sum(axis=(1, 2), keepdims=True), activations)


def hires_cam(activations: Tensor, gradients: Tensor) -> Cam:
    """relu(Σₖ Gₖ ⊙ Aₖ), which shows only places that the network used: Draelos and Carin 2020, eq. 4."""
    return _positive_sum(gradients.astype(np.float64), activations)


def layer_cam(activations: Tensor, gradients: Tensor) -> Cam:
    """relu(Σₖ relu(Gₖ) ⊙ Aₖ), sharp at earlier layers too: Jiang et al. 2021, eq. 5 to 7."""
    return hires_cam(activations, np.maximum(gradients, 0))


def eigen_cam(activations: Tensor, gradients: Tensor) -> Cam:  # noqa: ARG001 - every method has one shape
    """First principal component of A, the same for every class: Muhammad and Yeasin 2020, eq. 3.

    A component's sign is arbitrary: it is chosen so that the map's sum is not negative. The right singular vectors of
    A (K, h·w) are the eigenvectors of AᵀA, and Aᵀu of those u of AAᵀ: of both the smaller one is decomposed, since A
    itself, or the larger one, would hold a core for long.
    """
    channels, height, width = activations.shape
    features = _finite(activations.reshape(channels, -1).astype(np.float64))
    if channels < height * width:
        _, components = np.linalg.eigh(features @ features.T)  # in rising order
        projection = components[:, -1] @ features
    else:
        squares, components = np.linalg.eigh(features.T @ features)
        projection = np.sqrt(max(squares[-1], 0.0)) * components[:, -1]
    projection = projection.reshape(height, width)
    return _positive(projection if projection.sum() >= 0 else -projection)


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "gradcam": grad_cam,
        "gradcampp": grad_cam_plus_plus,  # a plus sign in a query string is a space
        "hirescam": hires_cam,
        "layercam": layer_cam,
        "eigencam": eigen_cam,
    }
)
"""Every method by the name that cards and callers use."""


def _positive_sum(weights: npt.NDArray[np.float64], activations: Tensor) -> Cam:
    """relu(Σₖ weightsₖ·Aₖ), zero throughout where nothing but rounding is left."""
    terms = _finite(weights * activations)
    cam = _positive(terms.sum(axis=0))
    return cam if cam.max() > ROUNDING * np.abs(terms).sum(axis=0).max() else np.zeros_like(cam)


def _positive(values: npt.NDArray[np.float64]) -> Cam:
    return np.asarray(np.maximum(values, 0.0))


def _finite(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The values themselves; raises `ValueError` where one is not finite, over which LAPACK may never return."""
    if not np.isfinite(values).all():
        raise ValueError("activations or gradients are not finite")
    return values

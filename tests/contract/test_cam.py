from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from service.contract.cam import METHODS, Method, eigen_cam, grad_cam, grad_cam_plus_plus, hires_cam, layer_cam

Floats = npt.NDArray[np.float64]
Pair = tuple[Floats, Floats]

A = np.array([[[1.0, 2.0], [0.0, 1.0]], [[3.0, 0.0], [1.0, 0.0]]])
G = np.array([[[1.0, -1.0], [2.0, 2.0]], [[-1.0, 0.0], [0.0, -3.0]]])


def drawn(seed: int, signed: bool = False) -> Pair:
    """Activations as after ReLU (or `signed`) and gradients: 5 channels of 3 × 4."""
    random = np.random.default_rng(seed)
    activations = random.normal(size=(5, 3, 4))
    return activations if signed else np.maximum(activations, 0), random.normal(size=(5, 3, 4))


def looped(weight: Callable[[Floats, Floats, int, int], float]) -> Callable[[Floats, Floats], Floats]:
    """The map relu(Σₖ weight·A), place by place, from the weight of one channel at one place."""

    def cam(activations: Floats, gradients: Floats) -> Floats:
        _, height, width = activations.shape
        answer = np.zeros((height, width))
        for y in range(height):
            for x in range(width):
                pairs = zip(activations, gradients, strict=True)
                answer[y, x] = max(0.0, sum(weight(a, g, y, x) * a[y, x] for a, g in pairs))
        return answer

    return cam


def plus_plus_weight(a: Floats, g: Floats, _y: int, _x: int) -> float:
    """Equation 19's weight of one channel, term by term."""
    terms = [v**2 / (2 * v**2 + a.sum() * v**3) * max(v, 0.0) for v in g.ravel() if v != 0]
    return float(sum(terms))


INDEPENDENT = {
    "gradcam": looped(lambda _a, g, _y, _x: float(g.mean())),
    "gradcampp": looped(plus_plus_weight),
    "hirescam": looped(lambda _a, g, y, x: float(g[y, x])),
    "layercam": looped(lambda _a, g, y, x: max(0.0, float(g[y, x]))),
}


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> Method:
    return METHODS[request.param]


def test_grad_cam_by_hand() -> None:
    # weights 1 and -1
    assert grad_cam(A, G).tolist() == [[0, 2], [0, 1]]


def test_grad_cam_plus_plus_by_hand() -> None:
    # only channel 0 has positive gradients 1, 2, 2 and sums to 4: 1/(2+4) + 2 · 2/(2+8)
    weight = 1 / 6 + 4 / 10
    assert grad_cam_plus_plus(A, G) == pytest.approx(weight * A[0])


def test_hires_cam_by_hand() -> None:
    assert hires_cam(A, G).tolist() == [[0, 0], [0, 2]]


def test_layer_cam_by_hand() -> None:
    assert layer_cam(A, G).tolist() == [[1, 0], [0, 2]]


def test_eigen_cam_of_one_pattern_is_that_pattern() -> None:
    pattern = np.array([[0.0, 1.0], [2.0, 2.0]])
    activations = np.stack([pattern, 2 * pattern, -3 * pattern])
    assert eigen_cam(activations, np.zeros_like(activations)) == pytest.approx(np.sqrt(14) * pattern)


@pytest.mark.parametrize("channels", [1, 5, 12, 40])
def test_eigen_cam_is_the_leading_eigenvector_of_the_places(channels: int) -> None:
    """Whether there are fewer channels than places or more."""
    activations = np.random.default_rng(channels).uniform(size=(channels, 3, 4))
    places = activations.reshape(channels, -1)
    values, vectors = np.linalg.eigh(places.T @ places)
    wanted = np.sqrt(values[-1]) * vectors[:, -1].reshape(3, 4)
    assert eigen_cam(activations, np.zeros_like(activations)) == pytest.approx(np.abs(wanted))


@pytest.mark.parametrize("name", INDEPENDENT)
@pytest.mark.parametrize("seed", range(20))
def test_a_method_is_its_formula_place_by_place(name: str, seed: int) -> None:
    activations, gradients = drawn(seed)
    assert METHODS[name](activations, gradients) == pytest.approx(INDEPENDENT[name](activations, gradients))


@pytest.mark.parametrize("name", ["gradcam", "hirescam", "layercam"])
def test_signed_activations_follow_the_same_formula(name: str) -> None:
    activations, gradients = drawn(3, signed=True)
    assert METHODS[name](activations, gradients) == pytest.approx(INDEPENDENT[name](activations, gradients))


def test_a_method_follows_its_places_when_they_are_permuted(method: Method) -> None:
    activations, gradients = drawn(1)
    mirrored = method(activations[:, ::-1, ::-1], gradients[:, ::-1, ::-1])
    assert mirrored == pytest.approx(method(activations, gradients)[::-1, ::-1])


def test_a_method_does_not_see_the_order_of_channels(method: Method) -> None:
    activations, gradients = drawn(2)
    order = [3, 0, 4, 1, 2]
    assert method(activations[order], gradients[order]) == pytest.approx(method(activations, gradients))


@pytest.mark.parametrize("name", ["gradcam", "hirescam", "layercam"])
def test_a_steeper_logit_scales_the_map(name: str) -> None:
    activations, gradients = drawn(4)
    plain = METHODS[name](activations, gradients)
    assert METHODS[name](activations, 7 * gradients) == pytest.approx(7 * plain)


def test_grad_cam_and_hires_cam_agree_on_gradients_that_do_not_vary_in_space() -> None:
    activations, gradients = drawn(6)
    flat = np.broadcast_to(gradients.mean(axis=(1, 2), keepdims=True), gradients.shape)
    assert grad_cam(activations, flat) == pytest.approx(hires_cam(activations, flat))


def test_a_map_is_float64_never_negative_and_leaves_its_inputs_alone(method: Method) -> None:
    activations, gradients = (half.astype(np.float32) for half in drawn(7))
    activations.flags.writeable = gradients.flags.writeable = False
    cam = method(activations, gradients)
    assert cam.dtype == np.float64
    assert cam.shape == (3, 4)
    assert cam.min() >= 0


def test_dead_activations_give_a_map_of_zeros(method: Method) -> None:
    assert not method(np.zeros((4, 2, 3)), np.ones((4, 2, 3))).any()


@pytest.mark.parametrize("name", INDEPENDENT)
def test_gradients_against_the_class_give_a_map_of_zeros(name: str) -> None:
    activations, gradients = drawn(8)
    assert not METHODS[name](activations, -np.abs(gradients)).any()


@pytest.mark.parametrize("name", INDEPENDENT)
def test_vanished_gradients_give_a_map_of_zeros(name: str) -> None:
    assert not METHODS[name](np.ones((4, 2, 3)), np.zeros((4, 2, 3))).any()


def test_channels_that_cancel_leave_no_rounding_behind() -> None:
    activations = np.array([0.1, 0.2, -0.3], np.float32).reshape(3, 1, 1) * np.ones((3, 2, 2), np.float32)
    assert activations.sum(axis=0, dtype=np.float64).all()
    assert not grad_cam(activations, np.ones((3, 2, 2), np.float32)).any()


def test_a_denominator_of_zero_or_less_gives_no_weight() -> None:
    gradients = np.ones((1, 1, 2))
    assert not grad_cam_plus_plus(np.array([[[-3.0, 1.0]]]), gradients).any()
    assert not grad_cam_plus_plus(np.array([[[-4.0, 1.0]]]), gradients).any()


@pytest.mark.parametrize("name", INDEPENDENT)
def test_a_map_that_is_not_finite_is_refused(name: str) -> None:
    activations, gradients = drawn(9)
    activations[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="finite"):
        METHODS[name](activations, gradients)


def test_eigen_cam_refuses_what_is_not_finite() -> None:
    activations, gradients = drawn(9)
    activations[0, 0, 0] = np.inf
    with pytest.raises(ValueError, match="finite"):
        eigen_cam(activations, gradients)

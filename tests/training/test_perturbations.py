import numpy as np
import pytest
from PIL import Image

from training.data.phantom import draw_phantom
from training.perturbations import PERTURBATIONS

HEAD = draw_phantom("glioma", (120, 100), 3)
OTHERS = sorted(set(PERTURBATIONS) - {"as it is"})


def changed(name: str, image: Image.Image = HEAD) -> Image.Image:
    return PERTURBATIONS[name](image)


@pytest.mark.parametrize("name", OTHERS)
def test_each_gives_another_grey_picture_and_leaves_its_own_alone(name: str) -> None:
    before = HEAD.tobytes()
    after = changed(name)
    assert after.mode == "L"
    assert (after.size, after.tobytes()) != (HEAD.size, before)
    assert HEAD.tobytes() == before
    assert changed(name).tobytes() == after.tobytes()
    assert changed("as it is").tobytes() == before


def test_all_differ_from_each_other() -> None:
    assert len({(changed(name).size, changed(name).tobytes()) for name in PERTURBATIONS}) == len(PERTURBATIONS)


@pytest.mark.parametrize(
    ("name", "size"),
    [("quarter turn", (100, 120)), ("half turn", (120, 100)), ("without its outer tenth", (96, 80)),
     ("stretched by 1.3", (156, 100)), ("in a white frame", (168, 148)), ("96 pixels wide", (96, 80))],
)  # fmt: skip
def test_sizes(name: str, size: tuple[int, int]) -> None:
    assert changed(name).size == size


def test_levels_go_through_their_curves() -> None:
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    asked = {name: np.asarray(changed(name, ramp)).ravel()[[0, 64, 128, 255]].tolist()
             for name in ("twice as bright", "dim, 0.4", "gamma 0.5", "gamma 2")}  # fmt: skip
    assert asked == {
        "twice as bright": [0, 128, 255, 255],
        "dim, 0.4": [0, 26, 51, 102],
        "gamma 0.5": [0, 128, 181, 255],
        "gamma 2": [0, 16, 64, 255],
    }


def test_noise_is_a_magnitudes_and_lies_on_black_too() -> None:
    black = Image.new("L", (200, 200))
    noise = np.asarray(changed("noise", black), np.float64)
    assert noise.mean() == pytest.approx(20 * np.sqrt(np.pi / 2), abs=0.7)  # Rayleigh's mean, less what rounding takes


def test_a_head_loses_its_rim_alone() -> None:
    grey, stripped = np.asarray(HEAD), np.asarray(changed("without the head's rim"))
    assert np.array_equal(stripped[40:60, 50:70], grey[40:60, 50:70])
    lost = (stripped == 0) & (grey > 20)
    assert 0.2 < lost.sum() / (grey > 20).sum() < 0.6

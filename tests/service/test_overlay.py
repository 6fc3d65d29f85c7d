from io import BytesIO

import numpy as np
import numpy.typing as npt
import pytest
from matplotlib import colormaps
from PIL import Image

from service.overlay import COLORMAPS, DEFAULT_COLORMAP, overlay
from tests.pictures import draw


def opened(png: bytes) -> npt.NDArray[np.int_]:
    picture = Image.open(BytesIO(png))
    assert (picture.format, picture.mode) == ("PNG", "RGB")
    return np.asarray(picture).astype(int)


def lightness(colormap: str) -> npt.NDArray[np.float64]:
    """CIE L* of the 256 colours."""
    share = COLORMAPS[colormap] / 255.0
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    return np.where(luminance > 0.008856, 116 * np.cbrt(luminance) - 16, 903.3 * luminance)


def test_an_overlay_has_the_pictures_own_size() -> None:
    picture = draw(1, width=123, height=77)
    assert opened(overlay(picture, np.zeros((77, 123), np.float32))).shape == (77, 123, 3)


@pytest.mark.parametrize("colormap", COLORMAPS)
def test_a_place_without_evidence_shows_the_picture(colormap: str) -> None:
    picture = draw(2)
    shown = opened(overlay(picture, np.zeros((picture.height, picture.width), np.float32), colormap, alpha=1))
    assert (shown == np.asarray(picture)[..., None]).all()


@pytest.mark.parametrize("alpha", [0, 0.3, 1])
def test_a_colour_covers_alpha_times_the_heat(alpha: float) -> None:
    picture = draw(3, width=40, height=30)
    heatmap = np.random.default_rng(3).random((30, 40)).astype(np.float32)
    colors = COLORMAPS["turbo"][np.rint(heatmap * 255).astype(int)]
    cover = alpha * heatmap[..., None]
    wanted = colors * cover + np.asarray(picture)[..., None] * (1 - cover)
    assert opened(overlay(picture, heatmap, "turbo", alpha)) == pytest.approx(wanted, abs=1.5)


@pytest.mark.parametrize("colormap", ["viridis", "magma", "turbo"])
def test_a_colour_map_is_the_published_one(colormap: str) -> None:
    published = np.asarray(colormaps[colormap](np.arange(256)))[:, :3] * 255
    assert COLORMAPS[colormap].shape == (256, 3)
    assert COLORMAPS[colormap].astype(float) == pytest.approx(published, abs=2.5)


def test_jet_is_three_shifted_trapezes() -> None:
    places = np.linspace(0, 1, 256)
    trapezes = [np.clip(1.5 - np.abs(4 * places - middle), 0, 1) * 255 for middle in (3, 2, 1)]
    assert COLORMAPS["jet"].astype(float) == pytest.approx(np.stack(trapezes, axis=1), abs=2.5)


def test_the_default_colour_map_is_perceptually_even() -> None:
    steps = np.diff(lightness(DEFAULT_COLORMAP)[::15])
    assert steps.min() > 0.7 * steps.mean()
    assert steps.max() < 1.3 * steps.mean()
    assert np.diff(lightness("jet")[::15]).min() < 0

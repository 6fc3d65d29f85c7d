import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from service.contract.cam import Cam
from service.contract.card import InputSpec
from service.contract.geometry import Box, Heatmap, Point, box_of, peak_of, to_picture
from service.contract.preprocess import Slice, Square, content_square, preprocess
from tests.pictures import draw

SPEC = InputSpec(height=224, width=224, mean=(0.0,), std=(1.0,))
WIDTH, HEIGHT = 700, 300
CORNERS = [(20, 18), (680, 18), (20, 281), (680, 281)]
RADIUS = 9


def spotted(x: int, y: int, background: int, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Image.Image:
    """A round spot that is brightest at (x, y) on an even background, with a rim that keeps the border."""
    columns, rows = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    spot = np.clip(1 - np.hypot(columns - x, rows - y) / RADIUS, 0, 1)
    return Image.fromarray(np.rint(background + (255 - background) * spot).astype(np.uint8))


def brightness(pixels: Slice, cells: int) -> Cam:
    """What a network that answers to brightness would show, on `cells` × `cells` cells."""
    step = len(pixels) // cells
    bright = np.maximum(pixels.astype(np.float64) - 60, 0)
    return np.asarray(bright.reshape(cells, step, cells, step).mean(axis=(1, 3)))


def sampled(cam: Cam, square: Square, width: int, height: int) -> npt.NDArray[np.float64]:
    """The heatmap from its definition: each pixel's centre, in cells, between the four nearest cells' centres."""
    answer = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            u, v = (x + 0.5 - square.left) / square.side, (y + 0.5 - square.top) / square.side
            if 0 <= u < 1 and 0 <= v < 1:
                answer[y, x] = between(cam, u * cam.shape[1] - 0.5, v * cam.shape[0] - 0.5)
    return np.asarray(answer / cam.max())


def between(cam: Cam, column: float, row: float) -> float:
    """The map between its cells' centres, its edge cells prolonged."""
    x, y = np.clip(column, 0, cam.shape[1] - 1), np.clip(row, 0, cam.shape[0] - 1)
    left, top = int(x), int(y)
    right, bottom = min(left + 1, cam.shape[1] - 1), min(top + 1, cam.shape[0] - 1)
    upper = cam[top, left] * (1 - x + left) + cam[top, right] * (x - left)
    lower = cam[bottom, left] * (1 - x + left) + cam[bottom, right] * (x - left)
    return float(upper * (1 - y + top) + lower * (y - top))


@pytest.mark.parametrize(
    ("square", "width", "height"),
    [(Square(0, -20, 60), 60, 20), (Square(-7, 3, 31), 40, 37), (Square(5, 4, 9), 20, 16), (Square(0, 0, 3), 3, 3)],
)
@pytest.mark.parametrize("cells", [(1, 1), (7, 7), (5, 8)])
def test_a_heatmap_is_its_definition_pixel_by_pixel(
    square: Square, width: int, height: int, cells: tuple[int, int]
) -> None:
    cam = np.random.default_rng(1).random(cells)
    heatmap = to_picture(cam, square, width, height)
    assert heatmap.dtype == np.float32
    assert heatmap.shape == (height, width)
    assert heatmap == pytest.approx(sampled(cam, square, width, height), abs=1e-5)


def test_a_map_as_fine_as_the_picture_comes_back_untouched() -> None:
    cam = np.random.default_rng(2).random((40, 40))
    assert to_picture(cam, Square(0, 0, 40), 40, 40) == pytest.approx(cam / cam.max(), abs=1e-6)


def test_pixels_outside_the_square_are_zero() -> None:
    heatmap = to_picture(np.ones((7, 7)), Square(10, 5, 20), 50, 40)
    inside = np.zeros((40, 50), bool)
    inside[5:25, 10:30] = True
    assert (heatmap == inside).all()


@pytest.mark.parametrize(("x", "y"), CORNERS)
@pytest.mark.parametrize("background", [0, 60])
def test_a_spot_in_a_corner_is_pointed_at_within_two_pixels(x: int, y: int, background: int) -> None:
    heatmap = explained(spotted(x, y, background), cells=224)
    peak = peak_of(heatmap)
    assert peak is not None
    assert max(abs(peak.x - x), abs(peak.y - y)) <= 2


@pytest.mark.parametrize(("x", "y"), CORNERS)
def test_a_spot_far_from_another_is_pointed_at_within_two_pixels(x: int, y: int) -> None:
    # black all around, so that the dark border is cropped and the square is neither the picture nor centred on it
    picture = Image.fromarray(np.maximum(np.asarray(spotted(x, y, 0)), np.asarray(spotted(350, 150, 0)) // 2))
    assert content_square(picture) != content_square(spotted(x, y, 60))
    peak = peak_of(explained(picture, cells=224))
    assert peak is not None
    assert max(abs(peak.x - x), abs(peak.y - y)) <= 2


@pytest.mark.parametrize(("x", "y"), CORNERS)
@pytest.mark.parametrize("cells", [7, 14])
def test_a_coarse_map_points_into_its_own_cell(x: int, y: int, cells: int) -> None:
    picture = spotted(x, y, 60)
    peak = peak_of(explained(picture, cells))
    assert peak is not None
    cell = content_square(picture).side / cells
    assert max(abs(peak.x - x), abs(peak.y - y)) <= cell


@pytest.mark.parametrize("size", [(300, 700), (45, 40), (224, 224), (33, 500)])
def test_a_spot_is_found_in_a_picture_of_any_shape(size: tuple[int, int]) -> None:
    x, y = size[0] - 12, 11
    peak = peak_of(explained(spotted(x, y, 60, size), cells=224))
    assert peak is not None
    assert max(abs(peak.x - x), abs(peak.y - y)) <= 2


def test_a_map_without_evidence_has_no_peak_and_no_box() -> None:
    heatmap = to_picture(np.zeros((7, 7)), Square(0, 0, 20), 20, 10)
    assert not heatmap.any()
    assert peak_of(heatmap) is None
    assert box_of(heatmap) is None


def test_evidence_that_lies_in_the_padding_alone_points_nowhere_in_the_picture() -> None:
    cam = np.zeros((7, 7))
    cam[0] = 1
    assert peak_of(to_picture(cam, Square(0, -200, WIDTH), WIDTH, HEIGHT)) is None


def test_equally_high_pixels_are_pointed_at_in_their_middle() -> None:
    heatmap = np.zeros((9, 9), np.float32)
    heatmap[2:5, 3:8] = 0.5
    assert peak_of(heatmap) == Point(5, 3)


def test_the_box_holds_all_that_reaches_half_the_maximum() -> None:
    heatmap = np.zeros((10, 12), np.float32)
    heatmap[4, 6], heatmap[5, 8], heatmap[7, 2], heatmap[1, 1] = 0.8, 0.6, 0.4, 0.39
    assert box_of(heatmap) == Box(left=2, top=4, right=9, bottom=8)


def test_the_box_of_a_spot_lies_at_half_its_height() -> None:
    box = box_of(explained(spotted(600, 100, 60), cells=224))
    assert box is not None
    assert box == pytest.approx((600 - RADIUS / 2, 100 - RADIUS / 2, 600 + RADIUS / 2, 100 + RADIUS / 2), abs=4)


def test_a_heatmap_lies_between_zero_and_one() -> None:
    heatmap = explained(draw(3), cells=14)
    assert 0 == heatmap.min() < heatmap.max() <= 1


def explained(picture: Image.Image, cells: int) -> Heatmap:
    """The heatmap of the network that answers to brightness."""
    cam = brightness(preprocess(picture, SPEC), cells)
    return to_picture(cam, content_square(picture), picture.width, picture.height)

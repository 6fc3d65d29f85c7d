"""Other ways to decode a JPEG: what each takes of a picture's whole time on one core, and whose pixels it changes.

    python -m benchmarks.decoders models/brain-mri-efficientnet-lite0/2 [DATA]

`service` is what the service does, `draft` Pillow's draft mode (grey, and half the size where that still has the
network's side), `simplejpeg` libjpeg-turbo's own conversion to grey, where that package is installed. Ways take turns.
"""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.limit import MAX_PIXELS, MIN_SIDE, Line
from benchmarks.report import spread
from benchmarks.servers import WORK
from benchmarks.slices import pictures, write_bodies
from service.contract.card import InputSpec, read_card
from service.images import decode, to_slice
from service.stopwatch import seconds_of

ROUNDS = 7
Decoder = Callable[[bytes], Image.Image]


def main(bundle: Path, data: Path) -> None:
    """Measure and print."""
    spec = read_card(bundle).input
    contents, origin = pictures(data)
    write_bodies(contents, WORK / "bodies")
    line = Line(bundle, WORK / "bodies" / "raw", threads=1)
    ways = {"service": by_service, "draft": drafted(spec.width)}
    if find_spec("simplejpeg"):
        ways["simplejpeg"] = by_simplejpeg
    jobs: dict[str, Callable[[], object]] = {"whole": partial(all_steps, line, len(contents))}
    jobs |= {name: partial(each_of, way, contents) for name, way in ways.items()}
    rounds = [{name: seconds_of(job) for name, job in jobs.items()} for _ in range(ROUNDS)]
    print(f"{len(contents)} {origin}; decoding over decoding, preprocessing and running, one core, {ROUNDS} rounds")
    for name, way in ways.items():
        shares = [each[name] / each["whole"] for each in rounds]
        print(f"  {name}: {spread(shares)}; other network inputs: {changed(way, contents, spec)}")


def all_steps(line: Line, count: int) -> None:
    """Each picture from bytes to probabilities."""
    for place in range(count):
        line.step(place)


def each_of(way: Decoder, contents: Sequence[bytes]) -> list[Image.Image]:
    """All of them decoded."""
    return [way(content) for content in contents]


def changed(way: Decoder, contents: Sequence[bytes], spec: InputSpec) -> str:
    """How many pictures reach the network as other pixels than by the service, and how far off at most."""
    both = ((to_slice(decode_it(content), spec).astype(int) for decode_it in (by_service, way)) for content in contents)
    furthest = [int(np.abs(ours - theirs).max()) for ours, theirs in both]
    return f"{sum(each > 0 for each in furthest)} of {len(furthest)}, by up to {max(furthest)} grey levels"


def by_service(content: bytes) -> Image.Image:
    """The service's own."""
    return decode(content, MAX_PIXELS, MIN_SIDE)


def drafted(side: int) -> Decoder:
    """Pillow's draft mode, which asks libjpeg for grey and for the smallest scale not below twice the side."""

    def way(content: bytes) -> Image.Image:
        picture = Image.open(BytesIO(content))
        picture.draft("L", (side, side))
        picture.load()
        return picture

    return way


def by_simplejpeg(content: bytes) -> Image.Image:
    """libjpeg-turbo without Pillow."""
    pixels = import_module("simplejpeg").decode_jpeg(content, colorspace="GRAY")
    return Image.fromarray(np.asarray(pixels)[:, :, 0])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else "../shared/data"))

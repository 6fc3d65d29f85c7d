"""The pictures that every server is asked about, and the bodies that carry them."""

import base64
import csv
import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from training.data.phantom import draw_phantom

COUNT = 256
"""Distinct pictures, so that no answer can come from a cache."""
FOLD = "5"
SIDES = range(256, 513)
BYTES = range(10_000, 40_000)
BOUNDARY = "slice-boundary"


def pictures(data: Path) -> tuple[list[bytes], str]:
    """`COUNT` files and where they come from: slices of the test fold below `data`, else drawn ones."""
    files = _files(data)
    if len(files) < COUNT:
        return [_drawn(seed) for seed in range(COUNT)], "drawn phantoms"
    step = len(files) / COUNT
    return [files[int(number * step)].read_bytes() for number in range(COUNT)], "slices of the test fold"


def write_bodies(contents: list[bytes], folder: Path) -> None:
    """Each content as each kind of body, `folder/KIND/NUMBER`, for a generator that knows nothing of pictures."""
    for kind, body_of in BODIES.items():
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for number, content in enumerate(contents):
            (folder / kind / str(number)).write_bytes(body_of(content))


def _files(data: Path) -> list[Path]:
    """The fold's pictures of usual size."""
    if not (data / "index.csv").is_file():
        return []
    with (data / "index.csv").open(newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["fold"] == FOLD and row["dataset"] != "sartaj"]
    sized = [data / row["path"] for row in rows if int(row["width"]) in SIDES and int(row["height"]) in SIDES]
    return [path for path in sized if path.stat().st_size in BYTES]


def _drawn(seed: int) -> bytes:
    content = BytesIO()
    side = SIDES[seed * 37 % len(SIDES)]
    draw_phantom(("glioma", "meningioma", "no_tumor", "pituitary")[seed % 4], (side, side), seed).save(content, "JPEG")
    return content.getvalue()


def _form(content: bytes) -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n'
    return f"{head}Content-Type: image/jpeg\r\n\r\n".encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()


def _inference(content: bytes) -> bytes:
    """Open Inference Protocol, one picture in base64."""
    text = base64.b64encode(content).decode()
    return json.dumps({"inputs": [{"name": "file", "shape": [1, 1], "datatype": "BYTES", "data": [text]}]}).encode()


BODIES: dict[str, Callable[[bytes], bytes]] = {"raw": bytes, "form": _form, "inference": _inference}
CONTENT_TYPES = {
    "mixed": "application/octet-stream",
    "raw": "image/jpeg",
    "form": f"multipart/form-data; boundary={BOUNDARY}",
    "inference": "application/json",
}

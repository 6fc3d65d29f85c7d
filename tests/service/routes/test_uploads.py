"""Uploads as attackers and careless clients send them: each is answered as the picture it is, or refused by name."""

import io
import struct
import zipfile
import zlib
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from tests.pictures import draw, encode, png

BOUNDARY = {"Content-Type": "multipart/form-data; boundary=x"}


def label(sent: Any) -> dict[str, float]:
    """The probabilities of an answer."""
    assert sent.status_code == 200, sent.text
    probabilities: dict[str, float] = sent.json()["probabilities"]
    return probabilities


def problem(sent: Any) -> tuple[int, str]:
    return sent.status_code, sent.json()["type"].rpartition(":")[2]


def part(disposition: bytes, content: bytes) -> bytes:
    """A form's part with this Content-Disposition, and the form's end."""
    return b"--x\r\nContent-Disposition: form-data; " + disposition + b"\r\n\r\n" + content + b"\r\n"


def test_ten_thousand_tiny_files_are_refused_and_nothing_of_them_stays(client: TestClient) -> None:
    form = b"".join(part(b'name="files"; filename="a"', b"x") for _ in range(10_000)) + b"--x--\r\n"
    assert problem(client.post("/predict/batch", content=form, headers=BOUNDARY)) == (422, "several-files")
    assert "neurotriage_held_bytes 0.0" in client.get("/metrics").text


@pytest.mark.parametrize("size", [1, 2_000_000])
def test_fields_without_number_or_end_are_refused(client: TestClient, size: int) -> None:
    count = 2_000_000 // (size * 1000) + 1
    form = b"".join(part(b'name="a"', b"x" * size) for _ in range(count)) + b"--x--\r\n"
    assert problem(client.post("/predict", content=form, headers=BOUNDARY)) == (400, "broken-form")


def test_fields_beside_the_picture_and_of_its_name_change_nothing(client: TestClient) -> None:
    alone = label(client.post("/predict", content=png(1)))
    fields = {"file": "text of the same name", "model": "none", "version": "9"}
    assert label(client.post("/predict", files={"file": ("a", png(1))}, data=fields)) == alone


@pytest.mark.parametrize(
    "name",
    [
        b"../../etc/passwd",
        b"C:\\\\x\\\\y",
        b"a\tb",
        b"a\x00b",
        b"a\x1b[31mb",
        b"\xff\xfe",
        b"",
        b"a" * 60_000,
        b'a\\"b',
    ],
)
def test_a_files_name_is_nobodys_business(client: TestClient, name: bytes) -> None:
    form = part(b'name="file"; filename="' + name + b'"', png(1)) + b"--x--\r\n"
    sent = client.post("/predict", content=form, headers=BOUNDARY)
    if sent.status_code == 200:
        assert label(sent) == label(client.post("/predict", content=png(1)))
    else:
        assert problem(sent) in {(400, "broken-form"), (422, "missing-file")}


def test_a_line_feed_in_a_name_makes_no_second_header(client: TestClient) -> None:
    form = part(b'name="file"; filename="a\r\nX-Request-ID: forged"', png(1)) + b"--x--\r\n"
    sent = client.post("/predict", content=form, headers=BOUNDARY)
    assert sent.status_code in (200, 400, 422)
    assert sent.headers["x-request-id"] != "forged"


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x.html", "<script>alert(1)</script>")
    return buffer.getvalue()


@pytest.mark.parametrize("tail", [b"<script>alert(1)</script>", b"%PDF-1.7\n", zipped()], ids=["html", "pdf", "zip"])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP"])
def test_a_polyglot_is_the_picture_that_its_first_bytes_say(client: TestClient, kind: str, tail: bytes) -> None:
    content = encode(draw(1), kind)
    alone, sent = (client.post("/predict", content=each) for each in (content, content + tail))
    assert label(sent) == label(alone)
    assert (sent.headers["content-type"], sent.headers["x-content-type-options"]) == ("application/json", "nosniff")
    assert "script" not in sent.text
    assert problem(client.post("/predict", content=tail + content)) == (415, "not-an-image")


def flat(kind: str, **options: object) -> bytes:
    """Some kilobytes that hold a hundred million pixels."""
    return encode(Image.new("1", (10_000, 10_000)), kind, **options)


def webp_claiming(side: int) -> bytes:
    """A lossless WebP whose header claims a square of this side (RFC 9649 §3.4)."""
    content = bytearray(encode(draw(1, 48, 48, "RGB"), "WEBP", lossless=True))
    at = content.index(b"VP8L") + 9
    rest = int.from_bytes(content[at : at + 4], "little") >> 28 << 28
    content[at : at + 4] = struct.pack("<I", rest | (side - 1) << 14 | (side - 1))
    return bytes(content)


BOMBS = {
    "PNG": lambda: flat("PNG"),
    "TIFF, deflate": lambda: flat("TIFF", compression="tiff_adobe_deflate"),
    "TIFF, group 4": lambda: flat("TIFF", compression="group4"),
    "WebP": lambda: webp_claiming(16_383),
}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_is_defused_by_its_header(client: TestClient, kind: str) -> None:
    content = BOMBS[kind]()
    assert len(content) < 300_000
    assert problem(client.post("/predict", content=content)) == (422, "image-too-large")


def huge_metadata(kind: str) -> bytes:
    """A picture with five megabytes of EXIF or text behind its header."""
    content, exif = encode(draw(1), kind), b"Exif\x00\x00MM\x00*\x00\x00\x00\x08" + bytes(65_000)
    if kind == "JPEG":
        return content[:2] + (b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif) * 75 + content[2:]
    body = b"eXIf" + (exif[6:] * 75)
    return content[:33] + struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)) + content[33:]


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_huge_metadata_costs_neither_the_answer_nor_its_pixels(client: TestClient, kind: str) -> None:
    content = huge_metadata(kind)
    assert len(content) > 4_800_000
    alone = label(client.post("/predict", content=encode(draw(1), kind)))
    assert label(client.post("/predict", content=content)) == alone

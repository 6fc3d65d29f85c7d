import struct
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from service.contract.card import InputSpec
from service.contract.preprocess import preprocess
from service.errors import (
    EmptyImage,
    ImageTooLarge,
    ImageTooSmall,
    NotAnImage,
    ServiceError,
    SeveralFrames,
    UnreadableImage,
)
from service.images import SIGNED, UNSIGNED, decode, image_format
from tests.pictures import draw, encode, png

LIMIT = 1_000_000
SPEC = InputSpec(height=8, width=8, mean=(0.5,), std=(0.5,))


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose header claims a size and whose pixels are missing."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def sixteen_bits(channels: npt.NDArray[np.uint16]) -> bytes:
    """A PNG of 16 bits a channel (height, width, channels), which Pillow reads but does not write."""
    height, width, count = channels.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[count], 0, 0, 0)
    rows = b"".join(b"\x00" + row.astype(">u2").tobytes() for row in channels)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def deep_tiff(channels: npt.NDArray[np.uint16], photometric: int) -> bytes:
    """An uncompressed little-endian TIFF of 16 bits a channel (height, width, channels)."""
    height, width, count = channels.shape
    bits = struct.pack(f"<{count}H", *[16] * count)
    pixels = channels.astype("<u2").tobytes()
    tags = [(256, 1, width), (257, 1, height), (259, 1, 1), (262, 1, photometric), (273, 1, 8 + len(bits))]
    tags += [(277, 1, count), (278, 1, height), (279, 1, len(pixels))]
    entries = {tag: struct.pack("<HHII", tag, 4, number, value) for tag, number, value in tags}
    place = bits.ljust(4, b"\x00") if count <= 2 else struct.pack("<I", 8)
    entries[258] = struct.pack("<HHI", 258, 3, count) + place
    directory = struct.pack("<H", len(entries)) + b"".join(entries[tag] for tag in sorted(entries)) + bytes(4)
    return b"II*\x00" + struct.pack("<I", 8 + len(bits) + len(pixels)) + bits + pixels + directory


TWELVE_BITS = np.linspace(0, 4095, 64 * 64).reshape(64, 64, 1).astype(np.uint16)


def repeated_strips(count: int, side: int = 512) -> bytes:
    """A 1-bit TIFF that names the same strip, all but as high as the picture, again and again."""
    content = bytearray(b"II*\x00\x00\x00\x00\x00" + bytes(side * side // 8))
    offsets = len(content)
    content += struct.pack(f"<{count}I", *[8] * count)
    content[4:8] = struct.pack("<I", len(content))
    tags = [(256, 1, side), (257, 1, side), (258, 1, 1), (259, 1, 1), (262, 1, 1), (273, count, offsets)]
    tags += [(277, 1, 1), (278, 1, side - 1)]
    content += struct.pack("<H", len(tags))
    for tag, number, value in tags:
        content += struct.pack("<HHII", tag, 4, number, value)
    return bytes(content + bytes(4))


def frames(kind: str) -> bytes:
    buffer = BytesIO()
    draw(1).save(buffer, kind, save_all=True, append_images=[draw(2)])
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
def test_lossless_formats_give_their_pixels_back(kind: str, mode: str) -> None:
    picture = draw(5, mode=mode)
    assert np.array_equal(np.asarray(decode(encode(picture, kind), LIMIT)), np.asarray(picture))


@pytest.mark.parametrize(
    ("kind", "mode"), [("JPEG", "L"), ("JPEG", "RGB"), ("JPEG", "CMYK"), ("TIFF", "CMYK"), ("WEBP", "RGB")]
)
def test_lossy_formats_are_read(kind: str, mode: str) -> None:
    assert decode(encode(draw(5, mode=mode), kind), LIMIT).size == (200, 240)


@pytest.mark.parametrize("mode", ["RGBA", "P", "LA", "I;16"])
def test_other_png_modes_are_read(mode: str) -> None:
    picture = Image.fromarray(np.asarray(draw(5)).astype(np.uint16) * 256) if mode == "I;16" else draw(5, mode=mode)
    assert decode(encode(picture), LIMIT).mode == mode


@pytest.mark.parametrize("values", [TWELVE_BITS, TWELVE_BITS.astype(np.float32)])
def test_a_deep_picture_whose_zeros_are_white_is_the_same_slice(values: npt.NDArray[np.generic]) -> None:
    plain, negative = Image.fromarray(values[..., 0]), Image.fromarray((4095 - values)[..., 0])
    white_is_zero = decode(encode(negative, "TIFF", tiffinfo={262: 0}), LIMIT)
    assert np.array_equal(preprocess(white_is_zero, SPEC), preprocess(decode(encode(plain, "TIFF"), LIMIT), SPEC))


def test_numbers_of_32_bits_are_the_brighter_the_larger_they_are() -> None:
    values = np.linspace(0, 2**32 - 1, 64 * 64).reshape(64, 64)
    tiff = encode(Image.fromarray(values.astype(np.uint32).view(np.int32)), "TIFF")
    signed, unsigned = (struct.pack("<HHIHH", 339, 3, 1, kind, 0) for kind in (SIGNED, UNSIGNED))
    assert tiff.count(signed) == 1
    read = decode(tiff.replace(signed, unsigned), LIMIT)
    assert np.array_equal(preprocess(read, SPEC), preprocess(Image.fromarray(values.astype(np.float32)), SPEC))


def test_deep_grey_is_taken_from_either_format() -> None:
    for content in (sixteen_bits(TWELVE_BITS), deep_tiff(TWELVE_BITS, photometric=1)):
        assert np.array_equal(np.asarray(decode(content, LIMIT)), TWELVE_BITS[..., 0])


def test_the_type_is_told_by_magic_bytes() -> None:
    kinds = ["PNG", "JPEG", "BMP", "TIFF", "WEBP"]
    assert [image_format(encode(draw(1), kind)) for kind in kinds] == kinds


def test_the_picture_comes_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = decode(encode(draw(1), "JPEG", exif=exif), LIMIT)
    assert upright.size == (240, 200)


HOSTILE: dict[str, tuple[Callable[[], bytes], type[ServiceError]]] = {
    "empty": (lambda: b"", EmptyImage),
    "text": (lambda: b"hello, this is no picture", NotAnImage),
    "pdf": (lambda: b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", NotAnImage),
    "svg": (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", NotAnImage),
    "gif": (lambda: encode(draw(1), "GIF"), NotAnImage),
    "one byte of a JPEG": (lambda: b"\xff", NotAnImage),
    "only the magic": (lambda: b"\x89PNG\r\n\x1a\n", UnreadableImage),
    "truncated PNG": (lambda: png(1)[:-400], UnreadableImage),
    "truncated JPEG": (lambda: encode(draw(1), "JPEG")[:-600], UnreadableImage),
    "truncated BMP": (lambda: encode(draw(1), "BMP")[:2000], UnreadableImage),
    "truncated TIFF": (lambda: encode(draw(1), "TIFF")[:2000], UnreadableImage),
    "truncated WebP": (lambda: encode(draw(1), "WEBP")[:300], UnreadableImage),
    "noise behind a JPEG's magic": (lambda: b"\xff\xd8\xff" + bytes(range(256)) * 9, UnreadableImage),
    "zero size": (lambda: png_of_size(0, 0), UnreadableImage),
    "a header that lies": (lambda: png_of_size(64, 64), UnreadableImage),
    "pixel bomb": (lambda: png_of_size(60_000, 60_000), ImageTooLarge),
    "over the cap": (lambda: encode(Image.new("L", (1001, 1000))), ImageTooLarge),
    "a scan again and again": (
        lambda: encode(draw(1), "JPEG", progressive=True).removesuffix(b"\xff\xd9") + b"\xff\xda" * 200 + b"\xff\xd9",
        UnreadableImage,
    ),
    "a strip again and again": (lambda: repeated_strips(3000), UnreadableImage),
    "long and thin": (lambda: encode(Image.new("L", (20_000, 40))), ImageTooLarge),
    "deep colour": (lambda: sixteen_bits(TWELVE_BITS.repeat(3, axis=2)), UnreadableImage),
    "deep grey with transparency": (lambda: sixteen_bits(TWELVE_BITS.repeat(2, axis=2)), UnreadableImage),
    "deep colour in a TIFF": (lambda: deep_tiff(TWELVE_BITS.repeat(3, axis=2), photometric=2), UnreadableImage),
    "signed bytes in a TIFF": (lambda: encode(draw(1), "TIFF", tiffinfo={339: 2}), UnreadableImage),
    "too small": (lambda: encode(draw(1, 16, 16)), ImageTooSmall),
    "animated WebP": (lambda: frames("WEBP"), SeveralFrames),
    "animated PNG": (lambda: frames("PNG"), SeveralFrames),
    "pages of a TIFF": (lambda: frames("TIFF"), SeveralFrames),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_hostile_input_gets_its_name(name: str) -> None:
    content, error = HOSTILE[name]
    with pytest.raises(error):
        decode(content(), LIMIT, min_side=32)


def test_a_tiff_of_very_many_pages_is_refused_without_counting_them() -> None:
    content = bytearray(encode(draw(1, 64, 64), "TIFF"))
    next_page = 10 + 12 * int.from_bytes(content[8:10], "little")
    for _ in range(50_000):
        content[next_page : next_page + 4] = struct.pack("<I", len(content))
        content += struct.pack("<HHHII", 1, 256, 3, 1, 64)
        next_page = len(content)
        content += bytes(4)
    with pytest.raises((SeveralFrames, UnreadableImage)):
        decode(bytes(content), LIMIT)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("exif", [b"Exif\x00\x00XX*\x00\x08\x00\x00\x00", b"Exif\x00\x00II*\x00\xff\xff\xff\x7f"])
def test_broken_exif_costs_neither_the_picture_nor_the_answer(exif: bytes) -> None:
    picture = decode(encode(draw(1), "JPEG", exif=exif), LIMIT)
    assert preprocess(picture, SPEC).any()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_sound_picture_with_malformed_metadata_is_read_and_turned_once(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x011A] = 6, 72.5
    content = encode(draw(1), kind, exif=exif)
    sound = decode(content, LIMIT)
    rational = exif.tobytes().index(b"\x01\x1a\x00\x05") + 3 - 6  # the type of the resolution, which then is text
    at = content.index(exif.tobytes()[6:]) + rational
    broken = bytearray(content)
    broken[at] = 2
    if kind == "PNG":
        start = content.index(b"eXIf")
        end = start + 4 + int.from_bytes(content[start - 4 : start], "big")
        broken[end : end + 4] = struct.pack(">I", zlib.crc32(bytes(broken[start:end])))
    read = decode(bytes(broken), LIMIT)
    assert read.size == (240, 200)
    assert np.array_equal(np.asarray(read), np.asarray(sound))
    assert np.array_equal(preprocess(read, SPEC), preprocess(sound, SPEC))


def test_a_picture_turned_by_its_xmp_is_not_turned_again() -> None:
    content = encode(draw(1), "JPEG", xmp=b'<x tiff:Orientation="6"/>')
    turned = decode(content, LIMIT)
    assert turned.size == (240, 200)
    assert not set(turned.info) & {"exif", "xmp"}


@settings(max_examples=200, deadline=None, database=None)
@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=6))
def test_no_damage_to_the_metadata_costs_the_pixels(edits: list[tuple[int, int]]) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x011A], exif[0x0132] = "maker", 72.5, "2026:01:01"
    content = bytearray(encode(draw(1, 48, 48), "JPEG", exif=exif))
    start, length = content.index(b"Exif\x00\x00") + 6, len(exif.tobytes()) - 6
    for place, value in edits:
        content[start + place % length] = value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow names what it finds corrupt
        read = np.asarray(decode(bytes(content), LIMIT))
    whole = np.asarray(draw(1, 48, 48)).astype(int)
    assert min(np.abs(np.rot90(flipped, turns) - whole).max() for flipped in (read, read.T) for turns in range(4)) < 60


def test_a_compressed_text_bomb_does_not_blow_up() -> None:
    bomb = chunk(b"zTXt", b"comment\x00\x00" + zlib.compress(b"\x00" * 50_000_000))
    content = png(1)
    with pytest.raises(UnreadableImage):
        decode(content[:33] + bomb + content[33:], LIMIT)


def test_every_truncation_of_a_picture_is_answered_or_refused_by_name() -> None:
    content = encode(draw(1, 48, 48), "PNG")
    for length in range(0, len(content), 7):
        with suppress(ServiceError):
            assert np.array_equal(np.asarray(decode(content[:length], LIMIT)), np.asarray(draw(1, 48, 48)))


SHORT_OF_MEMORY = """
import resource, sys
from pathlib import Path
from service.errors import NoRoom
from service.images import decode
pages = int(Path("/proc/self/statm").read_text().split()[0])
content, room = Path(sys.argv[1]).read_bytes(), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + room,) * 2)
try:
    print(decode(content, 10**8).size)
except NoRoom as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process cannot be told its size and bound")
@pytest.mark.parametrize(
    ("room", "said"), [(20_000_000, "there is no memory left for the picture's pixels"), (400_000_000, "(8000, 5000)")]
)
def test_a_sound_picture_without_memory_for_it_is_to_come_again(tmp_path: Path, room: int, said: str) -> None:
    picture = tmp_path / "large.png"
    Image.new("L", (8000, 5000), 7).save(picture)
    command = [sys.executable, "-c", SHORT_OF_MEMORY, str(picture), str(room)]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == said

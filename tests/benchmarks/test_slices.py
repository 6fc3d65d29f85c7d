import base64
import json
from pathlib import Path

import pytest

from benchmarks import slices


def test_without_data_the_pictures_are_drawn_and_distinct(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "COUNT", 4)
    contents, origin = slices.pictures(tmp_path)
    assert origin == "drawn phantoms"
    assert len(set(contents)) == 4


def test_every_kind_of_body_carries_its_picture(tmp_path: Path) -> None:
    slices.write_bodies([b"one", b"two"], tmp_path)
    assert (tmp_path / "raw" / "1").read_bytes() == b"two"
    assert (
        b'name="file"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\ntwo\r\n'
        in (tmp_path / "form/1").read_bytes()
    )
    (tensor,) = json.loads((tmp_path / "inference" / "1").read_bytes())["inputs"]
    assert base64.b64decode(tensor["data"][0]) == b"two"

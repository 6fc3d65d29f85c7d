from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from service.contract.card import Card, read_card
from tests.bundles import card_fields, write_bundle


def test_a_card_that_makes_sense_is_read_back_as_written() -> None:
    card = Card.model_validate(card_fields())
    assert Card.model_validate_json(card.model_dump_json()) == card


FIGURE = {"value": 0.9, "low": 0.8, "high": 0.95}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"class_names": ("a", "a", "no_tumor")}, "twice"),
        ({"class_names": ("glioma", "pituitary")}, "no_tumor"),
        ({"class_names": ("no_tumor", "glioma")}, "different classes"),
        ({"temperature": 0}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"version": 0}, "version"),
        ({"name": "../escape"}, "name"),
        ({"files": {"model.onnx": "0" * 64}}, "golden.npz"),
        ({"files": {"model.onnx": "0" * 64, "golden.npz": "0" * 64, "../x": "0" * 64}}, "plain names"),
        ({"files": {"model.onnx": "short", "golden.npz": "0" * 64}}, "model.onnx"),
        ({"input": {"height": 0, "width": 32, "mean": [0], "std": [1]}}, "height"),
        ({"input": {"height": 32, "width": 32, "mean": [0], "std": [0]}}, "std"),
        ({"input": {"height": 32, "width": 32, "mean": [0], "std": [1, 1]}}, "one value per"),
        (
            {"explain": {"layers": {"a": "explain.onnx"}, "default_layer": "b", "methods": ["gradcam"]}},
            "not one of layers",
        ),
        (
            {"explain": {"layers": {"a": "explain.onnx"}, "default_layer": "a", "methods": ["magic"]}},
            "methods holds magic",
        ),
        (
            {"explain": {"layers": {"a": "explain.onnx"}, "default_layer": "a", "methods": ["gradcam"]}},
            "explain needs explain.onnx",
        ),
        ({"limitations": []}, "limitations"),
        ({"change": ""}, "change"),
        ({"surprise": 1}, "surprise"),
        ({"schema_version": 2}, "schema_version"),
    ],
)
def test_a_card_without_sense_is_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Card.model_validate(card_fields() | change)


@pytest.mark.parametrize("figure", [{"value": 1.2, "low": 0.8, "high": 1}, {"value": 0.9, "low": 0.95, "high": 0.9}])
def test_a_metric_out_of_range_is_refused(figure: dict[str, float]) -> None:
    fields = card_fields()
    fields["metrics"]["accuracy"] = figure
    with pytest.raises(ValidationError):
        Card.model_validate(fields)


def test_the_folder_must_say_what_the_card_says(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path)
    with pytest.raises(ValueError, match="folder says"):
        read_card(folder.rename(tmp_path / "tiny" / "2"))

"""A recipe's file as plain values: what it extends, what it says itself, what the command line changes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from training.errors import RecipeError

WHOLE = frozenset({"shares", "relabel", "outlines"})
"""Tables that a recipe gives whole: one that extends another replaces them."""


def read_raw(path: Path, changes: Sequence[str] = ()) -> dict[str, Any]:
    """The values of the YAML or JSON file at `path`; raises `RecipeError`.

    It may say `extends: other.yaml`, a file beside it, and then only what differs. `changes` such as
    `optimizer.theta=0.25` come last.
    """
    return merge(_read(path), *map(_change, changes))


def merge(first: dict[str, Any], *others: dict[str, Any]) -> dict[str, Any]:
    """The first, with what the others say instead, key by key to any depth."""
    merged = dict(first)
    for name, value in (pair for other in others for pair in other.items()):
        below = merged.get(name)
        both = isinstance(below, dict) and isinstance(value, dict) and name not in WHOLE
        merged[name] = merge(below, value) if both else value  # type: ignore[arg-type]  # both are dictionaries
    return merged


def _read(path: Path) -> dict[str, Any]:
    try:
        raw = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise RecipeError(f"{path} does not exist") from None
    except yaml.YAMLError as error:
        raise RecipeError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(raw, dict):
        raise RecipeError(f"{path} is no recipe: it holds no names")
    parent = raw.pop("extends", None)
    return merge(_read(path.with_name(parent)), raw) if parent else raw


def _change(text: str) -> dict[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise RecipeError(f"{text!r} changes nothing: write name=value")
    changed = yaml.safe_load(value)
    for part in reversed(name.split(".")):
        changed = {part: changed}
    return dict(changed)

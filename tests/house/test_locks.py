"""What the service's image installs is what was tested, each file of it told by its hash."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)[^\\\n]*((?:\\\n    --hash=sha256:[0-9a-f]{64} ?)*)", re.MULTILINE)
LOCKS = ["requirements.lock", "requirements-cuda.lock"]


def normal(name: str) -> str:
    """A package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(name: str) -> dict[str, tuple[str, str]]:
    """Version and hashes of every package in a file."""
    return {normal(pin[0]): (pin[1], pin[2]) for pin in PIN.findall((ROOT / name).read_text())}


def asked_for(lines: list[str]) -> set[str]:
    """The names of requirements."""
    return {normal(found[0]) for line in lines if (found := re.match(r"[A-Za-z0-9._-]+", line))}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_by_hash_what_the_service_needs_in_the_versions_that_were_tested(lock: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    locked, tested = pins(lock), pins("constraints.txt")
    assert asked_for(project["dependencies"] + project["optional-dependencies"]["otel"]) <= set(locked)
    assert [name for name, (_, hashes) in locked.items() if not hashes] == []
    assert {name: each[0] for name, each in locked.items() if name in tested and tested[name][0] != each[0]} == {}
    assert set(locked) - set(tested) <= {name for name in locked if name.startswith("nvidia-")}


def test_no_image_gets_what_only_training_needs() -> None:
    assert {"torch", "torchvision", "timm", "onnx"} & (set(pins(LOCKS[0])) | set(pins(LOCKS[1]))) == set()

"""Which code and libraries trained a run, written down when the training begins."""

import platform
import subprocess
from importlib.metadata import version as version_of
from pathlib import Path

import onnxruntime
from pydantic import BaseModel, ConfigDict

from training.errors import made_by
from training.whole import read_whole, write_whole

ORIGIN_FILE = "origin.json"
LIBRARIES = ("torch", "timm", "accelerate", "numpy", "pillow", "onnx", "onnxscript")
ROOT = Path(__file__).parents[1]
NOT_RECORDED = "not recorded"
"""What runs that began before weights were written down say of theirs."""
CODE = ("training", "service/contract", ":(exclude)training/results", ":(exclude)training/RESULTS.md")
"""What decides a training; results of finished runs lie among it and do not."""


class Origin(BaseModel):
    """The git commit of the code, the versions of what it ran on, and where the first weights were from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    commit: str
    versions: dict[str, str]
    weights: str = NOT_RECORDED


def write_origin(run: Path, weights: str) -> None:
    """Write `<run>/origin.json`."""
    versions = {library: version_of(library) for library in LIBRARIES}
    versions = {"python": platform.python_version(), "onnxruntime": onnxruntime.__version__, **versions}
    origin = Origin(commit=commit(), versions=versions, weights=weights)
    write_whole(run / ORIGIN_FILE, origin.model_dump_json(indent=2))


def read_origin(run: Path) -> Origin:
    """What `train` wrote down."""
    return read_whole(made_by("train", run / ORIGIN_FILE), Origin)


def commit() -> str:
    """The git commit of this code, marked where training or contract differ from it; 'unknown' outside git."""
    try:
        head = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--", *CODE)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{head}-uncommitted" if changed else head


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603, S607 - git, words of ours
    return done.stdout.strip()

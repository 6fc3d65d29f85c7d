"""The servers under test: how each is started, asked and understood."""

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from service.contract.card import read_card
from service.cpus import usable_cpus

ROOT = Path(__file__).resolve().parents[1]
BUNDLE = ROOT / "models" / "brain-mri-efficientnet-lite0" / "2"
WORK = ROOT / "benchmarks" / ".work"
"""Virtual environments, bodies and results; git does not see it."""
PEERS = ROOT / "benchmarks" / "peers"
PORT = 8741

Probabilities = dict[str, float]


def plain(content: bytes) -> Probabilities:
    """Probabilities out of `{"probabilities": …}`."""
    found: Probabilities = json.loads(content)["probabilities"]
    return found


def bare(content: bytes) -> Probabilities:
    """Probabilities as all that there is, perhaps as the only row."""
    found: Any = json.loads(content)
    only: Probabilities = found[0] if isinstance(found, list) else found
    return only


def tensor(content: bytes) -> Probabilities:
    """Probabilities out of the Open Inference Protocol's first output, in the card's order of classes."""
    values: list[float] = json.loads(content)["outputs"][0]["data"]
    return dict(zip(read_card(BUNDLE).class_names, values, strict=True))


@dataclass(frozen=True)
class Server:
    """One server; `command` follows its environment's Python, `body` is a kind of `slices.BODIES`."""

    name: str
    command: tuple[str, ...]
    path: str = "/predict"
    body: str = "raw"
    environment: Mapping[str, str] = field(default_factory=dict)
    venv: str | None = None
    said: Callable[[bytes], Probabilities] = plain
    root: Path = ROOT
    probed: bool = False

    @property
    def python(self) -> Path:
        """The interpreter of its virtual environment; our own server's is the one that runs this."""
        return WORK / "venvs" / self.venv / "bin" / "python" if self.venv else Path(sys.executable)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{PORT}"

    def environ(self) -> dict[str, str]:
        """Its environment variables."""
        paths = {"BENCH_BUNDLE": str(BUNDLE), "BENCH_PORT": str(PORT), "PYTHONPATH": str(self.root)}
        programs = f"{self.python.parent}:{os.environ['PATH']}"
        return os.environ | paths | {"PATH": programs} | dict(self.environment)


SERVICE = ("-m", "service", "--port", str(PORT))


def beside(root: Path) -> Server:
    """The service of another checkout, to see what a change brought."""
    return Server("beside", SERVICE, root=root, probed=True)


def uvicorn(app: str) -> tuple[str, ...]:
    """The command of an ASGI app."""
    return ("-m", "uvicorn", app, "--port", str(PORT), "--no-access-log", "--log-level", "warning")


SERVERS = (
    Server("ours", SERVICE, environment={"NEUROTRIAGE_LANES_NICE": "10"}, probed=True),  # as our images run it
    Server("fastapi", uvicorn("benchmarks.peers.plain_fastapi:app"), venv="fastapi"),
    Server(
        "fastapi 1 thread",
        uvicorn("benchmarks.peers.plain_fastapi:app"),
        venv="fastapi",
        environment={"BENCH_THREADS": "1"},
    ),
    Server("litserve", ("-m", "benchmarks.peers.litserve_app"), venv="litserve"),
    Server(
        "bentoml",
        ("-m", "bentoml", "serve", "benchmarks.peers.bentoml_service:Classifier", "--port", str(PORT), "-q"),
        body="form",
        venv="bentoml",
        environment={"BENTOML_DO_NOT_TRACK": "True"},
        said=bare,
    ),
    Server("ray", ("-m", "benchmarks.peers.ray_app"), venv="ray", environment={"RAY_USAGE_STATS_ENABLED": "0"}),
    Server(
        "mlserver",
        ("-c", "from mlserver.cli import main; main()", "start", str(PEERS / "mlserver")),
        path="/v2/models/brain-mri/infer",
        body="inference",
        venv="mlserver",
        environment={
            "MLSERVER_HOST": "127.0.0.1",
            "MLSERVER_DEBUG": "false",
            "MLSERVER_HTTP_PORT": str(PORT),
            "MLSERVER_GRPC_PORT": str(PORT + 1),
            "MLSERVER_METRICS_PORT": str(PORT + 2),
            "MLSERVER_PARALLEL_WORKERS": str(usable_cpus()),
        },
        said=tensor,
    ),
    Server(
        "pytriton",
        ("-m", "benchmarks.peers.pytriton_app"),
        path="/v2/models/brain-mri/infer",
        body="inference",
        venv="pytriton",
        said=tensor,
    ),
)

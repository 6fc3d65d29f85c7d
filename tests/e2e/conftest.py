"""A server as an operator starts it: `python -m service` in a process of its own."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx2
import pytest

from tests.bundles import write_bundle

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Server:
    """A running service and what it has written."""

    process: subprocess.Popen[bytes]
    port: int
    output: Path
    tls: ssl.SSLContext | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def lines(self) -> list[dict[str, Any]]:
        """Its log, a JSON object a line."""
        return [json.loads(line) for line in self.output.read_text().splitlines()]

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def start(folder: Path, models: Path, port: int | None = None, log: IO[bytes] | None = None, **settings: str) -> Server:
    """Start a server in `folder` and wait until it is ready; what it writes goes to `server.log`, or else to `log`.

    One with a certificate of its own is trusted.
    """
    port = port or free_port()
    output = folder / "server.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NEUROTRIAGE_")}
    environment |= {"PYTHONPATH": str(ROOT), "NEUROTRIAGE_MODELS": str(models), "NEUROTRIAGE_PROVIDER": "cpu"}
    environment |= {"NEUROTRIAGE_KEEP_ALIVE_SECONDS": "3"}  # tests read until the server hangs up
    environment |= {f"NEUROTRIAGE_{name.upper()}": value for name, value in settings.items()}
    command = [sys.executable, "-m", "service", "--port", str(port)]
    with output.open("wb") as file:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log or file, stderr=log or file)
    cert = settings.get("tls_cert")
    server = Server(process, port, output, ssl.create_default_context(cafile=cert) if cert else None)
    wait_until_ready(server)
    return server


def wait_until_ready(server: Server, seconds: float = 120) -> None:
    """Poll `/readyz`; fail with the log where the server never gets there."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.process.poll() is None:
        try:
            if httpx2.get(f"{server.url}/readyz", verify=server.tls or True).status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.05)
    server.process.kill()
    pytest.fail(f"the server did not get ready:\n{server.output.read_text()}")


def wait_until(condition: Callable[[], bool]) -> None:
    """Return once the condition holds; fail where it does not within a minute."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture(params=["1", "2"], ids=["one-process", "two-fronts"])
def launch(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Server]]:
    """Starts servers of the tiny model under some settings, as one process and as several; none outlives its test."""
    write_bundle(tmp_path / "models")
    servers: list[Server] = []

    def launch(**settings: str) -> Server:
        servers.append(start(tmp_path, tmp_path / "models", None, None, **({"workers": request.param} | settings)))
        return servers[-1]

    yield launch
    for server in servers:
        server.process.kill()
        server.process.wait(20)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server of the tiny model."""
    write_bundle(tmp_path / "models")
    server = start(tmp_path, tmp_path / "models", max_queue_size="400", max_body_bytes="200000")
    yield server
    if server.process.poll() is None:
        assert server.stop() == 0

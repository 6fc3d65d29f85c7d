"""How long a killed front and a killed inference process take to be back.

    python -m benchmarks.comeback models/brain-mri-efficientnet-lite0/2

Starts the service with two fronts on that bundle's repository and kills one process after the other with SIGKILL. A
front is back once the supervisor counts it among those that are up, the inference process once `/readyz` says so.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx2

from benchmarks.workers import service

ROUNDS = 5
UP = 'neurotriage_processes{process="front"} 2.0'


def main(bundle: Path) -> None:
    """Measure and print."""
    with service(bundle.resolve().parents[1], 2, "cpu") as url, httpx2.Client(base_url=url, timeout=60) as client:
        until(lambda: UP in client.get("/metrics").text)
        time.sleep(5)  # the spare does its imports
        fronts = [seconds("front", lambda: UP in client.get("/metrics").text, client) for _ in range(ROUNDS)]
        engines = [seconds("engine", lambda: client.get("/readyz").is_success, client) for _ in range(ROUNDS)]
    for name, found in (("a front", fronts), ("the inference process", engines)):
        print(f"{name} is back after {sorted(found)[ROUNDS // 2]:.1f} s [{min(found):.1f}, {max(found):.1f}]")


def seconds(module: str, back: Callable[[], bool], client: httpx2.Client) -> float:
    """Kill a process that runs `module`, and the seconds until it is back."""
    until(back)
    victim = children(module)[0]
    restarts = f'neurotriage_restarts_total{{process="{module}"}}'
    before = told(client, restarts)
    started = time.perf_counter()
    os.kill(victim, signal.SIGKILL)
    until(lambda: told(client, restarts) > before and back())
    return time.perf_counter() - started


def told(client: httpx2.Client, name: str) -> float:
    """A metric's value; any front tells it."""
    lines = client.get("/metrics").text.splitlines()
    return float(next(line.rpartition(" ")[2] for line in lines if line.startswith(name)))


def until(condition: Callable[[], bool]) -> None:
    """Return once the condition holds; a front that dies under the question is asked again."""
    while True:
        try:
            if condition():
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.02)


def children(module: str) -> list[int]:
    """Processes below this one that run `service.processes.<module>`, the longest running first."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                command, parent = (
                    (folder / "cmdline").read_bytes(),
                    (folder / "stat").read_text().rsplit(") ")[1].split()[1],
                )
                grandparent = Path(f"/proc/{parent}/stat").read_text().rsplit(") ")[1].split()[1]
            except OSError:
                continue
            if f"service.processes.{module}".encode() in command and int(grandparent) == os.getpid():
                found.append(int(folder.name))
    return sorted(found)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""What uploads that stall cost in memory, against the room that the settings give all bodies together.

    python -m benchmarks.uploads models

Starts the service with room for 200 MB of bodies, fills it with uploads that stop a byte before their end, and prints
how much the process has grown for each byte held: as raw bodies, as forms, and as one large form. Then it hangs up and
prints what is left. Linux only.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx2

from benchmarks.flood import wait

ROOM = 200_000_000
PICTURE = 20_000_000
LIMITS = {
    "MAX_BYTES_IN_FLIGHT": ROOM,
    "MAX_BYTES_PER_CLIENT": ROOM,
    "MAX_BATCH_BODY_BYTES": ROOM,
    "MAX_BODY_BYTES": PICTURE,
    "BODY_IDLE_SECONDS": 200,
    "BODY_SECONDS": 300,
}
BOUND = 2.0
"""Bytes of memory for each byte held, as `NEUROTRIAGE_MAX_BYTES_IN_FLIGHT` is described."""
FORM = b'--x\r\nContent-Disposition: form-data; name="%s"; filename="a"\r\n\r\n'


def main(models: Path) -> None:
    """Measure and print."""
    shapes: dict[str, Callable[[int], list[socket.socket]]] = {
        "ten raw bodies": lambda port: [stalled(port, "/predict", b"", PICTURE) for _ in range(10)],
        "ten forms": lambda port: [stalled(port, "/predict", FORM % b"file", PICTURE) for _ in range(10)],
        "one large form": lambda port: [stalled(port, "/predict/batch", FORM % b"files", ROOM)],
    }
    for name, begin in shapes.items():
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = int(free.getsockname()[1])
        environment = os.environ | {f"NEUROTRIAGE_{key}": str(value) for key, value in LIMITS.items()}
        environment |= {"NEUROTRIAGE_MODELS": str(models), "NEUROTRIAGE_LOG_LEVEL": "warning"}
        command = [sys.executable, "-m", "service", "--port", str(port)]
        with subprocess.Popen(command, env=environment) as process:  # noqa: S603 - the project's own server
            wait(f"http://127.0.0.1:{port}", process)
            try:
                print(name, measured(process.pid, port, begin), flush=True)
            finally:
                process.terminate()


def measured(pid: int, port: int, begin: Callable[[int], list[socket.socket]]) -> str:
    """What one shape of uploads costs, in words."""
    before = rss(pid)
    uploads = begin(port)
    held = settled(lambda: held_bytes(port))
    grown = rss(pid) - before
    for upload in uploads:
        upload.close()
    settled(lambda: held_bytes(port))
    left = rss(pid) - before
    verdict = "met" if grown < BOUND * held else "NOT MET"
    return (
        f"hold {held / 1e6:.0f} MB and cost {grown / 1e6:.0f} MB: {grown / held:.2f} times (bar < {BOUND}): {verdict}; "
        f"{left / 1e6:.0f} MB stay once they are gone"
    )


def stalled(port: int, path: str, head: bytes, size: int) -> socket.socket:
    """An upload that has sent all of its bytes but the last."""
    upload = socket.create_connection(("127.0.0.1", port), timeout=60)
    kind = "Content-Type: multipart/form-data; boundary=x\r\n" if head else ""
    upload.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\n{kind}Content-Length: {size}\r\n\r\n".encode() + head)
    left, chunk = size - len(head) - 1, os.urandom(100_000)
    while left > 0:
        upload.sendall(chunk[:left])
        left -= len(chunk)
    return upload


def held_bytes(port: int) -> float:
    """Bytes of bodies that the service counts."""
    metrics = httpx2.get(f"http://127.0.0.1:{port}/metrics").text
    return float(metrics.partition("\nneurotriage_held_bytes ")[2].partition("\n")[0])


def settled(value: Callable[[], float]) -> float:
    """The value once it has not changed for a second."""
    last, since = value(), time.monotonic()
    while time.monotonic() - since < 1:
        time.sleep(0.1)
        if (now := value()) != last:
            last, since = now, time.monotonic()
    return last


def rss(pid: int) -> int:
    """The process's resident memory in bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

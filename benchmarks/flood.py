"""What a flood of explanations does to the waiting time of predictions.

    python -m benchmarks.flood models/brain-mri-efficientnet-lite0/2

Starts the service on that bundle's repository. Rounds take turns, quiet and flooded: in each, one caller after another
asks `/predict`, while in the flooded ones several ask `/explain` without pause. What is printed is the ratio of the
99th percentiles over all flooded and all quiet predictions, and, for a machine that is never quite idle, its spread
over the pairs of rounds.
"""

import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from itertools import chain
from pathlib import Path

import httpx2
import numpy as np
from PIL import Image

from service.contract.card import GOLDEN_FILE

ROUNDS = 10
PREDICTIONS = 40
"""A round's."""
FLOODERS = 8
BAR = 2.0


def main(bundle: Path) -> None:
    """Measure and print."""
    with np.load(bundle / GOLDEN_FILE) as golden:
        pictures = [png(pixels) for pixels in golden["images"]]
    name, version = bundle.resolve().parts[-2:]
    question = f"model={name}&version={version}"
    with server(bundle.resolve().parents[1]) as url:
        ask(url, f"/predict?{question}", pictures)
        pairs = [pair(url, question, pictures) for _ in range(ROUNDS)]
    ratios = [p99(busy) / p99(calm) for calm, busy in pairs]
    calm, busy = (list(chain.from_iterable(each[side] for each in pairs)) for side in (0, 1))
    ratio = p99(busy) / p99(calm)
    print(f"{ROUNDS} pairs of rounds of {PREDICTIONS} predictions, {FLOODERS} callers of /explain in the flood")
    print(f"median: {statistics.median(busy) / statistics.median(calm):.2f} times the quiet one")
    print(f"p99: {ratio:.2f} times the quiet one (bar < {BAR}): {'met' if ratio < BAR else 'NOT MET'}")
    print(f"p99 by pairs of rounds: median {statistics.median(ratios):.2f}  [{min(ratios):.2f}, {max(ratios):.2f}]")


def pair(url: str, question: str, pictures: list[bytes]) -> tuple[list[float], list[float]]:
    """A quiet and a flooded round."""
    calm, busy = quiet(url, question, pictures), flooded(url, question, pictures)
    print(f"p99 {p99(busy) / p99(calm):.2f} times the quiet one in this pair", flush=True)
    return calm, busy


def quiet(url: str, question: str, pictures: list[bytes]) -> list[float]:
    """Seconds of each prediction while nothing is explained."""
    return ask(url, f"/predict?{question}", pictures)


def flooded(url: str, question: str, pictures: list[bytes]) -> list[float]:
    """Seconds of each prediction in a flood of explanations."""
    over = threading.Event()
    flooders = [threading.Thread(target=flood, args=(url, question, pictures, over)) for _ in range(FLOODERS)]
    for flooder in flooders:
        flooder.start()
    time.sleep(0.3)
    try:
        return ask(url, f"/predict?{question}", pictures)
    finally:
        over.set()
        for flooder in flooders:
            flooder.join()


def flood(url: str, question: str, pictures: list[bytes], over: threading.Event) -> None:
    """Ask for one explanation after another; a refusal is an answer too."""
    with httpx2.Client(base_url=url, timeout=60) as client:
        while not over.is_set():
            for picture in pictures:
                client.post(f"/explain?{question}", content=picture, headers={"Accept": "image/png"})


def ask(url: str, path: str, pictures: list[bytes]) -> list[float]:
    """Seconds of each of a round's requests, one after another."""
    found = []
    with httpx2.Client(base_url=url, timeout=60) as client:
        for number in range(PREDICTIONS):
            started = time.perf_counter()
            client.post(path, content=pictures[number % len(pictures)]).raise_for_status()
            found.append(time.perf_counter() - started)
    return found


def p99(seconds: list[float]) -> float:
    """The 99th percentile."""
    return float(np.quantile(seconds, 0.99))


@contextmanager
def server(models: Path, **settings: str) -> Iterator[str]:
    """The service on a free port, with settings by their names in capitals; its address once it is ready."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    settings = {"MODELS": str(models), "LOG_LEVEL": "warning"} | settings
    environment = os.environ | {f"NEUROTRIAGE_{name}": value for name, value in settings.items()}
    command = [sys.executable, "-m", "service", "--port", str(port)]
    with subprocess.Popen(command, env=environment) as process:  # noqa: S603 - the project's own server
        try:
            wait(f"http://127.0.0.1:{port}", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def wait(url: str, process: subprocess.Popen[bytes]) -> None:
    """Return once the service is ready."""
    while process.poll() is None:
        try:
            if httpx2.get(f"{url}/readyz").is_success:
                return
        except httpx2.TransportError:
            time.sleep(0.2)
    raise SystemExit("the service did not start")


def png(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    """A slice as a caller sends it."""
    content = BytesIO()
    Image.fromarray(pixels).resize((512, 512)).save(content, "PNG")
    return content.getvalue()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Memory over many requests of random sizes: the resident set after each tenth, as a ratio to the one after the first.

    python -m benchmarks.soak [REQUESTS]

Pictures are drawn, from 32 to 1024 pixels a side, JPEG and PNG, grey and RGB; 16 are in flight, sent by wrk.
"""

import sys
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np

from benchmarks.closed import closed_loop
from benchmarks.running import running
from benchmarks.servers import SERVERS, WORK
from benchmarks.slices import COUNT
from training.data.phantom import draw_phantom

REQUESTS = 50_000
PARTS = 10
IN_FLIGHT = 16
BAR = 0.05


def main(requests: int) -> None:
    """Measure and print."""
    write_pictures(WORK / "bodies" / "mixed")
    ours = replace(next(server for server in SERVERS if server.name == "ours"), body="mixed")
    sizes: list[int] = []
    answered = errors = 0
    with running(ours) as found:
        while answered < requests:
            row = closed_loop(found, IN_FLIGHT, 2.0)
            answered, errors = answered + row["requests"], errors + row["errors"]
            if answered >= requests * (len(sizes) + 1) / PARTS:
                sizes.append(found.rss_bytes())
                print(f"{answered} requests: {sizes[-1] / sizes[0]:.3f} of the first tenth's", flush=True)
    change = max(abs(size / sizes[0] - 1) for size in sizes)
    verdict = "met" if change <= BAR else "NOT MET"
    print(f"{answered} requests, {errors} errors; largest change {change:.3f} (bar {BAR}): {verdict}")


def write_pictures(folder: Path) -> None:
    """Drawn slices of random sides and kinds, as bodies."""
    folder.mkdir(parents=True, exist_ok=True)
    draws = np.random.default_rng(0)
    heads = [draw_phantom("glioma", (256, 256), seed) for seed in range(8)]
    for number in range(COUNT):
        width, height = (int(side) for side in draws.integers(32, 1024, 2))
        picture = heads[number % len(heads)].resize((width, height))
        content = BytesIO()
        picture.convert(("L", "RGB")[number % 2]).save(content, ("JPEG", "PNG")[number % 3 == 0])
        (folder / str(number)).write_bytes(content.getvalue())


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else REQUESTS)

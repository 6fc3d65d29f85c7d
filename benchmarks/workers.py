"""What several processes bring over HTTP: requests a second and latencies by number of fronts, as ratios.

    python -m benchmarks.workers models/brain-mri-efficientnet-lite0/2 --workers 1 2

Starts the service on that bundle's repository once for each number of fronts and fires at them in turn, round after
round: closed loop, then (`--open`) open loop at 80 % of what the closed loop reached, then explanations.
"""

import argparse
import statistics
from contextlib import AbstractContextManager, ExitStack
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.flood import server
from benchmarks.volley import Shot, Volley, fire
from service.contract.card import GOLDEN_FILE
from service.contract.preprocess import Slice
from service.cpus import usable_cpus


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--processes", type=int, default=1, help="of the load generator")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--provider", default="cpu", choices=["auto", "cuda", "cpu"])
    parser.add_argument("--open", action="store_true")
    chosen = parser.parse_args()
    bundle: Path = chosen.bundle.resolve()
    with np.load(bundle / GOLDEN_FILE) as golden:
        pictures = [jpeg(pixels) for pixels in golden["images"]]
    size = statistics.mean(map(len, pictures)) / 1000
    print(f"{usable_cpus()} cores; {chosen.connections} connections, {chosen.rounds} rounds of {chosen.seconds:g} s")
    print(f"the bundle's golden slices as JPEG of 512 x 512 pixels, {size:.0f} kB on average")
    with ExitStack() as stack:
        urls = {
            count: stack.enter_context(service(bundle.parents[1], count, chosen.provider)) for count in chosen.workers
        }
        found = {count: [shoot(url, "/predict", pictures, chosen)] for count, url in urls.items()}
        for _ in range(chosen.rounds):
            for count, url in urls.items():
                found[count].append(shoot(url, "/predict", pictures, chosen))
        report({count: volleys[1:] for count, volleys in found.items()})
        for count, url in urls.items() if chosen.open else ():
            rate = 0.8 * statistics.median(volley.rate for volley in found[count][1:])
            print(
                f"workers {count}, open loop at {rate:.0f}/s: {shoot(url, '/predict', pictures, chosen, rate).told()}"
            )
            print(f"workers {count}, explanations: {shoot(url, '/explain', pictures, chosen).told()}")


def report(found: dict[int, list[Volley]]) -> None:
    """Each number of fronts, and its ratio to the first."""
    first = next(iter(found.values()))
    for count, volleys in found.items():
        best = sorted(volleys, key=lambda volley: volley.rate)[len(volleys) // 2]
        ratios = sorted(each.rate / base.rate for each, base in zip(volleys, first, strict=True))
        print(f"workers {count}: {best.told()}")
        print(f"workers {count}: {statistics.median(ratios):.2f} [{ratios[0]:.2f}, {ratios[-1]:.2f}] times the first's")


def shoot(url: str, path: str, pictures: list[bytes], chosen: argparse.Namespace, rate: float | None = None) -> Volley:
    """One round against one server; explanations from as many callers as are let in."""
    connections = chosen.connections if path == "/predict" else min(8, chosen.connections)
    return fire(Shot(f"{url}{path}", pictures, connections, chosen.seconds, rate), chosen.processes)


def jpeg(pixels: Slice) -> bytes:
    """A slice as a caller sends it."""
    content = BytesIO()
    Image.fromarray(pixels).resize((512, 512)).save(content, "JPEG", quality=90)
    return content.getvalue()


def service(models: Path, workers: int, provider: str) -> AbstractContextManager[str]:
    """The service with so many fronts on a free port; its address once it is ready."""
    return server(models, WORKERS=str(workers), PROVIDER=provider)


if __name__ == "__main__":
    main()

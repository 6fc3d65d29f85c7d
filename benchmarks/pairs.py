"""One server beside the limit in short turns, so that a machine whose own speed wanders slows both alike.

    python -m benchmarks.pairs [--data DATA] [--server ours] [--pairs 15]

Both stay up and rest while the other is measured. `benchmarks.compare` measures all servers, one start each a round.
Printed are medians with the half of the pairs around them.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from benchmarks import limit
from benchmarks.closed import closed_loop
from benchmarks.compare import server_named
from benchmarks.openloop import open_loop
from benchmarks.running import Running, running
from benchmarks.servers import BUNDLE, WORK
from benchmarks.slices import pictures, write_bodies

IN_FLIGHT = (8, 32, 64)
SECONDS = 2.0
OPEN_SHARES, OPEN_SECONDS = (0.8, 2.0), 4.0
Row = dict[str, Any]
Ask = Callable[..., Row]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="real slices; drawn ones without it")
    parser.add_argument("--server", default="ours", help="as for benchmarks.compare")
    parser.add_argument("--pairs", type=int, default=15)
    choice = parser.parse_args()
    contents, origin = pictures(choice.data)
    write_bodies(contents, WORK / "bodies")
    plan = limit.ask("plan", BUNDLE, WORK / "bodies" / "raw")
    with running(server_named(choice.server)) as found, limit_beside() as ask:
        closed_loop(found, 8, SECONDS)
        rows = [pair(found, ask, plan, number) for number in range(choice.pairs)]
    print(f"{choice.server}, {origin}, {choice.pairs} pairs; median [lower, upper quartile]")
    for name in rows[0]:
        print(f"  {name}: {spread([row[name] for row in rows])}")


@contextmanager
def limit_beside() -> Iterator[Ask]:
    """The limit in a process that waits for its turns."""
    command: list[str | Path] = [sys.executable, "-m", "benchmarks.limit", "turns", BUNDLE, WORK / "bodies" / "raw"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours
        into, out = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)

        def ask(*words: object) -> Row:
            print(*words, file=into, flush=True)
            answer: Row = json.loads(out.readline())
            return answer

        yield ask
        into.close()


def pair(found: Running, ask: Ask, plan: Row, number: int) -> dict[str, float]:
    """One turn of everything: shares of the limit, and times over those of one call."""
    lone, quiet = ask("lone", *plan["quickest"], SECONDS)["p50"], closed_loop(found, 1, SECONDS)["p50"]
    row = {"alone, over one call": quiet / lone}
    rates = {load: closed_loop(found, load, SECONDS)["rate"] for load in IN_FLIGHT}
    most = ask("run", *plan["best"], SECONDS)["rate"]
    row |= {f"{load} in flight, of the limit": rate / most for load, rate in rates.items()}
    for share in OPEN_SHARES:
        capacity = closed_loop(found, 32, SECONDS)["rate"]
        answered = open_loop(found, share * capacity, OPEN_SECONDS, seed=number)
        row |= {
            f"{share:.0%} of capacity, goodput": answered["goodput"] / capacity,
            f"{share:.0%} of capacity, p99 over the quiet median": answered["p99"] / quiet,
            f"{share:.0%} of capacity, /livez p99, ms": 1000 * answered["probe_p99"],
        }
        if answered["refused"]:
            row[f"{share:.0%} of capacity, refused within (p99), ms"] = 1000 * answered["refusal_p99"]
    return row


def spread(values: list[float]) -> str:
    """Median [lower, upper quartile]."""
    lower, upper = np.quantile(values, (0.25, 0.75))
    return f"{statistics.median(values):.2f} [{lower:.2f}, {upper:.2f}]"


if __name__ == "__main__":
    main()

"""Every server in turn on the same model and the same slices, round after round: ratios with their spread.

    python -m benchmarks.compare [--data DATA] [--rounds 5] [--only "ours;fastapi"] [--budget SECONDS]

What is measured goes to `benchmarks/.work/results.jsonl`; a call goes on where the last one stopped, so that the whole
may be had in short pieces (`--budget`). `--fresh` begins anew.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import limit, report
from benchmarks.closed import children_seconds, closed_loop
from benchmarks.openloop import open_loop
from benchmarks.running import DidNotStart, Running, ask, busy_seconds, running
from benchmarks.servers import BUNDLE, SERVERS, WORK, Server, beside
from benchmarks.slices import COUNT, pictures, write_bodies

RESULTS = WORK / "results.jsonl"
LOADS = ((1, 3.0), (8, 3.0), (32, 6.0), (64, 4.0))
"""Concurrency and seconds of the closed loops."""
PIECE_SECONDS = 32
"""What one server's turn takes; a budget with less left than that is over."""
LIMIT_SECONDS = 6.0
OPEN_SECONDS, CAPACITY_SECONDS, QUIET_SECONDS = 5.0, 4.0, 2.0
WARM_UP_SECONDS = 1.0
TOLERANCE = 1e-3

Row = dict[str, Any]


def main() -> None:
    """Measure what is missing, then print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="real slices; drawn ones without it")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--only",
        default=";".join(names()),
        help="names, ; between; a path: another checkout's service; NAME VARIABLE=value: under that setting",
    )
    parser.add_argument("--budget", type=float, default=float("inf"), help="seconds after which to stop for now")
    parser.add_argument("--fresh", action="store_true", help="forget what was measured")
    choice = parser.parse_args()
    end = time.monotonic() + choice.budget
    WORK.mkdir(exist_ok=True)
    if choice.fresh:
        RESULTS.unlink(missing_ok=True)
    contents, origin = pictures(choice.data)
    write_bodies(contents, WORK / "bodies")
    measure(choice.only.split(";"), choice.rounds, end)
    print(report.text(rows(), origin))


def names() -> list[str]:
    """Every turn of a round: the limit, then each server in both loops."""
    return ["limit", *(f"{server.name}{loop}" for server in SERVERS for loop in ("", report.OPEN))]


def measure(names: list[str], rounds: int, end: float) -> None:
    """Each server's turn in each round, but what is there already."""
    done = {(row["round"], row["server"]) for row in rows()}
    for number in range(rounds):
        for name in names:
            if (number, name) in done:
                continue
            if time.monotonic() + PIECE_SECONDS > end:
                return
            keep([{"round": number, "server": name} | row for row in turn(name, number)])


def turn(name: str, number: int) -> Iterator[Row]:
    """One server's measurements of one round."""
    if name == "limit":
        yield from limit_turn()
        return
    name, opened, _ = name.partition(report.OPEN)
    server = server_named(name)
    if not server.python.exists():
        yield {"kind": "absent", "why": "it is not installed"}
        return
    try:
        with running(server) as found:
            yield {"kind": "start", "seconds": found.start_seconds}
            yield from open_loads(found, number) if opened else loads(found)
    except DidNotStart as error:
        yield {"kind": "absent", "why": str(error)}


def server_named(name: str) -> Server:
    """A server of the list or another checkout's; words with an equals sign are environment variables."""
    words = name.split()
    changes = dict(word.split("=", 1) for word in words if "=" in word)
    plain = " ".join(word for word in words if "=" not in word)
    server = beside(Path(plain)) if "/" in plain else next(each for each in SERVERS if each.name == plain)
    return replace(server, environment={**server.environment, **changes})


def loads(found: Running) -> Iterator[Row]:
    """A right answer to every picture first, then the closed loops."""
    yield {"kind": "check", "largest_difference": largest_difference(found.server)}
    closed_loop(found, 8, WARM_UP_SECONDS)
    for concurrency, seconds in LOADS:
        yield {"kind": "closed", "concurrency": concurrency} | closed_loop(found, concurrency, seconds)


def open_loads(found: Running, number: int) -> Iterator[Row]:
    """Poisson arrivals at shares of what the server can do just then."""
    quiet = closed_loop(found, 1, QUIET_SECONDS)["p50"]
    capacity = closed_loop(found, 32, CAPACITY_SECONDS)["rate"]
    for share in report.SHARES:
        row = open_loop(found, share * capacity, OPEN_SECONDS, seed=number)
        yield {"kind": "open", "share": share, "capacity": capacity, "quiet": quiet} | row


def largest_difference(server: Server) -> float:
    """Between the server's probabilities and those of the in-process line, over a part of the pictures."""
    line = limit.Line(BUNDLE, WORK / "bodies" / "raw", threads=1)
    worst = 0.0
    for number in range(0, COUNT, 8):
        status, content = ask(server, (WORK / "bodies" / server.body / str(number)).read_bytes())
        if status != 200:
            raise SystemExit(f"{server.name} answers {status}: {content[:500]!r}")
        (expected,) = line.answers([(WORK / "bodies" / "raw" / str(number)).read_bytes()])
        said = server.said(content)
        worst = max(worst, *(abs(said[label] - value) for label, value in expected.items()))
    if worst > TOLERANCE:
        raise SystemExit(f"{server.name} answers otherwise: a probability differs by {worst:.2g}")
    return worst


def limit_turn() -> Iterator[Row]:
    """The limit's throughput and one lone call, by the plans that a first measurement chose."""
    folder = WORK / "bodies" / "raw"
    chosen = next((row for row in rows() if row["kind"] == "plan"), None)
    if chosen is None:
        chosen = {"kind": "plan"} | limit.ask("plan", BUNDLE, folder)
        yield chosen
    yield {"kind": "limit"} | watched("run", folder, *chosen["best"], LIMIT_SECONDS)
    yield {"kind": "lone"} | watched("lone", folder, *chosen["quickest"], LIMIT_SECONDS / 2)


def watched(question: str, folder: Path, *words: object) -> Row:
    """The limit's answer, and the cores that other processes took meanwhile."""
    started, busy, used = time.perf_counter(), busy_seconds(), children_seconds()
    answer = limit.ask(question, BUNDLE, folder, *words)
    others = (busy_seconds() - busy) - (children_seconds() - used)
    return answer | {"other_cores": others / (time.perf_counter() - started)}


def rows() -> list[Row]:
    """All that was measured so far."""
    return [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []


def keep(measured: list[Row]) -> None:
    """Add one whole turn, so that what was cut short is measured again."""
    with RESULTS.open("a") as results:
        results.writelines(json.dumps(row) + "\n" for row in measured)
    print(".", end="", flush=True)


if __name__ == "__main__":
    main()

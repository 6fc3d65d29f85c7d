"""What was measured, as ratios with their spread over the rounds: median [lowest, highest]."""

import statistics
from collections.abc import Iterable
from typing import Any

from service.cpus import usable_cpus

Row = dict[str, Any]
MOST_IN_FLIGHT = (1, 8, 32, 64)
SHARES = (0.5, 0.8, 1.2, 2.0)
OPEN = ", open loop"
COUNTS = ("sent", "right", "refused", "refused_without_retry_after", "lost", "other")


MOST_OTHERS = 0.05
"""Share of the cores that other processes may take before a loop counts no more."""


def text(measured: list[Row], origin: str) -> str:
    """The tables."""
    rows = [row for row in measured if row.get("other_cores", 0.0) <= MOST_OTHERS * usable_cpus()]
    names = list(dict.fromkeys(row["server"] for row in rows if row["server"] != "limit"))
    lines = [f"\n{usable_cpus()} cores, {origin}; median [lowest, highest] of the rounds' ratios"]
    lines += [f"{len(measured) - len(rows)} loops left out: others took more than {MOST_OTHERS:.0%} of the cores"]
    lines += [plan_line(row) for row in rows if row["kind"] == "plan"]
    for name in names:
        lines += ["", name, *server_lines(rows, name)]
    lines += ["", "ours against each peer, throughput"]
    lines += [f"  {name}: {against(rows, name)}" for name in names if name != "ours" and OPEN not in name]
    return "\n".join(lines)


def plan_line(row: Row) -> str:
    """Which plans the limit was measured with."""
    lanes, threads, batch = row["best"]
    return (
        f"limit: {lanes} lanes x {threads} threads x batch {batch}; a lone call: {row['quickest'][0]} threads, "
        f"spinning {row['quickest'][1]}"
    )


def server_lines(rows: list[Row], name: str) -> list[str]:
    """One server beside the limit."""
    if OPEN in name:
        return open_lines(rows, name)
    absent = [row["why"] for row in rows if row["server"] == name and row["kind"] == "absent"]
    if absent:
        return [f"  not measured: {absent[0][-200:]}"]
    lines = [
        f"  in flight {load}: {share(rows, name, load)} of the limit, {share(rows, name, load, left=True)} of what the "
        f"generator leaves; p99/p50 {spread(tails(rows, name, load))}; errors {errors(rows, name, load)}"
        for load in MOST_IN_FLIGHT
    ]
    lone = {row["round"]: row["p50"] for row in rows if row["kind"] == "lone"}
    lines.append(f"  alone: median {spread(ratios(closed(rows, name, 1), lone, 'p50'))} of one call in process")
    starts = [row["seconds"] for row in rows if row["server"] == name and row["kind"] == "start"]
    ours = [row["seconds"] for row in rows if row["server"] == "ours" and row["kind"] == "start"]
    if starts and ours:
        lines.append(f"  start to ready: {statistics.median(starts) / statistics.median(ours):.2f} times ours")
    return lines


def open_lines(rows: list[Row], name: str) -> list[str]:
    """One server under Poisson arrivals, a line a rate."""
    found = [row for row in rows if row["server"] == name and row["kind"] == "open"]
    return [open_line(f"{share:.0%}", [row for row in found if row["share"] == share]) for share in SHARES]


def open_line(share: str, found: list[Row]) -> str:
    """Goodput over capacity, tails over the quiet median; milliseconds where a bound in milliseconds is asked for."""
    counts = {field: sum(row[field] for row in found) for field in COUNTS}
    parts = [
        f"goodput {spread(row['goodput'] / row['capacity'] for row in found)} of capacity",
        f"p99 {spread(row['p99'] / row['quiet'] for row in found if row['p99'])} quiet medians",
        f"refused within {milliseconds(found, 'refusal_p99')} (p99)",
        f"/livez p99 {milliseconds(found, 'probe_p99')}",
        f"most unanswered {max((row['most_waiting'] for row in found), default=0)}",
        ", ".join(f"{field} {number}" for field, number in counts.items()),
        f"sent late by at most {milliseconds(found, 'late_p99')} (p99)",
    ]
    return f"  at {share} of capacity: " + "; ".join(parts)


def milliseconds(found: list[Row], field: str) -> str:
    """A field's spread in milliseconds."""
    return spread(row[field] * 1000 for row in found if row[field] is not None) + " ms"


def closed(rows: list[Row], name: str, load: int) -> dict[int, Row]:
    """A server's closed loops at one concurrency, by round."""
    found = (row for row in rows if row["server"] == name and row["kind"] == "closed")
    return {row["round"]: row for row in found if row["concurrency"] == load}


def share(rows: list[Row], name: str, load: int, *, left: bool = False) -> str:
    """Throughput over the limit's of the same round; `left`: over what of it the generator's own share leaves."""
    limits = {row["round"]: row["rate"] for row in rows if row["kind"] == "limit"}
    cores = usable_cpus()
    found = closed(rows, name, load)
    taken = {number: limits[number] * _left(row, cores, left=left) for number, row in found.items() if number in limits}
    return spread(ratios(found, taken, "rate"))


def _left(row: Row, cores: int, *, left: bool) -> float:
    return 1 - row["generator_cores"] / cores if left else 1.0


def tails(rows: list[Row], name: str, load: int) -> list[float]:
    """99th percentile over median, a round each."""
    return [row["p99"] / row["p50"] for row in closed(rows, name, load).values()]


def errors(rows: list[Row], name: str, load: int) -> int:
    """Failed requests over all rounds."""
    return sum(row["errors"] for row in closed(rows, name, load).values())


def against(rows: list[Row], name: str) -> str:
    """Our throughput over a peer's at each concurrency."""
    parts = []
    for load in MOST_IN_FLIGHT:
        theirs = {number: row["rate"] for number, row in closed(rows, name, load).items()}
        parts.append(f"in flight {load}: {spread(ratios(closed(rows, 'ours', load), theirs, 'rate'))}")
    return "; ".join(parts)


def ratios(above: dict[int, Row], below: dict[int, float], field: str) -> list[float]:
    """`field` over the other figure, a round each."""
    return [row[field] / below[number] for number, row in above.items() if number in below]


def spread(values: Iterable[float]) -> str:
    """Median [lowest, highest], or a dash."""
    found = list(values)
    return f"{statistics.median(found):.2f} [{min(found):.2f}, {max(found):.2f}]" if found else "-"

"""A load generator of several processes for machines on which no other can be installed; loopback only.

    python -m benchmarks.volley http://127.0.0.1:8000/predict slices/ --connections 32 --seconds 10 [--rate 500]

Closed loop, or with `--rate` open loop: arrivals are Poisson and each waits from its own time on, also where the
connections are all busy. Prints requests a second, percentiles, statuses, and the generator's own processor time.
"""

import argparse
import asyncio
import multiprocessing
import random
import resource
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np


@dataclass(frozen=True)
class Shot:
    """What to send where: the pictures again and again, over so many connections, for so many seconds.

    With a `rate` (arrivals a second) the loop is open.
    """

    url: str
    pictures: Sequence[bytes]
    connections: int = 32
    seconds: float = 10.0
    rate: float | None = None
    seed: int = 0


@dataclass(frozen=True)
class Volley:
    """What was measured: seconds of each answered request, statuses, wall and processor seconds."""

    latencies: list[float]
    statuses: dict[str, int]
    wall: float
    processor: float

    @property
    def rate(self) -> float:
        """Requests answered with 200 a second."""
        return self.statuses.get("200", 0) / self.wall

    def told(self) -> str:
        """The figures in a line."""
        if not self.latencies:
            return f"nothing answered, statuses {self.statuses}"
        p50, p90, p99 = (float(np.quantile(self.latencies, q)) * 1000 for q in (0.5, 0.9, 0.99))
        share = f"{self.processor / self.wall:.2f} cores of load generator"
        return f"{self.rate:7.0f} answers/s, p50 {p50:.1f} ms, p90 {p90:.1f}, p99 {p99:.1f}, {self.statuses}, {share}"


def main() -> None:
    """Send and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--processes", type=int, default=1)
    chosen = parser.parse_args()
    pictures = [path.read_bytes() for path in sorted(chosen.pictures.iterdir())]
    shot = Shot(chosen.url, pictures, chosen.connections, chosen.seconds, chosen.rate)
    print(fire(shot, chosen.processes).told())


def fire(shot: Shot, processes: int = 1) -> Volley:
    """Fire from so many processes, which share connections and rate."""
    if urlsplit(shot.url).hostname not in ("127.0.0.1", "localhost"):
        raise ValueError("this sends to loopback only")
    connections, rate = max(1, shot.connections // processes), shot.rate / processes if shot.rate else None
    shares = [replace(shot, connections=connections, rate=rate, seed=seed) for seed in range(processes)]
    if processes == 1:
        parts = [one_process(shares[0])]
    else:
        with multiprocessing.get_context("spawn").Pool(processes) as pool:
            parts = pool.map(one_process, shares)
    return Volley(
        latencies=[each for part in parts for each in part.latencies],
        statuses=dict(sum((Counter(part.statuses) for part in parts), Counter[str]())),
        wall=max(part.wall for part in parts),
        processor=sum(part.processor for part in parts),
    )


def one_process(shot: Shot) -> Volley:
    """One process's share."""
    return asyncio.run(_shoot(shot, random.Random(shot.seed)))  # noqa: S311 - no secret


async def _shoot(shot: Shot, draw: random.Random) -> Volley:
    requests = [request_of(shot.url, picture) for picture in shot.pictures]
    latencies: list[float] = []
    statuses: Counter[str] = Counter()
    due: asyncio.Queue[float] | None = asyncio.Queue() if shot.rate else None
    started = time.perf_counter()
    end = started + shot.seconds
    processor = _processor_seconds()

    async def caller(number: int) -> None:
        parts = urlsplit(shot.url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        while (since := await due.get() if due else time.perf_counter()) < end:  # all that fell due before the end
            writer.write(requests[(number * 7919 + len(latencies)) % len(requests)])
            status = await read_answer(reader)
            statuses[status] += 1
            if status == "200":
                latencies.append(time.perf_counter() - since)
        writer.close()

    callers = [asyncio.create_task(caller(number)) for number in range(shot.connections)]
    if due is not None and shot.rate is not None:
        await _arrivals(due, shot.rate, end, draw)
        for _ in callers:
            due.put_nowait(end + 1)
    await asyncio.gather(*callers)
    return Volley(latencies, dict(statuses), time.perf_counter() - started, _processor_seconds() - processor)


async def _arrivals(due: "asyncio.Queue[float]", rate: float, end: float, draw: random.Random) -> None:
    """Put each request's own time into the queue when it comes; what is late because the loop was counts as late."""
    at = time.perf_counter()
    while (at := at + draw.expovariate(rate)) < end:
        if (wait := at - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        due.put_nowait(at)


def request_of(url: str, picture: bytes) -> bytes:
    """The request as it goes over the wire."""
    parts = urlsplit(url)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    head = f"POST {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {len(picture)}\r\n\r\n"
    return head.encode() + picture


async def read_answer(reader: asyncio.StreamReader) -> str:
    """The status of one answer, read to its end."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    await reader.readexactly(length)
    return head.split(b" ", 2)[1].decode()


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()

"""What the machine can do without HTTP: decode, preprocess and run in threads that share nothing but the session.

    python -m benchmarks.limit plan BUNDLE FOLDER        slices a second of every plan, in turns
    python -m benchmarks.limit run BUNDLE FOLDER LANES THREADS BATCH SECONDS
    python -m benchmarks.limit lone BUNDLE FOLDER THREADS SPIN SECONDS        seconds of one call after another
    python -m benchmarks.limit tails        what even a perfect server of so many cores cannot avoid
    python -m benchmarks.limit turns BUNDLE FOLDER      an answer to each line of its input, "run ..." or "lone ..."

Each prints one line of JSON. FOLDER holds the pictures as files.
"""

import heapq
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from service.contract.card import MODEL_FILE, read_card
from service.contract.probabilities import probabilities
from service.cpus import usable_cpus
from service.images import read_slice
from service.session import CPU, session_options

MAX_PIXELS, MIN_SIDE = 25_000_000, 32
TURNS = 5
TURN_SECONDS = 1.5
WARM_UP_SECONDS = 1.0
ARRIVALS, LOADS, CORES = 400_000, (0.5, 0.8), (1, 2, 4, 16)


class Line:
    """One thread's way from bytes to probabilities, as short as it can be."""

    def __init__(self, bundle: Path, folder: Path, *, threads: int, batch: int = 1, spin: bool = False) -> None:
        self._card = read_card(bundle)
        options = session_options(threads, spin=spin)
        self._session = ort.InferenceSession(bundle / MODEL_FILE, options, providers=[CPU])
        self._contents = [path.read_bytes() for path in sorted(folder.iterdir())]
        self._batch = batch

    def step(self, at: int) -> None:
        """One batch, of the pictures from number `at` on."""
        contents = islice(cycle(self._contents), at % len(self._contents), at % len(self._contents) + self._batch)
        self.answers(list(contents))

    def answers(self, contents: Sequence[bytes]) -> list[dict[str, float]]:
        """Each picture's probabilities by class."""
        slices = [read_slice(content, self._card.input, MAX_PIXELS, MIN_SIDE)[1] for content in contents]
        (logits,) = self._session.run([self._card.outputs.logits], {"image": np.stack(slices)})
        found = probabilities(logits, self._card.temperature).tolist()
        return [dict(zip(self._card.class_names, each, strict=True)) for each in found]

    def rate(self, lanes: int, seconds: float) -> float:
        """Slices a second of so many threads at once."""
        started = time.perf_counter()

        def work(lane: int) -> int:
            steps = 0
            while time.perf_counter() - started < seconds:
                self.step(lane * 97 + steps * self._batch)
                steps += 1
            return steps

        with ThreadPoolExecutor(lanes) as pool:
            steps = sum(pool.map(work, range(lanes)))
        return steps * self._batch / (time.perf_counter() - started)

    def lone(self, seconds: float) -> list[float]:
        """Seconds of each of one call after another."""
        found: list[float] = []
        started = time.perf_counter()
        while time.perf_counter() - started < seconds:
            begun = time.perf_counter()
            self.step(len(found))
            found.append(time.perf_counter() - begun)
        return found


def plans(bundle: Path, folder: Path) -> dict[str, object]:
    """Every plan beside the best (throughput: `lanes x threads x batch`; a lone call: `threads`); medians of turns."""
    cores = usable_cpus()
    shapes = [
        (lanes, threads, batch)
        for lanes, threads in sorted({(cores, 1), (cores + 1, 1), (1, cores), (cores, cores)})
        for batch in (1, 2, 4)
    ]
    lines = {shape: Line(bundle, folder, threads=shape[1], batch=shape[2]) for shape in shapes}
    alone = {
        (threads, spin): Line(bundle, folder, threads=threads, spin=spin)
        for threads in sorted({1, cores})
        for spin in (False, True)
        if threads > 1 or not spin
    }
    for line in (*lines.values(), *alone.values()):
        line.rate(1, 0.2)
    rates = [{shape: line.rate(shape[0], TURN_SECONDS) for shape, line in lines.items()} for _ in range(TURNS)]
    calls = [{way: statistics.median(line.lone(TURN_SECONDS)) for way, line in alone.items()} for _ in range(TURNS)]
    rate = {shape: statistics.median(turn[shape] for turn in rates) for shape in shapes}
    call = {way: statistics.median(turn[way] for turn in calls) for way in alone}
    best, quickest = max(rate, key=rate.__getitem__), min(call, key=call.__getitem__)
    return {
        "best": best,
        "quickest": quickest,
        "rates": {" x ".join(map(str, shape)): rate[shape] / rate[best] for shape in shapes},
        "calls": {f"{threads} spin {spin}": call[threads, spin] / call[quickest] for threads, spin in call},
    }


def tail(cores: int, load: float) -> float:
    """99th percentile of the time until an answer, in runs, where arrivals are Poisson's and a run takes a core.

    A queue of fixed service time, first come first served (M/D/c in Kendall's notation), simulated.
    """
    arrivals = np.cumsum(np.random.default_rng(1).exponential(1 / (load * cores), ARRIVALS))
    free = [0.0] * cores
    seconds = np.empty(ARRIVALS)
    for place, arrival in enumerate(arrivals.tolist()):
        end = max(arrival, free[0]) + 1
        heapq.heapreplace(free, end)
        seconds[place] = end - arrival
    return float(np.percentile(seconds, 99))


def main(question: str, *words: str) -> dict[str, object]:
    """Answer the command line."""
    if question == "tails":
        return {f"{cores} cores": {f"{load:.0%}": round(tail(cores, load), 2) for load in LOADS} for cores in CORES}
    bundle, folder, *rest = Path(words[0]), Path(words[1]), *words[2:]
    return plans(bundle, folder) if question == "plan" else Turns(bundle, folder).answer(question, *rest)


class Turns:
    """Runs and lone calls, each shape of them on a session that is warmed up once."""

    def __init__(self, bundle: Path, folder: Path, warm_up_seconds: float = WARM_UP_SECONDS) -> None:
        self._line = cache(partial(Line, bundle, folder))
        self._warm_up_seconds = warm_up_seconds
        self._warm: set[tuple[str, ...]] = set()

    def answer(self, question: str, *words: str) -> dict[str, object]:
        """What `run` and `lone` print."""
        *shape, seconds = words
        measure = self._rate if question == "run" else self._lone
        if (question, *shape) not in self._warm:
            measure(shape, self._warm_up_seconds)
            self._warm.add((question, *shape))
        return measure(shape, float(seconds))

    def _rate(self, shape: Sequence[str], seconds: float) -> dict[str, object]:
        lanes, threads, batch = map(int, shape)
        return {"rate": self._line(threads=threads, batch=batch).rate(lanes, seconds)}

    def _lone(self, shape: Sequence[str], seconds: float) -> dict[str, object]:
        threads, spin = shape
        return {"p50": statistics.median(self._line(threads=int(threads), spin=spin == "True").lone(seconds))}


def take_turns(bundle: Path, folder: Path) -> None:
    """Answer line by line until standard input ends."""
    turns = Turns(bundle, folder)
    for line in sys.stdin:
        print(json.dumps(turns.answer(*line.split())), flush=True)


def ask(question: str, *words: object) -> dict[str, Any]:
    """The same in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.limit", question, *map(str, words)]
    answer: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)  # noqa: S603 - this file
    return answer


if __name__ == "__main__":
    if sys.argv[1] == "turns":
        take_turns(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        print(json.dumps(main(*sys.argv[1:])))

"""Does one part of an archive after another: reads, answers and writes, in a few threads."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from service.errors import BodyTooLarge, ServiceError
from service.scoring.archive import Archive, File
from service.scoring.parts import Parts
from service.scoring.scorer import Row, Scorer, schema_of
from service.settings import Settings

T = TypeVar("T")

OpenScorer = Callable[[Settings, str | None, int | None], Scorer]
"""Opens the model that the settings, a name and a version mean."""


@dataclass(frozen=True)
class Job:
    """All that a worker needs, here or on another machine: addresses, settings, model and threads."""

    source: str
    target: str
    settings: Settings
    model: str | None
    version: int | None
    threads: int


class Worker:
    """Opens a job's model and archives; `do` may be called again after a kill and leaves one part all the same."""

    def __init__(self, job: Job, open_scorer: OpenScorer) -> None:
        self._scorer = open_scorer(job.settings, job.model, job.version)
        self._most_bytes = job.settings.max_body_bytes
        self._threads = ThreadPoolExecutor(job.threads, thread_name_prefix="score")
        self.source = Archive(job.source)
        self.source.refuse_absent()  # before OUT is made
        self.parts = Parts(Archive(job.target), schema_of(self._scorer.card))

    @property
    def model(self) -> Row:
        """Which model it is, as its rows say."""
        return self._scorer.model

    def do(self, files: Sequence[File]) -> Counter[str]:
        """Write the part of these files; how many rows have which problem, `""` standing for an answer."""
        batches = chunks(files, self._scorer.batch_size)
        rows = [row for part in self._threads.map(self._rows, batches) for row in part]
        self.parts.write(rows)
        return Counter(row.get("problem", "") for row in rows)

    def _rows(self, files: Sequence[File]) -> list[Row]:
        return self._scorer.rows([file.path for file in files], [self._read(file) for file in files])

    def _read(self, file: File) -> bytes | ServiceError | OSError:
        if file.size > self._most_bytes:
            return BodyTooLarge(f"at most {self._most_bytes} bytes are taken")
        try:
            return self.source.read(file.path)
        except OSError as error:
            return error


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """`items` in order, `size` at a time."""
    return (items[start : start + size] for start in range(0, len(items), size))

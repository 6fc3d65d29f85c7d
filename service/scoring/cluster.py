"""The same work over Ray Data: a pool of actors, each a worker; what one leaves undone another does again."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import ray
import ray.data

from service.scoring.archive import File
from service.scoring.worker import Job, OpenScorer, Worker

Batch = dict[str, Any]

OWN_CLUSTER = {"address": "local", "include_dashboard": False}


class Actor:
    """A worker that lives in the cluster; a batch is one part's files."""

    def __init__(self, job: Job, open_scorer: OpenScorer) -> None:
        self._worker = Worker(job, open_scorer)

    def __call__(self, batch: Batch) -> Batch:
        """Do the part; its problems and how many rows have each."""
        paths, sizes = batch["paths"][0], batch["sizes"][0]
        counts = self._worker.do([File(str(path), int(size)) for path, size in zip(paths, sizes, strict=True)])
        return {"problem": np.array(list(counts)), "count": np.array(list(counts.values()))}


def do_all(job: Job, open_scorer: OpenScorer, parts: Sequence[Sequence[File]], actors: int) -> Iterator[Counter[str]]:
    """Each part's counts as they come, from at most `actors` actors of a core each.

    The cluster is the one that `RAY_ADDRESS` names, else one of this machine.
    """
    own: dict[str, Any] = {} if "RAY_ADDRESS" in os.environ else OWN_CLUSTER
    ray.init(log_to_driver=False, ignore_reinit_error=True, **own)
    rows = [{"paths": [file.path for file in part], "sizes": [file.size for file in part]} for part in parts]
    done = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
        Actor,
        fn_constructor_args=(job, open_scorer),
        batch_size=1,
        concurrency=(1, min(actors, len(rows))),
    )
    for row in done.iter_rows():
        yield Counter({str(row["problem"]): int(row["count"])})

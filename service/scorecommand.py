"""`python -m service score IN OUT`: answer a whole archive, one row a file; a run that was killed goes on."""

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from service.app import session_opener
from service.catalogue import Catalogue
from service.cpus import usable_cpus
from service.errors import ServiceError
from service.metrics import Metrics
from service.repository import Repository
from service.session import ProviderUnavailable
from service.settings import Settings, read_settings

if TYPE_CHECKING:
    from service.scoring.archive import File
    from service.scoring.scorer import Scorer
    from service.scoring.worker import Job

Arguments = argparse.Namespace


def run(arguments: Sequence[str]) -> int:
    """Score; the exit status, 0 once every file has its row."""
    given = parser().parse_args(arguments)
    try:
        summary = score(given)
    except ImportError as error:
        print(f"score: pip install 'neurotriage[{'ray' if given.ray else 'score'}]': {error}", file=sys.stderr)  # noqa: T201 - a command line answers in words
        return 2
    except (OSError, ValueError, ServiceError, ProviderUnavailable) as error:
        print(f"score: {error}", file=sys.stderr)  # noqa: T201 - the same
        return 2
    print(json.dumps(summary))  # noqa: T201 - the answer
    return 0


def parser() -> argparse.ArgumentParser:
    """What may be typed."""
    top = argparse.ArgumentParser(
        prog="python -m service score",
        description="Answer every file of an archive into Parquet, one row a file. Start it again to go on. "
        "Settings (NEUROTRIAGE_…) hold as for the service.",
    )
    top.add_argument("source", metavar="IN", help="folder, or address such as s3://bucket/folder; read through")
    top.add_argument("target", metavar="OUT", help="folder or address for part-….parquet")
    top.add_argument("--model", help="else the default model")
    top.add_argument("--version", type=int, help="else the highest that serves")
    top.add_argument(
        "--retry", action="store_true", help="answer again what the archive, the memory or the model failed"
    )
    top.add_argument("--part-rows", type=positive, default=512, help="files a part, about: what a kill costs")
    top.add_argument("--threads", type=positive, help="a worker's; else two a core, for reading takes its time too")
    top.add_argument("--ray", action="store_true", help="over the Ray cluster of RAY_ADDRESS, else one of this machine")
    top.add_argument("--actors", type=positive, help="with --ray: workers at most, a core each; else one a core here")
    return top


def positive(text: str) -> int:
    """A number from 1 on."""
    if (number := int(text)) < 1:
        raise ValueError(text)
    return number


def score(given: Arguments) -> dict[str, object]:
    """Do what is left to do and count; raises `ValueError`, `OSError` or `ServiceError` where it cannot be done."""
    from service.scoring.parts import cut  # noqa: PLC0415 - pyarrow is optional
    from service.scoring.scorer import PASSING  # noqa: PLC0415 - the same
    from service.scoring.worker import Job, Worker  # noqa: PLC0415 - the same

    threads = given.threads or (2 if given.ray else 2 * usable_cpus())
    job = Job(given.source, given.target, read_settings(), given.model, given.version, threads)
    worker = Worker(job, open_scorer)
    if worker.source.holds(worker.parts.archive):
        raise ValueError("OUT lies in IN, where its parts would be taken for pictures")
    with worker.parts.locked():
        if given.retry:
            worker.parts.forget(PASSING, worker.model)
        files, done = worker.source.files(), worker.parts.done(worker.model)
        wanted = ([file for file in part if file.path not in done] for part in cut(files, given.part_rows))
        parts = [part for part in wanted if part]
        counts = sum(over_ray(job, parts, given) if given.ray else map(worker.do, parts), Counter[str]())
        if left := {file.path for file in files} - worker.parts.done(worker.model):
            raise ValueError(f"{len(left)} files are without a row")
    return {"files": len(files), "before": len(done), "answered": counts.pop("", 0), "problems": dict(counts)}


def over_ray(job: "Job", parts: "Sequence[Sequence[File]]", given: Arguments) -> Iterator[Counter[str]]:
    """The parts' counts from a cluster's workers."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray reports to its makers unless told not to
    if "RAY_ADDRESS" not in os.environ:  # Ray's name for all of it on loopback; it reads this when it is imported
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    from service.scoring.cluster import do_all  # noqa: PLC0415 - ray is optional

    return do_all(job, open_scorer, parts, given.actors or usable_cpus()) if parts else iter(())


def open_scorer(settings: Settings, model: str | None, version: int | None) -> "Scorer":
    """The model named, verified and opened as the service does; raises `UnknownModel`, or `ValueError` if broken."""
    from service.scoring.scorer import Scorer  # noqa: PLC0415 - pyarrow is optional

    catalogue = Catalogue(Repository(settings.models, session_opener(settings)), settings, Metrics())
    catalogue.repository.load()
    bundle = catalogue.find(model, version)
    if bundle.card is None or bundle.session is None:
        raise ValueError(f"{bundle.name} version {bundle.version}: {bundle.reason}")
    return Scorer(bundle.card, bundle.session, settings)

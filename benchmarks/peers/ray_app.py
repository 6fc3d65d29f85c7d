"""Ray Serve: a replica a core, one thread a run, `serve.batch`."""

import os
import signal
import sys

import ray
from ray import serve
from starlette.requests import Request

from benchmarks.peers.model import Model
from service.contract.preprocess import Slice
from service.cpus import usable_cpus


class Classifier:
    """One replica."""

    def __init__(self) -> None:
        self.model = Model(threads=1)

    @serve.batch(max_batch_size=4, batch_wait_timeout_s=0.0)
    async def predict(self, slices: list[Slice]) -> list[dict[str, float]]:
        """A batch's probabilities."""
        return self.model.predict(slices)

    async def __call__(self, request: Request) -> dict[str, dict[str, float]]:
        """Classify one slice."""
        return {"probabilities": await self.predict(self.model.prepare(await request.body()))}


def main() -> None:
    """Serve until told to stop."""
    ray.init(include_dashboard=False, log_to_driver=False)
    http = {"host": "127.0.0.1", "port": int(os.environ["BENCH_PORT"])}
    serve.start(http_options=http, logging_config={"enable_access_log": False})
    deployment = serve.deployment(
        Classifier, num_replicas=usable_cpus(), max_ongoing_requests=100, ray_actor_options={"num_cpus": 0.5}
    )
    serve.run(deployment.bind(), route_prefix="/predict")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.pause()


if __name__ == "__main__":
    main()

"""BentoML: a worker a core, one thread a run, adaptive batching; pictures come as a form, as its clients send them."""

import bentoml
from PIL import Image

from benchmarks.peers.model import Model
from service.cpus import usable_cpus


@bentoml.service(workers=usable_cpus(), traffic={"timeout": 30}, logging={"access": {"enabled": False}})
class Classifier:
    """The service."""

    def __init__(self) -> None:
        self.model = Model(threads=1)

    @bentoml.api(batchable=True, max_batch_size=4, max_latency_ms=10_000)
    def predict(self, file: list[Image.Image]) -> list[dict[str, float]]:
        """A batch's probabilities."""
        return self.model.predict([self.model.shrink(picture) for picture in file])

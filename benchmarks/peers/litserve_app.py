"""LitServe: a worker a core, one thread a run, its own batching, ZeroMQ between server and workers."""

import os
from typing import Annotated

import litserve
from fastapi import Body

from benchmarks.peers.model import Model
from service.contract.preprocess import Slice
from service.cpus import usable_cpus


class Classifier(litserve.LitAPI):
    """Decode, predict a batch, answer."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe's signature
        """Load the model in a worker."""
        self.model = Model(threads=1)

    def decode_request(self, request: Annotated[bytes, Body(media_type="application/octet-stream")]) -> Slice:
        """The network's input."""
        return self.model.prepare(request)

    def batch(self, inputs: list[Slice]) -> list[Slice]:
        """As it is: the model stacks."""
        return inputs

    def predict(self, x: list[Slice]) -> list[dict[str, float]]:
        """A batch's probabilities."""
        return self.model.predict(x)

    def unbatch(self, output: list[dict[str, float]]) -> list[dict[str, float]]:
        """As it is."""
        return output

    def encode_response(self, output: dict[str, float]) -> dict[str, dict[str, float]]:
        """The answer."""
        return {"probabilities": output}


if __name__ == "__main__":
    api = Classifier(max_batch_size=4, batch_timeout=0.002)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=usable_cpus(), fast_queue=True)
    server.run(
        host="127.0.0.1", port=int(os.environ["BENCH_PORT"]), generate_client_file=False, log_level="warning",
        access_log=False,
    )  # fmt: skip

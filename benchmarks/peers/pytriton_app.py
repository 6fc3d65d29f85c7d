"""PyTriton: an instance a core behind Triton's dynamic batcher, one thread a run."""

import os
from typing import Any

import numpy as np
import numpy.typing as npt
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

from benchmarks.peers.model import Model
from service.cpus import usable_cpus


def main() -> None:
    """Serve until told to stop."""
    model = Model(threads=1)

    @batch
    def infer(file: npt.NDArray[Any]) -> dict[str, npt.NDArray[np.float64]]:
        found = model.predict([model.prepare(content) for (content,) in file])
        return {"probabilities": np.array([list(each.values()) for each in found])}

    port = int(os.environ["BENCH_PORT"])
    config = TritonConfig(
        http_address="127.0.0.1", http_port=port, grpc_port=port + 1, allow_metrics=False, log_verbose=0
    )
    with Triton(config=config) as triton:
        triton.bind(
            model_name="brain-mri",
            infer_func=[infer] * usable_cpus(),
            inputs=[Tensor(name="file", dtype=bytes, shape=(1,))],
            outputs=[Tensor(name="probabilities", dtype=np.float64, shape=(4,))],
            config=ModelConfig(max_batch_size=4, batcher=DynamicBatcher(max_queue_delay_microseconds=0)),
        )
        triton.serve()


if __name__ == "__main__":
    main()

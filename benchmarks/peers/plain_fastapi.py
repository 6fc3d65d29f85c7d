"""The plain FastAPI endpoint: a `def`, which runs in Starlette's thread pool; no batching.

`BENCH_THREADS=1` gives each run one thread, since the pool already keeps every core busy; unset, ONNX Runtime takes
every core for each run, as it does where nothing is said.
"""

import os
from typing import Annotated

from fastapi import Body, FastAPI
from pydantic import BaseModel

from benchmarks.peers.model import Model

app = FastAPI()
model = Model(int(os.environ.get("BENCH_THREADS", "0")) or None)


class Answer(BaseModel):
    """Probabilities by class."""

    label: str
    probabilities: dict[str, float]


@app.post("/predict")
def predict(picture: Annotated[bytes, Body(media_type="application/octet-stream")]) -> Answer:
    """Classify one slice."""
    (found,) = model.predict([model.prepare(picture)])
    return Answer(label=max(found, key=found.__getitem__), probabilities=found)

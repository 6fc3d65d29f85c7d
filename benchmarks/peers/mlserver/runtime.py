"""MLServer: a custom runtime, adaptive batching, a worker process a core, one thread a run."""

import numpy as np
from mlserver import MLModel
from mlserver.codecs import Base64Codec, NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

from benchmarks.peers.model import Model


class Classifier(MLModel):
    """Pictures in base64 in, probabilities out, a row a picture."""

    async def load(self) -> bool:
        """Load the model in a worker."""
        self.model = Model(threads=1)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """A batch's probabilities, in the card's order of classes."""
        contents = Base64Codec.decode_input(payload.inputs[0])
        rows = [list(found.values()) for found in self.model.predict([self.model.prepare(each) for each in contents])]
        return InferenceResponse(
            model_name=self.name, outputs=[NumpyCodec.encode_output("probabilities", np.array(rows))]
        )

"""What keeps float steps away from a run whose graph was quantised."""

from pathlib import Path

from training.errors import OrderError

QUANTIZATION = "quantization.json"


def refuse_quantized(run: Path, step: str) -> None:
    """Raise `OrderError` where `quantize` made the run, since `step` would put float results in its place."""
    if (run / QUANTIZATION).exists():
        raise OrderError(
            f"{run} was made by quantize, whose graph and temperature {step} would replace: run that again"
        )

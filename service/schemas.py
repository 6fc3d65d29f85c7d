"""What travels over the wire; every field name and class name is spelt as here."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.contract.card import Card
from service.errors import ServiceError
from service.overlay import DEFAULT_COLORMAP
from service.priorities import Priority

PROBLEM_JSON = "application/problem+json"
Name = Annotated[str, Field(min_length=1)]


class ModelRef(BaseModel):
    """Which weights gave an answer."""

    name: str = Field(examples=["brain-mri-efficientnet-lite0"])
    version: int = Field(examples=[1])
    sha256: str = Field(description="SHA-256 of the model file.")


class TimingMs(BaseModel):
    """Where the time went, in milliseconds."""

    decode: float = Field(description="Decoding and preprocessing, and waiting for a thread that does only that.")
    queue: float = Field(description="Waiting for a lane.")
    inference: float = Field(description="The batch's run.")
    total: float = Field(description="From the picture's last byte to the answer.")


class Prediction(BaseModel):
    """The calibrated answer to one slice. Research and triage support, not a diagnosis."""

    request_id: str
    model: ModelRef
    label: str = Field(description="The most probable class.", examples=["glioma"])
    probabilities: dict[str, float] = Field(
        description="Calibrated probability of every class; they sum to 1.",
        examples=[{"glioma": 0.91, "meningioma": 0.06, "no_tumor": 0.01, "pituitary": 0.02}],
    )
    tumor_probability: float = Field(description="Summed probability of the tumour classes.", examples=[0.99])
    batch_size: int = Field(description="Slices that shared the run.")
    timing_ms: TimingMs


class ModelQuery(BaseModel):
    """Which model is asked; a name that is not here is refused, since it would be taken for the default."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    model: Name | None = Field(None, description="Model name; the default model where none is given.")
    version: int | None = Field(None, ge=1, description="Model version; the highest that serves where none is given.")


class UrgentModelQuery(ModelQuery):
    """Which model is asked, and how urgently."""

    priority: Priority = Field(
        "routine", description="`stat` goes before `routine`, also where the queue is nearly full."
    )


class LoadQuery(BaseModel):
    """Which version is meant."""

    model_config = ConfigDict(extra="forbid")

    version: int | None = Field(None, ge=1, description="Model version; where none is given see the route.")


class ExplainQuery(UrgentModelQuery):
    """What `/explain` may be asked besides."""

    target: Name | None = Field(
        None, description="Class to explain; `all` for one map a class; the predicted one where none is given."
    )
    targets: Literal["all"] | None = Field(None, description="The same as `target=all`.")
    method: Name | None = Field(
        None, description="gradcam, gradcampp, hirescam, layercam or eigencam; the card's first where none is given."
    )
    layer: Name | None = Field(None, description="One of the card's layers; its default where none is given.")
    colormap: str = Field(DEFAULT_COLORMAP, description="viridis, magma, turbo or jet; the first two are even.")
    alpha: float = Field(0.5, ge=0, le=1, description="How much of the picture the highest place covers.")


class PointView(BaseModel):
    """A pixel of the upright picture."""

    x: int
    y: int


class BoxView(BaseModel):
    """Pixels of the upright picture from (left, top) up to, and without, (right, bottom)."""

    left: int
    top: int
    right: int
    bottom: int


class ExplanationView(BaseModel):
    """Where the network found evidence for one class. A map is no segmentation: it outlines nothing."""

    target: str = Field(description="The class explained.", examples=["glioma"])
    method: str = Field(examples=["gradcam"])
    layer: str = Field(description="The layer of the network that the map is drawn from.", examples=["features.16"])
    evidence: bool = Field(description="False where no place in the picture speaks for the class; all else is empty.")
    heatmap: list[list[float]] = Field(
        description="Rows of numbers from 0 to 1, one a pixel of the upright picture; 1 is the map's highest value.",
        examples=[[[0.0, 0.125], [0.5, 1.0]]],
    )
    peak: PointView | None = Field(description="The highest pixel.", examples=[{"x": 311, "y": 140}])
    box: BoxView | None = Field(
        description="The smallest box around every pixel of at least half the highest value.",
        examples=[{"left": 290, "top": 118, "right": 340, "bottom": 165}],
    )
    overlay_png: str = Field(description="The heatmap over the grey picture, of its size: PNG in base64.")


class ExplainedPrediction(Prediction):
    """The prediction and the map of one class."""

    explanation: ExplanationView


class FullyExplainedPrediction(Prediction):
    """The prediction and a map a class, in the card's order."""

    explanations: list[ExplanationView]


class Problem(BaseModel):
    """RFC 9457 problem details; some problems carry a field or two more."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["urn:neurotriage:problem:unreadable-image"])
    title: str
    status: int
    detail: str
    instance: str = Field(description="This very occurrence.", examples=["urn:neurotriage:request:5f2c…"])
    request_id: str


class BatchAnswer(BaseModel):
    """One entry a file, in the order sent: a prediction, or the file's own problem."""

    request_id: str
    results: list[Prediction | Problem]


class PlanView(BaseModel):
    """How batches meet the machine."""

    lanes: int
    threads_per_lane: int
    max_batch_size: int
    buckets: list[int]
    cores: int
    lone_threads: int | None = Field(
        description="Threads for a picture that has the machine to itself, where that gains."
    )


ExplainState = Annotated[
    Literal["ready", "stopped"] | None, Field(description="Its explain lane; null where the version cannot explain.")
]


class VersionView(BaseModel):
    """One version of a model and whether it serves."""

    version: int
    state: Literal["ready", "failed", "stopped", "unloaded"]
    explain: ExplainState
    reason: str | None = Field(None, description="Why it does not serve.")
    sha256: str | None = None
    precision: str | None = Field(
        None, description="What it computes in: fp32, or fp16 or int8, whose answers differ a little."
    )
    provider: str | None = Field(None, description="The execution provider that really runs it.")
    plan: PlanView | None = None


class VersionDetail(VersionView):
    """One version with its card: data, metrics with intervals, limits, intended use."""

    name: str
    default: bool = Field(description="Whether it answers when no model and version are named.")
    card: Card | None = None


class ModelView(BaseModel):
    """All versions of a model, the highest that serves being the one that answers by default."""

    name: str
    default: bool = Field(description="Whether it answers when no model is named.")
    serving_version: int | None
    versions: list[VersionView]


class Models(BaseModel):
    """Everything in the repository."""

    default: str | None
    models: list[ModelView]


class ModelState(BaseModel):
    """One version's part in readiness."""

    name: str
    version: int
    state: Literal["ready", "failed", "stopped", "unloaded"]
    explain: ExplainState
    provider: str | None
    reason: str | None


class Readiness(BaseModel):
    """Whether the service can answer now, and why not."""

    ready: bool
    reason: str | None
    models: list[ModelState]
    audit: Literal["ok", "failing"] | None = Field(None, description="`failing` while audit lines are lost; null: off.")


class Liveness(BaseModel):
    """The process is up."""

    live: Literal[True] = True


def problem_of(error: ServiceError, request_id: str) -> Problem:
    """The error as its caller reads it."""
    return Problem(
        type=f"urn:neurotriage:problem:{error.slug}",
        title=error.title,
        status=error.status,
        detail=str(error),
        instance=f"urn:neurotriage:request:{request_id}",
        request_id=request_id,
        **error.extensions,
    )

"""The card: every value that gives a bundle its meaning, checked for sense and not only for type."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from service.contract.cam import METHODS
from service.contract.probabilities import NO_TUMOR

CARD_FILE = "card.json"
MODEL_FILE = "model.onnx"
EXPLAIN_FILE = "explain.onnx"
GOLDEN_FILE = "golden.npz"
REPORT_FILE = "report.json"

Share = Annotated[float, Field(ge=0, le=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class InputSpec(_Strict):
    """What `preprocess` must produce; mean and std are already folded into the graph."""

    height: PositiveInt
    width: PositiveInt
    color: Literal["grey"] = "grey"
    resize: Literal["crop-pad-bilinear"] = "crop-pad-bilinear"
    mean: tuple[float, ...]
    std: tuple[Annotated[float, Field(gt=0)], ...]

    @model_validator(mode="after")
    def _one_std_per_mean(self) -> Self:
        if not self.mean or len(self.mean) != len(self.std):
            raise ValueError("mean and std need one value per network channel")
        return self


class Outputs(_Strict):
    """Names of the graph's tensors."""

    logits: str = "logits"
    embedding: str | None = None


class Explain(_Strict):
    """Each layer with the graph that gives its gradients, and the methods, of which the first is the default.

    ONNX Runtime computes all that a graph gives, whichever part is fetched: a graph a layer keeps each at its own cost.
    """

    layers: dict[str, str] = Field(min_length=1)
    default_layer: str
    methods: tuple[str, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _default_is_offered(self) -> Self:
        if self.default_layer not in self.layers:
            raise ValueError(f"default_layer {self.default_layer!r} is not one of layers")
        if unknown := sorted(set(self.methods) - set(METHODS)):
            raise ValueError(f"methods holds {', '.join(unknown)}, there are {', '.join(METHODS)}")
        return self


class Estimate(_Strict):
    """A figure with its 95 % interval."""

    value: Share
    low: Share
    high: Share

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low <= self.high:
            raise ValueError("the interval's low end lies above its high end")
        return self


class ClassMetrics(_Strict):
    """One class against the rest."""

    precision: Estimate
    recall: Estimate
    f1: Estimate
    support: PositiveInt


class Metrics(_Strict):
    """What was measured on the test split, and under which protocol."""

    protocol: str
    accuracy: Estimate
    macro_f1: Estimate
    auroc: Estimate
    ece: Estimate
    per_class: dict[str, ClassMetrics]


class Data(_Strict):
    """What the network was trained and measured on."""

    name: str
    licence: str
    index_sha256: Sha256
    split_by: str
    counts: dict[str, dict[str, int]]


class Training(_Strict):
    """How the network came to be."""

    commit: str
    recipe: dict[str, object]
    seed: int
    weights: str
    versions: dict[str, str]
    opset: PositiveInt


class Card(_Strict):
    """`card.json` of one bundle; the order of `class_names` is the logit index."""

    schema_version: Literal[1] = 1
    name: Name
    version: PositiveInt
    architecture: str
    precision: Literal["fp32", "fp16", "int8"] = "fp32"
    class_names: tuple[str, ...] = Field(min_length=2)
    input: InputSpec
    outputs: Outputs = Outputs()
    explain: Explain | None = None
    temperature: Annotated[float, Field(gt=0)]
    files: dict[str, Sha256]
    data: Data
    metrics: Metrics
    training: Training
    intended_use: str
    limitations: tuple[str, ...] = Field(min_length=1)
    change: str = Field(min_length=1)

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if len(set(self.class_names)) != len(self.class_names):
            raise ValueError("class_names holds a name twice")
        if NO_TUMOR not in self.class_names:
            raise ValueError(f"class_names lacks {NO_TUMOR!r}, without which there is no tumour probability")
        if set(self.metrics.per_class) != set(self.class_names):
            raise ValueError("metrics.per_class and class_names name different classes")
        if not {MODEL_FILE, GOLDEN_FILE} <= set(self.files):
            raise ValueError(f"files must list {MODEL_FILE} and {GOLDEN_FILE}")
        if self.explain and (missing := set(self.explain.layers.values()) - set(self.files)):
            raise ValueError(f"explain needs {', '.join(sorted(missing))} among files")
        if any("/" in name or name.startswith(".") for name in self.files):
            raise ValueError("files must be plain names inside the bundle")
        return self


def read_card(bundle: Path) -> Card:
    """The card of `bundle`, whose folders must say the same name and version as the card.

    Raises `ValueError` (pydantic's included) on a card without sense, `OSError` where there is none.
    """
    card = Card.model_validate_json((bundle / CARD_FILE).read_bytes())
    if (bundle.parent.name, bundle.name) != (card.name, str(card.version)):
        raise ValueError(f"card says {card.name}/{card.version}, folder says {bundle.parent.name}/{bundle.name}")
    return card

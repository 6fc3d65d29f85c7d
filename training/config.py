"""One run's choices, checked together before anything is computed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from service.contract.probabilities import NO_TUMOR
from training.augmentconfig import AugmentConfig
from training.dataconfig import UNKNOWN_TUMOR, DataConfig
from training.errors import RecipeError
from training.recipefile import read_raw
from training.strict import Share, Strict

UNET = "unet/"
"""`unet/resnet18` is a U-Net with this encoder."""
DOUBT = -2.0
"""At this logit a tumour fills an eighth of a cell."""


class Stage(Strict):
    """Some epochs at one size; a run grows through its stages (Tan & Le 2021, progressive learning)."""

    size: PositiveInt
    epochs: NonNegativeInt = Field(description="0 in all stages leaves the weights as they begin: a mean of runs, say.")


class OptimizerConfig(Strict):
    """How the weights move: the optimizer, its learning rate over time, and what the loss is made of."""

    kind: Literal["adamw", "adam", "sgd"] = "adamw"
    momentum: Share = Field(0.9, description="Of sgd alone.")
    batch_size: PositiveInt = 32
    micro_batch: PositiveInt | None = Field(
        None, description="Slices computed at once, their gradients added up; halves by itself where memory runs out."
    )
    schedule: Literal["cosine", "constant", "plateau"] = Field(
        "cosine", description="One cosine over the run, no change, or lower after epochs without a better validation."
    )
    plateau_patience: PositiveInt = Field(3, description="Epochs without a better validation before it is lowered.")
    plateau_factor: Annotated[float, Field(gt=0, lt=1)] = Field(0.3, description="What it is multiplied by then.")
    learning_rate: PositiveFloat = 5e-4
    head_factor: PositiveFloat = Field(4.0, description="Learning rate of the fresh head over the backbone's.")
    weight_decay: NonNegativeFloat = 0.02
    warmup_epochs: NonNegativeFloat = 1.0
    average: Share = Field(0.995, description="Decay of the weights' moving average, which is what is measured.")
    average_unbiased: bool = Field(False, description="Whether the average has no share of the weights it began with.")
    smoothing: Share = Field(0.05, description="Label smoothing.")
    clip: PositiveFloat = Field(2.0, description="Largest gradient norm.")
    outline_weight: NonNegativeFloat = Field(0.0, description="Weight of finding the tumour's outline; 0 does without.")
    theta: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="θ of θ·segmentation + (1 - θ)·classification; none adds outline_weight to the whole instead."
    )

    @property
    def outlines_count(self) -> bool:
        """Whether finding outlines has any weight in the loss."""
        return bool(self.outline_weight if self.theta is None else self.theta)


class DistillConfig(Strict):
    """Finished runs whose answers the network learns beside the labels; see `training.teachers`."""

    teachers: tuple[Path, ...] = ()
    weight: Annotated[float, Field(gt=0, le=1)] = Field(0.5, description="Of their answers; the labels have the rest.")
    temperature: PositiveFloat = Field(2.0, description="By which both sides' logits are divided.")


class Recipe(Strict):
    """Everything that decides a run's outcome but the data themselves."""

    name: str
    architecture: str
    widths: tuple[PositiveInt, ...] = Field((), description="Channels of a plain network's blocks, instead of its own.")
    dense: tuple[PositiveInt, ...] = Field((), description="Widths of its dense layers, instead of its own.")
    head: Literal["softmax", "sigmoid"] = Field("softmax", description="One logit a class, or for two classes one.")
    cells: bool = Field(
        False, description="Whether the logit of a tumour in the likeliest cell is added to every tumour's."
    )
    doubt: float = Field(
        DOUBT, description="The logit of a cell that speaks neither for nor against: the higher, the less is a tumour."
    )
    weights: Literal["pretrained"] | Path | Annotated[tuple[Path, ...], Field(min_length=2)] | None = Field(
        None, description="A file or several, or timm's own by download; none starts from random weights."
    )
    weights_as: Literal["trunk", "convolutions", "whole", "mean", "graph"] = Field(
        "trunk",
        description="What the file gives: a trunk, an EfficientNet-Lite's convolutions, a run's checkpoint, or the "
        "model.onnx of a registered version; several checkpoints give the mean of theirs, a uniform soup (Wortsman et "
        "al. 2022).",
    )
    channels: Path | None = Field(None, description="Which channels `prune` cut away, a JSON file.")
    keep_zeros: bool = Field(False, description="Weights that are 0 at the start stay 0, as `prune` left them.")
    freeze: bool = Field(False, description="Train the head alone.")
    class_names: tuple[str, ...]
    size: PositiveInt
    stages: tuple[Stage, ...]
    trained_at: PositiveInt | None = Field(None, description="The size of the training, where `resize` chose another.")
    temperature_of: Path | None = Field(
        None, description="The run that held out what a refit learns, and gives its temperature; none: 1."
    )
    draw: Literal["weighted", "once", "added"] = Field(
        "weighted",
        description="data.epoch_slices by data.shares, or each training slice once an epoch; added: and of each label "
        "as many again, altered by augment as the rest is not, as it has fewer than the most frequent one.",
    )
    best_by: Literal["val_macro_f1", "val_accuracy", "val_loss", "val_dice"] = Field(
        "val_macro_f1", description="The figure that chooses the epoch, lowers the learning rate and stops the run."
    )
    patience: PositiveInt = Field(8, description="Epochs without a better one before stopping.")
    precision: Literal["no", "fp16", "bf16"] | None = Field(
        None, description="Mixed precision; none leaves it to `accelerate launch`, and without that to float32."
    )
    dropout: Share = 0.2
    drop_path: Share = 0.1
    seed: NonNegativeInt = 0
    data: DataConfig
    augment: AugmentConfig = AugmentConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    distill: DistillConfig = DistillConfig()

    @model_validator(mode="after")
    def _labels_are_known(self) -> Self:
        unknown = set(self.data.shares) - {*self.class_names, UNKNOWN_TUMOR}
        if unknown or not set(self.class_names) <= set(self.data.shares):
            raise ValueError("data.shares must name every class, and no label but those and 'tumor'")
        return self

    @model_validator(mode="after")
    def _outlines_are_there_and_not_mixed(self) -> Self:
        wanted = self.optimizer.outline_weight or self.optimizer.theta is not None
        if wanted and not self.data.outlines:
            raise ValueError("optimizer.outline_weight and optimizer.theta need data.outlines")
        if wanted and (self.augment.mixup or self.augment.cutmix):
            raise ValueError("mixup and cutmix blend two slices, of which an outline knows one: use one of the two")
        if self.augment.mixup and self.augment.cutmix:
            raise ValueError("augment.mixup and augment.cutmix both blend two slices: use one of them")
        if (self.augment.cut or self.augment.graft) and (NO_TUMOR not in self.class_names or not self.data.outlines):
            raise ValueError(f"augment.cut and augment.graft need data.outlines and the class {NO_TUMOR}")
        if set(self.augment.infiltrating) - set(self.class_names):
            raise ValueError("augment.infiltrating names what is no class")
        if self.best_by == "val_dice" and self.optimizer.theta is None:
            raise ValueError("best_by val_dice needs optimizer.theta: masks are measured where they are learnt so")
        return self

    @model_validator(mode="after")
    def _cells_can_answer(self) -> Self:
        if self.doubt != DOUBT and not self.cells:
            raise ValueError("doubt is of cells: a recipe without them has none")
        if self.cells and self.distill.teachers:
            raise ValueError("cells are no part of what is taught, and teachers answer with theirs: use one of the two")
        if self.cells and self.architecture.startswith(UNET):
            raise ValueError("a U-Net draws its mask from finer maps than its classes: it has no cells to answer by")
        if self.cells and NO_TUMOR not in self.class_names:
            raise ValueError(f"cells need the class {NO_TUMOR}")
        if self.cells and not self.optimizer.outlines_count and not self.begins_whole:
            raise ValueError("cells are learnt from outlines, or come with the whole weights of others")
        return self

    @model_validator(mode="after")
    def _network_fits(self) -> Self:
        if not self.stages or self.stages[-1].size != (self.trained_at or self.size):
            raise ValueError("the last stage must train at the recipe's size, or at trained_at")
        if self.head == "sigmoid" and len(self.class_names) != 2:
            raise ValueError("a sigmoid head needs two class_names")
        if self.weights_as != "trunk" and not self.starts:
            raise ValueError("weights_as speaks of a file, and weights names none")
        if isinstance(self.weights, tuple) != (self.weights_as == "mean"):
            raise ValueError("a mean is of several weights, and several weights go as a mean alone")
        return self

    @model_validator(mode="after")
    def _a_refit_asks_no_validation(self) -> Self:
        if self.data.refit and self.optimizer.schedule == "plateau":
            raise ValueError("a refit has no validation that could lower its learning rate")
        if not self.epochs and not (self.data.refit and self.begins_whole):
            raise ValueError("a run of no epoch is a refit that begins with the whole weights of others")
        if self.temperature_of and not self.data.refit:
            raise ValueError("temperature_of is of a refit alone: what holds slices out fits its own")
        return self

    @property
    def starts(self) -> tuple[Path, ...]:
        """The files that the weights come from."""
        if isinstance(self.weights, Path):
            return (self.weights,)
        return self.weights if isinstance(self.weights, tuple) else ()

    @property
    def begins_whole(self) -> bool:
        """Whether the weights are a whole network's, its head and its cells included."""
        return self.weights_as in {"whole", "mean", "graph"}

    @property
    def epochs(self) -> int:
        """Epochs of all stages."""
        return sum(stage.epochs for stage in self.stages)


def read_recipe(path: Path, changes: Sequence[str] = ()) -> Recipe:
    """The recipe that `recipefile.read_raw` finds at `path`; raises `RecipeError` with every fault at once."""
    try:
        return Recipe.model_validate(read_raw(path, changes))
    except ValidationError as error:
        raise RecipeError(f"{path} is no recipe: {_faults(error)}") from None


def _faults(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'recipe'}: {fault['msg']}" for fault in error.errors())

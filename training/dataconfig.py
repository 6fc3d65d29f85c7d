"""A recipe's choices of slices: which are used, and for what."""

from typing import Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from training.strict import Strict

UNKNOWN_TUMOR = "tumor"
"""Label of a slice that shows a tumour of unknown type: any class but `no_tumor` is right."""


class DataConfig(Strict):
    """Which slices are used, and for what."""

    datasets: tuple[str, ...]
    licence: str
    split_by: str = Field(description="How the folds were made, in words for the card.")
    split: Literal["published", "group", "random", "official"] = Field(
        "published", description="Who makes the folds; see `training.data.arrange`."
    )
    folds: PositiveInt = Field(5, description="Folds that are dealt where none are published.")
    seed: int | None = Field(None, description="What they are dealt by; none: the recipe's own seed.")
    relabel: dict[str, str] = Field({}, description="Labels to be read as another one, such as glioma: tumor.")
    leave_out: tuple[str, ...] = Field((), description="Datasets that no fold holds: measured whole, as a new source.")
    keep: Literal["original", "copy"] = Field(
        "original", description="Of a picture and its copy in another dataset; the original goes with its whole group."
    )
    train_folds: tuple[int, ...]
    val_folds: tuple[int, ...]
    test_folds: tuple[int, ...]
    refit: bool = Field(False, description="Whether the validation folds are learnt too, once choices are made.")
    shares: dict[str, PositiveFloat] = Field(description="Share of each label in an epoch; they need not sum to 1.")
    epoch_slices: PositiveInt = Field(description="Slices drawn an epoch.")
    outlines: dict[str, str] = Field({}, description="Tumour outlines of a dataset, a JSON file below the data folder.")

    @model_validator(mode="after")
    def _folds_are_disjoint(self) -> Self:
        folds = self.train_folds + self.val_folds + self.test_folds
        if len(set(folds)) != len(folds):
            raise ValueError("a fold is used by two splits")
        if not all(1 <= fold <= self.folds for fold in folds):
            raise ValueError(f"folds are numbered from 1 to {self.folds}")
        return self

    @property
    def learnt_folds(self) -> tuple[int, ...]:
        """What is learnt from: the training folds, and of a refit the validation folds."""
        return self.train_folds + (self.val_folds if self.refit else ())

    @property
    def validated_folds(self) -> tuple[int, ...]:
        """The validation folds; none of a refit, which learns them."""
        return () if self.refit else self.val_folds

    @model_validator(mode="after")
    def _left_out_is_there(self) -> Self:
        if set(self.leave_out) - set(self.datasets):
            raise ValueError("leave_out names a dataset that is not among the datasets")
        return self

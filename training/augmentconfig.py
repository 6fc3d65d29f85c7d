"""A recipe's choices of what may happen to a training slice."""

from typing import Annotated

from pydantic import Field, NonNegativeFloat, PositiveFloat

from training.strict import Share, Span, Strict


class AugmentConfig(Strict):
    """How far a training slice may move from the original; see `training.data.augment`."""

    source_scale: PositiveFloat = Field(1.25, description="Resolution of the stored slice over the network's.")
    mirror: Share = 0.5
    rotation: NonNegativeFloat = Field(15.0, description="Largest angle, degrees.")
    angles: tuple[float, ...] = Field((), description="Degrees, one of which each slice is turned by besides.")
    shift: Span = Field(0.06, description="Largest shift, share of the side.")
    zoom: Span = Field(0.15, description="Largest zoom in or out, as |ln scale|.")
    stretch: Span = Field(0.1, description="Largest change of aspect, as |ln ratio|.")
    gamma: NonNegativeFloat = Field(0.4, description="Largest |ln gamma|.")
    contrast: Span = Field(0.25, description="Largest change of contrast and brightness, share of the range.")
    remap: Share = Field(0.3, description="Share of slices whose grey levels pass a random monotone or folded curve.")
    invert: Share = Field(
        0.0, description="Share of slices whose tissue's grey levels are turned over, as T2 does T1's."
    )
    invert_open: bool = Field(
        False, description="Whether any type of tumour is right on such a slice, since none can be told."
    )
    cut: Share = Field(0.0, description="Share of slices cut to a part of themselves, with or without the tumour.")
    graft: Share = Field(0.0, description="Share of slices whose tumour is covered, or that get another slice's.")
    alike: bool = Field(False, description="Whether tissue to cover with is the likest slice's, not the other side's.")
    infiltrating: tuple[str, ...] = Field(
        (), description="Classes that reach beyond their outline: never covered, and a cut beside them proves nothing."
    )
    match: Share = Field(0.0, description="Share of slices that take over the grey levels of another one of the batch.")
    bias: Span = Field(0.0, description="Strength of a smooth shading, as |ln gain|.")
    blur: Share = Field(0.3, description="Share of slices that lose resolution.")
    detail: Annotated[float, Field(gt=0, lt=0.8)] = Field(0.4, description="Least resolution that such a slice keeps.")
    noise: Span = Field(0.02, description="Largest standard deviation of added noise, share of the range.")
    turn: Share = Field(0.0, description="Share of slices turned by a quarter, a half or three quarters.")
    strip: Share = Field(0.0, description="Share of slices that lose their skull.")
    saturate: Share = Field(0.0, description="Share of slices so bright that part of them is white.")
    frame: Share = Field(0.0, description="Share of slices that get a margin.")
    mixup: NonNegativeFloat = Field(0.0, description="Both parameters of mixup's Beta distribution; 0 mixes nothing.")
    cutmix: NonNegativeFloat = Field(0.0, description="The same of CutMix's; one of the two at most.")

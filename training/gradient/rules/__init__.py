"""How a gradient passes back through each operator, one short function each."""

from training.gradient.rules import (
    activations,
    arithmetic,
    convolution,
    layout,
    linear,
    pooling,
    reduction,
    resizing,
)
from training.gradient.rules.rule import Rule

BY_DATA: dict[str, Rule] = {
    **activations.RULES,
    **convolution.RULES,
    **layout.RULES,
    **pooling.RULES,
    **reduction.RULES,
    **resizing.RULES,
    **linear.BY_DATA,
    **arithmetic.BY_DATA,
}
"""Operators through which a gradient reaches the first input alone; weights, axes and sizes are constants."""

BY_ANY: dict[str, Rule] = {**arithmetic.BY_ANY, **linear.BY_ANY, **layout.BY_ANY}
"""Operators through which a gradient reaches every input."""

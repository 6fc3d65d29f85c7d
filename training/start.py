"""What a run starts from: the network at its first weights, and the optimizer that moves them."""

from collections.abc import Callable

import torch
from torch import nn

from service.contract.probabilities import NO_TUMOR
from training.checkpoint import BEST
from training.config import OptimizerConfig, Recipe
from training.data.index import sha256_of
from training.errors import RecipeError
from training.networks.channels import cut_channels
from training.networks.classifier import Classifier
from training.networks.folded import load_graph
from training.networks.plain import PlainNetwork
from training.networks.weights import load_backbone, load_convolutions, load_mean, load_whole

PRETRAINED = "pretrained"
LOADERS: dict[str, Callable[..., None]] = {
    "trunk": load_backbone,
    "convolutions": load_convolutions,
    "whole": load_whole,
    "mean": load_mean,
    "graph": load_graph,
}


def bare_network(recipe: Recipe, *, pretrained: bool = False) -> Classifier:
    """The recipe's network before any weights are loaded, without the channels that were cut away."""
    network = Classifier(
        recipe.architecture,
        len(recipe.class_names),
        size=recipe.size,
        dropout=recipe.dropout,
        drop_path=recipe.drop_path,
        widths=recipe.widths,
        dense=recipe.dense,
        sigmoid=recipe.head == "sigmoid",
        absent=recipe.class_names.index(NO_TUMOR) if recipe.cells else None,
        doubt=recipe.doubt,
        pretrained=pretrained,
    )
    if recipe.channels:
        cut_channels(network, recipe.channels, recipe.size)
    return network


def new_network(recipe: Recipe) -> Classifier:
    """The recipe's network at its starting weights; raises `RecipeError` where those do not fit."""
    network = bare_network(recipe, pretrained=recipe.weights == PRETRAINED)
    if isinstance(network.backbone, PlainNetwork) and any(stage.size != recipe.size for stage in recipe.stages):
        raise RecipeError(f"{recipe.architecture} has weights for one size: every stage must train at {recipe.size}")
    if recipe.starts:
        try:
            LOADERS[recipe.weights_as](network, *recipe.starts)
        except ValueError as error:
            raise RecipeError(str(error)) from None
    return network.freeze() if recipe.freeze else network


def name_weights(recipe: Recipe) -> str:
    """Where the weights are from, for the card: a file with its digest, timm's download, or random; and who taught."""
    teachers = ", ".join(f"{home.name} (sha256 {sha256_of(home / BEST)[:12]})" for home in recipe.distill.teachers)
    return f"{_first_weights(recipe)}; taught by {teachers}" if teachers else _first_weights(recipe)


def _first_weights(recipe: Recipe) -> str:
    if recipe.weights is None:
        return "random"
    if recipe.weights == PRETRAINED:
        return f"timm's download for {recipe.architecture}"
    kind = "" if recipe.weights_as == "trunk" else f"{recipe.weights_as} of "
    depth = 3 if recipe.weights_as == "graph" else 1
    names = {path: "/".join(path.parts[-depth:]) for path in recipe.starts}
    return kind + " and ".join(f"{name} (sha256 {sha256_of(path)[:12]})" for path, name in names.items())


def new_optimizer(network: Classifier, outline: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """The optimizer; the fresh heads learn faster, biases and norms do not decay (Loshchilov & Hutter 2019)."""
    rate, groups = config.learning_rate, []
    for part, factor in (
        (network.backbone, 1.0),
        (network.head, config.head_factor),
        (outline, config.head_factor),
    ):
        for decays in (True, False):
            chosen = [p for p in part.parameters() if (p.ndim > 1) == decays and p.requires_grad]
            decay = config.weight_decay if decays else 0.0
            groups.append({"params": chosen, "lr": rate * factor, "weight_decay": decay})
    if config.kind == "sgd":
        return torch.optim.SGD(groups, momentum=config.momentum)
    kind = torch.optim.AdamW if config.kind == "adamw" else torch.optim.Adam
    return kind(groups, fused=True)


class Zeros:
    """The weights of a network that are 0 now, to be put back to 0 after each step; nothing unless `kept`."""

    def __init__(self, network: nn.Module, *, kept: bool) -> None:
        weights = [parameter for parameter in network.parameters() if kept and parameter.ndim > 1]
        self._kept = [(weight, weight.detach() != 0) for weight in weights]

    @torch.no_grad()
    def restore(self) -> None:
        """Put them back."""
        for weight, kept in self._kept:
            weight.mul_(kept)

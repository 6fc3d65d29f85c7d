"""One step of learning: a batch's gradients, part by part and process by process, and what they move."""

from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from training.average import new_average
from training.batches import Batch
from training.config import Recipe
from training.memory import Parts
from training.networks.classifier import Classifier
from training.objective import part_loss
from training.processes import Processes
from training.schedule import Schedule
from training.start import Zeros, new_optimizer
from training.teachers import Teachers


class Learner:
    """A network with all that moves its weights, and the moving average of them, which is what is measured."""

    def __init__(
        self, network: Classifier, recipe: Recipe, processes: Processes, *, steps: int, teachers: Teachers | None = None
    ) -> None:
        """`steps` an epoch."""
        self.network, self._config, self._processes = network, recipe.optimizer, processes
        self._teachers = teachers or Teachers([], recipe.distill)
        self.average = new_average(network, self._config)
        self.outline = network.new_outline_head().to(processes.device)
        self.optimizer = processes.machine.prepare_optimizer(new_optimizer(network, self.outline, self._config))
        self.schedule = Schedule(self.optimizer, self._config, steps, recipe.epochs)
        self.parts = Parts(self._config.micro_batch)
        self._zeros = Zeros(network, kept=recipe.keep_zeros)

    def step(self, whole: Batch) -> tuple[list[Tensor], Tensor, Tensor]:
        """Learn from a batch; gives its loss in parts, the logits (n, classes) of this process and their answers."""
        mine, machine = self._processes.share(whole), self._processes.machine
        done = self.parts.run(len(mine.slices), partial(self._add_gradients, whole, mine), self.optimizer.zero_grad)
        self._processes.sum_gradients((*self.network.parameters(), *self.outline.parameters()))
        machine.clip_grad_norm_(self.network.parameters(), self._config.clip)
        self.optimizer.step()
        self._zeros.restore()
        self.schedule.step()
        self.average.update_parameters(self.network)
        logits = torch.cat([logits for _, logits in done]) if done else torch.zeros(0, whole.allowed.shape[1])
        return [loss for loss, _ in done], logits, mine.answers

    def _add_gradients(self, whole: Batch, mine: Batch, chosen: slice) -> tuple[Tensor, Tensor]:
        part = mine.part(chosen).to(self._processes.device)
        with self._processes.mixed_precision():
            (logits, _), features = self.network.with_features(part.slices)
            drawn = self.outline(features)
            taught = self._teachers.teach(part.slices)
        loss = part_loss(logits.float(), drawn.float(), part, whole, self._config, taught=taught)
        self._processes.machine.backward(loss)
        return loss.detach(), logits.detach().cpu()

    @property
    def averaged(self) -> Classifier:
        """The network at the average of its weights."""
        return cast("Classifier", self.average.module)

    @property
    def drawing(self) -> nn.Module:
        """What draws outlines: the averaged network's own cells, or else a part of no average."""
        return self.averaged.cells or self.outline

    @property
    def rate(self) -> float:
        """The backbone's learning rate."""
        return float(self.optimizer.param_groups[0]["lr"])

    def best(self) -> dict[str, Any]:
        """What is kept of the best epoch: the averaged network, and what draws outlines where it has learnt to."""
        drawing = {"outline": self.drawing.state_dict()} if self._config.outlines_count else {}
        return {"network": self.averaged.state_dict()} | drawing

    def state(self) -> dict[str, Any]:
        """What a resumed run needs, by name; parts too, whose size batch norms and dropout depend on."""
        return {name: part.state_dict() for name, part in self._states().items()} | {"parts": self.parts.size}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        for name, part in self._states().items():
            part.load_state_dict(state[name])
        self.parts.size = state.get("parts", self.parts.size)

    def _states(self) -> dict[str, Any]:
        named = {"network": self.network, "outline": self.outline, "average": self.average}
        scaler = self._processes.machine.scaler
        return named | {"optimizer": self.optimizer, "schedule": self.schedule} | ({"scaler": scaler} if scaler else {})

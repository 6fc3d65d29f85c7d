"""One training on one or many devices: what Hugging Face accelerate finds, and the little that is added to it.

Every process draws the same batches and computes its share of each, mixed in proportions of its own; gradients are
summed once a step, after all parts of a share, so that a process may halve its parts without the others waiting for a
gradient that never comes.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Literal

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn

from training.batches import Batch
from training.data.slices import Slices
from training.depthwise import SingleGradients


class Processes:
    """This process among all that train, which may be just one."""

    def __init__(self, precision: Literal["no", "fp16", "bf16"] | None = None) -> None:
        AcceleratorState._reset_state()  # which would keep the precision of what this process trained before
        self.machine = Accelerator(mixed_precision=precision)
        self.device: torch.device = self.machine.device
        self.count: int = self.machine.num_processes
        self.index: int = self.machine.process_index
        self.first = self.index == 0
        """Whether this one writes the files."""

    @contextmanager
    def mixed_precision(self) -> Iterator[None]:
        """Within it networks compute in the precision asked for, wherever that loses nothing that learning needs."""
        slow = self.device.type == "cpu" and self.machine.mixed_precision == "bf16"
        with self.machine.autocast(), SingleGradients() if slow else nullcontext():
            yield

    def share(self, batch: Batch) -> Batch:
        """This process's slices of a batch."""
        return batch if self.count == 1 else batch.part(slice(self.index, None, self.count))

    def reseed(self, seed: int, epoch: int) -> None:
        """Let dropout differ from process to process; the first one goes on as if it were alone."""
        if not self.first:
            torch.manual_seed(hash((seed, self.index, epoch)) % 2**63)

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes, on the CPU."""
        if self.count == 1:
            return values
        summed: Tensor = self.machine.reduce(values.to(self.device), "sum")
        return summed.cpu()

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Give every process the sum of all gradients; none counts as 0."""
        if self.count == 1:
            return
        learning = [parameter for parameter in parameters if parameter.requires_grad]
        for parameter in learning:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in learning if parameter.grad is not None]
        summed = self.machine.reduce(torch.cat([gradient.flatten() for gradient in gradients]), "sum")
        for gradient, part in zip(gradients, summed.split([each.numel() for each in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def average_buffers(self, *networks: nn.Module) -> None:
        """Give every process the mean of the batch norms' statistics, which each gathered on its own share."""
        if self.count > 1:
            for buffer in (each for network in networks for each in network.buffers() if each.is_floating_point()):
                buffer.copy_(self.machine.reduce(buffer, "mean"))

    def share_out(self, slices: Slices, answer: Callable[[Slices], Tensor]) -> Tensor:
        """What `answer` gives for all slices, on the CPU: each process answers some, every process gets the whole."""
        if self.count == 1:
            return answer(slices)
        mine = np.arange(len(slices.rows)) % self.count == self.index
        answered = answer(slices.select(mine)).to(self.device)
        together = self.machine.gather(self.machine.pad_across_processes(answered, dim=0))
        dealt = together.view(self.count, -1, *together.shape[1:]).transpose(0, 1)
        whole: Tensor = dealt.reshape(-1, *together.shape[1:])[: len(slices.rows)].cpu()
        return whole

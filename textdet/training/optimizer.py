"""The optimizer: Muon for the network's matrices, AdamW for everything else; its flags."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from static import constants as C
from textdet.network.runtimes import has_fast_bf16

# Keller Jordan's coefficients: each step takes x to a x + b x^3 + c x^5, 1 is not far from fixed.
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
FLAGS = ("lr", "weight_decay", "betas", "eps")  # of a group of parameters, that a user can change


class MuonAdamW(torch.optim.AdamW):
    """Muon (K. Jordan et al., 2024, https://kellerjordan.github.io/posts/muon) for the weights that
    mix C.MUON_CHANNELS channels or more, AdamW for the others.

    Muon takes the momentum of a matrix's gradient, makes its singular values about equal, and goes
    one step of that direction, so that rare directions are learned as fast as frequent ones. A step
    is as long as AdamW's usually is, as in J. Liu et al., "Muon is scalable for LLM training"
    (arXiv:2502.16982): learning rates and weight decay made for AdamW can stay. Convolutions'
    kernels are taken as matrices of (output channels, the rest); torch.optim.Muon refuses them.

    Params:
        parameters: those that need no gradient are left out.
        lr: the learning rate, of both.
        weight_decay: of what has more than one dimension.
        more: AdamW's own.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float, **more: Any
    ):
        parameters = [p for p in parameters if p.requires_grad]
        groups = [
            {"params": [p for p in parameters if is_mixing(p)], "muon": True},
            {"params": [p for p in parameters if not is_mixing(p) and p.ndim > 1]},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        groups = [{"muon": False, **group} for group in groups if group["params"]]
        super().__init__(groups, lr=lr, weight_decay=weight_decay, **more)

    @torch.no_grad()
    def step(self, closure: Callable[[], torch.Tensor] | None = None) -> torch.Tensor | None:
        """Take one step. It uses up the gradients of Muon's weights: AdamW skips what has none.

        Params:
            closure: computes the loss and the gradients again; None where they are there.

        Returns:
            The closure's loss; None without one.
        """
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            if group["muon"]:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        self._step(parameter, group["lr"], group["weight_decay"])
                        parameter.grad = None
        super().step()
        return loss

    def _step(self, parameter: nn.Parameter, lr: float, weight_decay: float) -> None:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
            state["step"] = torch.zeros(())  # AdamW looks for it when a state is loaded
        state["momentum"].lerp_(parameter.grad, 1 - C.MUON_MOMENTUM)
        ahead = parameter.grad.lerp(state["momentum"], C.MUON_MOMENTUM)  # Nesterov's
        direction = orthogonalise(ahead.flatten(1))
        length = 0.2 * max(direction.shape) ** 0.5  # so that its elements' RMS is about 0.2
        parameter.mul_(1 - lr * weight_decay)
        parameter.add_(direction.reshape(parameter.shape), alpha=-lr * length)


def is_mixing(parameter: nn.Parameter) -> bool:
    """Whether a weight is a matrix or a kernel between many channels: no depthwise kernel, none of
    the image's three channels or the labels' two.
    """
    return parameter.ndim > 1 and min(parameter.shape[:2]) >= C.MUON_CHANNELS


def orthogonalise(matrix: torch.Tensor) -> torch.Tensor:
    """Make the singular values of a matrix about equal, by Newton-Schulz iterations.

    The iterations run in bfloat16, which is exact enough, where that is fast.

    Params:
        matrix: (m, n) float.

    Returns:
        (m, n) of the same type, with the same singular vectors and singular values of 0.7 to 1.2;
        smaller where they were below a thousandth of the largest.
    """
    a, b, c = NEWTON_SCHULZ
    is_tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if is_tall else matrix
    x = x / x.norm().clamp(min=1e-7)  # no singular value above 1
    if has_fast_bf16(x.device):
        x = x.bfloat16()
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if is_tall else x).to(matrix.dtype)


class OtherOptimizer(ValueError):
    """A checkpoint's state is that of another optimizer."""


def keep_flags(optimizer: torch.optim.Optimizer) -> None:
    """Let the learning rate and the like with which an optimizer was made count after it has loaded
    a checkpoint's state, which has those of the command before.

    Params:
        optimizer: gets two hooks; from then on its load_state_dict raises OtherOptimizer for the
            state of another optimizer.
    """
    sizes = [len(group["params"]) for group in optimizer.param_groups]
    given = [
        {name: group[name] for name in FLAGS if name in group} for group in optimizer.param_groups
    ]
    names = set(optimizer.param_groups[0])

    def check(_, state: dict) -> None:
        found = [len(group["params"]) for group in state["param_groups"]]
        if found != sizes:
            raise OtherOptimizer(f"with {found} weights a group, not {sizes}")

    def restore(loaded: torch.optim.Optimizer) -> None:
        for group, flags in zip(loaded.param_groups, given, strict=True):
            if missing := names - group.keys():  # which the optimizer has not filled in, either
                raise OtherOptimizer(f"without {', '.join(sorted(missing))}")
            group.update(flags, initial_lr=flags["lr"])

    optimizer.register_load_state_dict_pre_hook(check)
    optimizer.register_load_state_dict_post_hook(restore)

"""Batch norm over the batches of all ranks: the statistics of a layer in training mode are those of the global batch.

Layers keep their class, names and buffers; only what their forward pass asks of `functional.batch_norm` is answered
otherwise, so that layers with a forward pass of their own (norm and activation in one) are synchronised, too.
On CUDA by the function of `torch.nn.SyncBatchNorm`; that has no form for gloo, so elsewhere by the one here.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode


def synchronise(model: nn.Module) -> int:
    """Let every batch norm of the model see the batches of all ranks; returns how many there are."""
    found = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    for module in found:
        module.forward = MethodType(_forward, module)  # type: ignore[method-assign]
    return len(found)


def _forward(self: nn.Module, *args: Any) -> Any:
    if not self.training:
        return type(self).forward(self, *args)
    with _Answered():
        return type(self).forward(self, *args)


class _Answered(TorchFunctionMode):
    """Inside, `functional.batch_norm` in training mode is `batch_norm`."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is functional.batch_norm:
            return batch_norm(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """`functional.batch_norm` with the statistics of all ranks.

    Args:
        x: (N, C, ...), this rank's rows.
        running_mean, running_var: (C,), moved by `momentum` to the global mean and the unbiased global variance.

    Raises:
        ValueError: one value per channel over all ranks.
    """
    if not training:
        return functional.batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
    if x.is_cuda:
        from torch.nn.modules._functions import SyncBatchNorm

        return SyncBatchNorm.apply(
            x, weight, bias, running_mean, running_var, eps, momentum, dist.group.WORLD, dist.get_world_size()
        )
    return _Normalised.apply(x, weight, bias, running_mean, running_var, momentum, eps)


class _Normalised(torch.autograd.Function):
    """y = (x - mean) / sqrt(var + eps) * weight + bias, mean and var over all ranks.

    Each rank's mean and sum of squared deviations are combined by Chan, Golub and LeVeque (1983), so that no large
    squares are subtracted. Backwards, the means of the gradient and of gradient times y over the global batch.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, running_mean: Tensor | None,
        running_var: Tensor | None, momentum: float, eps: float,
    ) -> Tensor:  # fmt: skip
        over, form = [0, *range(2, x.ndim)], [1, -1, *[1] * (x.ndim - 2)]
        wide = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
        count = wide.numel() // wide.shape[1]
        var, mean = torch.var_mean(wide, over, correction=0)
        table = wide.new_zeros(dist.get_world_size(), 2 * len(mean) + 1)
        table[dist.get_rank()] = torch.cat([mean, var * count, mean.new_tensor([count])])
        dist.all_reduce(table)
        means, squares, counts = table.split([len(mean), len(mean), 1], 1)
        total = float(counts.sum())
        if total < 2:
            raise ValueError(f"Expected more than 1 value per channel when training, got input size {tuple(x.shape)}")
        mean = (means * counts).sum(0) / total
        var = (squares + counts * (means - mean).square()).sum(0) / total
        if running_mean is not None:
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
        if running_var is not None:
            running_var.lerp_((var * (total / (total - 1))).to(running_var.dtype), momentum)
        inverse = (var + eps).rsqrt()
        normal = (wide - mean.view(form)) * inverse.view(form)
        ctx.save_for_backward(normal, inverse, weight)
        ctx.over, ctx.form, ctx.total = over, form, total
        out = normal if weight is None else normal * weight.view(form)
        out = out if bias is None else out + bias.view(form)
        return out.clone() if out is normal else out.to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        normal, inverse, weight = ctx.saved_tensors
        wide = gradient.to(normal.dtype)
        along = torch.stack([wide.sum(ctx.over), (wide * normal).sum(ctx.over)])
        own = along.clone()
        dist.all_reduce(along)
        mean, slope = (along / ctx.total).view(2, *ctx.form)
        scale = inverse if weight is None else inverse * weight
        x = (wide - mean - normal * slope) * scale.view(ctx.form)
        for_weight = own[1] if ctx.needs_input_grad[1] else None
        for_bias = own[0] if ctx.needs_input_grad[2] else None
        return x.to(gradient.dtype), for_weight, for_bias, None, None, None, None

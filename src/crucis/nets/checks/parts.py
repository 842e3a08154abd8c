"""Checks of single components: is each used, what does each cost, and is nothing left when all are out?"""

from __future__ import annotations

import time
from collections.abc import Mapping
from statistics import median, quantiles

import torch
from torch import nn

from .subject import Finding, Subject, Weights, drawn, loss_of, shaken, shared

TOLERANCE = 1e-5  # relative to the largest number of the tensor; the order of a sum may differ between two builds
ROUNDS = 11


def used(subject: Subject) -> list[Finding]:
    """Leaving a component out changes the outputs of the same weights, in training or in evaluation."""
    whole = shaken(subject.net())
    out = []
    for name, word in subject.components.items():
        less = subject.net({name: word})
        kept = shared(whole, less)
        gaps = {}
        for mode in (True, False):
            whole.train(mode), less.train(mode)
            with torch.no_grad():
                first, second = (loss_of(net, subject.x, subject.y)[0] for net in (whole, less))
            gaps["training" if mode else "evaluation"] = float((first - second).abs().max())
        changes = max(gaps.values()) > 0
        words = ", ".join(f"{gap:.3g} in {mode}" for mode, gap in gaps.items())
        says = f"{word} changes the logits by at most {words} ({len(kept)} tensors shared)"
        if not changes:
            says = f"{word} changes nothing: the logits stay bit for bit the same, so the component is never used"
        out.append(Finding("used", subject.name, "ok" if changes else "bad", says, name, gaps))
    return out


def costs(subject: Subject) -> list[Finding]:
    """Parameters, seconds and memory of a forward and backward pass, and what each component has of them.

    Medians of rounds that take the arms in turn, so that a busy machine slows all of them alike. Memory is what the
    forward pass keeps for the backward pass.
    """
    arms: dict[str, Mapping[str, str]] = {"": {}, **{name: {name: word} for name, word in subject.components.items()}}
    nets = {name: subject.net(without) for name, without in arms.items()}
    seconds: dict[str, list[float]] = {name: [] for name in nets}
    for _ in range(ROUNDS + 1):
        for name, net in nets.items():
            begun = time.perf_counter()
            net.zero_grad()
            loss_of(net, subject.x, subject.y)[1].backward()
            seconds[name].append(time.perf_counter() - begun)
    spent = {name: median(times[1:]) for name, times in seconds.items()}  # the first round warms up
    kept = {name: _kept(net, subject) for name, net in nets.items()}
    size = {name: sum(p.numel() for p in net.parameters()) for name, net in nets.items()}
    pace = f"{spent[''] * 1e3:.2f} ms and {kept[''] / 2**20:.2f} MiB per {len(subject.x)} examples"
    whole = f"{size['']:,} parameters, {pace}, forward and backward"
    out = [Finding("costs", subject.name, "note", whole, "", _row(size[""], spent[""], kept[""]))]
    for name in subject.components:
        gaps = [whole_s - less for whole_s, less in zip(seconds[""][1:], seconds[name][1:], strict=True)]
        low, middle, high = quantiles(gaps, n=4)  # of pairs in one round, which a busy machine slows alike
        parameters, memory = size[""] - size[name], kept[""] - kept[name]
        time_s = f"{middle * 1e3:+.2f} ms (half of the rounds {low * 1e3:+.2f} to {high * 1e3:+.2f})"
        says = f"{parameters:+,} parameters, {time_s}, {memory / 2**20:+.2f} MiB"
        out.append(Finding("costs", subject.name, "note", says, name, _row(parameters, middle, memory)))
    return out


def _row(parameters: int, seconds: float, memory: int) -> dict[str, float]:
    return {"parameters": parameters, "seconds": seconds, "memory": memory}


def _kept(net: nn.Module, subject: Subject) -> int:
    """Bytes of activations that the forward pass saves; each storage once, weights not counted."""
    weights = {p.untyped_storage().data_ptr() for p in (*net.parameters(), *net.buffers())}
    found: dict[int, int] = {}
    alive = []  # a storage that is freed may give its address to the next

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            found[storage.data_ptr()] = storage.nbytes()
        alive.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss_of(net, subject.x, subject.y)
    return sum(found.values())


def baseline(subject: Subject) -> list[Finding]:
    """With everything left out the method is the baseline: outputs and gradients from mapped weights.

    Weights carry noise, so that nothing is equal by starting at zero. Both modes are compared, and after them the
    buffers that a training pass moves.
    """
    if not subject.components:
        return []
    if subject.baseline is None:
        says = "nobody says what the baseline is; write BASELINE in the net's file or baseline: in the generator"
        return [Finding("baseline", subject.name, "note", says)]
    method, base = shaken(subject.net(subject.components)), drawn(subject.baseline, subject.seed)
    alike = _alike(subject.net(subject.components), base)
    try:
        weights, how = mapped(method, base, subject.map_weights)
        base.load_state_dict(weights)
    except (ValueError, RuntimeError) as error:
        return [Finding("baseline", subject.name, "bad", f"weights do not map to {subject.baseline_name}: {error}")]
    gaps = _gaps(subject, method, base, subject.map_weights)
    worst = max(gaps, key=lambda name: gaps[name])
    what = f"everything left out against {subject.baseline_name} (weights mapped {how})"
    values = {"difference": gaps[worst], "where": worst, "same_start": alike}
    if gaps[worst] == 0:
        start = ", and a seed gives both the same initial weights" if alike else ""
        says = f"{what}: outputs and gradients equal bit for bit{start}"
    else:
        says = f"{what}: largest difference {gaps[worst]:.3g} of the largest number, in {worst}; allowed {TOLERANCE:g}"
    return [Finding("baseline", subject.name, "ok" if gaps[worst] <= TOLERANCE else "bad", says, "", values)]


def mapped(method: nn.Module, base: nn.Module, rule: object = None) -> tuple[Weights, str]:
    """The method's weights under the baseline's names, and how they were found: by a rule, by name, in order.

    Raises:
        ValueError: no rule is given, and neither names nor the order of shapes agree.
    """
    mine, theirs = method.state_dict(), base.state_dict()
    if callable(rule):
        return dict(rule(mine)), "by map_weights"
    if mine.keys() == theirs.keys() and all(mine[name].shape == theirs[name].shape for name in theirs):
        return mine, "by name"
    if [value.shape for value in mine.values()] == [value.shape for value in theirs.values()]:
        return dict(zip(theirs, mine.values(), strict=True)), "in order"
    one = next((name for name in mine if name not in theirs or mine[name].shape != theirs[name].shape), "nothing")
    raise ValueError(
        f"{len(mine)} tensors and {len(theirs)}, the first without counterpart '{one}'. Give equal names, the same "
        "order of shapes, or a function map_weights(state) beside build"
    )


def _alike(method: nn.Module, base: nn.Module) -> bool:
    mine, theirs = list(method.state_dict().values()), list(base.state_dict().values())
    return len(mine) == len(theirs) and all(map(torch.equal, mine, theirs)) if _same_shapes(mine, theirs) else False


def _same_shapes(mine: list[torch.Tensor], theirs: list[torch.Tensor]) -> bool:
    return [value.shape for value in mine] == [value.shape for value in theirs]


def _gaps(subject: Subject, method: nn.Module, base: nn.Module, rule: object) -> dict[str, float]:
    """What was compared -> largest difference relative to the largest number."""
    out = {}
    for mode in ("training", "evaluation"):
        found = []
        for net in (method, base):
            net.train(mode == "training").zero_grad()
            logits, loss = loss_of(net, subject.x, subject.y)
            loss.backward()
            found.append((logits.detach(), {name: p.grad for name, p in net.named_parameters() if p.grad is not None}))
        (first, mine), (second, theirs) = found
        out[f"the logits in {mode}"] = _gap(first, second)
        out |= {f"the gradient of {name} in {mode}": gap for name, gap in _gradients(method, base, mine, theirs, rule)}
    moved, _ = mapped(method, base, rule)
    out |= {f"the state {name} after a pass": _gap(moved[name], value) for name, value in base.state_dict().items()}
    return out


def _gradients(
    method: nn.Module, base: nn.Module, mine: Weights, theirs: Weights, rule: object
) -> list[tuple[str, float]]:
    """Gradients map as weights do, because a mapping of weights only renames and reshapes."""
    state = {name: torch.zeros_like(value) for name, value in method.state_dict().items()}
    whole = {name: mine.get(name, value) for name, value in state.items()}
    if callable(rule):
        moved = dict(rule(whole))
    else:
        names, keys = list(base.state_dict()), list(state)
        moved = whole if names == keys or set(names) == set(keys) else dict(zip(names, whole.values(), strict=True))
    return [(name, _gap(moved[name], theirs[name])) for name in theirs]


def _gap(first: torch.Tensor, second: torch.Tensor) -> float:
    if first.shape != second.shape:
        return float("inf")
    a, b = first.double(), second.double()
    scale = max(float(a.abs().max()), float(b.abs().max())) if a.numel() else 0.0
    gap = float((a - b).abs().max()) / scale if scale > 0 else 0.0
    return gap if gap == gap else float("inf")

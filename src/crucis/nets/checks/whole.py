"""Checks of a network as a whole: shapes, gradients, stability, determinism, the first loss, one batch by heart."""

from __future__ import annotations

import math
import time

import torch
from torch import Tensor
from torch.nn import functional

from ...streams import borrowed
from .subject import Finding, Subject, loss_of, owners, shaken

LARGE, SMALL = 1e3, 1e-6
FIRST_LOSS = 2.0  # times ln K: above it the network begins by being sure of something false
MEMORISED = 16  # examples that a sound network learns by heart
PATIENCE_S = 60.0


def shapes(subject: Subject) -> list[Finding]:
    """Logits (N, K) for a batch and for one example, with every component in and with each replacement."""
    arms: list[tuple[str, str]] = [("", "")]
    arms += [(name, word) for name, words in subject.offered.items() for word in words]
    out = []
    for name, word in arms:
        net = subject.net({name: word} if name else {}).eval()
        with torch.no_grad(), borrowed(7):
            got = tuple(net(subject.x).shape), tuple(net(subject.x[:1]).shape)
        wanted = (len(subject.x), subject.classes), (1, subject.classes)
        what = f"replaced by {word}: " if name else ""
        says = f"{what}{tuple(subject.x.shape)} gives {got[0]}"
        if got != wanted:
            says += f"; expected {wanted[0]}, and {wanted[1]} for one example, which gives {got[1]}"
        out.append(Finding("shapes", subject.name, "ok" if got == wanted else "bad", says, name))
    return out


def gradients(subject: Subject) -> list[Finding]:
    """The loss depends on every parameter of every component: no gradient is missing or zero throughout.

    Weights carry a little noise, because a part that starts at zero would hide what stands before it. A parameter
    counts as reached if its gradient is not zero in one of three such draws (a single draw may meet a dead unit).
    """
    reached: set[str] = set()
    unreached: dict[str, str] = {}
    sizes: dict[str, int] = {}
    for draw in range(3):
        net = shaken(subject.net(), draw)
        loss_of(net, subject.x, subject.y)[1].backward()
        for name, parameter in net.named_parameters():
            sizes[name] = parameter.numel()
            gradient = parameter.grad
            if gradient is not None and bool(gradient.any()) and bool(torch.isfinite(gradient).all()):
                reached.add(name)
            else:
                finite = gradient is None or bool(torch.isfinite(gradient).all())
                unreached[name] = "none" if gradient is None else "zero" if finite else "not finite"
    parts = owners(subject)
    rest = [name for name in sizes if not any(name in names for names in parts.values())]
    out = []
    for component, names in [("", rest), *parts.items()]:
        dead = [name for name in names if name not in reached]
        numbers = sum(sizes[name] for name in names)
        says = f"reaches {len(names) - len(dead)} of {len(names)} parameters ({numbers:,} numbers)"
        if not names:
            says = "has no parameters of its own (none goes when it alone is left out)"
        if dead:
            says += f"; not {', '.join(f'{name} ({unreached[name]})' for name in dead[:3])}"
            says += f" and {len(dead) - 3} more" if len(dead) > 3 else ""
        values = {"parameters": len(names), "numbers": numbers, "reached": len(names) - len(dead)}
        out.append(Finding("gradients", subject.name, "bad" if dead else "ok", says, component, values))
    return out


def stability(subject: Subject) -> list[Finding]:
    """Loss and gradients stay finite on large, small, constant and zero inputs, and in bf16 and fp16."""
    x = subject.x
    inputs = {
        f"inputs times {LARGE:g}": x * LARGE, f"inputs times {SMALL:g}": x * SMALL,
        "constant inputs": torch.ones_like(x), "zero inputs": torch.zeros_like(x),
    }  # fmt: skip
    out = [_finite(subject, name, each, None) for name, each in inputs.items()]
    return [*out, *(_finite(subject, str(kind).removeprefix("torch."), x, kind) for kind in _HALVES)]


_HALVES = (torch.bfloat16, torch.float16)


def _finite(subject: Subject, what: str, x: Tensor, half: torch.dtype | None) -> Finding:
    net = subject.net()
    try:
        with torch.autocast("cpu", dtype=half or torch.bfloat16, enabled=half is not None):
            logits, loss = loss_of(net, x, subject.y)
        loss.backward()
    except RuntimeError as error:
        first = str(error).splitlines()[0]
        return Finding("stability", subject.name, "bad", f"{what}: cannot be computed ({first})")
    bad = [] if bool(torch.isfinite(logits).all()) else ["logits"]
    bad += [] if bool(torch.isfinite(loss)) else ["loss"]
    bad += [name for name, p in net.named_parameters() if p.grad is not None and not bool(torch.isfinite(p.grad).all())]
    says = f"{what}: not finite: {', '.join(bad[:3])}" if bad else f"{what}: finite, loss {float(loss.detach()):.4g}"
    return Finding("stability", subject.name, "bad" if bad else "ok", says)


def determinism(subject: Subject) -> list[Finding]:
    """The same seed gives the same weights, the same weights give the same bits, another seed other weights."""
    first, again = subject.net(), subject.net()
    with borrowed(subject.seed + 1):
        other = subject.build({})
    mine, same, third = first.state_dict(), again.state_dict(), other.state_dict()
    moved = [name for name in mine if not torch.equal(mine[name], same[name])]
    runs = []
    for net in (first, again):
        logits, loss = loss_of(net, subject.x, subject.y)
        loss.backward()
        runs.append([logits.detach(), *(p.grad for p in net.parameters() if p.grad is not None)])
    differing = sum(not torch.equal(a, b) for a, b in zip(*runs, strict=True))
    out = [
        _verdict(subject, "determinism", not moved, "the same seed gives the same weights",
                 f"the same seed gives other weights in {', '.join(moved[:3])}"),
        _verdict(subject, "determinism", not differing, "two passes agree bit for bit, outputs and gradients",
                 f"two passes with equal weights differ in {differing} of {len(runs[0])} tensors"),
    ]  # fmt: skip
    if all(torch.equal(mine[name], third[name]) for name in mine):
        out.append(Finding("determinism", subject.name, "bad", "another seed gives the same weights"))
    return out


def initial_loss(subject: Subject) -> list[Finding]:
    """The first loss of a network that knows nothing is near ln K."""
    loss = float(loss_of(subject.net(), subject.x, subject.y)[1].detach())
    due = math.log(subject.classes)
    says = f"first loss {loss:.3f}, ln {subject.classes} = {due:.3f}"
    if not loss <= FIRST_LOSS * due:
        says += f"; above {FIRST_LOSS:g} times that the network begins by being sure of something false"
    values = {"loss": loss, "ln_classes": due}
    return [Finding("initial_loss", subject.name, "ok" if loss <= FIRST_LOSS * due else "bad", says, "", values)]


def memorises(subject: Subject, *, steps: int = 300, patience: float = PATIENCE_S) -> list[Finding]:
    """A few examples are learnt by heart (Adam, full batch): what cannot do this has a fault, not a bad setting."""
    x, y = subject.x[:MEMORISED], subject.y[:MEMORISED]
    begun, tried = 0.0, []
    for lr in (3e-3, 3e-2):
        net = subject.net().train()
        optimiser, best = torch.optim.Adam(net.parameters(), lr=lr), 0.0
        begun = begun or time.perf_counter()  # the first optimiser loads much of torch, which is no patience with a net
        for step in range(steps):
            optimiser.zero_grad()
            with borrowed(step):
                out = net(x)
            loss = functional.cross_entropy(out, y)
            loss.backward()
            optimiser.step()
            best = max(best, float((out.detach().argmax(1) == y).float().mean()))
            if best == 1 and float(loss.detach()) < 0.1:
                says = f"{len(y)} examples by heart after {step + 1} steps"
                return [Finding("memorises", subject.name, "ok", says, "", {"steps": step + 1, "accuracy": 1.0})]
            if time.perf_counter() - begun > patience:
                says = f"not decided within {patience:g} s ({step + 1} steps, {best:.0%} of {len(y)} examples)"
                return [Finding("memorises", subject.name, "note", says)]
        tried.append(best)
    says = f"learns only {max(tried):.0%} of {len(y)} examples by heart in {steps} steps"
    return [Finding("memorises", subject.name, "bad", says, "", {"steps": steps, "accuracy": max(tried)})]


def _verdict(subject: Subject, check: str, holds: bool, yes: str, no: str) -> Finding:
    return Finding(check, subject.name, "ok" if holds else "bad", yes if holds else no)

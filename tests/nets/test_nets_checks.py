"""Checks before training: sound networks pass, and each planted fault is found by its check."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from crucis.nets import convnet, refined_convnet
from crucis.nets.checks import parts, suite, whole
from crucis.nets.checks.subject import Finding, Subject
from crucis.streams import generator

CLASSES = 4
EVERY = {"shortcut": "remove", "gating": "remove", "norm": "baseline", "kernel": "remove", "attention": "baseline"}


def subject(build: Callable[[Mapping[str, str]], nn.Module], shape: tuple[int, ...] = (6,), **more: object) -> Subject:
    draw = generator(1, "test")
    y = torch.arange(32) % CLASSES
    return Subject("net", build, torch.randn(32, *shape, generator=draw), y, CLASSES, **more)  # type: ignore[arg-type]


def refined(shape: tuple[int, ...] = (1, 8, 8)) -> Subject:
    return subject(
        lambda without: refined_convnet.build(shape, CLASSES, widths=[8, 16], without=dict(without)), shape,
        components=EVERY, offered={"gating": ("remove", "identity")},
        baseline=lambda: convnet.build(shape, CLASSES, widths=[8, 16]), baseline_name="convnet",
    )  # fmt: skip


def bad(findings: list[Finding]) -> list[str]:
    return [f"{finding.check} {finding.component} {finding.says}" for finding in findings if finding.outcome == "bad"]


def dense() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, CLASSES))


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32)])
def test_the_shipped_method_is_the_baseline_with_everything_left_out(shape: tuple[int, ...]) -> None:
    (finding,) = parts.baseline(refined(shape))
    assert finding.outcome == "ok"
    assert finding.values["difference"] == 0
    assert finding.values["same_start"]


def test_a_sound_method_passes_everything() -> None:
    found = suite.run(refined())
    assert bad(found) == []
    assert {finding.check for finding in found} == set(suite.CHECKS)


def test_parameters_belong_to_the_component_with_which_they_go() -> None:
    found = {finding.component: finding.values.get("numbers") for finding in whole.gradients(refined())}
    gates = sum(2 * b * max(1, b // 4) + b + max(1, b // 4) for b in (8, 16))
    assert found["gating"] == gates
    assert found["kernel"] == 25 * (8 + 16)
    assert found["attention"] == 16
    assert found[""] == convnet.count((1, 8, 8), CLASSES, widths=[8, 16])


def test_costs_are_differences_of_counts_and_of_kept_activations() -> None:
    rows = {finding.component: finding.values for finding in parts.costs(refined())}
    for name, word in EVERY.items():
        less = refined_convnet.count((1, 8, 8), CLASSES, widths=[8, 16], without={name: word})
        assert rows[name]["parameters"] == rows[""]["parameters"] - less
    assert rows[""]["seconds"] > 0
    assert rows["gating"]["memory"] > 0


def test_memory_of_a_dense_layer_is_its_input() -> None:
    one = subject(lambda _: nn.Sequential(nn.Linear(6, CLASSES)))
    kept = parts.costs(one)[0].values["memory"]
    # the input (6 floats), the log-probabilities (4 floats), the labels (8 bytes) of 32 examples, and one weight sum
    assert 32 * (6 * 4 + CLASSES * 4 + 8) <= kept <= 32 * (6 * 4 + CLASSES * 4 + 8) + 64


class Gated(nn.Module):
    """A dense network whose `gate` may be forgotten, detached, wrong or random, by name."""

    def __init__(self, fault: str, gated: bool = True) -> None:
        super().__init__()
        self.body, self.head, self.fault = nn.Linear(6, 16), nn.Linear(16, CLASSES), fault
        self.gate = nn.Linear(16, 16) if gated else None

    def forward(self, x: Tensor) -> Tensor:
        y = torch.tanh(self.body(x))
        if self.gate is not None and self.fault != "forgotten":
            gate = torch.sigmoid(self.gate(y))
            y = y * (gate.detach() if self.fault == "detached" else gate)
        elif self.gate is None and self.fault == "leftover":
            y = 0.9 * y
        if self.fault == "root":
            y = y + torch.sqrt(nn.functional.linear(x, self.body.weight) ** 2)
        if self.fault == "random":
            y = y + 0.1 * torch.randn(y.shape, generator=torch.Generator().manual_seed(self._next()))
        if self.fault == "hot":
            y = 1000 * y
        out = self.head(y)
        return out.detach() + 0 * out if self.fault == "stuck" else out

    def _next(self) -> int:
        self._calls = getattr(self, "_calls", id(self) % 1000) + 1
        return self._calls


def gated(fault: str) -> Subject:
    return subject(
        lambda without: Gated(fault, "gate" not in without), components={"gate": "remove"},
        offered={"gate": ("remove",)},
        baseline=lambda: Gated("", gated=False), baseline_name="plain",
    )  # fmt: skip


def test_the_gated_network_is_sound_without_a_fault() -> None:
    assert bad(suite.run(gated(""))) == []


@pytest.mark.parametrize(
    ("fault", "check", "words"),
    [
        ("forgotten", parts.used, "never used"),
        ("forgotten", whole.gradients, "reaches 0 of 2 parameters (272 numbers); not gate.weight (none)"),
        ("detached", whole.gradients, "gate reaches 0 of 2 parameters"),
        ("leftover", parts.baseline, "largest difference 0.1"),
        ("root", whole.stability, "zero inputs: not finite"),
        ("random", whole.determinism, "differ in"),
        ("hot", whole.initial_loss, "being sure of something false"),
        ("stuck", whole.memorises, "of 16 examples by heart in"),
    ],
)
def test_each_fault_is_found(fault: str, check: Callable[[Subject], list[Finding]], words: str) -> None:
    found = check(gated(fault))
    assert any(words in line for line in bad(found)), found


def test_the_patience_with_a_network_is_none_with_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    made = torch.optim.Adam

    def slow(*given: Any, **options: Any) -> Any:
        time.sleep(0.6)  # as its first import on a busy machine
        return made(*given, **options)

    monkeypatch.setattr(torch.optim, "Adam", slow)
    assert [finding.outcome for finding in whole.memorises(gated(""), patience=0.5)] == ["ok"]


def test_half_precision_that_overflows_is_found() -> None:
    class Squared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Linear(6, 6), nn.Linear(6, CLASSES)

        def forward(self, x: Tensor) -> Tensor:
            y = self.body(x)
            return self.head(((y * 300) ** 2) / 9e4)

    found = whole.stability(subject(lambda _: Squared()))
    lines = bad(found)
    assert any("float16: not finite" in line for line in lines), found
    assert not any("bfloat16" in line for line in lines)


def test_logits_of_another_shape() -> None:
    found = whole.shapes(subject(lambda _: nn.Linear(6, CLASSES + 1)))
    assert "expected (32, 4)" in bad(found)[0]


def test_a_network_that_stops_is_a_finding_and_ends_the_suite() -> None:
    found = suite.run(subject(lambda _: nn.Linear(7, CLASSES)))
    assert len(found) == 1
    assert "RuntimeError" in found[0].says


def test_weights_map_by_name_in_order_or_by_a_rule() -> None:
    one, other = dense(), nn.ModuleDict({"a": nn.Linear(6, 16), "b": nn.Linear(16, CLASSES)})
    assert parts.mapped(one, dense())[1] == "by name"
    weights, how = parts.mapped(one, other)
    assert how == "in order"
    assert torch.equal(weights["b.weight"], one.state_dict()["2.weight"])
    assert parts.mapped(one, other, lambda state: {"x": state["0.weight"]})[1] == "by map_weights"
    with pytest.raises(ValueError, match=r"without counterpart '2\.weight'"):
        parts.mapped(one, nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 5)))


def test_a_rule_may_split_a_weight() -> None:
    """The method keeps two matrices as one; the baseline has them apart. Gradients follow the same rule."""

    class Apart(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(6, 2), nn.Linear(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([self.a(x), self.b(x)], 1)

    def rule(state: dict[str, Tensor]) -> dict[str, Tensor]:
        parts = {"a": slice(0, 2), "b": slice(2, 4)}
        return {f"{name}.{kind}": state[kind][rows] for name, rows in parts.items() for kind in ("weight", "bias")}

    one = subject(
        lambda _: nn.Linear(6, CLASSES), components={"x": "remove"}, baseline=Apart, baseline_name="apart",
        map_weights=rule,
    )  # fmt: skip
    (finding,) = parts.baseline(one)
    assert finding.outcome == "ok"
    (wrong,) = parts.baseline(replace(one, map_weights=lambda state: {**rule(state), "a.bias": 2 * state["bias"][:2]}))
    assert wrong.outcome == "bad"


def test_nobody_says_what_the_baseline_is() -> None:
    (finding,) = parts.baseline(replace(refined(), baseline=None))
    assert finding.outcome == "note"

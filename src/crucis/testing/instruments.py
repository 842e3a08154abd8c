"""Conformance of instruments: what every leaf of the shelf, and every user's own, must hold. Raises AssertionError.

for leaf in shelf: instruments.check(leaf, tmp_path)
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from .. import shelf
from ..errors import Refusal
from ..records import Result
from . import subjects

UNITS = {"fraction", "nats", "bits", "count", "seconds", "1/seconds", "bytes", "loss", "ratio", "1"}
RESERVED = {"of", "like", "winner_of", "only", "except", "pool", "seeds", "because", "net", "data", "view", "split"}


def check(leaf: shelf.Leaf, folder: Path, *, run: Callable[..., Result] | None = None) -> None:
    """The whole suite for one instrument.

    Args:
        leaf: as read from its source. `EXAMPLE` (literal) gives it quick parameters, `SUBJECT` (literal) the instrument
            whose record it works on instead of a network, `CIRCUMSTANCE` (literal) its columns and files that depend on
            the machine and the moment, such as times, `OPTIONAL` (literal) the columns that it may leave out when
            `notes.left_out` says why.
        folder: an empty folder for its files.
        run: the entry, if it is not the leaf's own.

    Raises:
        AssertionError: with the sentence that the leaf breaks.
    """
    run = run or shelf.load(leaf)
    params = subjects.example(leaf)
    declared(leaf)
    first = subjects.specimen(leaf, folder / "first")
    with unchanged(first.model):
        one = run(first, **params)
    sound(leaf, one)
    second = subjects.specimen(leaf, folder / "second")
    two = run(second, **params)
    chance = set(leaf.constants.get("CIRCUMSTANCE", ()))  # times and the like, which no two runs share
    assert _same(one, two, chance), f"{leaf.name}: same stream, other values: {one.values} and {two.values}"
    for name in one.files.keys() - chance:
        equal = (first.ctx.out / name).read_bytes() == (second.ctx.out / name).read_bytes()
        assert equal, f"{leaf.name}: same stream, other bytes in {name}"
    if not leaf.random and first.model is not None:
        other = run(subjects.specimen(leaf, folder / "other", model=first.model), **params)
        assert _same(one, other, chance), f"{leaf.name}: says that it draws nothing and depends on the seed"
    refuses(leaf, folder / "refuses", run=run)


def declared(leaf: shelf.Leaf) -> None:
    """Columns with unit, range and axes; parameters annotated, documented and not named like reserved keys."""
    assert leaf.columns, f"{leaf.name}: declares no COLUMNS"
    assert leaf.constants.get("REVISION"), f"{leaf.name}: declares no REVISION"
    for name, column in leaf.columns.items():
        assert {"unit", "range", "axes", "headline"} <= set(column), (
            f"{leaf.name}.{name}: needs unit, range, axes, headline"
        )
        assert column["unit"] in UNITS, f"{leaf.name}.{name}: unit {column['unit']!r} is none of {sorted(UNITS)}"
        assert len(column["range"]) == 2, f"{leaf.name}.{name}: a range has two ends"
    strange = [n for n in leaf.constants.get("CIRCUMSTANCE", ()) if "." not in n and n not in leaf.columns]
    assert not strange, f"{leaf.name}: CIRCUMSTANCE names {strange}, which are no columns"
    for name, param in leaf.params.items():
        assert name not in RESERVED, f"{leaf.name}: the parameter '{name}' is a reserved key"
        assert param.type != "Any", f"{leaf.name}: the parameter '{name}' has no annotation"
        assert param.doc, f"{leaf.name}: the parameter '{name}' is not documented under Args"


def sound(leaf: shelf.Leaf, result: Result) -> None:
    """Every value declared, finite, within its range, and with the axes it declares."""
    assert result.outcome == "ok", f"{leaf.name}: refused its own example: {result.reason}"
    for name, value in result.values.items():
        base, _, within = name.partition("@")
        assert base in leaf.columns, f"{leaf.name}: returns '{name}', which it does not declare"
        column = leaf.columns[base]
        assert not within or column.get("within") == within, f"{leaf.name}: '{name}' is not declared as 'within'"
        depth = 1 if within else len(column["axes"])
        low, high = column["range"]
        for number in _numbers(value, depth, f"{leaf.name}.{name}"):
            assert math.isfinite(number), f"{leaf.name}.{name}: {number} instead of a refusal"
            inside = (low is None or number >= low) and (high is None or number <= high)
            assert inside, f"{leaf.name}.{name}: {number} is outside {column['range']}"
    told = result.notes.get("left_out", {})
    missing = set(leaf.columns) - set(result.values) - (set(leaf.constants.get("OPTIONAL", ())) & set(told))
    assert not missing, f"{leaf.name}: declares {sorted(missing)} and does not return it"


def refuses(leaf: shelf.Leaf, folder: Path, *, run: Callable[..., Result]) -> None:
    """A subject that cannot be measured gives a refusal, not a NaN and not a crash."""
    from ..measure.specimen import Specimen
    from .contexts import PlainContext

    params = subjects.example(leaf)
    nothing = Specimen(ctx=PlainContext(folder / "nothing"))
    assert _refused(run, nothing, params), f"{leaf.name}: a specimen without subject is not refused"
    broken = subjects.specimen(leaf, folder / "broken")
    if broken.model is not None:
        import torch

        with torch.no_grad():
            next(broken.model.parameters()).fill_(math.nan)
        with suppress(Refusal):
            result = run(broken, **params)
            for name, value in result.values.items():
                depth = len(leaf.columns[name.partition("@")[0]]["axes"]) + ("@" in name)
                bad = [n for n in _numbers(value, depth, name) if not math.isfinite(n)]
                assert not bad, f"{leaf.name}.{name}: NaN weights give {bad[0]} instead of a refusal"


@contextmanager
def unchanged(model: Any) -> Iterator[None]:
    """Hold that a block leaves a network and all random states bit-equal: weights, buffers, gradients, modes, flags.

    Checked also when the block raises.
    """
    before, draws = _state(model), _random_state()
    try:
        yield
    finally:
        after = _state(model)
        wrong = [name for name in before if before[name] != after.get(name)] + [n for n in after if n not in before]
        assert not wrong, f"the network is not as it was: {', '.join(wrong)}"
        assert draws == _random_state(), "a global random generator is not as it was"


def _state(model: Any) -> dict[str, Any]:
    if model is None:
        return {}
    tensors = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
    out: dict[str, Any] = {
        f"{name}": (t.detach().cpu().contiguous().numpy().tobytes(), t.stride(), t.requires_grad, t.data_ptr())
        for name, t in tensors
    }
    out |= {f"{name}.grad": p.grad.numpy().tobytes() for name, p in model.named_parameters() if p.grad is not None}
    for name, module in model.named_modules():
        hooks = len(module._forward_hooks) + len(module._forward_pre_hooks) + len(module._backward_hooks)
        out[f"{name or 'network'}: mode, type, hooks"] = (module.training, type(module), hooks)
    return out


def _random_state() -> tuple[bytes, ...]:
    import torch

    numpy_state: Any = np.random.get_state()  # noqa: NPY002 - looked at, not drawn from
    return (
        torch.get_rng_state().numpy().tobytes(),
        numpy_state[1].tobytes() + str(numpy_state[2:]).encode(),
        repr(random.getstate()).encode(),
    )


def _numbers(value: Any, depth: int, where: str) -> Iterator[float]:
    if depth:
        assert isinstance(value, Mapping), f"{where}: a column with an axis maps labels to numbers"
        assert all(isinstance(label, str) for label in value), f"{where}: labels of an axis are text"
        for part in value.values():
            yield from _numbers(part, depth - 1, where)
    else:
        assert type(value) in (int, float, bool), f"{where}: {type(value).__name__} is no plain number"
        yield float(value)


def _same(first: Result, second: Result, chance: set[str]) -> bool:
    kept = [{n: v for n, v in one.values.items() if n.partition("@")[0] not in chance} for one in (first, second)]
    return repr(kept[0]) == repr(kept[1])


def _refused(run: Callable[..., Result], specimen: Any, params: Mapping[str, Any]) -> bool:
    try:
        return run(specimen, **params).outcome == "refused"
    except Refusal:
        return True

"""Checks before training: which networks a study has, with which data and baseline, and what the checks say of them.

Asks `nets.checks`, which needs torch; this file is imported only when checks are asked for.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import shelf
from ..data.open import describe, open_data
from ..errors import CrucisError
from ..nets.components import PARAMETER, declared
from .axes import dollars
from .binding import BindingError, level_value, substitute
from .coverage import Coverage
from .leaves import bad_file, find_leaf, no_file, unknown_leaf
from .spec import Dollar, LeafRef, Study
from .values import Converter

if TYPE_CHECKING:
    from ..nets.checks.subject import Finding, Subject


@dataclass(frozen=True)
class Wanted:
    """A network to check: the net with nothing left out, its data, what replaces each component, its baseline."""

    net: LeafRef
    data: LeafRef
    replace: Mapping[str, str]
    baseline: LeafRef | None
    of_arms: bool = False  # whether the baseline is an arm of the study


def check_models(study: Study, root: Path | None) -> list[Finding]:
    """What the checks say of every network that the study trains.

    Raises:
        CrucisError: a data set that cannot be read, a file that cannot be imported.
    """
    from ..nets.checks.suite import run

    out = []
    for wanted in networks(study):
        out += run(subject(wanted, study.folder, root))
    return out


def check_net(name: str, data: str, folder: Path, root: Path | None) -> list[Finding]:
    """What the checks say of one net, a user's file or one of the shelf, on a data set."""
    from ..nets.checks.suite import run

    net = LeafRef("nets", name)
    try:
        leaf = find_leaf("nets", name, folder)
    except FileNotFoundError:
        raise CrucisError(no_file(name, folder, "here")) from None
    except KeyError:
        raise CrucisError(unknown_leaf("nets", name, ())) from None
    except shelf.SourceError as error:
        raise CrucisError(bad_file("nets", name, str(error))) from None
    return run(
        subject(Wanted(net, LeafRef("data", data), _defaults(leaf), _declared_baseline(leaf, net)), folder, root)
    )


# -- which networks -----------------------------------------------------------------------------------------------


def networks(study: Study) -> list[Wanted]:
    """Distinct networks of all stages that make one; a method stands there once, not once per arm."""
    found: dict[str, Wanted] = {}
    replaced = _replacements(study)
    for net, data in _pairs(study):
        leaf = find_leaf("nets", net.name, study.folder)
        plain = LeafRef("nets", net.name, {k: v for k, v in net.params.items() if k != PARAMETER})
        whole = plain if "COMPONENTS" in leaf.constants else net
        replace = {**_defaults(leaf), **replaced.get(net.name, {})}
        arm = _arm_baseline(study, net.name)
        base = arm or _declared_baseline(leaf, whole)
        found.setdefault(repr((whole, data)), Wanted(whole, data, replace, base, arm is not None))
    return list(found.values())


def _pairs(study: Study) -> Iterator[tuple[LeafRef, LeafRef]]:
    coverage = Coverage(study)
    for stage in study.stages.values():
        params = stage.trial.params if stage.trial is not None else stage.params
        net, data = params.get("net"), params.get("data")
        if net is None or data is None:
            continue
        names = tuple(dict.fromkeys(dollar.name for dollar in dollars((net, data))))
        for cell in coverage.cells(stage, names) if names else [{}]:
            try:
                pair = [substitute(raw, partial(_lookup, study, cell)) for raw in (net, data)]
            except BindingError:
                continue  # a level without the field, which the stage's other inputs leave out
            converter = Converter(study.folder, study.file)
            made = converter.leaf_ref("nets", pair[0]), converter.leaf_ref("data", pair[1])
            if not converter.issues and all(isinstance(each, LeafRef) for each in made):
                yield made


def _lookup(study: Study, cell: Mapping[str, str], dollar: Dollar) -> Any:
    if dollar.name not in study.factors:
        raise BindingError(f"{dollar} is known only when a stage is done")
    return level_value(study.factors[dollar.name], cell[dollar.name], dollar.field)


def _defaults(leaf: shelf.Leaf) -> dict[str, str]:
    if "COMPONENTS" not in leaf.constants:
        return {}
    return {name: component.replacements[0] for name, component in declared(leaf).items()}


def _levels(study: Study) -> Iterator[tuple[str, str, Mapping[str, Any], Mapping[str, Any]]]:
    """Factor, net, its parameters and the fields of every level that has a net."""
    for factor in study.factors.values():
        for level in factor.levels:
            raw = (level.fields or {}).get("net")
            form = {raw: {}} if isinstance(raw, str) else raw
            if isinstance(form, Mapping) and len(form) == 1:
                name, params = next(iter(form.items()))
                yield factor.name, name, params or {}, level.fields or {}


def _replacements(study: Study) -> dict[str, dict[str, str]]:
    """Net -> what its components are replaced by somewhere in the study."""
    out: dict[str, dict[str, str]] = {}
    for _, name, params, _ in _levels(study):
        without = params.get(PARAMETER)
        if isinstance(without, Mapping):
            out.setdefault(name, {}).update(without)
    return out


def _arm_baseline(study: Study, name: str) -> LeafRef | None:
    """The net of the arm `baseline` of a generator over this net, if it is another one."""
    mine = {factor for factor, net, _, fields in _levels(study) if net == name and fields.get("group") == "method"}
    for factor, net, params, fields in _levels(study):
        if factor in mine and fields.get("group") == "baseline" and net != name:
            return LeafRef("nets", net, params)
    return None


def _declared_baseline(leaf: shelf.Leaf, net: LeafRef) -> LeafRef | None:
    """`BASELINE` of a net's file: a name, with those of the net's parameters that it has as well; or a name with
    parameters."""
    raw = leaf.constants.get("BASELINE")
    if isinstance(raw, Mapping) and len(raw) == 1:
        name, params = next(iter(raw.items()))
        return LeafRef("nets", name, params or {})
    return LeafRef("nets", raw, {"*": net.params}) if isinstance(raw, str) else None


# -- what a check works on ----------------------------------------------------------------------------------------


def subject(wanted: Wanted, folder: Path, root: Path | None, *, noise: bool = False) -> Subject:
    """The network with a batch of its data, or with noise of the same shape, for which no data set is read."""
    from ..nets.checks.subject import Subject, batch, noise_like

    if noise:
        data: Any = describe(wanted.data, folder=folder, root=root)
        x, y = noise_like(data.shape, data.classes)
    else:
        data = open_data(wanted.data, folder=folder, root=root)
        x, y = batch(data)
    leaf = find_leaf("nets", wanted.net.name, folder)
    offered = {k: v.replacements for k, v in declared(leaf).items()} if wanted.replace else {}
    make = _maker(wanted.net, folder, data.shape, data.classes)
    base = _maker(_shared(wanted.baseline, folder), folder, data.shape, data.classes) if wanted.baseline else None

    def build(without: Mapping[str, str]) -> Any:
        return make(**({PARAMETER: dict(without)} if without else {}))

    return Subject(
        _name(wanted.net), build, x, y, data.classes, wanted.replace, offered, base,
        _name(wanted.baseline) if wanted.baseline else "", _rule(leaf, folder),
    )  # fmt: skip


def _shared(ref: LeafRef, folder: Path) -> LeafRef:
    """A baseline that a file names without parameters takes those of the method that it has as well."""
    if "*" not in ref.params:
        return ref
    try:
        known = find_leaf("nets", ref.name, folder).params
    except (KeyError, OSError) as error:
        raise CrucisError(f"BASELINE = {ref.name!r}: there is no such net here ({folder})") from error
    return LeafRef("nets", ref.name, {k: v for k, v in ref.params["*"].items() if k in known})


def _maker(ref: LeafRef, folder: Path, shape: tuple[int, ...], classes: int) -> Callable[..., Any]:
    from . import steps

    leaf = find_leaf("nets", ref.name, folder)

    def make(**more: Any) -> Any:
        params = {**{name: _written(value) for name, value in ref.params.items()}, **more}
        if not leaf.own:
            return shelf.load(leaf)(shape, classes, **params)
        with steps.own_module(folder, ref.name) as module:
            return module.build(shape, classes, **params)

    return make


def _written(value: Any) -> Any:
    """A value as a net takes it: leaves inside it as `{name: {parameter: value}}`."""
    if isinstance(value, LeafRef):
        return {value.name: {name: _written(inner) for name, inner in value.params.items()}}
    return [_written(item) for item in value] if isinstance(value, list) else value


def _rule(leaf: shelf.Leaf, folder: Path) -> Callable[..., Any] | None:
    """`map_weights` of the net's file, if it has one."""
    if leaf.own:
        from . import steps

        with steps.own_module(folder, leaf.name) as module:
            return getattr(module, "map_weights", None)
    return getattr(inspect.getmodule(shelf.load(leaf)), "map_weights", None)


def _name(ref: LeafRef) -> str:
    params = {name: value for name, value in ref.params.items() if name != "*"}
    return f"{ref.name}{' ' + ', '.join(f'{k}={v}' for k, v in params.items()) if params else ''}"

"""Stages that search and stages that take a winner over, as written: from their text to a `Stage`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import did_you_mean
from . import distributions
from .axes import dollars
from .distributions import parameters
from .filters import read_filter, read_seeds
from .references import parse_ref
from .scalars import show
from .spec import VERBS, Distribution, Dollar, LeafRef, Picked, Ref, Stage
from .tree import BAD

if TYPE_CHECKING:
    from .stages import Stages

DIRECTIONS = ("maximise", "minimise")
SUCCESS = "success"  # instead of a direction, where a search asks whether a trial reaches something
TRIAL = "trial"
#: Columns that every search has, beside one for each numeric parameter of its trial.
COLUMNS = ("best", "winner", "trials", "done", "pruned", "failed", "steps_spent")


def trial_name(search: str) -> str:
    """What the trials of a search are called among stages; no name that a user writes has a dot."""
    return f"{search}.{TRIAL}"


def search(reader: Stages, name: str, body: Mapping[str, Any], path: str) -> Stage | None:
    """A stage `{search: leaf, trial: {...}, maximise: column, ...}`; None after a fault."""
    say = reader.reading.fault
    leaf = reader.leaf("search", body["search"], f"{path}.search")
    trial = _trial(reader, name, body.get(TRIAL), f"{path}.{TRIAL}")
    if "of" in body:
        say("no-meaning", f"{path}.of", "what a trial works on stands inside 'trial'. Move it there.", key=True)
    pool = reader.pool(body.get("pool"), f"{path}.pool")
    if any(axis != "seed" for axis in pool):
        say("no-meaning", f"{path}.pool", "a search pools seeds only: the mean over them is what it improves.")
    own = {key: value for key, value in body.items() if key not in (*reader.reserved, "search", TRIAL, *DIRECTIONS)}
    params = {key: reader.brought(value, f"{path}.{key}") for key, value in own.items()}
    objective = _objective(reader, body, path, leaf)
    if not isinstance(leaf, LeafRef) or trial is None or objective is None:
        return None
    seeds = read_seeds(body["seeds"], f"{path}.seeds", reader.reading) if "seeds" in body else None
    mentioned = {dollar.name for dollar in dollars((leaf, params, trial.params, trial.leaf, list(trial.of.values())))}
    return Stage(
        name, "search", leaf, trial.of, params, tuple(one for one in reader.factors if one in mentioned),
        read_filter(body.get("only"), f"{path}.only", reader.factors, reader.reading),
        read_filter(body.get("except"), f"{path}.except", reader.factors, reader.reading),
        tuple(axis for axis in pool if axis == "seed"), seeds,
        body["because"] if isinstance(body.get("because"), str) else None, trial, objective,
    )  # fmt: skip


def _objective(reader: Stages, body: Mapping[str, Any], path: str, leaf: Any) -> tuple[str, str] | None:
    say = reader.reading.fault
    found = [key for key in DIRECTIONS if key in body]
    if isinstance(leaf, LeafRef) and leaf.name == "threshold":
        for key in found:
            say("no-meaning", f"{path}.{key}", "'threshold' looks for where 'success' ends. Remove it.", key=True)
        return SUCCESS, str(body.get("success", ""))
    if len(found) != 1:
        text = "says both maximise and minimise. Remove one." if found else (
            "a search needs to know what is better: maximise: accuracy, or minimise: loss.")  # fmt: skip
        say("no-objective", path, text)
        return None
    column = body[found[0]]
    if not isinstance(column, str):
        if column is not BAD:
            say(
                "wrong-type",
                f"{path}.{found[0]}",
                f"expected a column of the trial, such as accuracy; got {show(column)}.",
            )
        return None
    return found[0], column


def _trial(reader: Stages, name: str, raw: Any, path: str) -> Stage | None:
    """The body of a trial as a training stage with distributions."""
    say = reader.reading.fault
    if raw is BAD:
        return None
    if raw is None:
        say("no-trial", path.rpartition(".")[0], "nothing is tried. Write trial: {train: supervised, ...}.")
        return None
    if not isinstance(raw, Mapping):
        say("wrong-type", path, f"expected {{train: leaf, ...}} with distributions, got {show(raw)}.")
        return None
    verbs = [key for key in raw if key in VERBS]
    if verbs != ["train"]:
        say("no-verb", path, f"a trial is a training: {{train: supervised, ...}}.{did_you_mean('train', [*raw])}")
        return None
    for key in raw:
        if key in reader.reserved and key not in ("of", "because"):
            say("no-meaning", f"{path}.{key}", f"'{key}' stands at the search itself, outside the trial.", key=True)
    leaf = reader.leaf("train", raw["train"], f"{path}.train")
    of = reader.subject(raw.get("of"), f"{path}.of")
    if not isinstance(leaf, LeafRef) or of is None:
        if isinstance(leaf, Dollar):
            say("not-a-leaf", f"{path}.train", f"{leaf}: name the training protocol of a trial itself.")
        return None
    written = {key: value for key, value in raw.items() if key != "train" and key not in reader.reserved}
    before = len(reader.reading.faults.items)
    inner = {**_inside(raw["train"]), **written}
    read = {key: distributions.read(value, f"{path}.{key}", say) for key, value in inner.items()}
    params = {key: reader.brought(value, f"{path}.{key}") for key, value in read.items()}
    if len(reader.reading.faults.items) == before and not any(True for _ in distributions.walk(params)):
        say("no-space", path, "no distribution, so every trial would be the same. Write for instance "
            "lr: {log_uniform: [1e-3, 1]}.")  # fmt: skip
    for one in parameters(params):
        if one.name in (*COLUMNS, "seconds", "memory", "device_seconds"):
            say("reserved-name", f"{path}.{one.path}", f"a search has a column '{one.name}' of its own already.")
    because = raw["because"] if isinstance(raw.get("because"), str) else None
    return Stage(trial_name(name), "train", LeafRef("train", leaf.name), of, params, because=because)


def _inside(raw: Any) -> Mapping[str, Any]:
    """Parameters that are written inside the leaf."""
    inner = next(iter(raw.values())) if isinstance(raw, Mapping) and len(raw) == 1 else {}
    return inner if isinstance(inner, Mapping) else {}


def winner(reader: Stages, name: str, body: Mapping[str, Any], path: str) -> Stage | None:
    """A stage `{winner_of: search, ...}`: the trial with what was chosen, then what is written; None after a fault."""
    say = reader.reading.fault
    verbs = [key for key in body if key in VERBS]
    if verbs:
        say("two-verbs", f"{path}.{verbs[0]}", f"'winner_of' stands instead of a verb. Remove '{verbs[0]}'.", key=True)
        return None
    ref = _search_named(reader, body["winner_of"], f"{path}.winner_of")
    if ref is None:
        return None
    body_of = reader.stages[ref.name].trial
    assert body_of is not None
    fixed = frozenset(axis.partition(".")[0] for axis, _ in ref.at)
    taken = {key: distributions.within(_chosen(value, ref.name, key), fixed) for key, value in body_of.params.items()}
    own = {key: value for key, value in body.items() if key not in (*reader.reserved, "winner_of")}
    of = reader.subject(body.get("of"), f"{path}.of")
    if of is None:
        return None
    params = {**taken, **{key: reader.brought(value, f"{path}.{key}") for key, value in own.items()}}
    of = of or {role: Ref(one.name, one.column, tuple((a, _within(v, fixed)) for a, v in one.at), one.use)
                for role, one in body_of.of.items()}  # fmt: skip
    plain = (params, list(of.values()), ref)
    mentioned = {dollar.name for dollar in dollars(plain) if not dollar.winners}
    seeds = read_seeds(body["seeds"], f"{path}.seeds", reader.reading) if "seeds" in body else None
    for table in (reader.reading.places, reader.reading.keys):  # what is taken over stands where it is written
        head = f"stages.{ref.name}.{TRIAL}"
        for known in [entry for entry in table if entry.startswith(f"{head}.")]:
            table.setdefault(path + known[len(head) :], table[known])
    return Stage(
        name, "train", body_of.leaf, of, params, tuple(one for one in reader.factors if one in mentioned),
        read_filter(body.get("only"), f"{path}.only", reader.factors, reader.reading),
        read_filter(body.get("except"), f"{path}.except", reader.factors, reader.reading),
        reader.pool(body.get("pool"), f"{path}.pool"), seeds,
        body["because"] if isinstance(body.get("because"), str) else body_of.because, winners={ref.name: ref},
    )  # fmt: skip


def _within(value: Any, fixed: frozenset[str]) -> Any:
    return distributions.within(value, fixed)


def _chosen(value: Any, search_name: str, path: str) -> Any:
    """A parameter of a trial with `Picked` in place of its outermost distributions."""
    if isinstance(value, Distribution):
        return Picked(search_name, path, f"winner_of: {search_name}")
    if isinstance(value, LeafRef):
        return LeafRef(value.shelf, value.name, _chosen(value.params, search_name, f"{path}.{value.name}"))
    if isinstance(value, Mapping):
        return {key: _chosen(item, search_name, f"{path}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_chosen(item, search_name, f"{path}[{i}]") for i, item in enumerate(value)]
    return value


def _search_named(reader: Stages, text: Any, path: str) -> Ref | None:
    """The reference to a search that `winner_of` makes."""
    say = reader.reading.fault
    if text is BAD:
        return None
    try:
        ref = parse_ref(text)
    except ValueError as error:
        say("bad-reference", path, str(error))
        return None
    if reader.reading.is_broken(ref.name):
        return None
    if any(isinstance(value, Dollar) and not reader.known(value, path) for _, value in ref.at):
        return None
    searches = [name for name, stage in reader.stages.items() if stage.verb == "search"]
    if ref.name not in searches or ref.column or ref.use:
        some = f" Searches: {', '.join(searches)}." if searches else " This study has no search."
        what = f"'{ref.name}' is no search" if ref.name in reader.names else f"no stage '{ref.name}'"
        say("unknown-name", path, f"{what}.{did_you_mean(ref.name, searches) or some}")
        return None
    return ref


# --- $stage.output -------------------------------------------------------------------------------------------


def outputs(reader: Stages, stage: Stage) -> Stage:
    """The stage with `Picked` where `$search.name` stands."""
    path = f"stages.{stage.name}"
    found: dict[str, Ref] = dict(stage.winners)

    def one(value: Any, where: str) -> Any:
        if isinstance(value, Dollar):
            other = value.name in reader.names and value.name not in reader.factors
            return _output(reader, value, where, found) if other else value
        if isinstance(value, LeafRef):
            return LeafRef(value.shelf, value.name, one(value.params, where))
        if isinstance(value, Distribution):
            return replace(value, choices=tuple(one(item, where) for item in value.choices))
        if isinstance(value, Mapping):
            return {key: one(item, f"{where}.{key}") for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [one(item, f"{where}[{i}]") for i, item in enumerate(value)]
        return value

    params = one(dict(stage.params), path)
    leaf = one(stage.leaf, path)
    trial = stage.trial and replace(stage.trial, params=one(dict(stage.trial.params), f"{path}.{TRIAL}"))
    return replace(stage, params=params, leaf=leaf if leaf is not BAD else stage.leaf, trial=trial, winners=found)


def _output(reader: Stages, dollar: Dollar, path: str, found: dict[str, Ref]) -> Any:
    say = reader.reading.fault
    other = reader.stages.get(dollar.name)
    if other is None:  # broken, and that is said
        return BAD
    if other.trial is None:
        text = f"{dollar}: only a search has outputs for '$', and '{dollar.name}' is a {other.verb}."
        say("bad-dollar", path, text)
        return BAD
    known = {parameter.name: parameter.path for parameter in parameters(other.trial.params)}
    if dollar.field not in known:
        hint = did_you_mean(dollar.field or "", known)
        say("no-field", path, f"{dollar}: '{dollar.name}' chooses {', '.join(known)}.{hint}")
        return BAD
    earlier = found.get(dollar.name)
    if earlier is None:
        found[dollar.name] = Ref(dollar.name)
    return Picked(dollar.name, known[dollar.field], str(dollar))


__all__ = ["COLUMNS", "DIRECTIONS", "outputs", "search", "trial_name", "winner"]

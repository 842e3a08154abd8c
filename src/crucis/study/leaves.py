"""Finding leaves by name, and what to say when there is none or when it lacks a parameter."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from .. import shelf
from ..errors import did_you_mean, nearest
from ..shelf import Leaf
from .kinds import kinds_of, short
from .scalars import bare
from .spec import LeafRef

WRITTEN = {"length": "for", "models": "from", "targets": "with"}  # parameters whose written name is a Python keyword
_SHAPES = {"nets": "input, classes", "data": "root", "train": "job, ctx", "measure": "specimen", "perturb": "specimen"}


def bad_file(home: str, name: str, text: str) -> str:
    """The sentence for a file that is no such leaf; `text` is what its reading said."""
    about = shelf.SHELVES[home]
    if f"no function '{about.entry}'" not in text:
        return text if text.endswith(".") else f"{text}."
    noun = {"nets": "net", "data": "data"}.get(home, about.noun)
    article = "an" if noun[0] in "aeiou" else "a"
    return (
        f"{name} has no function '{about.entry}', which {article} {noun} file needs: "
        f"def {about.entry}({_SHAPES.get(home, 'table')}, *, ...). {text[text.rindex('Found:') :]}"
    )


def find_leaf(home: str, name: str, folder: Path) -> Leaf:
    """A user's file beside the study, a package's leaf, or one of the shelf.

    Raises:
        KeyError: no leaf of this name. FileNotFoundError: no such file. SourceError: a file that is no such leaf.
    """
    if LeafRef(home, name).own:
        path = folder / name
        if not path.is_file():
            raise FileNotFoundError(name)
        stat = path.stat()
        return _own(home, folder, name, stat.st_mtime_ns, stat.st_size)
    return shelf.leaf(home, name)


@cache
def _own(home: str, folder: Path, name: str, changed: int, size: int) -> Leaf:  # noqa: ARG001 - they make the key
    return shelf.own_leaf(home, folder, name)


def no_file(name: str, folder: Path, file: str) -> str:
    """The sentence for a file that is not there."""
    here = sorted(path.name for path in (folder / name).parent.glob("*.py"))[:8]
    files = f" Files here: {', '.join(here)}." if here else ""
    return f"no file {name} beside {file}.{files}"


def unknown_leaf(home: str, name: str, factors: tuple[str, ...]) -> str:
    """The sentence for a name that is on no shelf, or on another one."""
    about = shelf.SHELVES[home]
    if name in factors:
        return f"no {about.noun} '{name}'. There is a factor of that name; write ${name}."
    for other in ("train", "measure", "perturb"):
        if home in ("train", "measure", "perturb") and other != home and name in shelf.names(other):
            noun = shelf.SHELVES[other].noun
            article = "an" if noun[0] in "aeiou" else "a"
            return (
                f"'{name}' is {article} {noun}, not {'an' if about.noun[0] in 'aeiou' else 'a'} {about.noun}. "
                f"Write {{{other}: {name}, {'of: ...' if other != 'train' else 'net: ...'}}}."
            )
    listing = f" All: crucis list {home}" if home not in ("train", "measure", "perturb", "search") else (
        f" All: crucis list {about.plural}")  # fmt: skip
    return f"no {about.noun} '{name}'.{did_you_mean(name, shelf.names(home))}{listing}"


_TIMES = ("epochs", "epoch", "steps", "max_steps", "num_epochs", "n_epochs", "max_epochs", "duration", "length")
_SYNONYMS = {
    "learning_rate": "lr", "batch_size": "batch", "optimizer": "optimiser", "scheduler": "schedule",
    "wd": "weight_decay", "augmentation": "augment", "augmentations": "augment", "grad_clip": "clip",
    "clip_norm": "clip", "dtype": "precision",
}  # fmt: skip
_ELSEWHERE = {
    "device": "Where it trains is no part of a study; give crucis run --device NAME",
    "workers": "Processes are no part of a study; give crucis run --workers N",
    "seed": "Seeds are written once for all stages: seeds: [42, 123] at the top of the study",
    "early_stopping": "Write select: loss and patience: 10, which counts evaluations",
}  # fmt: skip
_ELSEWHERE |= {
    "seeds": _ELSEWHERE["seed"], "random_state": _ELSEWHERE["seed"], "random_seed": _ELSEWHERE["seed"],
    "num_workers": _ELSEWHERE["workers"], "early_stop": _ELSEWHERE["early_stopping"], "gpu": _ELSEWHERE["device"],
}  # fmt: skip


def _beneath(leaf: Leaf, key: str) -> str | None:
    """The sentence for a parameter of a leaf that `leaf` takes: `momentum` belongs beneath `optimiser`."""
    for param in leaf.params.values():
        if param.shelf is None or param.type.startswith("list"):
            continue
        having = [name for name in shelf.names(param.shelf) if key in shelf.leaf(param.shelf, name).params]
        if having:
            name = param.default if param.default in having else having[0]
            value = shelf.leaf(param.shelf, name).params[key].default
            written = WRITTEN.get(param.name, param.name)
            value = "..." if value is ... else bare(value)
            return f"It belongs to the {written}: {written}: {{{name}: {{{key}: {value}}}}}."
    return None


def unknown_parameter(leaf: Leaf, key: str, raw: Any) -> str:
    """The sentence for a parameter that a leaf does not have."""
    head = f"'{leaf.name}' has no parameter '{key}'."
    if key in _TIMES and "length" in leaf.params:
        unit = "steps" if "step" in key else "epochs"
        amount = f"{raw} {unit}" if isinstance(raw, int) and not isinstance(raw, bool) else bare(raw)
        return f"{head} Write 'for: {amount}'."
    written = {WRITTEN.get(name, name): param for name, param in leaf.params.items()}
    if leaf.shelf.name == "train" and (elsewhere := _ELSEWHERE.get(key)):
        return f"{head} {elsewhere}."
    if key not in _SYNONYMS and (beneath := _beneath(leaf, key)):
        return f"{head} {beneath}"
    other = _SYNONYMS.get(key) if _SYNONYMS.get(key) in written else nearest(key, written)
    if other:
        param = written[other]
        default = "required" if param.required else f"default {bare(param.default)}"
        kind = "/".join(short(kind) for kind in kinds_of(param.type) if kind != "none")
        return f"{head} Did you mean '{other}' ({kind}, {default})?"
    own = " Parameters stand behind '*,' in the function's signature." if leaf.own else ""
    return f"{head} It has: {', '.join(written)}.{own}" if written else f"{head} It has none.{own}"

"""What a worker does with a step: from its spec back to networks, data and leaves, run, and hand over the result.

The only file of this room that imports torch.
"""

from __future__ import annotations

import importlib.util
import json
import platform
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from .. import shelf
from ..canon import digest
from ..data.dataset import Dataset
from ..data.open import open_data
from ..data.view import apply_view
from ..engine.steps import Step
from ..errors import CrucisError
from ..measure.specimen import Specimen
from ..nets.weights import restore
from ..records import Context, Record, Result
from ..train.fit import Job, untrained
from ..train.ranks import Ranks
from ..train.ranks import joined as join_ranks
from ..train.settings import Settings, resolve
from . import ranks, sanity, selecting
from .beginnings import ROLE
from .identity import ENTRY
from .spec import LeafRef

#: A search takes trials as they ended: one that diverged or was refused loses.
ACCEPTS_REFUSED = frozenset({"search/file", *(f"search/{name}" for name in shelf.names("search"))})
#: Own leaves are imported from the digested bytes in the store, never from the user's folder.
CODE = "code"


def run(steps: Sequence[Step], contexts: Sequence[Context]) -> list[Result]:
    """Run one step, or several that differ only in their seed (trained stacked where that is proven bitwise equal)."""
    torch.set_num_threads(1)
    if len(steps) > 1 and all(step.spec.get("world", 1) == 1 for step in steps):
        from ..train.fit import result
        from ..train.stacked import can_stack, fit_many

        jobs = [_job(step, context) for step, context in zip(steps, contexts, strict=True)]
        if can_stack(jobs):
            together = {"executor": "stacked", "company": len(jobs)}
            found = [result(fitted) for fitted in fit_many(jobs, list(contexts))]
            return [
                _noted(replace(each, notes={**each.notes, **together}), step, context)
                for each, step, context in zip(found, steps, contexts, strict=True)
            ]
    return [_one(step, context) for step, context in zip(steps, contexts, strict=True)]


@cache
def numerics() -> dict[str, Any]:
    """What may change the bits of a number: device, processor, libraries, threads. Hashed in every record."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return {
        "device": device,
        "model": torch.cuda.get_device_name() if device == "cuda" else _processor(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "cuda": torch.version.cuda or "",
        "cudnn": str(torch.backends.cudnn.version() or "") if device == "cuda" else "",
        "threads": 1,
        "python": platform.python_version_tuple()[0] + "." + platform.python_version_tuple()[1],
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


# -- one step -----------------------------------------------------------------------------------------------------


def _one(step: Step, context: Context) -> Result:
    verb = step.spec["kind"].partition("/")[0]
    runner = {"train": _train, "measure": _measure, "perturb": _measure, "propose": _propose, "search": _select}.get(
        verb
    )
    if runner is None:
        raise CrucisError(f"no runner for the verb '{verb}'")
    return runner(step, context)


def _train(step: Step, context: Context) -> Result:
    if step.spec.get("world", 1) > 1:
        return ranks.train(step, context)
    return _trained(step, context, _job(step, context))


def train_as(step: Step, context: Context, rank: Ranks) -> Result:
    """Train as one of several ranks."""
    torch.set_num_threads(1)
    return _trained(step, context, replace(_job(step, context), ranks=rank, device=rank.device))


def joined(step: Step) -> AbstractContextManager[Ranks]:
    """The group of ranks that this process was started for."""
    return join_ranks(_device(step))


def capacity(device: str) -> tuple[str, int | None]:
    """What torch lacks for several ranks on this device, and how many GPUs it sees (None: it trains on processors)."""
    on_gpu = device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())
    lacks = "" if torch.distributed.is_available() and torch.distributed.is_gloo_available() else "gloo"
    if on_gpu and not lacks and not torch.distributed.is_nccl_available():
        lacks = "NCCL"
    return lacks, torch.cuda.device_count() if on_gpu else None


def _trained(step: Step, context: Context, job: Job) -> Result:
    with _leaf(step.spec, "train", context) as (train, leaf):
        return _noted(train(job, context, **_arguments(leaf, step.spec["params"], context)), step, context)


def _noted(result: Result, step: Step, context: Context) -> Result:
    """The result with what the sanity checks said of its network before it was trained."""
    said = sanity.noted(_store(context), step.spec)
    return replace(result, notes={**result.notes, sanity.NOTE: said}) if said else result


def _propose(step: Step, context: Context) -> Result:
    with _leaf(step.spec, "search", context) as (leaf, _):
        return selecting.propose(step.spec, leaf)


def _select(step: Step, context: Context) -> Result:
    return selecting.select(step.spec, [_record(Path(folder)) for folder in context.inputs["trials"]], context.out)


def _job(step: Step, context: Context) -> Job:
    spec = step.spec
    data = _data(spec["data"], step, spec["seed"])
    inputs = {role: Path(folder) for role, folder in context.inputs.items()}
    publish = {mark if mark == "best" else int(mark): key for mark, key in step.hints.get("publish", {}).items()}
    return Job(
        build=_builder(spec["net"], data, context), data=data, settings=_settings(spec, len(data.train), context),
        seed=spec["seed"], depth=spec["depth"], initial=inputs.get("of", inputs.get(ROLE)), publish=publish,
        device=_device(step), determinism=spec["determinism"], tell=step.hints.get("tell", {}),
        profile=bool(step.hints.get("profile")),
    )  # fmt: skip


def _measure(step: Step, context: Context) -> Result:
    spec, verb = step.spec, step.spec["kind"].partition("/")[0]
    inputs = {role: _records(folder) for role, folder in context.inputs.items()}
    model, data, settings = _subject(step, context)
    seed, depth = spec.get("seed") or 0, spec.get("depth", 0)
    task = None
    if "data" in spec:
        own = _data(spec["data"], step, seed)
        task, data = (own, data) if verb == "perturb" else (None, own)
    trainer = descents = None
    if verb == "perturb" and model is not None and data is not None and settings is not None:
        from ..train.continuation import continuation
        from ..train.descent import Descents

        trainer = continuation(model, settings, seed, depth, context, _device(step), spec["determinism"])
        if _kind_of_training(step) == "train/supervised":
            descents = Descents(model, data, settings, seed, depth, context, _device(step), spec["determinism"])
    specimen = Specimen(
        model=model, data=data, seed=seed, depth=depth, device=_device(step), inputs=inputs,
        models=_Models(step, context), split=spec.get("split", "validation"), ctx=context, task=task,
        settings=settings, trainer=trainer, descents=descents,
    )  # fmt: skip
    with _leaf(spec, verb, context) as (measure, leaf):
        return measure(specimen, **_arguments(leaf, spec["params"], context))


def _kind_of_training(step: Step) -> str:
    """What trained the network that a perturbation works on."""
    made = step.hints.get("models", {}).get("of")
    return str(made["training"]["kind"]) if isinstance(made, Mapping) else ""


def _subject(step: Step, context: Context) -> tuple[nn.Module | None, Dataset | None, Settings | None]:
    """The network that the step works on, with the data of its training and the settings that trained it."""
    spec = step.spec
    models = step.hints.get("models", {})
    role = next((name for name in ("of", "start") if name in models), next(iter(models), None))
    if role is None or isinstance(models[role], list):
        if "net" not in spec:  # networks of a pool are compared on the data of the first
            first = models[role][0] if role else None
            return None, _data(first["data"], step, first["training"]["seed"]) if first else None, None
        data = _data(spec["data"], step, spec.get("seed") or 0)
        return _fresh(spec["net"], data, spec.get("seed") or 0, 0, step, context), data, None
    made = models[role]
    training = made["training"]
    data = _data(made["data"], step, training["seed"])
    model = _network(made, context.inputs.get(role), step, context)
    n_train = len(_data(training["data"], step, training["seed"]).train)
    return model, data, _settings(training, n_train, context)


def _network(made: Mapping[str, Any], folder: Any, step: Step, context: Context) -> nn.Module:
    """A network as one of the inputs left it."""
    training = made["training"]
    data = _data(made["data"], step, training["seed"])
    model = _fresh(training["net"], data, training["seed"], training["depth"], step, context)
    if made["trained"]:
        restore(model, Path(folder) / "model.safetensors")
    return model.eval()


class _Models(Mapping[str, Any]):
    """Role -> network, or the networks of a pooled role; each made when it is asked for."""

    def __init__(self, step: Step, context: Context) -> None:
        self._step, self._context, self._made = step, context, step.hints.get("models", {})

    def __getitem__(self, role: str) -> Any:
        made, folders = self._made[role], self._context.inputs.get(role)
        if not isinstance(made, list):
            return _network(made, folders, self._step, self._context)
        left = iter(folders or ())
        return [_network(each, next(left) if each["trained"] else None, self._step, self._context) for each in made]

    def __contains__(self, role: object) -> bool:
        return role in self._made  # without making it

    def __iter__(self) -> Iterator[str]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)


def _fresh(net: Mapping[str, Any], data: Dataset, seed: int, depth: int, step: Step, context: Context) -> nn.Module:
    return untrained(_builder(net, data, context), seed, depth).to(_device(step)).eval()


def _settings(spec: Mapping[str, Any], n_train: int, context: Context) -> Settings:
    params = {name: _with_entries(value, context) for name, value in spec["params"].items()}
    if spec["kind"] != "train/supervised":  # another protocol's own defaults stand before those of 'supervised'
        with _leaf(spec, "train", context) as (_, leaf):
            own = {name: param.default for name, param in leaf.params.items() if not param.required}
        params = {**own, **params}
    return resolve(params, n_train)


def check_device(name: str) -> None:
    """Refuse a device that is not here before any step fails on it.

    Raises:
        CrucisError: no such device on this machine.
    """
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        first = str(error).splitlines()[0].split(". ")[0]
        raise CrucisError(f"--device {name}: not usable here ({first}). Write cpu, cuda, cuda:N or auto") from error


def _device(step: Step) -> str:
    return device_named(step.hints.get("device", "auto"))


def device_named(asked: str) -> str:
    """The device that `--device` means on this machine.

    Raises:
        CrucisError: a CUDA device where there is none.
    """
    if asked == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if asked.startswith("cuda") and not torch.cuda.is_available():
        raise CrucisError(f"--device {asked}: no CUDA device is visible here")
    return asked


# -- data ---------------------------------------------------------------------------------------------------------

_OPEN: dict[str, Dataset] = {}  # the last few data sets with their views: a worker takes many steps on the same ones
_KEPT = 4


def _data(identity: Mapping[str, Any], step: Step, seed: int) -> Dataset:
    view = identity.get("view", {})
    memo = digest([identity, seed if _draws(view) else None, bool(step.hints.get("unsealed"))])
    if memo not in _OPEN:
        source = step.hints["sources"][identity["digest"]]
        root = step.hints.get("root")
        whole = open_data(
            LeafRef("data", source["name"], source["params"]), folder=Path(step.hints["folder"]),
            root=Path(root) if root else None, unsealed=bool(step.hints.get("unsealed")),
        )  # fmt: skip
        if whole.digest != identity["digest"]:
            raise CrucisError(
                f"the data set '{source['name']}' changed after the plan was made "
                f"({identity['digest'][:12]} became {whole.digest[:12]}); run again to plan with the new data"
            )
        while len(_OPEN) >= _KEPT:
            _OPEN.pop(next(iter(_OPEN)))
        _OPEN[memo] = apply_view(whole, view, seed) if view else whole
    return _OPEN[memo]


def _draws(view: Mapping[str, Any]) -> bool:
    """Whether a view draws from the seed (only such views differ between seeds)."""
    return bool(view)


# -- leaves -------------------------------------------------------------------------------------------------------


def _store(context: Context) -> Path:
    """The folder of the store that a step writes to; users' code lies in its `code`."""
    return Path(context.store)


@contextmanager
def _leaf(spec: Mapping[str, Any], verb: str, context: Context) -> Iterator[tuple[Callable[..., Any], shelf.Leaf]]:
    """A leaf's entry function and description; a user's file is imported from its digested copy."""
    if "source" not in spec:
        leaf = shelf.leaf(verb, spec["kind"].partition("/")[2])
        yield shelf.load(leaf), leaf
        return
    with own_entry(spec, verb, _store(context)) as found:
        yield found


@contextmanager
def own_entry(spec: Mapping[str, Any], verb: str, store: Path) -> Iterator[tuple[Callable[..., Any], shelf.Leaf]]:
    """The entry function and description of a user's leaf, from the copy in the store."""
    folder = store / CODE / spec["source"]
    name = (folder / ENTRY).read_text(encoding="utf-8")
    leaf = shelf.read_leaf(shelf.SHELVES[verb], folder / name, name, own=True)
    with _on_path(folder):
        yield getattr(_import(folder / name, spec["source"]), leaf.entry), leaf


@contextmanager
def _on_path(folder: Path) -> Iterator[None]:
    """Let a user's file import its neighbours; forget them afterwards, so that another version cannot be mistaken."""
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None)
            if file and Path(file).is_relative_to(folder):
                del sys.modules[name]


def _import(path: Path, source: str) -> Any:
    name = f"crucis_own_{source[:16]}_{path.stem}"
    found = importlib.util.spec_from_file_location(name, path)
    if found is None or found.loader is None:
        raise CrucisError(f"{path.name} cannot be imported")
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    found.loader.exec_module(module)
    return module


@contextmanager
def own_module(folder: Path, name: str) -> Iterator[Any]:
    """A user's file as a module, imported from where it lies, with its neighbours in reach meanwhile: for checks.

    Raises:
        CrucisError: the file cannot be imported; with its error and line.
    """
    folder = folder.resolve()
    with _on_path(folder):
        try:
            module = _import(folder / name, digest(name))
        except CrucisError:
            raise
        except Exception as error:  # a user's file may raise anything
            raise CrucisError(f"{name} cannot be imported: {blame(error, folder)}") from error
        yield module


def blame(error: BaseException, folder: Path) -> str:
    """`KIND: TEXT (FILE, line N)`: the deepest line of the user's own files, where the error passed through one."""
    lines = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(folder.resolve())
    ]
    where = f" ({Path(lines[-1].filename).name}, line {lines[-1].lineno})" if lines else ""
    if isinstance(error, SyntaxError) and error.filename:
        where = f" ({Path(error.filename).name}, line {error.lineno})"
    return f"{type(error).__name__}: {error}{where}"


def _builder(net: Mapping[str, Any], data: Dataset, context: Context) -> Callable[[], nn.Module]:
    shape, classes = data.shape, data.classes
    params = {name: _plain(value) for name, value in net["params"].items()}
    if "source" not in net:
        build = shelf.load(shelf.leaf("nets", net["leaf"]))
        return lambda: build(shape, classes, **params)
    folder = _store(context) / CODE / net["source"]
    name = (folder / ENTRY).read_text(encoding="utf-8")

    def own() -> nn.Module:
        with _on_path(folder):
            return _import(folder / name, net["source"]).build(shape, classes, **params)

    return own


def _arguments(leaf: shelf.Leaf, params: Mapping[str, Any], context: Context) -> dict[str, Any]:
    return {name: _with_entries(value, context) for name, value in params.items() if name in leaf.params}


def _plain(value: Any) -> Any:
    """An identity `{"leaf", "revision", "params"}` as `{name: {parameter: value}}`; anything else as it is."""
    if isinstance(value, Mapping) and "leaf" in value and "params" in value:
        return {value["leaf"]: {name: _plain(inner) for name, inner in value["params"].items()}}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _with_entries(value: Any, context: Context) -> Any:
    """Like `_plain`, with a user's file (`{"source", "shelf", "params"}`) as its imported entry function."""
    if isinstance(value, list):
        return [_with_entries(item, context) for item in value]
    if not (isinstance(value, Mapping) and "source" in value and "params" in value):
        return _plain(value)
    folder = _store(context) / CODE / value["source"]
    name = (folder / ENTRY).read_text(encoding="utf-8")
    with _on_path(folder):
        entry = getattr(_import(folder / name, value["source"]), shelf.SHELVES[value["shelf"]].entry)
    return {"name": name, "entry": entry, "params": dict(value["params"])}


# -- records ------------------------------------------------------------------------------------------------------


def _records(folder: Any) -> Record | list[Record]:
    if isinstance(folder, (list, tuple)):
        return [_record(Path(item)) for item in folder]
    return _record(Path(folder))


def _record(folder: Path) -> Record:
    body = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    return Record(body["key"], folder, body)

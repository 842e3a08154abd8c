"""`crucis diagram`: a network, or two side by side, as a drawing made from the network itself."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import shelf
from ..errors import CrucisError


def diagram(a: argparse.Namespace) -> int:
    """Draw a network as SVG, beside another if one is named."""
    from ..report.diagram import Network, draw

    data = _leaf("data", a.set)
    from ..data.open import describe

    info = describe(data, folder=Path(), root=Path(a.data) if a.data else None)
    shown = []
    for text in (a.net, a.against):
        if text is not None:
            net = _leaf("nets", text)
            shown.append(Network(_name(net), info.shape, _anatomy(net, info.shape, info.classes)))
    target = Path(a.output)
    if target.suffix != ".svg":
        raise CrucisError(f"--output {a.output}: a drawing is an SVG file; write {target.stem}.svg")
    target.write_text(draw(*shown), encoding="utf-8")
    print(f"Diagram: {target}")
    return 0


def _leaf(home: str, text: str) -> Any:
    """A leaf as a study writes it, with its parameters checked."""
    import yaml

    from ..study.values import Converter

    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError:
        raise CrucisError(
            f"'{text}' is no {shelf.SHELVES[home].noun}: write name or '{{name: {{key: value}}}}'"
        ) from None
    converter = Converter(Path(), "the command")
    found = converter.leaf_ref(home, raw)
    if converter.issues:
        raise CrucisError("\n".join(issue.text for issue in converter.issues))
    return found


def _name(net: Any) -> str:
    params: Mapping[str, Any] = net.params
    said = ", ".join(f"{key}: {value}" for key, value in params.items())
    return f"{net.name} ({said})" if said else str(net.name)


def _anatomy(net: Any, shape: tuple[int, ...], classes: int) -> Any:
    from ..measure.anatomy import anatomy, example
    from ..train.fit import untrained

    def build() -> Any:
        return _entry(net.name)(shape, classes, **net.params)

    try:
        return anatomy(untrained(build, 0, 0).eval(), example(shape))
    except CrucisError:
        raise
    except Exception as error:  # a user's network may raise anything
        if not net.name.endswith(".py"):
            raise
        from ..study.steps import blame

        raise CrucisError(f"{net.name}: {blame(error, Path(net.name).parent)}") from error


def _entry(name: str) -> Any:
    """The function that builds a network: of the shelf, or of a file beside the command."""
    if not name.endswith(".py"):
        return shelf.load(shelf.leaf("nets", name))
    path = Path(name)
    found = importlib.util.spec_from_file_location(path.stem, path)
    if found is None or found.loader is None:
        raise CrucisError(f"{name} cannot be imported")
    module = importlib.util.module_from_spec(found)
    sys.path.insert(0, str(path.resolve().parent))
    try:
        found.loader.exec_module(module)
        return module.build
    finally:
        sys.path.remove(str(path.resolve().parent))

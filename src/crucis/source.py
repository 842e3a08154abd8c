"""What a Python source file means, read without running it: its syntax-tree digest and its local imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .canon import sha256

MAX_FILES = 200
MAX_BYTES = 2_000_000
_SKIP = {"ctx", "kind", "type_comment", "type_ignores", "lineno", "col_offset", "end_lineno", "end_col_offset"}
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_HIDDEN_IMPORTS = {"import_module", "__import__", "exec", "eval"}
_READS = {"open", "load", "getenv", "environ"}


class SourceError(ValueError):
    """A file that cannot serve as a leaf, with the reason in words."""


def _body(node: ast.AST, body: list[ast.stmt]) -> list[ast.stmt]:
    if isinstance(node, _DOCUMENTED) and body and isinstance(body[0], ast.Expr):
        value = body[0].value
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            return body[1:]
    return body


def _write(node: Any, out: list[str]) -> None:
    if isinstance(node, ast.AST):
        out.append(type(node).__name__)
        out.append("(")
        for name, value in ast.iter_fields(node):
            if name in _SKIP or value is None or value == []:
                continue
            if name == "body" and isinstance(value, list):
                value = _body(node, value)
            out.append(name)
            out.append("=")
            _write(value, out)
        out.append(")")
    elif isinstance(node, list):
        out.append("[")
        for item in node:
            _write(item, out)
            out.append(",")
        out.append("]")
    else:
        out.append(f"{type(node).__name__}:{node!r}")


def tree_text(source: str) -> str:
    """The syntax tree without comments, docstrings, positions and layout; equal on every Python version that parses
    the file to the same tree (`ast.dump` is not, hence an own writer)."""
    out: list[str] = []
    _write(ast.parse(source), out)
    return "".join(out)


def tree_digest(source: str) -> str:
    """SHA-256 of `tree_text`; about 6 microseconds per line."""
    return sha256(tree_text(source))


def _candidates(tree: ast.Module, file: Path, root: Path) -> Iterator[Path]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield root.joinpath(*alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            base = root if not node.level else file.parent.joinpath(*[".."] * (node.level - 1))
            stem = base.joinpath(*node.module.split(".")) if node.module else base
            yield stem
            for alias in node.names:
                yield stem / alias.name


def _with_packages(path: Path, root: Path) -> Iterator[Path]:
    """The module file of a dotted name and the `__init__.py` of each package on the way."""
    for found in (path.with_suffix(".py"), path / "__init__.py"):
        if found.is_file():
            yield found
    folder = path.parent
    while folder != root and root in folder.parents:
        if (folder / "__init__.py").is_file():
            yield folder / "__init__.py"
        folder = folder.parent


def _literal(tree: ast.Module, name: str) -> Any:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
            return ast.literal_eval(node.value)
    return None


def _hidden(tree: ast.Module) -> set[str]:
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return names | {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def follow(file: Path, root: Path) -> dict[str, bytes]:
    """The file and every local module that it imports: relative path -> bytes.

    Args:
        file: the user's leaf.
        root: the folder of the study, from which absolute imports resolve.

    Raises:
        SourceError: hidden imports without `DEPENDS`, a missing dependency, a syntax error, or more than
            200 files or 2 MB.
    """
    root, queue = root.resolve(), [file.resolve()]
    seen: dict[Path, bytes] = {}
    while queue:
        path = queue.pop()
        if path in seen:
            continue
        data = path.read_bytes()
        seen[path] = data
        if len(seen) > MAX_FILES or sum(map(len, seen.values())) > MAX_BYTES:
            raise SourceError(f"{file.name} imports more than {MAX_FILES} local files or 2 MB; declare DEPENDS")
        if path.suffix != ".py":
            continue
        try:
            tree = ast.parse(data.decode("utf-8"))
        except (SyntaxError, UnicodeDecodeError) as error:
            line = getattr(error, "lineno", None)
            raise SourceError(f"{path.name}: not valid Python{f' (line {line})' if line else ''}: {error}") from None
        depends = _literal(tree, "DEPENDS")
        hidden = sorted(_hidden(tree) & _HIDDEN_IMPORTS)
        if depends is None and hidden:
            raise SourceError(
                f"{path.name} uses {hidden[0]}, whose targets cannot be seen; declare DEPENDS = ['other.py']"
            )
        extra = [*(depends or []), *(_literal(tree, "FILES") or [])]
        for name in extra:
            if not (path.parent / name).is_file():
                raise SourceError(f"{path.name} declares {name!r}, which does not exist beside it")
            queue.append((path.parent / name).resolve())
        for candidate in _candidates(tree, path, root):
            queue.extend(found.resolve() for found in _with_packages(candidate, root))
    return {_relative(path, root): data for path, data in seen.items()}


def _relative(path: Path, root: Path) -> str:
    try:
        return path.relative_to(root).as_posix()
    except ValueError:
        return path.name


def files_digest(files: dict[str, bytes]) -> str:
    """One digest of a leaf and its local imports: Python by syntax tree, everything else by content."""
    parts = [
        f"{name}\0{tree_digest(data.decode('utf-8')) if name.endswith('.py') else sha256(data)}"
        for name, data in sorted(files.items())
    ]
    return sha256("\n".join(parts))


def reads_files(files: dict[str, bytes]) -> list[str]:
    """Names of Python files that seem to read data or the environment without declaring `FILES` (for a warning)."""
    out = []
    for name, data in sorted(files.items()):
        if name.endswith(".py"):
            tree = ast.parse(data.decode("utf-8"))
            names = _hidden(tree)
            if _literal(tree, "FILES") is None and (names & _READS or any(n.startswith("read_") for n in names)):
                out.append(name)
    return out

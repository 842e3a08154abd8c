"""Laws of the house: who imports whom, how long things are, who may touch global generators."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import crucis

ROOT = Path(crucis.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}

GROUND = {"errors", "canon", "seeds", "records", "source", "shelf", "lengths", "types"}
FLOOR = {
    **dict.fromkeys(GROUND, 0),
    **dict.fromkeys(("streams", "engine", "stats", "numerics", "nets", "data", "search"), 1),
    **dict.fromkeys(("train", "measure", "report", "trackers"), 2),
    "study": 3,
    "testing": 4,
    **dict.fromkeys(("cli", "api", "__init__", "__main__"), 4),
}
#: Rooms that a room may use on its own floor.
SIDEWAYS = {
    **dict.fromkeys(GROUND, GROUND),
    "nets": {"streams", "data"}, "data": {"streams", "nets"}, "cli": {"api", "__init__"}, "api": set(),
    "__init__": {"api"}, "__main__": {"cli"}, "testing": set(),
}  # fmt: skip
HEAVY = {"torch", "pandas", "matplotlib", "sklearn", "timm", "torchvision", "ripser", "gudhi", "statsmodels", "optuna"}
#: Foreign packages that a room must not import, not even inside a function.
FORBIDDEN = {
    **{name: HEAVY | {"scipy"} for name in GROUND},
    "engine": HEAVY | {"numpy", "scipy"},
    "stats": HEAVY - {"sklearn", "statsmodels", "optuna"},
    "search": HEAVY - {"optuna"},
    "report": {"torch", "scipy", "sklearn", "statsmodels", "optuna"},
}


def room(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[0]


def imports(path: Path):
    """Absolute names of everything a file imports, also inside functions and under TYPE_CHECKING."""
    package = ("crucis", *path.relative_to(ROOT).parent.parts)
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            stem = ".".join([*base, *([node.module] if node.module else [])])
            yield node.lineno, stem
            for alias in node.names:
                yield node.lineno, f"{stem}.{alias.name}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_imports_go_down(path):
    here = room(path)
    for line, name in imports(path):
        parts = name.split(".")
        if parts[0] != "crucis" or len(parts) < 2 or parts[1] not in FLOOR:
            continue
        there = parts[1]
        allowed = there == here or FLOOR[there] < FLOOR[here] or there in SIDEWAYS.get(here, set())
        assert allowed, f"{path.name}:{line}: '{here}' imports '{there}'"
        if FLOOR[here] == 2 and here != "testing":
            assert there not in {"study", "engine"}, f"{path.name}:{line}: '{here}' imports '{there}'"
        if here == "report":
            assert there != "stats", f"{path.name}:{line}: the report computes no statistic"


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_foreign_packages_stay_in_their_rooms(path):
    banned = FORBIDDEN.get(room(path), set())
    for line, name in imports(path):
        assert name.split(".")[0] not in banned, f"{path.name}:{line}: '{room(path)}' imports {name}"
    if room(path) == "study" and path.stem not in ("steps", "pilot"):
        assert not any(name.split(".")[0] == "torch" for _, name in imports(path)), "only study/steps imports torch"


def test_every_file_has_a_floor():
    assert {room(path) for path in FILES} - FLOOR.keys() == set()


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_size(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= 500, f"{lines} lines"
    for node in ast.walk(TREES[path]):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= 80, f"{node.name}: {length} lines"


def test_no_room_of_odds_and_ends():
    assert not [path for path in FILES if path.stem in ("utils", "helpers", "common", "core", "manager")]


GLOBAL_DRAWS = re.compile(
    r"torch\.(manual_seed|seed|set_rng_state|get_rng_state|default_generator|random\.)"
    r"|np\.random\.(seed|rand|randn|randint|choice|shuffle|permutation|normal|uniform|get_state|set_state)\b"
    r"|\brandom\.(seed|random|shuffle|choice|randint|getstate|setstate)\("
)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_only_streams_touches_global_generators(path):
    if path.name == "streams.py" or room(path) == "testing":
        return
    code = ast.unparse(_without_docstrings(ast.parse(path.read_text(encoding="utf-8"))))
    found = GLOBAL_DRAWS.search(code)
    assert not found, f"{path.name} uses {found and found[0]}"


def _without_docstrings(tree):
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:] or [ast.Pass()]
    return tree


def test_no_pickle_leaves_the_process():
    for path in FILES:
        names = {name for _, name in imports(path)}
        if room(path) == "data":  # the restricted reader of one public archive format
            continue
        assert not names & {"pickle", "dill", "cloudpickle", "joblib"}, path.name
        assert "torch.load(" not in path.read_text(encoding="utf-8") or room(path) == "testing", path.name


def test_nothing_of_where_it_was_written():
    shown = subprocess.run(["git", "ls-files"], capture_output=True, text=True, cwd=ROOT.parents[1], check=False)
    pattern = re.compile("/" + "work/(main|shared|steering)|/" + r"tmp/(bash_jobs|w)/")
    for name in shown.stdout.split():
        path = ROOT.parents[1] / name
        if path.is_file() and path.suffix in (".py", ".md", ".yaml", ".toml", ".txt", ".json", ".html"):
            assert not pattern.search(path.read_text(encoding="utf-8", errors="replace")), name


def run_python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)


def test_help_imports_nothing_heavy():
    found = run_python(
        "import sys, contextlib, io\nfrom crucis.cli import main\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n    main(['--help'])\n"
        "print(sorted({'torch', 'pandas', 'matplotlib', 'numpy', 'scipy', 'yaml'} & set(sys.modules)))"
    )
    assert found.stdout.strip() == "[]", found.stdout + found.stderr

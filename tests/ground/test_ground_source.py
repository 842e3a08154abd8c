import pytest

from crucis import shelf, source
from crucis.errors import Refusal, did_you_mean, nearest
from crucis.lengths import Length

BASE = '''"""Doc."""
import math
from part import scale

WIDTH = 3


def build(input, classes, *, rank: int = 8, gain=0.5):
    """Build it."""
    x = (rank + 1)  # why
    return scale(x) * 'a'
'''

SAME = [
    BASE.replace("# why", "# because"),
    BASE.replace('"""Build it."""', '"""Other words."""'),
    BASE.replace('    """Build it."""\n', ""),
    BASE.replace("(rank + 1)", "rank + 1"),
    BASE.replace("'a'", '"a"'),
    BASE.replace("\n\n\n", "\n\n\n\n"),
    BASE.replace("\n", "\r\n"),
]
OTHER = [
    BASE.replace("WIDTH = 3", "WIDTH = 3.0"),
    BASE.replace("rank: int = 8", "rank: int = 9"),
    BASE.replace("x = ", "y = "),
    BASE.replace("'a'", "'b'"),
    BASE.replace("def build", "@deco\ndef build"),
]


@pytest.mark.parametrize("text", SAME)
def test_cosmetic_edits_keep_the_digest(text):
    assert source.tree_digest(text) == source.tree_digest(BASE)


@pytest.mark.parametrize("text", OTHER)
def test_real_edits_change_it(text):
    assert source.tree_digest(text) != source.tree_digest(BASE)


def _write(folder, **files):
    for name, text in files.items():
        path = folder / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_local_imports_count_and_files_beside_do_not(tmp_path):
    _write(tmp_path, net=BASE, part="def scale(x):\n    return x\n", other="x = 1\n")

    def digest():
        return source.files_digest(source.follow(tmp_path / "net.py", tmp_path))

    first = digest()
    assert set(source.follow(tmp_path / "net.py", tmp_path)) == {"net.py", "part.py"}
    _write(tmp_path, other="x = 2\n")
    assert digest() == first
    _write(tmp_path, part="def scale(x):\n    return 2 * x\n")
    assert digest() != first


def test_packages_count_with_their_init(tmp_path):
    _write(tmp_path, net="from pack.inner import f\n")
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text("A = 1\n")
    (tmp_path / "pack" / "inner.py").write_text("def f():\n    return 1\n")
    assert {"net.py", "pack/__init__.py", "pack/inner.py"} == set(source.follow(tmp_path / "net.py", tmp_path))


def test_hidden_imports_are_refused_unless_declared(tmp_path):
    _write(tmp_path, net="import importlib\nx = importlib.import_module('part')\n", part="y = 1\n")
    with pytest.raises(source.SourceError, match="DEPENDS"):
        source.follow(tmp_path / "net.py", tmp_path)
    _write(tmp_path, net="DEPENDS = ['part.py']\nimport importlib\nx = importlib.import_module('part')\n")
    assert set(source.follow(tmp_path / "net.py", tmp_path)) == {"net.py", "part.py"}


def test_declared_files_count_by_content_and_undeclared_reading_is_noted(tmp_path):
    _write(tmp_path, net="FILES = ['w.bin']\ndata = open('w.bin').read()\n")
    (tmp_path / "w.bin").write_bytes(b"1")
    files = source.follow(tmp_path / "net.py", tmp_path)
    first = source.files_digest(files)
    assert source.reads_files(files) == []
    (tmp_path / "w.bin").write_bytes(b"2")
    assert source.files_digest(source.follow(tmp_path / "net.py", tmp_path)) != first
    _write(tmp_path, net="data = open('w.bin').read()\n")
    assert source.reads_files(source.follow(tmp_path / "net.py", tmp_path)) == ["net.py"]


def test_a_leaf_is_read_without_running_it(tmp_path):
    text = 'raise SystemExit("imported")\nREVISION = 4\nLIMITS = {"rank": "[1, 9]"}\n' + BASE
    (tmp_path / "mine.py").write_text(text)
    leaf = shelf.own_leaf("nets", tmp_path, "mine.py")
    assert leaf.params["rank"] == shelf.Param("rank", "int", 8, "[1, 9]")
    assert leaf.params["gain"].default == 0.5
    assert (leaf.revision, leaf.own) == ("4", True)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("def main(): ...\nclass Net: ...\n", "Found: main, Net"),
        ("def build(input, classes, *, x=f()): ...\n", "no literal"),
        ("def build(", "not valid Python"),
    ],
)
def test_what_is_wrong_with_a_leaf_is_said(tmp_path, text, says):
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(source.SourceError, match=says):
        shelf.own_leaf("nets", tmp_path, "mine.py")


def test_nearest_name_within_a_third():
    assert nearest("hesian", ["hessian", "fisher"]) == "hessian"
    assert nearest("zebra", ["hessian", "fisher"]) is None
    assert nearest("sdg", ["sgd", "adam"]) == "sgd"
    assert nearest("CIFAR10", ["mnist", "cifar10", "cifar100"]) == "cifar10" and nearest("m", ["M"]) == "M"
    assert did_you_mean("modle", ["model"]) == " Did you mean 'model'?"


def test_lengths():
    assert Length.parse("30 epochs").steps(7) == 210
    assert Length.parse("5_000 steps").steps(7) == 5000
    assert str(Length.parse("1 epoch")) == "1 epochs"
    assert Length.parse("2.4 epochs").steps(7) == 16
    assert float(Length.parse("2.4 epochs").exactly(7)) == 16.8 and str(Length.parse("2.40 epochs")) == "2.4 epochs"
    for bad in ("30", "epochs", "3.5 steps", "-1 steps", ".5 epochs"):
        with pytest.raises(ValueError, match="no length"):
            Length.parse(bad)
    with pytest.raises(ValueError, match="plateau"):
        Length.parse("plateau").steps(3)


def test_reasons_are_a_closed_list():
    with pytest.raises(ValueError, match="unknown reason code"):
        Refusal("because", "no")

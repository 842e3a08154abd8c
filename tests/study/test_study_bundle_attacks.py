"""Hostile and damaged bundles: refused before anything is visible, with the store's `tmp` empty; never a traceback."""

from __future__ import annotations

import json
import stat
import warnings
import zipfile
from pathlib import Path

import bundle_cases as cases
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crucis.canon import canonical, digest
from crucis.engine import bundle, strangers
from crucis.engine.arrivals import imported
from crucis.engine.store import Store
from crucis.engine.strangers import BundleError
from crucis.study.restoring import restore


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return cases.honest(tmp_path_factory.mktemp("honest"))


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def refused(path: Path, folder: Path, *words: str, **options) -> None:
    """Refused into a new folder, which then does not exist, and into an existing store, which is then as before."""
    with pytest.raises(BundleError) as new:
        restore(path, folder / "new", **options)
    assert not (folder / "new").exists()
    store = Store(folder / "old" / ".crucis")
    before = everything(folder / "old")
    with pytest.raises(BundleError):
        restore(path, folder / "old", **options)
    assert everything(folder / "old") == before
    assert not list((store.path / "tmp").iterdir())
    for word in words:
        assert word in str(new.value), str(new.value)


def test_the_honest_bundle_is_taken(files, tmp_path):
    path = cases.archive(tmp_path / "b.zip", files)
    done = restore(path, tmp_path / "there")
    assert (len(done.taken), done.same, done.kept, done.withheld) == (2, (), (), ())
    store = Store(done.store)
    assert store.verify() == [] and set(store.all_keys()) == set(done.taken) == set(imported(store))
    assert done.study.read_bytes() == cases.STUDY
    assert done.differing == (f"numpy 0.0.1 there, {np.__version__} here",)
    assert len(store.lines("registrations-small")) == 1
    assert not list((store.path / "tmp").iterdir())
    again = restore(path, tmp_path / "there")
    assert len(again.same) == 2 and again.written == () and len(store.lines("registrations-small")) == 1


def test_what_differed_from_a_commit_lies_beside_its_description(files, tmp_path):
    name = next(name for name in files if name.startswith("environments/"))
    path = cases.archive(tmp_path / "b.zip", {**files, name.replace(".json", ".txt"): b"-a\n+b\n"})
    done = restore(path, tmp_path / "there")
    assert (done.store / name.replace(".json", ".diff")).read_bytes() == b"-a\n+b\n"


NAMES = {
    "parent at the start": "../evil.json",
    "parent inside": "study/../../evil.yaml",
    "absolute": "/etc/evil.json",
    "backslash": "study\\evil.yaml",
    "drive": "study/c:evil.yaml",
    "newline": "study/ev\nil.yaml",
    "null": "study/evil.yaml\0.txt",
    "hidden": "study/.crucis/store.json",
    "device": "study/con.yaml",
    "other extension": "study/evil.sh",
    "no extension": "study/evil",
    "pickle": "records/" + "a" * 64 + "/model.pt",
    "folder": "study/sub/",
    "elsewhere": "bin/evil.py",
    "upper case among records": "records/" + "A" * 64 + "/record.json",
    "too deep": "study/" + "a/" * 9 + "x.yaml",
    "double slash": "study//x.yaml",
    "dot": "study/./x.yaml",
    "bidi": "study/\u202eevil.yaml",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_names_that_no_bundle_holds(files, tmp_path, name):
    info = cases.entry("x")
    info.filename = name  # past the constructor, which mends some of them
    refused(cases.archive(tmp_path / "b.zip", files, extra=[(info, b"{}")]), tmp_path)


def test_twins(files, tmp_path):
    twin = [(cases.entry("study/Small.yaml"), b"study: other\n")]
    refused(cases.archive(tmp_path / "b.zip", files, extra=twin), tmp_path, "upper and lower case")
    both = [(cases.entry("study/lib.py"), b""), (cases.entry("study/lib.py/x.py"), b"")]
    refused(cases.archive(tmp_path / "b.zip", files, extra=both), tmp_path, "also a file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        again = [(cases.entry("study/small.yaml"), cases.STUDY)]
        refused(cases.archive(tmp_path / "b.zip", files, extra=again), tmp_path, "twice")


@pytest.mark.parametrize("mode", [stat.S_IFLNK | 0o777, stat.S_IFIFO | 0o644, stat.S_IFDIR | 0o755, stat.S_IFCHR | 0o6])
def test_only_plain_files(files, tmp_path, mode):
    extra = [(cases.entry("study/link.yaml", mode), b"/etc/passwd")]
    refused(cases.archive(tmp_path / "b.zip", files, extra=extra), tmp_path, "no plain file")


def test_bombs(files, tmp_path):
    info = cases.entry("study/zeros.txt")
    info.compress_type = zipfile.ZIP_DEFLATED
    refused(cases.archive(tmp_path / "b.zip", files, extra=[(info, bytes(10**7))]), tmp_path, "200 times")
    info = cases.entry("study/odd.txt")
    info.compress_type = zipfile.ZIP_BZIP2
    refused(cases.archive(tmp_path / "b.zip", files, extra=[(info, b"abc")]), tmp_path, "packed in a way")


def test_too_much_of_everything(files, tmp_path, monkeypatch):
    path = cases.archive(tmp_path / "b.zip", files)
    for name, limit in (("MAX_ENTRIES", len(files) - 1), ("MAX_BYTES", 1000), ("MAX_CONTENTS", 100)):
        with monkeypatch.context() as patched:
            patched.setattr(bundle, name, limit)
            refused(path, tmp_path)


def sizes(path: Path, name: str, change: int) -> None:
    """Let the directory and the local header of an entry state another expanded size."""
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        found = archive.getinfo(name)
    size = found.file_size.to_bytes(4, "little")
    wrong = (found.file_size + change).to_bytes(4, "little")
    at = data.index(name.encode(), found.header_offset) - 30
    data[at + 22 : at + 26] = wrong
    central = data.index(name.encode(), data.rindex(b"PK\x01\x02", 0, data.rindex(name.encode()))) - 46
    assert data[central + 24 : central + 28] == size
    data[central + 24 : central + 28] = wrong
    path.write_bytes(data)


@pytest.mark.parametrize("change", [-1, 1, 1000])
def test_sizes_that_lie(files, tmp_path, change):
    path = cases.archive(tmp_path / "b.zip", files)
    sizes(path, "study/small.yaml", change)
    refused(path, tmp_path)


def lists(entries, /, **changes):
    body = json.loads(cases.contents(entries))
    return json.dumps({**body, **changes}).encode()


def test_lists_that_lie(files, tmp_path):
    listed = json.loads(cases.contents(files))["files"]
    other = [{**item, "sha256": "0" * 64} if item["name"] == "study/small.yaml" else item for item in listed]
    short = [item for item in listed if item["name"] != "study/small.yaml"]
    strange = [*listed[1:], {"name": 1, "bytes": 2, "sha256": "x"}]
    for first in (
        lists(files, files=other), lists(files, files=short), lists(files, files=strange), lists(files, files={}),
        lists(files, files=[*listed, listed[0]]), lists(files, format=2), b"[]", b"", b'{"format": 1}', b"\xff\xfe",
    ):  # fmt: skip
        refused(cases.archive(tmp_path / "b.zip", files, first=first), tmp_path)


STUDIES = [
    {"name": "../up", "preset": None, "file": "small.yaml", "sets": []},
    {"name": "small", "preset": None, "file": "../small.yaml", "sets": []},
    {"name": "small", "preset": "a b", "file": "small.yaml", "sets": []},
    {"name": "small", "preset": None, "file": "small.yaml", "sets": ["a=\x1b[2J"]},
    {"name": "small", "preset": None, "file": "small.yaml", "sets": "x"},
    {"name": "small", "preset": None, "file": "small.yaml"},
    "small",
]


@pytest.mark.parametrize("study", STUDIES)
def test_what_a_bundle_says_of_itself(files, tmp_path, study):
    refused(cases.archive(tmp_path / "b.zip", files, about={**cases.ABOUT, "study": study}), tmp_path)


def test_words_that_are_printed_for_copying_are_quoted(files, tmp_path):
    study = {**cases.ABOUT["study"], "sets": ["seeds=5'; touch x; '"]}
    done = restore(cases.archive(tmp_path / "b.zip", files, about={**cases.ABOUT, "study": study}), tmp_path / "there")
    assert done.command == "small.yaml --set 'seeds=5'\"'\"'; touch x; '\"'\"''"


# -- what the files of a record say ---------------------------------------------------------------------------------


def npy(descr: str = "'<f8'", shape: str = "(3,)", data: bytes = bytes(24)) -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def zipped(tmp_path: Path, entries: dict[str, bytes], packing: int = zipfile.ZIP_STORED) -> bytes:
    with zipfile.ZipFile(tmp_path / "inner.zip", "w", packing) as out:
        for name, data in entries.items():
            out.writestr(name, data)
    return (tmp_path / "inner.zip").read_bytes()


ARRAYS = {
    "73 TiB": npy(shape="(10000000, 1000000)"),
    "too short": npy(data=bytes(16)),
    "too long": npy(data=bytes(32)),
    "objects": npy(descr="'|O'", shape="()"),
    "a structure": npy(descr="[('a', '<f8')]"),
    "code in the header": npy(descr="__import__('os')"),
    "negative": npy(shape="(-3,)"),
    "no array": b"pickle",
    "header without end": b"\x93NUMPY\x02\x00\xff\xff\xff\xff{",
}


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS.keys())
def test_lying_arrays(files, tmp_path, array):
    data = zipped(tmp_path, {"loss.npy": array})
    refused(cases.archive(tmp_path / "b.zip", cases.with_file(files, "curve.npz", data)), tmp_path, "curve.npz")


def test_arrays_that_grow_and_archives_that_are_none(files, tmp_path):
    grown = zipped(tmp_path, {"a.npy": npy(shape="(1250000,)", data=bytes(10**7))}, zipfile.ZIP_DEFLATED)
    for data in (grown, b"no zip", b""):
        refused(cases.archive(tmp_path / "b.zip", cases.with_file(files, "curve.npz", data)), tmp_path, "curve.npz")


def test_honest_arrays_of_every_kind(tmp_path):
    path = tmp_path / "a.npz"
    path.write_bytes(
        cases.npz(a=np.arange(6).reshape(2, 3), b=np.float16(1.5), c=np.array(["x", "yz"]), d=np.array([], bool),
                  e=np.asfortranarray(np.ones((2, 2), complex)), f=np.array([b"x"]), g=np.zeros((0, 3), np.uint8))
    )  # fmt: skip
    strangers.check_npz(path, "a.npz")


HEADERS = {
    "longer than the file": (b"\xff" * 7 + b"\x00", b""),
    "overlap": ({"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]},
                 "b": {"dtype": "U8", "shape": [4], "data_offsets": [2, 6]}}, bytes(6)),
    "gap": ({"a": {"dtype": "U8", "shape": [2], "data_offsets": [2, 4]}}, bytes(4)),
    "rest": ({"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}}, bytes(4)),
    "beyond the end": ({"a": {"dtype": "U8", "shape": [8], "data_offsets": [0, 8]}}, bytes(4)),
    "shape": ({"a": {"dtype": "F32", "shape": [10**6, 10**6], "data_offsets": [0, 4]}}, bytes(4)),
    "type": ({"a": {"dtype": "OBJ", "shape": [4], "data_offsets": [0, 4]}}, bytes(4)),
    "negative": ({"a": {"dtype": "U8", "shape": [-4], "data_offsets": [4, 0]}}, bytes(4)),
    "fractions": ({"a": {"dtype": "U8", "shape": [4.0], "data_offsets": [0, 4]}}, bytes(4)),
    "truth values": ({"a": {"dtype": "U8", "shape": [True], "data_offsets": [0, 1]}}, bytes(1)),
    "no mapping": ([1], b""),
    "text": ({"a": "b"}, b""),
    "metadata": ({"__metadata__": {"a": 1}}, b""),
    "twice": (b'{"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}, '
              b'"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}', bytes(1)),
    "deep": (b"[" * 5000 + b"]" * 5000, b""),
}  # fmt: skip


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS.keys())
def test_lying_tensors(files, tmp_path, header):
    data = cases.tensors(*header) if not isinstance(header[0], bytes) or header[0][:1] != b"\xff" else header[0]
    changed = cases.with_file(files, "model.safetensors", data)
    refused(cases.archive(tmp_path / "b.zip", changed), tmp_path, "model.safetensors")


# -- what records, environments, code and ledgers say ---------------------------------------------------------------


def home(files, kind: str) -> str:
    return next(n for n in files if n.endswith("record.json") and json.loads(files[n])["spec"]["kind"] == kind)


BODIES = {
    "files is a list": {"files": []},
    "values is a text": {"values": "0.9"},
    "outcome": {"outcome": "excellent"},
    "reason": {"reason": {"code": "because", "text": "", "where": ""}},
    "cost": {"cost": {}},
    "a key more": {"extra": 1},
    "time": {"time": {"begun": 1}},
    "spec": {"spec": {"kind": "measure/m", "inputs": {}}},
    "numerics": {"numerics": {"device": "gpu", "hash": "0" * 64}},
    "content": {"content": "0" * 64},
    "name of a file": {"files": {"../x.npz": {"bytes": 1, "sha256": "0" * 64, "role": "table"}}},
    "a file that is not there": {"files": {"x.npz": {"bytes": 1, "sha256": "0" * 64, "role": "table"}}},
}


@pytest.mark.parametrize("changes", BODIES.values(), ids=BODIES.keys())
def test_records_of_another_form(files, tmp_path, changes):
    name = home(files, "measure/m")
    try:
        data = cases.resealed(files[name], **changes)
    except (TypeError, AttributeError, KeyError):  # the honest writer cannot even digest it
        body = {**json.loads(files[name]), **changes}
        data = canonical(body).encode()
    refused(cases.archive(tmp_path / "b.zip", {**files, name: data}), tmp_path, "record ")


JSON = {
    "NaN": b'{"a": NaN}', "infinity": b'{"a": -Infinity}', "overflow": b'{"a": 1e999}', "a key twice": b'{"a":1,"a":2}',
    "deep": b'{"a":' * 80 + b"1" + b"}" * 80, "very deep": b"[" * 100_000, "surrogate": b'{"a": "\\ud800"}',
    "not UTF-8": b'{"a": "\xff"}', "large": b'{"a": "' + b"x" * 1_000_001 + b'"}', "list": b"[1]",
    "digits": b'{"a": ' + b"9" * 10_000 + b"}",
}  # fmt: skip


@pytest.mark.parametrize("data", JSON.values(), ids=JSON.keys())
def test_json_that_is_none(files, tmp_path, data):
    with pytest.raises(BundleError):
        strangers.read_mapping(data, "it")
    refused(cases.archive(tmp_path / "b.zip", {**files, home(files, "measure/m"): data}), tmp_path)
    refused(cases.archive(tmp_path / "b.zip", {**files, "ledger/registrations/1.json": data}), tmp_path)


def test_environments_and_code_answer_for_their_names(files, tmp_path):
    wrong = {f"environments/{'0' * 64}.json": b"{}"}
    refused(cases.archive(tmp_path / "b.zip", {**files, **wrong}), tmp_path, "digest")
    folder = f"code/{'0' * 64}"
    for code in (
        {f"{folder}/a.py": b"x = 1\n", f"{folder}/crucis-entry.txt": b"a.py"},
        {f"{folder}/a.py": b"x = (\n", f"{folder}/crucis-entry.txt": b"a.py"},
        {f"{folder}/a.py": b"x = " + b"(" * 5000 + b"\n", f"{folder}/crucis-entry.txt": b"a.py"},
        {f"{folder}/a.py": b"x = 1\n", f"{folder}/crucis-entry.txt": b"../../b.py"},
        {f"{folder}/a.py": b"x = 1\n"},
    ):
        refused(cases.archive(tmp_path / "b.zip", {**files, **code}), tmp_path, "code ")


def test_ledgers(files, tmp_path):
    line = json.loads(files["ledger/registrations/1.json"])
    other = {**line, "text": {"study": "small", "seeds": [1, 2]}}
    opened = {"study": "small", "registration": "x", "time": "t", "who": "user-001", "data": {"d": "digits"}}
    for name, body in (
        ("ledger/registrations/1.json", other), ("ledger/registrations/3.json", line),
        ("ledger/registrations/2.json", {**line, "results": "none"}),
        ("ledger/unsealings/1.json", opened), ("ledger/unsealings/1.json", {**opened, "before": {}, "data": []}),
        ("ledger/unsealings/1.json", {**opened, "before": {}, "study": "../x"}),
    ):  # fmt: skip
        refused(cases.archive(tmp_path / "b.zip", {**files, name: canonical(body).encode()}), tmp_path, "ledger")


def test_a_registration_that_is_there_stays(files, tmp_path):
    restore(cases.archive(tmp_path / "b.zip", files), tmp_path / "there")
    text = {"study": "small", "seeds": [7]}
    line = {"digest": digest(text), "time": "2026-01-02T00:00:00Z", "results": 0, "seeds": [7], "text": text}
    other = cases.archive(tmp_path / "c.zip", {**files, "ledger/registrations/1.json": canonical(line).encode()})
    done = restore(other, tmp_path / "there")
    assert "stays as it is" in done.notes[0]
    assert Store(done.store).lines("registrations-small")[0]["seeds"] == [42]


def test_a_record_that_is_there_with_other_content_stays(files, tmp_path):
    name = home(files, "measure/m")
    lie = {**files, name: cases.resealed(files[name], values={"norm": 99.0})}
    restore(cases.archive(tmp_path / "b.zip", files), tmp_path / "there")
    done = restore(cases.archive(tmp_path / "c.zip", lie), tmp_path / "there")
    key = name.split("/")[1]
    assert done.kept == (key,) and Store(done.store).read(key).values["norm"] == 2.0


# -- what runs, and where it goes -----------------------------------------------------------------------------------


def test_nothing_that_runs_is_taken_without_trust(files, tmp_path):
    from crucis import source

    code = {"own.py": b"print('hello')\n"}
    folder = f"code/{source.files_digest(code)}"
    gates = b"study: small\ngates: {ready: {gate: method, check: [rm -rf x]}}\n"
    more = {
        **files, "study/own.py": code["own.py"], f"{folder}/own.py": code["own.py"], "study/gates.yaml": gates,
        f"{folder}/crucis-entry.txt": b"own.py", "report/index.html": b"<script>1</script>",
    }  # fmt: skip
    path = cases.archive(tmp_path / "b.zip", more)
    done = restore(path, tmp_path / "there")
    assert set(done.withheld) == {"own.py", "gates.yaml"}
    here = everything(done.folder)
    assert not [name for name in here if name.endswith((".py", ".html"))] and "gates.yaml" not in here
    trusted = restore(path, tmp_path / "there", trust=True)
    assert set(trusted.written) == {"own.py", "gates.yaml", "report/small/index.html"} and trusted.withheld == ()
    assert (Path(trusted.store) / folder / "own.py").read_bytes() == code["own.py"]


def test_a_folder_that_is_in_the_way(files, tmp_path):
    path = cases.archive(tmp_path / "b.zip", files)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/notes.txt").write_text("mine")
    with pytest.raises(BundleError, match="not empty"):
        restore(path, tmp_path / "full")
    assert everything(tmp_path / "full") == {"notes.txt": b"mine"}
    Store(tmp_path / "full/.crucis")
    (tmp_path / "full/small.yaml").write_text("study: mine")
    before = everything(tmp_path / "full")
    with pytest.raises(BundleError, match="other content"):
        restore(path, tmp_path / "full")
    assert everything(tmp_path / "full") == before
    (tmp_path / "full/small.yaml").unlink()
    (tmp_path / "full/small.yaml").symlink_to(tmp_path / "elsewhere.yaml")
    with pytest.raises(BundleError, match="other content"):
        restore(path, tmp_path / "full")
    with pytest.raises(BundleError, match="no folder"):
        restore(path, tmp_path / "full/notes.txt")
    assert not (tmp_path / "elsewhere.yaml").exists()


def test_a_folder_that_leads_out(files, tmp_path):
    path = cases.archive(tmp_path / "b.zip", {**files, "study/lib/a.txt": b"a"})
    Store(tmp_path / "there/.crucis")
    (tmp_path / "out").mkdir()
    (tmp_path / "there/lib").symlink_to(tmp_path / "out")
    with pytest.raises(BundleError, match="leads out"):
        restore(path, tmp_path / "there")
    assert not list((tmp_path / "out").iterdir())


def test_a_bare_store_takes_records_only(files, tmp_path):
    Store(tmp_path / "store")
    done = restore(cases.archive(tmp_path / "b.zip", files), tmp_path / "store")
    assert len(done.taken) == 2 and done.written == () and not (tmp_path / "store/small.yaml").exists()


def test_a_full_disk_leaves_nothing(files, tmp_path, monkeypatch):
    path = cases.archive(tmp_path / "b.zip", files)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundle, "_unpack_one", full)
    with pytest.raises(OSError, match="No space"):
        restore(path, tmp_path / "new")
    assert not (tmp_path / "new").exists()


# -- any damage -----------------------------------------------------------------------------------------------------


def content_of(folder: Path) -> dict[str, bytes]:
    """What a person would use of a restored folder: the study's files and the records, without what differs anyway."""
    return {
        name: data for name, data in everything(folder).items()
        if "/imports/" not in name and not name.endswith("store.json")
    }  # fmt: skip


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_byte_is_refused_or_means_nothing(files, tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("flip")
    path = cases.archive(folder / "b.zip", files)
    text = bytearray(path.read_bytes())
    if data.draw(st.booleans(), label="in the directory"):
        at = data.draw(st.integers(text.index(b"PK\x01\x02"), len(text) - 1), label="at")
    else:
        at = data.draw(st.integers(0, len(text) - 1), label="at")
    text[at] = data.draw(st.integers(0, 255).filter(lambda byte: byte != text[at]), label="byte")
    path.write_bytes(text)
    try:
        done = restore(path, folder / "there")
    except BundleError:
        assert not (folder / "there").exists()
        return
    honest = restore(cases.archive(folder / "c.zip", files), folder / "honest")
    assert content_of(done.folder) == content_of(honest.folder)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_cut_and_any_garbage_is_refused(files, tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("cut")
    path = cases.archive(folder / "b.zip", files)
    whole = path.read_bytes()
    kind = data.draw(st.sampled_from(["cut", "middle", "garbage"]))
    if kind == "cut":
        text = whole[: data.draw(st.integers(0, len(whole) - 1))]
    elif kind == "middle":
        at = data.draw(st.integers(0, len(whole) - 2))
        text = whole[:at] + whole[at + data.draw(st.integers(1, len(whole) - at - 1)) :]
    else:
        text = data.draw(st.binary(max_size=300))
    path.write_bytes(text)
    with pytest.raises(BundleError):
        restore(path, folder / "there")
    assert not (folder / "there").exists()

"""Files: damaged ones are named and never trained on; downloads are checked; what is remembered is never stale."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from test_data_conformance import idx, pixels, png, ref, write_cifar10, write_folders, write_idx, write_parquet

from crucis.data import cifar10, fashion_mnist, files, memory
from crucis.data import open as opening
from crucis.data._cifar import read_pickle
from crucis.data.dataset import DataError
from crucis.data.files import Remote, checksum, download, read_idx
from crucis.data.open import describe, forget, open_data, read


def check_refused(name: str, folder: Path, words: str, **params) -> None:
    for attempt in (read, open_data, describe):
        forget()
        with pytest.raises(DataError, match=words):
            attempt(ref(name, **params), folder=folder, root=folder)


# --- damage ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [1, 100, 1000])
def test_truncated_gzip_is_named(tmp_path, cut):
    write_idx(tmp_path / "MNIST" / "raw", pack=True)
    path = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-cut])
    check_refused("mnist", tmp_path, r"train-images-idx3-ubyte\.gz: truncated or damaged")


def test_flipped_bit_in_gzip_is_found(tmp_path):
    write_idx(tmp_path / "MNIST" / "raw", pack=True)
    path = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte.gz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    check_refused("mnist", tmp_path, r"train-images-idx3-ubyte\.gz: truncated or damaged")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (idx(np.zeros((3, 2), np.uint8))[:-1], "announces 18 bytes"),
        (idx(np.zeros((3, 2), np.uint8)) + b"x", "has 19"),
        (idx(np.zeros(3, np.uint8))[:6], "announces"),
        (b"", "nothing"),
        (b"\0\0\x0d\x01" + b"\0" * 8, "no idx file of unsigned bytes"),
        (b"<html>", "no idx file"),
    ],
)
def test_damaged_idx(tmp_path, data, words):
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(DataError, match=f"a: .*{words}"):
        read_idx(tmp_path / "a")


def test_images_and_labels_of_other_lengths(tmp_path):
    write_idx(tmp_path / "raw", pack=False)
    (tmp_path / "raw" / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(99, np.uint8)))
    check_refused("mnist", tmp_path, r"\(100, 28, 28\) images for \(99,\) labels")


def test_truncated_pickle_and_missing_batch(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    write_cifar10(folder)
    whole = (folder / "data_batch_3").read_bytes()
    (folder / "data_batch_3").write_bytes(whole[: len(whole) // 2])
    check_refused("cifar10", tmp_path, "data_batch_3: no readable batch")
    (folder / "data_batch_3").unlink()
    check_refused("cifar10", tmp_path, "data_batch_3 is missing")
    body = {b"data": np.zeros((5, 3072), np.uint8), b"labels": [0] * 5}
    (folder / "data_batch_3").write_bytes(pickle.dumps(body, protocol=2))
    check_refused("cifar10", tmp_path, "different lengths; one is truncated")


class Evil:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return (Path.touch, (self.target,))


@pytest.mark.parametrize("shape", [lambda x: x, lambda x: {b"data": x}, lambda x: [1], lambda x: print])
def test_pickles_run_nothing(tmp_path, shape):
    target = tmp_path / "was-here"
    data = pickle.dumps(shape(Evil(target)), protocol=2)
    (tmp_path / "batch").write_bytes(data)
    with pytest.raises(DataError, match="batch: no"):
        read_pickle(tmp_path / "batch")
    assert not target.exists()


def test_the_malicious_pickle_of_this_test_is_one(tmp_path):
    pickle.loads(pickle.dumps(Evil(tmp_path / "was-here"), protocol=2))
    assert (tmp_path / "was-here").exists()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({b"labels": [0]}, "no entry 'data'"),
        ({b"data": np.zeros((1, 9), np.uint8), b"labels": [0]}, "rows of 3072"),
        ({b"data": np.zeros((1, 3072), np.float32), b"labels": [0]}, "rows of 3072"),
        ({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0]}, "2 images, 1 labels"),
    ],
)
def test_ill_formed_batches(tmp_path, body, words):
    write_cifar10(tmp_path / "cifar-10-batches-py")
    (tmp_path / "cifar-10-batches-py" / "data_batch_2").write_bytes(pickle.dumps(body, protocol=2))
    check_refused("cifar10", tmp_path, f"data_batch_2: .*{words}")


def test_damaged_parquet_and_rows(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "set" / "train.parquet"
    write_parquet(path, 30)
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    check_refused("parquet", tmp_path, r"train\.parquet: no readable Parquet", path="set")
    cells = [{"bytes": png(image)} for image in pixels(12, 6, 3)]
    cells[4]["bytes"] = cells[4]["bytes"][:40]
    pq.write_table(pa.table({"image": cells, "label": [0, 1] * 6}), path)
    check_refused("parquet", tmp_path, r"train\.parquet row 4: no readable image", path="set")
    cells[4]["bytes"] = None
    pq.write_table(pa.table({"image": cells, "label": [0, 1] * 6}), path)
    check_refused("parquet", tmp_path, "row 4: no image bytes", path="set")
    pq.write_table(pa.table({"image": cells[:2], "label": [0.5, 1.5]}), path)
    check_refused("parquet", tmp_path, "whole numbers or texts", path="set")
    check_refused("parquet", tmp_path, "no Parquet file in .*nowhere", path="nowhere")


def test_damaged_image_in_a_folder(tmp_path):
    write_folders(tmp_path / "set")
    (tmp_path / "set" / "bee" / "003.png").write_bytes(b"not an image")
    check_refused("image_folder", tmp_path, r"003\.png: no readable image", path="set")
    check_refused("image_folder", tmp_path, "no folder .*nowhere", path="nowhere")
    (tmp_path / "empty" / "a").mkdir(parents=True)
    check_refused("image_folder", tmp_path, "no image in class folders", path="empty")


def test_a_class_that_training_lacks(tmp_path):
    write_folders(tmp_path / "set", parts=("train", "test"))
    (tmp_path / "set" / "test" / "dog").mkdir()
    check_refused("image_folder", tmp_path, "dog is a class that the training part lacks", path="set")


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": np.zeros((9, 3), np.float32)}, "no array 'y'; it has x"),
        ({"x": np.zeros((9, 3), np.int64), "y": np.zeros(9, int)}, "expected uint8 images"),
        ({"x": np.zeros((9, 3), np.float32), "y": np.zeros(9)}, "whole numbers"),
        ({"x": np.zeros((9, 3), np.float32), "y": np.array([None] * 9)}, "no readable archive of plain arrays"),
    ],
)
def test_ill_formed_archives(tmp_path, arrays, words):
    np.savez(tmp_path / "a.npz", **arrays)
    check_refused("npz", tmp_path, words, path="a.npz")


def test_damaged_archive(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((50, 3), np.float32), y=np.zeros(50, int))
    whole = (tmp_path / "a.npz").read_bytes()
    for damaged in (whole[:-30], b"nothing", whole.replace(b"\0" * 64, b"\1" * 64, 1)):
        (tmp_path / "a.npz").write_bytes(damaged)
        check_refused("npz", tmp_path, r"a\.npz: no readable archive", path="a.npz")
    check_refused("npz", tmp_path, "no file", path="b.npz")


def test_missing_files_say_where_and_how(tmp_path):
    check_refused("fashion_mnist", tmp_path, r"no train-images-idx3-ubyte.*looked in.*download: true")
    check_refused("cifar10", tmp_path, r"data_batch_1 or CIFAR10/train\.parquet")
    forget()
    with pytest.raises(DataError, match="looked in"):
        open_data(ref("mnist"), folder=tmp_path, root=None)


# --- downloads, from files -------------------------------------------------------------------------------------------


def published(folder: Path, name: str, kind: str = "sha256") -> Remote:
    return Remote((folder / name).as_uri(), checksum(folder / name, kind))


def test_download_checks_and_loads(tmp_path, monkeypatch):
    source = tmp_path / "server"
    write_idx(source, pack=True)
    remote = {path.name: published(source, path.name) for path in source.iterdir()}
    monkeypatch.setattr(fashion_mnist, "REMOTE", remote)
    check_refused("fashion_mnist", tmp_path, "download: true")
    place = tmp_path / "mine"
    data = read(ref("fashion_mnist", path="mine", download=True), folder=tmp_path, root=None)
    assert len(data.test) == 30 and len(list((place / "FashionMNIST" / "raw").iterdir())) == 4
    for path in source.iterdir():
        path.unlink()
    assert read(ref("fashion_mnist", path="mine"), folder=tmp_path, root=None).digest == data.digest


def test_wrong_bytes_are_thrown_away(tmp_path):
    (tmp_path / "a").write_bytes(b"other bytes")
    remote = Remote((tmp_path / "a").as_uri(), "0" * 64)
    with pytest.raises(DataError, match=r"sha256 .* in place of 0000"):
        download({"a": remote}, tmp_path / "to")
    assert not list((tmp_path / "to").iterdir())
    with pytest.raises(DataError, match="could not be fetched"):
        download({"b": Remote((tmp_path / "b").as_uri(), "0" * 32)}, tmp_path / "to")
    download({"a": published(tmp_path, "a", "md5")}, tmp_path / "to")
    assert (tmp_path / "to" / "a").read_bytes() == b"other bytes"


def test_archive_of_cifar_is_fetched_and_unpacked(tmp_path, monkeypatch):
    write_cifar10(tmp_path / "made" / "cifar-10-batches-py")
    with tarfile.open(tmp_path / "cifar.tar.gz", "w:gz") as file:
        file.add(tmp_path / "made" / "cifar-10-batches-py", "cifar-10-batches-py")
    monkeypatch.setattr(cifar10, "REMOTE", published(tmp_path, "cifar.tar.gz", "md5"))
    data = read(ref("cifar10", path="to", download=True), folder=tmp_path, root=None)
    assert (tmp_path / "to" / "cifar-10-batches-py" / "test_batch").is_file() and len(data.test) == 40


def test_archive_cannot_write_outside(tmp_path, monkeypatch):
    with tarfile.open(tmp_path / "cifar.tar.gz", "w:gz") as file:
        entry = tarfile.TarInfo("../outside")
        entry.size = 4
        file.addfile(entry, io.BytesIO(b"evil"))
    monkeypatch.setattr(cifar10, "REMOTE", published(tmp_path, "cifar.tar.gz"))
    with pytest.raises(DataError, match="cannot be unpacked"):
        read(ref("cifar10", path="to", download=True), folder=tmp_path, root=None)
    assert not (tmp_path / "outside").exists()


# --- what is remembered ----------------------------------------------------------------------------------------------


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    forget()
    return tmp_path / "cache"


def test_description_is_read_once(tmp_path, own_cache, monkeypatch):
    write_idx(tmp_path / "raw", pack=True)
    first = describe(ref("mnist"), folder=tmp_path, root=tmp_path)
    forget()
    monkeypatch.setattr(opening._Opened, "call", lambda self: pytest.fail("it read the data again"))
    assert describe(ref("mnist"), folder=tmp_path, root=tmp_path) == first
    assert list(first.class_counts) == ["train", "validation", "test"]


def test_changed_file_is_read_again(tmp_path, own_cache):
    write_idx(tmp_path / "raw", pack=False)
    first = describe(ref("mnist"), folder=tmp_path, root=tmp_path)
    data = open_data(ref("mnist"), folder=tmp_path, root=tmp_path)
    (tmp_path / "raw" / "train-images-idx3-ubyte").write_bytes(idx(pixels(100, 28)[..., 0]))
    assert describe(ref("mnist"), folder=tmp_path, root=tmp_path).digest != first.digest
    assert open_data(ref("mnist"), folder=tmp_path, root=tmp_path).digest != data.digest


def test_added_image_is_seen(tmp_path, own_cache):
    write_folders(tmp_path / "set")
    first = describe(ref("image_folder", path="set"), folder=tmp_path, root=None)
    (tmp_path / "set" / "ant" / "new.png").write_bytes(png(pixels(1, 10, 3)[0]))
    second = describe(ref("image_folder", path="set"), folder=tmp_path, root=None)
    assert sum(map(sum, second.class_counts.values())) == sum(map(sum, first.class_counts.values())) + 1


def test_damaged_memory_is_ignored(tmp_path, own_cache):
    write_idx(tmp_path / "raw", pack=False)
    first = describe(ref("mnist"), folder=tmp_path, root=tmp_path)
    (kept,) = own_cache.rglob("*.json")
    for text in ("", "{}", "[1]", json.dumps({"files": [], "info": {"digest": "x"}}), kept.read_text()[:-20]):
        kept.write_text(text)
        forget()
        assert describe(ref("mnist"), folder=tmp_path, root=tmp_path) == first


def test_slow_data_is_kept_decoded_and_verified(tmp_path, own_cache, monkeypatch):
    monkeypatch.setattr(opening, "KEEP_SECONDS", -1.0)
    write_folders(tmp_path / "set")
    data = open_data(ref("image_folder", path="set"), folder=tmp_path, root=None)
    forget()
    with monkeypatch.context() as patch:
        patch.setattr(opening._Opened, "call", lambda self: pytest.fail("it decoded again"))
        mapped = open_data(ref("image_folder", path="set"), folder=tmp_path, root=None)
    assert isinstance(mapped.train.x, np.memmap) and mapped.digest == data.digest
    assert np.array_equal(mapped.train.x, data.train.x) and (mapped.mean, mapped.std) == (data.mean, data.std)
    assert not mapped.train.x.flags.writeable and mapped.split("validation").y.dtype == np.int64
    for damage in ("flip", "cut"):
        (path,) = own_cache.rglob("train-x.npy")
        whole = bytearray(path.read_bytes())
        whole[-1] ^= 1
        del mapped
        path.unlink()
        path.write_bytes(whole if damage == "flip" else whole[:-5])
        forget()
        mapped = open_data(ref("image_folder", path="set"), folder=tmp_path, root=None)
        assert mapped.digest == data.digest and np.array_equal(mapped.train.x, data.train.x), damage


def test_factors_survive_being_kept(tmp_path, own_cache, monkeypatch):
    monkeypatch.setattr(opening, "KEEP_SECONDS", -1.0)
    first = open_data(ref("shapes", n=60, size=8), folder=tmp_path, root=None)
    forget()
    again = open_data(ref("shapes", n=60, size=8), folder=tmp_path, root=None)
    assert isinstance(again.train.x, np.memmap)
    assert all(np.array_equal(first.train.factors[k], again.train.factors[k]) for k in first.train.factors)


def test_unwritable_cache_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    forget()
    assert describe(ref("spirals", n=50), folder=tmp_path, root=None).classes == 2


def test_other_parameters_and_roots_are_other_requests(tmp_path, own_cache):
    write_idx(tmp_path / "a" / "raw", pack=False)
    write_idx(tmp_path / "b" / "raw", pack=False)
    digests = {describe(ref("mnist"), folder=tmp_path, root=tmp_path / name).digest for name in "ab"}
    digests |= {describe(ref("spirals", n=n), folder=tmp_path, root=None).digest for n in (50, 60)}
    assert len(digests) == 4


def test_same_content_elsewhere_has_the_same_digest(tmp_path):
    write_idx(tmp_path / "a" / "raw", pack=False)
    (tmp_path / "b" / "raw").mkdir(parents=True)
    for path in (tmp_path / "a" / "raw").iterdir():
        (tmp_path / "b" / "raw" / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    first, second = (read(ref("mnist", path=name), folder=tmp_path, root=None).digest for name in "ab")
    assert first == second


def test_describing_and_viewing_import_no_torch(tmp_path):
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from crucis.study.spec import LeafRef\n"
        "from crucis.data.open import describe, open_data\n"
        "from crucis.data.view import apply_view, view_size\n"
        "for name in ('digits', 'spirals'):\n"
        "    ref = LeafRef('data', name)\n"
        "    info = describe(ref, folder=Path(), root=None)\n"
        "    view_size(info, {'classes': 'first-half'})\n"
        "    apply_view(open_data(ref, folder=Path(), root=None), {'n': 5}, 1)\n"
        "heavy = {'torch', 'sklearn', 'pyarrow', 'PIL', 'pandas', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=200)


def test_stamps_see_folders(tmp_path):
    (tmp_path / "a").write_text("x")
    known = memory.stamps([tmp_path / "a", tmp_path])
    assert memory.unchanged(known)
    (tmp_path / "b").write_text("y")
    assert not memory.unchanged(known)
    (tmp_path / "a").unlink()
    assert not memory.unchanged(known)


def test_cache_folder_follows_the_convention(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert files.cache_folder() == Path("/somewhere/crucis")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert files.cache_folder() == Path.home() / ".cache" / "crucis"

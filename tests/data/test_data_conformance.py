"""Every data set on the shelf keeps the promises of the shelf, on small files of the published layouts."""

from __future__ import annotations

import gzip
import io
import json
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from crucis import shelf
from crucis.data.dataset import DataError, Raw
from crucis.data.open import describe, forget, open_data, read
from crucis.study.spec import LeafRef
from crucis.testing import data as suite

DRAW = np.random.default_rng(0)


def pixels(count: int, side: int, channels: int = 1) -> np.ndarray:
    return DRAW.integers(0, 256, (count, side, side, channels), dtype=np.uint8)


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


def png(image: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(out, "PNG")
    return out.getvalue()


def write_idx(folder: Path, *, pack: bool, count: int = 100) -> None:
    folder.mkdir(parents=True)
    for part, n in (("train", count), ("t10k", 30)):
        for name, array in (
            (f"{part}-images-idx3-ubyte", pixels(n, 28)[..., 0]),
            (f"{part}-labels-idx1-ubyte", (np.arange(n) % 10).astype(np.uint8)),
        ):
            (folder / (name + ".gz" * pack)).write_bytes(gzip.compress(idx(array)) if pack else idx(array))


class Python2(pickle._Pickler):
    """Writes byte strings as the published pickles have them: as texts of Python 2."""

    dispatch = dict(pickle._Pickler.dispatch)  # noqa: RUF012

    def save_bytes(self, value):
        short = len(value) < 256
        self.write(pickle.SHORT_BINSTRING if short else pickle.BINSTRING)
        self.write(len(value).to_bytes(1 if short else 4, "little") + value)
        self.memoize(value)

    dispatch[bytes] = save_bytes


def pickled(body) -> bytes:
    out = io.BytesIO()
    Python2(out, protocol=2).dump(body)
    return out.getvalue()


def cifar_rows(images: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2).reshape(len(images), 3072))


def write_cifar10(folder: Path, count: int = 40) -> None:
    folder.mkdir(parents=True)
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        body = {b"data": cifar_rows(pixels(count, 32, 3)), b"labels": [i % 10 for i in range(count)]}
        (folder / name).write_bytes(pickled(body))
    names = [f"class{i}".encode() for i in range(10)]
    (folder / "batches.meta").write_bytes(pickled({b"label_names": names}))


def write_cifar100(folder: Path, count: int = 400) -> None:
    folder.mkdir(parents=True)
    for name in ("train", "test"):
        fine = [i % 100 for i in range(count)]
        body = {b"data": cifar_rows(pixels(count, 32, 3)), b"fine_labels": fine}
        body[b"coarse_labels"] = [label // 5 for label in fine]
        (folder / name).write_bytes(pickled(body))
    meta = {b"fine_label_names": [f"f{i}".encode() for i in range(100)]}
    meta[b"coarse_label_names"] = [f"c{i}".encode() for i in range(20)]
    (folder / "meta").write_bytes(pickled(meta))


def write_parquet(path: Path, count: int, *, side: int = 12, channels: int = 3, names: list[str] | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = [{"bytes": png(image), "path": f"{i}.png"} for i, image in enumerate(pixels(count, side, channels))]
    table = pa.table(
        {"image": cells, "label": [i % 4 for i in range(count)], "other": [f"w{i % 3}" for i in range(count)]}
    )
    if names:
        features = {"label": {"names": names, "_type": "ClassLabel"}, "image": {"_type": "Image"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path)


def write_folders(folder: Path, *, parts: tuple[str, ...] = ("",), side: int = 10, count: int = 14) -> None:
    for part in parts:
        for name in ("ant", "bee", "cow"):
            place = folder / part / name
            place.mkdir(parents=True)
            for i, image in enumerate(pixels(count, side, 3)):
                (place / f"{i:03}.png").write_bytes(png(image))


def write_cub200(folder: Path, *, classes: int = 4, count: int = 12) -> None:
    images, labels, parts = [], [], []
    for number in range(1, classes * count + 1):
        kind = 1 + number % classes
        name = f"{kind:03}.Bird_{kind}/bird_{number:04}.jpg"
        (folder / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "images" / name).write_bytes(png(pixels(1, 10 + number % 3, 3)[0]))
        images.append(f"{number} {name}")
        labels.append(f"{number} {kind}")
        parts.append(f"{number} {int(number % 3 > 0)}")
    kinds = [f"{kind} {kind:03}.Bird_{kind}" for kind in range(1, classes + 1)]
    lists = {"images": images, "image_class_labels": labels, "train_test_split": parts, "classes": kinds}
    for name, lines in lists.items():
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")


def write_resisc45(folder: Path, count: int = 3) -> None:
    for name in ["airplane", *(f"scene_{i:02}" for i in range(44))]:
        (folder / name).mkdir(parents=True)
        for i, image in enumerate(pixels(count, 9, 3)):
            (folder / name / f"{name}_{i:03}.jpg").write_bytes(png(image))


def ref(name: str, **params) -> LeafRef:
    return LeafRef("data", name, params)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder of data sets with one of each layout."""
    base = tmp_path_factory.mktemp("data")
    write_idx(base / "FashionMNIST" / "raw", pack=True)
    write_idx(base / "MNIST" / "raw", pack=False)
    write_cifar10(base / "cifar-10-batches-py")
    write_cifar100(base / "cifar-100-python")
    write_parquet(base / "table" / "train-00000-of-00001.parquet", 80, names=["a", "b", "c", "d"])
    write_folders(base / "folders")
    write_cub200(base / "CUB_200_2011")
    write_resisc45(base / "NWPU-RESISC45", count=10)
    np.savez(base / "blobs.npz", x=DRAW.standard_normal((90, 3)), y=np.arange(90) % 3)
    return base


SHELF = {
    "digits": {},
    "gaussian_blobs": {"n": 300},
    "spirals": {"n": 300},
    "games": {"n": 200},
    "atari": {"games": ["pong"], "n": 60},
    "shapes": {"n": 200, "size": 16},
    "mnist": {},
    "fashion_mnist": {},
    "cifar10": {},
    "cifar100": {},
    "cub200": {"size": 8},
    "resisc45": {"size": 8},
    "parquet": {"path": "table"},
    "image_folder": {"path": "folders"},
    "npz": {"path": "blobs.npz"},
}


@pytest.mark.parametrize("name", shelf.names("data"))
def test_data_set_keeps_the_promises(name, root):
    assert name in SHELF, f"say with which parameters {name} is tried"
    suite.check_data(name, SHELF[name], root=root)


@pytest.mark.parametrize("name", shelf.names("data"))
def test_every_data_set_is_documented(name):
    leaf = shelf.leaf("data", name)
    assert leaf.revision != "0"
    assert all(param.doc for param in leaf.params.values()), "an undocumented parameter"


@pytest.mark.parametrize(
    ("name", "shape", "classes", "train", "test"),
    [("mnist", (1, 28, 28), 10, 90, 30), ("cifar10", (3, 32, 32), 10, 180, 40),
     ("cifar100", (3, 32, 32), 100, 300, 400), ("digits", (1, 8, 8), 10, 1439, 179)],
)  # fmt: skip
def test_shapes_and_official_parts(root, name, shape, classes, train, test):
    info = describe(ref(name), folder=root, root=root)
    assert (info.shape, info.classes, info.size(), info.size("test")) == (shape, classes, train, test)


def test_birds_have_their_official_parts_and_names(root):
    data = read(ref("cub200", size=8), folder=root, root=root)
    assert data.class_names == ("Bird_1", "Bird_2", "Bird_3", "Bird_4")
    assert len(data.test) == 16  # every third of 48
    assert len(data.train) + len(data.validation) == 32
    assert describe(ref("resisc45", size=8), folder=root, root=root).classes == 45


def test_birds_whose_lists_disagree(tmp_path):
    write_cub200(tmp_path / "CUB_200_2011")
    short = tmp_path / "CUB_200_2011" / "image_class_labels.txt"
    short.write_text("".join(short.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(DataError, match="do not name the same images"):
        read(ref("cub200", size=8), folder=tmp_path, root=tmp_path)
    short.write_text("1 one\n1 two\n")
    with pytest.raises(DataError, match="line 2"):
        read(ref("cub200", size=8), folder=tmp_path, root=tmp_path)


def test_scenes_that_lack_a_class(tmp_path):
    write_resisc45(tmp_path / "NWPU-RESISC45", count=2)
    import shutil

    shutil.rmtree(tmp_path / "NWPU-RESISC45" / "scene_03")
    with pytest.raises(DataError, match="44 class folders"):
        read(ref("resisc45", size=8), folder=tmp_path, root=tmp_path)


def test_digits_are_those_of_scikit_learn(root):
    from sklearn.datasets import load_digits

    data = read(ref("digits"), folder=root, root=None)
    bunch = load_digits()
    grey = {tuple(row): label for row, label in zip(bunch.data.astype(int).tolist(), bunch.target, strict=True)}
    for split in (data.train, data.validation, data.test):
        back = np.rint(split.x.reshape(len(split), 64) * (16 / 255)).astype(int)
        assert [grey[tuple(row)] for row in back.tolist()] == split.y.tolist()


def test_cifar_pixels_are_where_torchvision_puts_them(root):
    from crucis.nets._torchvision import torchvision

    torchvision()
    from torchvision.datasets import CIFAR10

    class Unchecked(CIFAR10):
        def _check_integrity(self):
            return True

        def _load_meta(self):
            self.classes = [str(i) for i in range(10)]

    published = Unchecked(str(root), train=False)
    ours = read(ref("cifar10"), folder=root, root=root)
    assert np.array_equal(published.data, ours.test.x) and published.targets == ours.test.y.tolist()


def test_cifar_parquet_equals_pickles(tmp_path):
    """The two layouts of one set are one data set, down to the digest."""
    write_cifar100(tmp_path / "one" / "cifar-100-python")
    for part in ("train", "test"):
        data = (tmp_path / "one" / "cifar-100-python" / part).read_bytes()
        body = pickle.loads(data, encoding="bytes")
        images = body[b"data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        features = {"fine_label": {"names": [f"f{i}" for i in range(100)]},
                    "coarse_label": {"names": [f"c{i}" for i in range(20)]}}  # fmt: skip
        table = pa.table({
            "image": [{"bytes": png(image), "path": ""} for image in images],
            "fine_label": body[b"fine_labels"], "coarse_label": body[b"coarse_labels"],
        })  # fmt: skip
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
        (tmp_path / "two" / "CIFAR100").mkdir(parents=True, exist_ok=True)
        pq.write_table(table, tmp_path / "two" / "CIFAR100" / f"{part}.parquet")
    one, two = (read(ref("cifar100"), folder=tmp_path, root=tmp_path / name) for name in ("one", "two"))
    assert one.digest == two.digest and one.coarse == two.coarse == tuple(i // 5 for i in range(100))


def test_parquet_official_parts_names_and_columns(tmp_path):
    write_parquet(tmp_path / "set" / "data" / "train-0.parquet", 40, names=["a", "b", "c", "d"])
    write_parquet(tmp_path / "set" / "data" / "validation-0.parquet", 8)
    write_parquet(tmp_path / "set" / "data" / "test-0.parquet", 12)
    data = read(ref("parquet", path="set"), folder=tmp_path, root=None)
    assert (len(data.train), len(data.validation), len(data.test)) == (40, 8, 12)
    assert data.class_names == ("a", "b", "c", "d") and data.shape == (3, 12, 12)
    words = read(ref("parquet", path="set", label="other", size=6, colour="grey"), folder=tmp_path, root=None)
    assert words.class_names == ("w0", "w1", "w2") and words.shape == (1, 6, 6)
    with pytest.raises(DataError, match=r"no column 'lable'.*label"):
        read(ref("parquet", path="set", label="lable"), folder=tmp_path, root=None)


def test_image_folder_with_parts_and_sizes(tmp_path):
    write_folders(tmp_path / "set", parts=("train", "val", "test"))
    data = read(ref("image_folder", path="set"), folder=tmp_path, root=None)
    assert (len(data.train), len(data.validation), len(data.test)) == (42, 42, 42)
    assert data.class_names == ("ant", "bee", "cow")
    (tmp_path / "set" / "train" / "ant" / "odd.png").write_bytes(png(pixels(1, 15, 3)[0]))
    with pytest.raises(DataError, match=r"odd\.png: 15 x 15 pixels, others have 10 x 10; give size"):
        read(ref("image_folder", path="set"), folder=tmp_path, root=None)
    assert read(ref("image_folder", path="set", size=8), folder=tmp_path, root=None).shape == (3, 8, 8)


@pytest.mark.parametrize("names", [("x", "y", "test_x", "test_y"), ("x_train", "y_train", "x_test", "y_test")])
def test_npz_images(tmp_path, names):
    arrays = (pixels(50, 6)[..., 0], np.arange(50) % 5, pixels(10, 6)[..., 0], np.arange(10) % 5)
    np.savez(tmp_path / "a.npz", **dict(zip(names, arrays, strict=True)), class_names=np.array(list("abcde")))
    data = read(ref("npz", path="a.npz"), folder=tmp_path, root=None)
    assert (data.shape, data.class_names, len(data.test)) == ((1, 6, 6), tuple("abcde"), 10)
    assert np.array_equal(data.test.x[..., 0], arrays[2])


# --- generated sets: known truth ---------------------------------------------------------------------------------


def test_blobs_have_the_bayes_error_they_should():
    from scipy.stats import norm

    from crucis.data import gaussian_blobs

    raw = gaussian_blobs.load(None, n=40_000, dimensions=3, classes=2, separation=1.5)
    centres = np.stack([raw.x[raw.y == k].mean(0) for k in (0, 1)]).astype(float)
    assert np.allclose(np.linalg.norm(centres, axis=1), 1.5, atol=0.05)
    distance = np.linalg.norm(centres[0] - centres[1])
    nearest = np.linalg.norm(raw.x[:, None] - centres[None], axis=2).argmin(1)
    assert abs((nearest != raw.y).mean() - norm.cdf(-distance / 2)) < 0.01


def test_spirals_are_one_arm_turned():
    from crucis.data import spirals

    raw = spirals.load(None, n=900, classes=3, turns=2, noise=0)
    point = raw.x[:, 0] + 1j * raw.x[:, 1]
    radius = abs(point)
    unwound = point * np.exp(-2j * np.pi * (2 * raw.factors["along"] + raw.y / 3))
    assert np.allclose(unwound, radius, atol=1e-5) and radius.min() >= 0.05 and radius.max() <= 1


@pytest.mark.parametrize("label", ["shape", "colour", "size", "quadrant"])
def test_shapes_show_their_factors(label):
    from crucis.data import shapes

    raw = shapes.load(None, n=300, size=24, label=label, noise=0)
    full = (shapes._RGB[raw.factors["colour"]] - 25).sum(1)
    lit = (raw.x.astype(float) - 25).sum(3) / full[:, None, None]  # share of the pixel that is covered
    rows, columns = np.mgrid[0:24, 0:24] + 0.5
    centre = np.stack([(lit * columns).sum((1, 2)), (lit * rows).sum((1, 2))], 1) / lit.sum((1, 2))[:, None] / 24
    inside = abs(raw.factors["position"] - 0.5).max(1) + raw.factors["size"] < 0.5
    assert abs(centre - raw.factors["position"])[inside].max() < 0.06
    area = lit.mean((1, 2)) / raw.factors["size"] ** 2
    discs = (raw.factors["shape"] == 0) & inside
    assert np.allclose(area[discs], np.pi, rtol=0.06)
    strongest = raw.x.reshape(300, -1, 3).max(1).argmax(1)
    assert (strongest[raw.factors["colour"] == 0] == 0).all() and (strongest[raw.factors["colour"] == 2] == 2).all()
    assert raw.y.max() + 1 == len(raw.class_names) and len(np.unique(raw.y)) == len(raw.class_names)


def test_variants_differ_and_repeat():
    from crucis.data import shapes

    first, again, other = (shapes.load(None, n=40, size=8, variant=v).x for v in (0, 0, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


# --- a user's file -------------------------------------------------------------------------------------------------

OWN = """
import numpy as np
from crucis.data.dataset import Raw
def load(root, *, n: int = 60):
    x = np.random.default_rng(1).standard_normal((n, 4)).astype(np.float32)
    return Raw(x, np.arange(n) % 3, ("a", "b", "c"))
"""


def test_a_users_file(tmp_path):
    (tmp_path / "mine.py").write_text(OWN)
    suite.check_data("./mine.py", {"n": 80}, folder=tmp_path)
    with pytest.raises(DataError, match="no parameter 'm'; it has: n"):
        open_data(ref("./mine.py", m=3), folder=tmp_path, root=None)
    with pytest.raises(DataError, match=r"no file \./other\.py"):
        open_data(ref("./other.py"), folder=tmp_path, root=None)


def test_changing_a_users_file_changes_the_data(tmp_path):
    (tmp_path / "mine.py").write_text(OWN)
    before = open_data(ref("./mine.py"), folder=tmp_path, root=None).digest
    (tmp_path / "mine.py").write_text(OWN + "\n# a remark\n")
    assert open_data(ref("./mine.py"), folder=tmp_path, root=None).digest == before
    (tmp_path / "mine.py").write_text(OWN.replace("default_rng(1)", "default_rng(2)"))
    assert open_data(ref("./mine.py"), folder=tmp_path, root=None).digest != before


def test_a_users_file_that_reads_files_is_never_described_from_memory(tmp_path):
    text = OWN.replace("np.random.default_rng(1).standard_normal((n, 4)).astype(np.float32)", "np.load('X')")
    text = text.replace("'X'", repr(str(tmp_path / "x.npy")))
    (tmp_path / "mine.py").write_text(text)
    digests = []
    for seed in (1, 2):
        np.save(tmp_path / "x.npy", np.random.default_rng(seed).standard_normal((60, 4)).astype(np.float32))
        forget()
        digests.append(describe(ref("./mine.py"), folder=tmp_path, root=None).digest)
    assert digests[0] != digests[1]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (lambda x, y: (x, y), "must return a crucis.data.dataset.Raw, not tuple"),
        (lambda x, y: Raw(x.astype(np.float64), y, ("a", "b")), "expected uint8 images"),
        (lambda x, y: Raw(x, y + 1, ("a", "b")), "labels run from 1 to 2 for 2 classes"),
        (lambda x, y: Raw(x, y[1:], ("a", "b")), "do not fit"),
        (lambda x, y: Raw(x * np.float32(np.nan), y, ("a", "b")), "not finite"),
        (lambda x, y: Raw(x[:2], y[:2], ("a", "b")), "split would be empty"),
        (lambda x, y: Raw(x, y, ("a", "b"), coarse=(0,)), "1 coarse labels for 2 classes"),
    ],
)
def test_ill_formed_data_is_refused(tmp_path, monkeypatch, raw, words):
    from crucis.data import open as opening

    (tmp_path / "mine.py").write_text("def load(root): ...\n")
    x, y = np.ones((20, 3), np.float32), np.arange(20) % 2
    monkeypatch.setattr(opening, "_entry", lambda *_: lambda _root: raw(x, y))
    with pytest.raises(DataError, match=words):
        read(ref("./mine.py"), folder=tmp_path, root=None)


def test_unknown_data_set_gets_the_nearest_name(tmp_path):
    with pytest.raises(DataError, match=r"no data set 'cifer10'\. Did you mean 'cifar10'"):
        open_data(ref("cifer10"), folder=tmp_path, root=None)

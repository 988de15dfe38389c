"""Parquet files as the hub ships them, and what is wrong with those that are not."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gmsearch.data import ImageStream, load, prepare
from gmsearch.data.decode import DECODE_VERSION
from gmsearch.data.loader import evaluation_batches
from gmsearch.data.source import file_digest
from gmsearch.errors import DataError
from gmsearch.experiment import DATA_SPECS, ParquetImages
from gmsearch.plain import digest

IMAGENETTE = Path(__file__).parents[3] / "shared" / "data" / "imagenette32"
Write = Callable[..., None]


def _spec(root: Path, **options: object) -> ParquetImages:
    return ParquetImages(root=str(root), holdout=0, **options)


def _header(names: object) -> dict[str, str]:
    label = {"_type": "Value"} if names is None else {"_type": "ClassLabel", "names": names}
    return {"huggingface": json.dumps({"info": {"features": {"label": label}}})}


@pytest.fixture
def write(
    tmp_path: Path, pixels: Callable[..., np.ndarray], encode: Callable[..., bytes]
) -> Write:
    """Return a writer of one file of random images with the given labels."""

    def make(
        name: str, labels: Sequence[int | None], seed: int = 0, header: object = None
    ) -> np.ndarray:
        arrays = pixels(len(labels), 8, seed)
        images = [{"bytes": encode(a), "path": f"{i}.png"} for i, a in enumerate(arrays)]
        image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        table = pa.table({"image": pa.array(images, image), "label": pa.array(labels, pa.int64())})
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table.replace_schema_metadata(header), path, row_group_size=3)
        return arrays

    return make


@pytest.fixture
def sound(write: Write, tmp_path: Path) -> Path:
    """Return the root of a sound pair of files."""
    write("train.parquet", [0, 1, 1, 0, 1])
    write("val.parquet", [1, 0, 1], seed=1)
    return tmp_path


def test_rows_come_back(write: Write, tmp_path: Path, cache: Path) -> None:
    """Pixels, labels and names are those of the files, the evaluation split in its order."""
    names = ["cat", "dog"]
    train = write("train.parquet", [0, 1, 1, 0, 1], header=_header(names))
    val = write("val.parquet", [1, 0, 1], seed=1)
    data = load(_spec(tmp_path))

    assert data.classes == ("cat", "dog")
    assert (data.evaluation.images == val).all()
    assert data.evaluation.labels.tolist() == [1, 0, 1]
    assert data.chance == 2 / 3
    places = [(data.train.images == image).all(axis=(1, 2, 3)).argmax() for image in train]
    assert sorted(places) == [0, 1, 2, 3, 4]
    assert data.train.labels[places].tolist() == [0, 1, 1, 0, 1]


@pytest.mark.parametrize("header", [None, _header(None)])
def test_classes_without_names_are_numbered(
    write: Write, tmp_path: Path, cache: Path, header: object
) -> None:
    """Without a header, or with one that names none, classes are 0 to the largest label."""
    write("train.parquet", [0, 2, 1], header=header)
    write("val.parquet", [1], seed=1)

    assert load(_spec(tmp_path)).classes == ("0", "1", "2")


@pytest.mark.parametrize("folder", ["", "data/"])
@pytest.mark.parametrize("split", ["val", "validation", "test"])
def test_the_hubs_layouts(
    write: Write, tmp_path: Path, cache: Path, folder: str, split: str
) -> None:
    """Shards in the root or in `data`, in their order, under each name of the split."""
    write(f"{folder}train-00000-of-00002.parquet", [0, 1])
    write(f"{folder}train-00001-of-00002.parquet", [1, 0], seed=1)
    one = write(f"{folder}{split}-00000-of-00002-aa.parquet", [0, 1], seed=2)
    two = write(f"{folder}{split}-00001-of-00002-bb.parquet", [1], seed=3)
    data = load(_spec(tmp_path))

    assert len(data.train) == 4
    assert (data.evaluation.images == np.concatenate([one, two])).all()


def test_the_layouts_of_the_hubs_own_conversion(write: Write, tmp_path: Path, cache: Path) -> None:
    """A folder for a configuration, folders for splits, numbered shards."""
    write("default/train/0000.parquet", [0, 1])
    write("default/train/0001.parquet", [1, 0], seed=1)
    val = write("default/valid/0000.parquet", [0, 1, 1], seed=2)
    data = load(_spec(tmp_path))

    assert len(data.train) == 4
    assert (data.evaluation.images == val).all()
    assert load(_spec(tmp_path / "default")).identity == data.identity
    (tmp_path / "default/train/0000.parquet").unlink()
    with pytest.raises(DataError, match="contains 1 of 2 shards of the train split"):
        load(_spec(tmp_path))
    write("other/train/0000.parquet", [0, 1])
    write("default/train/0000.parquet", [0, 1])
    with pytest.raises(DataError, match=r"configurations \(default, other\); set data\.root"):
        load(_spec(tmp_path))


@pytest.mark.parametrize("options", [{}, {"stream": True, "resolution": 8}])
def test_the_header_names_the_columns(
    write: Write, tmp_path: Path, cache: Path, options: dict[str, object]
) -> None:
    """The one Image and the one ClassLabel, whatever they are called."""
    for name, n in (("train", 4), ("val", 3)):
        write(f"{name}.parquet", [0, 1, 0, 1][:n], seed=n)
    expected = _evaluation_pixels(_spec(tmp_path, **options))
    features = {"img": {"_type": "Image"}, "fine": {"_type": "ClassLabel", "names": ["a", "b"]}}
    header = {"huggingface": json.dumps({"info": {"features": features}})}
    for name in ("train", "val"):
        table = pq.read_table(tmp_path / f"{name}.parquet").rename_columns(["img", "fine"])
        table = table.append_column("id", pa.array(range(len(table))))
        pq.write_table(table.replace_schema_metadata(header), tmp_path / f"{name}.parquet")
    data = load(_spec(tmp_path, **options))

    assert data.classes == ("a", "b")
    assert data.evaluation.labels.tolist() == [0, 1, 0]
    assert (_evaluation_pixels(_spec(tmp_path, **options)) == expected).all()


def _evaluation_pixels(spec: ParquetImages) -> np.ndarray:
    images = load(spec).evaluation
    if isinstance(images, ImageStream):
        return next(evaluation_batches(images))[0].numpy()
    return images.images


def test_labels_are_mapped_by_name(write: Write, tmp_path: Path, cache: Path) -> None:
    """Splits and shards that were written apart list the same classes in their own orders."""
    orders = (["cat", "dog", "eel"], ["eel", "cat", "dog"], ["dog", "cat"])
    names = ("train-0-of-2", "train-1-of-2", "val")
    for seed, (name, order) in enumerate(zip(names, orders, strict=True)):
        write(f"{name}.parquet", range(len(order)), seed, _header(order))
    data, stream = (load(_spec(tmp_path, **o)) for o in ({}, {"stream": True, "resolution": 8}))

    for one in (data, stream):
        assert one.classes == ("cat", "dog", "eel")
        assert np.bincount(one.train.labels).tolist() == [2, 2, 2]
        assert one.evaluation.labels.tolist() == [1, 0]
    assert stream.train.labels.tolist() == [0, 1, 2, 2, 0, 1]
    write("val.parquet", [0, 1], 2, _header(["cat", "wolf"]))
    for options in ({}, {"stream": True, "resolution": 8}):
        with pytest.raises(
            DataError, match=r"val.parquet: class 1 is 'wolf', .* 'dog' in .*train"
        ):
            load(_spec(tmp_path, **options))


def test_a_mapped_set_is_another_than_an_unmapped_one(
    write: Write, tmp_path: Path, cache: Path
) -> None:
    """What an earlier version read without the names of val is not found under its identity."""
    write("train.parquet", [0, 1, 0, 1], header=_header(["cat", "dog"]))
    write("val.parquet", [0, 1], 1, _header(["dog", "cat"]))
    digests = [[file_digest(tmp_path / f"{name}.parquet")] for name in ("train", "val")]
    plain = {"parquet": digests, "resolution": None, "version": DECODE_VERSION}

    assert prepare(_spec(tmp_path)) != digest(plain)
    write("val.parquet", [0, 1], 1, _header(["cat", "dog"]))
    plain["parquet"] = [digests[0], [file_digest(tmp_path / "val.parquet")]]
    assert prepare(_spec(tmp_path)) == digest(plain)


def test_identity_is_that_of_bytes_and_resolution(sound: Path, cache: Path) -> None:
    """One other byte or another resolution is another data set; another place is not."""
    first = prepare(_spec(sound))
    moved = sound.rename(sound.with_name("moved"))

    assert prepare(_spec(moved)) == first
    assert prepare(_spec(moved, resolution=8)) != first
    with (moved / "val.parquet").open("r+b") as file:
        file.seek(20)
        file.write(b"\x00")
    with pytest.raises(DataError):
        prepare(_spec(moved))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: (root / "train.parquet").unlink(), "contains neither train.parquet nor"),
        (
            lambda root: (root / "val.parquet").unlink(),
            "no parquet file val, validation, test or valid, but train.parquet; rename",
        ),
        (lambda root: (root / "val.parquet").write_bytes(b"x"), "val.parquet is not a readable"),
        (
            lambda root: (root / "train.parquet").rename(root / "train-00000-of-00003.parquet"),
            "contains 1 of 3 shards of the train split; download the others",
        ),
    ],
)
def test_files_that_are_missing_or_damaged(
    sound: Path, cache: Path, spoil: Callable[[Path], object], message: str
) -> None:
    """Each is one line that names the file and the remedy."""
    spoil(sound)
    with pytest.raises(DataError, match=message) as caught:
        prepare(_spec(sound))

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"img": ["a"], "y": [0]}, "has the columns img, y; it needs image and label"),
        ({"image": [b"a"], "label": [0]}, "column image is binary; it needs a struct"),
        ({"image": [{"path": "a"}], "label": [0]}, "it needs a struct with bytes"),
        ({"image": [{"bytes": b"a"}], "label": ["cat"]}, "column label is string; it needs int"),
        ({"image": [{"bytes": b"a"}], "label": [None]}, "column label is null; it needs int"),
    ],
)
def test_tables_of_another_form(
    sound: Path, cache: Path, table: dict[str, list[object]], message: str
) -> None:
    """Missing columns and columns of other types are named."""
    pq.write_table(pa.table(table), sound / "train.parquet")
    with pytest.raises(DataError, match=message):
        prepare(_spec(sound))


@pytest.mark.parametrize(
    "case",
    [
        ([], None, [0], "the training split has no images"),
        ([0, 1], None, [], "the evaluation split has no images"),
        ([0, 0], None, [0], "there is only one class"),
        ([0, -1], None, [0], "label -1 of the training split is outside 0..0"),
        ([0, 1], None, [2], "label 2 of the evaluation split is outside 0..1"),
        ([0, 3], _header(["a", "b"]), [0], "label 3 of the training split is outside 0..1"),
        ([0, 2], None, [0], "class '1' has no training image"),
        ([0, 1, None], None, [0], "train.parquet row 2 has no label"),
        ([0, 1], {"huggingface": "{"}, [0], r"header is damaged \(expected info\.features\)"),
        ([0, 1], {"huggingface": "[]"}, [0], r"header is damaged \(expected info\.features\)"),
        ([0, 1], {"huggingface": "[" * 9999}, [0], "header is damaged"),
        ([0, 1], {"huggingface": '{"info": {"features": {}}}'}, [0], "no feature label"),
        ([0, 1], _header({"0": "a"}), [0], "expected the names of feature label as a list"),
        ([0, 1], _header([["a"], ["b"]]), [0], "expected the names of feature label as a list"),
        ([0, 1], _header(7), [0], "expected the names of feature label as a list"),
        ([0, 1, 10**18], None, [0], "class '2' has no training image, while a label is 1000000"),
        ([0, 1], None, [10**18], "label 1000000000000000000 of the evaluation split is outside"),
        ([0, 10**18], _header(["a", "b"]), [0], "label 1000000000000000000 of the training"),
    ],
)
@pytest.mark.usefixtures("cache")
def test_labels_that_cannot_be(
    write: Write, tmp_path: Path, case: tuple[list[int | None], object, list[int], str]
) -> None:
    """Empty splits, one class, labels out of range, without a name or missing."""
    train, header, val, message = case
    write("train.parquet", train, header=header)
    write("val.parquet", val)
    with pytest.raises(DataError, match=message):
        prepare(_spec(tmp_path))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ({"bytes": b"no image"}, r"val.parquet row 1 cannot be decoded \(unknown format\)"),
        ({"bytes": None}, "val.parquet row 1 has no image bytes; embed the image"),
        (None, "val.parquet row 1 has no image bytes; embed the image"),
    ],
)
def test_a_bad_image_is_named_by_its_row(
    sound: Path, cache: Path, image: object, message: str
) -> None:
    """Damaged bytes and images that are only paths; nothing is left in the cache."""
    good = pq.read_table(sound / "val.parquet").column("image")[0].as_py()
    kind = pa.struct([("bytes", pa.binary())])
    column = pa.array([{"bytes": good["bytes"]}, image], kind)
    pq.write_table(pa.table({"image": column, "label": [0, 1]}), sound / "val.parquet")
    with pytest.raises(DataError, match=message):
        prepare(_spec(sound))

    assert [path for path in cache.iterdir() if path.suffix != ".lock"] == []


def test_splits_of_two_sizes_are_refused(
    sound: Path, cache: Path, pixels: Callable[..., np.ndarray], encode: Callable[..., bytes]
) -> None:
    """Training and evaluation images must agree, or `resolution` make them."""
    column = [{"bytes": encode(a)} for a in pixels(2, 9)]
    pq.write_table(pa.table({"image": column, "label": [0, 1]}), sound / "val.parquet")
    with pytest.raises(DataError, match=r"8 pixels a side, evaluation images 9; set data\.resol"):
        prepare(_spec(sound))

    assert load(_spec(sound, resolution=8)).resolution == 8


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _: None, r"does not exist; set data\.root, --data-root or GMSEARCH_DATA"),
        (lambda root: root.write_text("x"), "is not a folder; set"),
        (lambda root: root.mkdir(), "is empty; set"),
    ],
)
@pytest.mark.parametrize("name", ["parquet", "folder"])
def test_roots_that_cannot_be(
    tmp_path: Path, cache: Path, name: str, make: Callable[[Path], object], message: str
) -> None:
    """Missing, a file, or empty: one line that says where a root comes from."""
    root = tmp_path / "root"
    make(root)
    with pytest.raises(DataError, match=message):
        prepare(DATA_SPECS[name](root=str(root)))

    assert not cache.exists()


@pytest.mark.skipif(not IMAGENETTE.is_dir(), reason="the real images are not here")
def test_the_real_set() -> None:
    """Imagenette as it lies there: official counts, names, and moments of real photographs."""
    data = load(ParquetImages(root=str(IMAGENETTE)))

    assert len(data.train) + len(data.holdout) == 9469
    assert len(data.evaluation) == 3925
    assert data.classes[0] == "tench"
    assert data.resolution == 32
    pixels = np.concatenate([data.train.images, data.holdout.images]).reshape(-1, 3) / 255
    np.testing.assert_allclose(data.mean, pixels.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(data.std, pixels.std(axis=0), rtol=1e-9)

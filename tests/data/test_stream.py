"""Streamed sets: what is known of them without decoding, and what is wrong with some."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from gmsearch.data import ImageStream, holdout, load
from gmsearch.data.loader import evaluation_batches
from gmsearch.data.parquet import source as parquet_source
from gmsearch.errors import DataError
from gmsearch.experiment import DATA_SPECS, FolderImages, ParquetImages, StreamableImages

SHARED = Path(__file__).parents[3] / "shared" / "data"
COUNTS = {"train": 6, "val": 3}


@pytest.fixture
def folders(tmp_path: Path, pixels: Callable[..., np.ndarray]) -> Path:
    """Return a folder of two classes whose images have different sizes."""
    root = tmp_path / "images"
    rng = np.random.default_rng(0)
    for split, n in COUNTS.items():
        for name in ("cat", "dog"):
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(n):
                width, height = rng.integers(12, 30, 2)
                array = pixels(1, 30, i)[0, :height, :width]
                Image.fromarray(array).save(folder / f"{i}.png")
    return root


@pytest.fixture
def parquet(folders: Path, tmp_path: Path) -> Path:
    """Return the same images as Parquet files of small row groups, in two shards."""
    root = tmp_path / "parquet"
    root.mkdir()
    header = {
        "huggingface": json.dumps(
            {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
        )
    }
    for split in COUNTS:
        paths = sorted((folders / split).rglob("*.png"))
        rows = [
            ({"bytes": p.read_bytes(), "path": p.name}, int(p.parent.name == "dog")) for p in paths
        ]
        for shard, part in enumerate((rows[:2], rows[2:])):
            images, labels = zip(*part, strict=True)
            image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
            table = pa.table({"image": pa.array(images, image), "label": list(labels)})
            pq.write_table(
                table.replace_schema_metadata(header),
                root / f"{split}-0000{shard}-of-00002.parquet",
                row_group_size=3,
            )
    return root


def _tar(folders: Path) -> Path:
    packed = folders.with_name("packed")
    packed.mkdir()
    for split in COUNTS:
        with tarfile.open(packed / f"{split}.tar", "w") as tar:
            for path in sorted((folders / split).rglob("*.png"), reverse=True):
                tar.add(path, path.relative_to(folders / split))
    return packed


def streamed(root: Path, **options: object) -> StreamableImages:
    """Return the spec of a small stream; without a name, of a folder."""
    values: dict[str, object] = {"name": "folder", "resolution": 8, "holdout": 0.0, **options}
    cls = DATA_SPECS[str(values["name"])]
    return cls(root=str(root), stream=True, **values)  # type: ignore[call-arg,return-value,arg-type]


def pixels_of(images: ImageStream) -> tuple[np.ndarray, np.ndarray]:
    """Return all evaluation images of a split, and their labels."""
    pairs = list(evaluation_batches(images, batch_size=4))
    return tuple(np.concatenate([pair[i].numpy() for pair in pairs]) for i in (0, 1))  # type: ignore[return-value]


def _forms(folders: Path, parquet: Path) -> dict[str, StreamableImages]:
    return {
        "folder": streamed(folders),
        "tar": streamed(_tar(folders)),
        "parquet": streamed(parquet, name="parquet"),
        "timm": streamed(folders, name="timm", dataset="folder"),
        "torchvision": streamed(folders, name="timm", dataset="torch/image_folder"),
    }


def test_every_form_gives_the_images_in_memory(folders: Path, parquet: Path, cache: Path) -> None:
    """At crop_pct 1, labels, counts and every pixel are those that memory would hold."""
    whole = load(FolderImages(root=str(folders), resolution=8, holdout=0))
    for name, spec in _forms(folders, parquet).items():
        data = load(dataclasses.replace(spec, crop_pct=1))
        images, labels = pixels_of(data.evaluation)  # type: ignore[arg-type]

        assert (data.classes, data.chance) == (("cat", "dog"), 0.5), name
        assert (len(data.train), len(data.evaluation)) == (12, 6), name
        assert np.bincount(data.train.labels).tolist() == [6, 6], name
        assert labels.tolist() == data.evaluation.labels.tolist() == [0, 0, 0, 1, 1, 1], name
        assert (images == whole.evaluation.images).all(), name  # type: ignore[union-attr]


def test_a_smaller_image_is_enlarged(folders: Path) -> None:
    """Unlike in memory, as every evaluation on ImageNet does it: Pillow's bicubic, then a crop."""
    data = load(streamed(folders, resolution=28))
    images, _ = pixels_of(data.evaluation)  # type: ignore[arg-type]
    with Image.open(folders / "val" / "cat" / "0.png") as image:
        width, height = image.size
        scale = 32 / min(width, height)
        size = (int(width * scale), int(height * scale))
        left, top = (round((side - 28) / 2) for side in size)
        expected = image.resize(size, Image.Resampling.BICUBIC).crop(
            (left, top, left + 28, top + 28)
        )

    assert (images[0] == np.asarray(expected)).all()


def test_identity_is_of_names_and_sizes(folders: Path, parquet: Path) -> None:
    """Another place, or other bytes of the same number, make no other set; all else does."""
    first = load(streamed(folders))
    assert first.identity_of == "paths and sizes"
    assert load(streamed(_tar(folders))).identity == first.identity

    moved = folders.rename(folders.with_name("moved"))
    path = moved / "train" / "cat" / "0.png"
    path.write_bytes(path.read_bytes()[::-1])
    assert load(streamed(moved)).identity == first.identity

    options: list[dict[str, object]] = [
        {"resolution": 9},
        {"crop_pct": 1},
        {"mean": (0, 0, 0)},
        {"std": (1, 1, 1)},
    ]
    others = {load(streamed(moved, **option)).identity for option in options}
    path.write_bytes(path.read_bytes() + b"x")
    others.add(load(streamed(moved)).identity)
    path.rename(path.with_name("9.png"))
    others.add(load(streamed(moved)).identity)
    others.add(load(streamed(parquet, name="parquet")).identity)
    assert len(others | {first.identity}) == len(options) + 4


@pytest.mark.parametrize("share", [0.3, 0.5])
def test_the_holdout_is_a_fixed_part_of_every_class(folders: Path, share: float) -> None:
    """Train and holdout are disjoint, together everything, the share in each class."""
    one, other = (load(streamed(folders, holdout=share)) for _ in range(2))
    train, held = (set(part.rows.tolist()) for part in (one.train, one.holdout))  # type: ignore[union-attr]

    assert train | held == set(range(12))
    assert not train & held
    assert np.bincount(one.holdout.labels).tolist() == [-int(-6 * share // 1)] * 2
    assert (one.holdout.rows == other.holdout.rows).all()  # type: ignore[union-attr]
    assert one.identity == load(streamed(folders)).identity


def test_nothing_is_decoded_before_it_is_asked_for(folders: Path, parquet: Path) -> None:
    """A set is opened though every image is damaged, without torch, in no cache."""
    for path in folders.rglob("*.png"):
        path.write_bytes(b"no image")
    code = (
        "import sys; from gmsearch.experiment import FolderImages, ParquetImages\n"
        "from gmsearch.data import load\n"
        f"for spec in {[streamed(folders), streamed(parquet, name='parquet')]!r}:\n"
        "    assert len(load(spec).train) == 12\n"
        "assert not {'torch', 'timm', 'PIL.PngImagePlugin'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def _spoil(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:60])


@pytest.mark.parametrize("form", ["folder", "tar", "timm", "torchvision"])
def test_a_corrupt_image_is_named(folders: Path, parquet: Path, form: str) -> None:
    """The message is one line with the file; no other image takes its place."""
    _spoil(folders / "val" / "dog" / "1.png")
    data = load(_forms(folders, parquet)[form])
    with pytest.raises(DataError, match=r"dog/1\.png cannot be decoded \(.*\); replace") as caught:
        pixels_of(data.evaluation)  # type: ignore[arg-type]

    assert "\n" not in str(caught.value)


def test_a_corrupt_row_is_named(folders: Path, parquet: Path, tmp_path: Path) -> None:
    """A row of Parquet is named by its shard and its number there; so is one without an image."""
    path = parquet / "val-00001-of-00002.parquet"
    table = pq.read_table(path)
    for damage, message in ((b"no image", "cannot be decoded"), (None, "has no image bytes")):
        images = table.column("image").to_pylist()
        images[3] = {"bytes": damage, "path": "x"}
        image = table.schema.field("image").type
        pq.write_table(
            table.set_column(0, "image", pa.array(images, image)), path, row_group_size=3
        )
        data = load(streamed(parquet, name="parquet"))
        with pytest.raises(DataError, match=rf"val-00001-of-00002\.parquet row 3 {message}"):
            pixels_of(data.evaluation)  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["folder", "timm", "torchvision"])
def test_images_of_every_kind_are_converted(
    folders: Path, parquet: Path, cache: Path, form: str
) -> None:
    """Grey, 16-bit, CMYK, palette and transparent images become RGB as those in memory do."""
    grey = np.arange(400, dtype=np.uint16).reshape(20, 20) * 160
    ink = np.random.default_rng(0).integers(0, 256, (20, 20, 4), dtype=np.uint8)
    kinds = [
        Image.fromarray((grey // 257).astype(np.uint8)),
        Image.fromarray(grey),
        Image.fromarray(ink, mode="CMYK"),
        Image.fromarray(ink[..., :3]).quantize(16),
        Image.fromarray(ink, mode="RGBA"),
    ]
    if form == "torchvision":
        kinds.pop(1)  # its own loader saturates 16 bits
    for i, image in enumerate(kinds):
        ending = "jpg" if image.mode == "CMYK" else "png"
        image.save(folders / "val" / "cat" / f"more{i}.{ending}")
    whole = load(FolderImages(root=str(folders), resolution=8, holdout=0))
    data = load(dataclasses.replace(_forms(folders, parquet)[form], crop_pct=1))
    images, labels = pixels_of(data.evaluation)  # type: ignore[arg-type]

    assert labels.tolist() == [0] * (3 + len(kinds)) + [1] * 3
    assert (np.sort(images, axis=0) == np.sort(whole.evaluation.images, axis=0)).all()  # type: ignore[union-attr]


def _empty(root: Path) -> None:
    for split in COUNTS:
        (root / split / "eel").mkdir()


@pytest.mark.parametrize("name", ["folder", "timm"])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_empty, r"class folder .*/eel contains no images"),
        (
            lambda r: (r / "val" / "dog").rename(r / "val" / "wolf"),
            r"classes|class folders of the two splits differ \(.*wolf\); give both the same",
        ),
        (
            lambda r: [(r / s / "dog").rename(r / f"{s}-dog") for s in COUNTS],
            "there is only one class",
        ),
        (lambda r: r.rename(r.with_name("gone")), "data root .* does not exist; set data.root"),
    ],
)
def test_what_cannot_be_used_is_one_line(
    folders: Path, name: str, spoil: Callable[[Path], object], message: str
) -> None:
    """Each mistake is told when the set is opened, with the folder and the remedy."""
    spoil(folders)
    options = {"dataset": "folder"} if name == "timm" else {}
    with pytest.raises(DataError, match=message) as caught:
        load(streamed(folders, name=name, **options))

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("split", "label", "message"),
    [
        ("train", -1, r"label -1 of the training split is outside 0\.\.1"),
        ("val", 2, r"label 2 of the evaluation split is outside 0\.\.1"),
        ("val", -1, r"label -1 of the evaluation split is outside 0\.\.1"),
    ],
)
def test_labels_out_of_range(parquet: Path, split: str, label: int, message: str) -> None:
    """A label that no class has is told when the set is opened."""
    path = parquet / f"{split}-00000-of-00002.parquet"
    table = pq.read_table(path)
    column = pa.array([0, label])
    pq.write_table(table.set_column(1, "label", column), path, row_group_size=3)
    with pytest.raises(DataError, match=message):
        load(streamed(parquet, name="parquet"))


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (
            "torch/nonsense",
            r"timm cannot open the split train of torch/nonsense in .* \(.*\); give",
        ),
        ("torch/cifar10", r"timm cannot open the split train of torch/cifar10"),
    ],
)
def test_what_timm_cannot_open(folders: Path, dataset: str, message: str) -> None:
    """Whatever timm raises is one line that names data set and root."""
    with pytest.raises(DataError, match=message) as caught:
        load(streamed(folders, name="timm", dataset=dataset))

    assert "\n" not in str(caught.value)


def test_one_folder_is_not_two_splits(folders: Path) -> None:
    """Where timm finds no folder of a split it takes the root, for both; that is refused."""
    with pytest.raises(DataError, match="train and validation are the same images; keep each"):
        load(streamed(folders / "train", name="timm", dataset="folder"))


def test_row_groups_are_read_once(parquet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are shuffled among row groups that fit together, and each of these is read once."""
    data = load(streamed(parquet, name="parquet"))
    assert isinstance(data.train, ImageStream)
    block, sizes = data.train.listing.block, data.train.listing.block_bytes
    assert block is not None
    assert sizes is not None
    assert block.tolist() == [0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4]
    orders, limit = [], 2 * int(sizes.max())
    for seed in range(40):
        order = data.train.shuffled(np.random.default_rng(seed), limit)
        orders.append(order.tolist())
        blocks = block[order]
        spans = [np.flatnonzero(blocks == b) for b in range(5)]
        begun = [
            sum(sizes[b] for b in range(5) if spans[b][0] <= i <= spans[b][-1]) for i in range(12)
        ]

        assert sorted(order.tolist()) == list(range(12))
        assert max(begun) <= limit
    assert len({tuple(order) for order in orders}) == 40
    assert any(block[order[0]] != block[order[1]] for order in orders)

    reads = []
    read = pq.ParquetFile.read_row_group
    monkeypatch.setattr(
        pq.ParquetFile,
        "read_row_group",
        lambda file, i, **options: reads.append(i) or read(file, i, **options),
    )
    for row in orders[0]:
        data.train.listing.image(row)
    assert len(reads) == 5


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real images are not here")
def test_real_parquet_streams_as_it_is_read_into_memory() -> None:
    """The same classes, labels and chance; the first evaluation images pixel for pixel."""
    root = str(SHARED / "imagenette32")
    whole = parquet_source(ParquetImages(root=root))
    data = load(ParquetImages(root=root, stream=True, resolution=32, crop_pct=1))
    assert isinstance(data.evaluation, ImageStream)
    images, _ = next(evaluation_batches(data.evaluation, batch_size=300))

    assert (data.classes, data.resolution) == (whole.classes, 32)
    assert (data.evaluation.labels == whole.evaluation.labels).all()
    assert len(data.train) + len(data.holdout) == len(whole.train.labels)
    assert len(data.holdout) == holdout.size(whole.train.labels, 0.1)
    assert (images.numpy() == next(whole.evaluation.chunks())[:300]).all()

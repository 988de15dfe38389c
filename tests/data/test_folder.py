"""Folders and tars of images, and what is wrong with those that cannot be used."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gmsearch.data import load, prepare
from gmsearch.errors import DataError
from gmsearch.experiment import FolderImages

IMAGENETTE = Path(__file__).parents[3] / "shared" / "data" / "imagenette224"


def _spec(root: Path, **options: object) -> FolderImages:
    return FolderImages(root=str(root), holdout=0, **options)


@pytest.fixture
def root(tmp_path: Path, pixels: Callable[..., np.ndarray]) -> Path:
    """Return a sound folder of two classes, with files that are no images beside them."""
    root = tmp_path / "images"
    arrays = iter(pixels(10))
    for split, n in (("train", 3), ("val", 2)):
        for name in ("dog", "cat"):
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(n):
                Image.fromarray(next(arrays)).save(folder / f"{i}.PNG")
            (folder / "notes.txt").write_text("no image")
            (folder / ".hidden.png").write_text("no image")
        (root / split / ".cache").mkdir()
        (root / split / "README.md").write_text("no class")
    return root


def _as_tars(root: Path, prefix: str) -> Path:
    """Pack the splits in another order than sorted, with or without the split's folder."""
    packed = root.with_name("packed")
    packed.mkdir()
    for split in ("train", "val"):
        with tarfile.open(packed / f"{split}.tar", "w") as tar:
            for path in sorted((root / split).rglob("*"), reverse=True):
                name = path.relative_to(root / split)
                tar.add(path, f"{prefix.format(split=split)}{name}", recursive=False)
    return packed


def test_classes_and_images_come_in_sorted_order(root: Path, cache: Path) -> None:
    """Classes are the folders by name, the evaluation split is in the order of the files."""
    data = load(_spec(root))

    assert data.classes == ("cat", "dog")
    assert data.evaluation.labels.tolist() == [0, 0, 1, 1]
    paths = [root / "val" / name / f"{i}.PNG" for name in ("cat", "dog") for i in range(2)]
    assert (data.evaluation.images == [np.asarray(Image.open(p)) for p in paths]).all()
    assert len(data.train) == 6


@pytest.mark.parametrize("split", ["validation", "test"])
def test_other_names_of_the_evaluation_split(root: Path, cache: Path, split: str) -> None:
    """`validation` and `test` are taken where there is no `val`."""
    (root / "val").rename(root / split)

    assert len(load(_spec(root)).evaluation) == 4


@pytest.mark.parametrize("prefix", ["", "./", "{split}/"])
def test_a_tar_is_the_folder(root: Path, cache: Path, prefix: str) -> None:
    """The same files give the same identity and pixels, packed or not; nothing is unpacked."""
    packed = _as_tars(root, prefix)
    whole, tar = load(_spec(root)), load(_spec(packed))

    assert tar.identity == whole.identity
    assert sorted(path.name for path in packed.iterdir()) == ["train.tar", "val.tar"]


@pytest.mark.parametrize("prefix", ["", "{split}/"])
def test_a_tar_is_decoded_without_the_folder(root: Path, cache: Path, prefix: str) -> None:
    """A tar alone gives the pixels that are in it."""
    data = load(_spec(_as_tars(root, prefix)))
    expected = Image.open(root / "val" / "dog" / "1.PNG")

    assert data.classes == ("cat", "dog")
    assert (data.evaluation.images[3] == np.asarray(expected)).all()


def test_identity_is_that_of_names_bytes_and_resolution(root: Path, cache: Path) -> None:
    """Another place is the same data set; another byte, class, name or resolution is not."""
    first = prepare(_spec(root))
    moved = root.rename(root.with_name("moved"))
    assert prepare(_spec(moved)) == first

    others = {first, prepare(_spec(moved, resolution=8))}
    (moved / "train/cat/0.PNG").rename(moved / "train/cat/9.PNG")
    others.add(prepare(_spec(moved)))
    (moved / "train/cat/9.PNG").rename(moved / "train/dog/9.PNG")
    others.add(prepare(_spec(moved)))
    with (moved / "train/dog/9.PNG").open("ab") as file:
        file.write(b"x")
    others.add(prepare(_spec(moved)))
    assert len(others) == 5


def _spoil_image(root: Path) -> None:
    path = root / "val" / "dog" / "1.PNG"
    path.write_bytes(path.read_bytes()[:60])


def _rename(root: Path, old: str, new: str) -> None:
    (root / old).rename(root / new)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda r: _rename(r, "train", "images"), "contains neither a folder train nor train.tar"),
        (
            lambda r: _rename(r, "val", "images"),
            "contains no folder or tar val, validation, test or valid",
        ),
        (
            lambda r: _rename(r, "val/dog", "val/wolf"),
            r"differ \(only in train: dog; only in evaluation: wolf\); give both the same",
        ),
        (lambda r: (r / "val/eel").mkdir(), "class folder .*/val/eel contains no images"),
        (_spoil_image, r"val/dog/1\.PNG cannot be decoded \(.*\); replace or remove it"),
        (
            lambda r: Image.new("RGB", (9, 9)).save(r / "val/dog/1.PNG"),
            r"val/dog/1\.PNG has 9 pixels a side, .*val/cat/0\.PNG has 8; set data\.resolution",
        ),
        (
            lambda r: Image.new("RGB", (9, 8)).save(r / "val/dog/1.PNG"),
            r"val/dog/1\.PNG is 9x8, not square; set data\.resolution",
        ),
        (
            lambda r: [_rename(r, f"{s}/dog", f"{s}/.dog") for s in ("train", "val")],
            "there is only one class",
        ),
    ],
)
def test_what_cannot_be_used_is_one_line(
    root: Path, cache: Path, spoil: Callable[[Path], object], message: str
) -> None:
    """Each mistake names the file or folder and the remedy."""
    spoil(root)
    with pytest.raises(DataError, match=message) as caught:
        prepare(_spec(root))

    assert "\n" not in str(caught.value)


def test_folders_without_classes_are_refused(tmp_path: Path, cache: Path) -> None:
    """Images straight under `train` have no class."""
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / split / "0.png")
    with pytest.raises(DataError, match="train contains no class folders; sort the images"):
        prepare(_spec(tmp_path))


@pytest.mark.parametrize("content", [b"", b"no tar" * 200])
def test_a_tar_that_is_none(root: Path, cache: Path, content: bytes) -> None:
    """A damaged tar is named."""
    packed = _as_tars(root, "")
    (packed / "val.tar").write_bytes(content)
    with pytest.raises(DataError, match=r"val\.tar"):
        prepare(_spec(packed))


def test_an_image_smaller_than_the_resolution(root: Path, cache: Path) -> None:
    """Enlarging would leave the bands that are measured empty."""
    with pytest.raises(DataError, match=r"0\.PNG is 8x8, smaller than data\.resolution 16"):
        prepare(_spec(root, resolution=16))


def test_a_corrupt_image_in_a_tar_is_named(root: Path, cache: Path) -> None:
    """The message gives the tar and the file in it."""
    _spoil_image(root)
    with pytest.raises(DataError, match=r"val\.tar:dog/1\.PNG cannot be decoded"):
        prepare(_spec(_as_tars(root, "")))


@pytest.mark.skipif(not IMAGENETTE.is_dir(), reason="the real images are not here")
def test_real_photographs(cache: Path) -> None:
    """JPEG files of the hub decode as Pillow decodes them, at their size and cropped."""
    data = load(_spec(IMAGENETTE, resolution=64))
    path = min((IMAGENETTE / "val" / data.classes[0]).iterdir())
    with Image.open(path) as image:
        expected = image.convert("RGB").resize((64, 64), Image.Resampling.BICUBIC)

    assert (len(data.train), len(data.evaluation)) == (1000, 500)
    assert (data.evaluation.images[0] == np.asarray(expected)).all()

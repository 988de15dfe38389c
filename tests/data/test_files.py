"""Files beside the images: hidden ones, links to nowhere, what is left out, look-alike names."""

from __future__ import annotations

import shutil
import tarfile
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gmsearch.data import left_out, load
from gmsearch.data.loader import evaluation_batches
from gmsearch.errors import DataError
from gmsearch.experiment import DataSpec, FolderImages, TimmImages

FORMS = ("memory", "stream", "tar", "timm", "torchvision")
SPLITS = ("train", "val")


@pytest.fixture
def root(tmp_path: Path, pixels: Callable[..., np.ndarray]) -> Path:
    """Return a folder of two classes, four training and two evaluation images in each."""
    root, arrays = tmp_path / "images", iter(pixels(12))
    for split, n in zip(SPLITS, (4, 2), strict=True):
        for name in ("cat", "dog"):
            (root / split / name).mkdir(parents=True)
            for i in range(n):
                Image.fromarray(next(arrays)).save(root / split / name / f"{i}.png")
    return root


def _spec(form: str, root: Path) -> DataSpec:
    """Return the same images in one of the forms that they can be opened in."""
    if form in ("timm", "torchvision"):
        name = {"timm": "folder", "torchvision": "torch/image_folder"}[form]
        return TimmImages(
            root=str(root), dataset=name, resolution=8, holdout=0, splits=("train", "val")
        )
    if form == "stream":
        return FolderImages(root=str(root), holdout=0, stream=True, resolution=8)
    if form == "tar":
        packed = root.with_name("packed")
        packed.mkdir(exist_ok=True)
        for split in SPLITS:
            with tarfile.open(packed / f"{split}.tar", "w") as tar:
                tar.add((root / split).resolve(), split)
        return FolderImages(root=str(packed), holdout=0)
    return FolderImages(root=str(root), holdout=0)


def _labels(form: str, root: Path) -> tuple[object, ...]:
    data = load(_spec(form, root))
    return data.classes, sorted(data.train.labels.tolist()), data.evaluation.labels.tolist()


SOUND = (("cat", "dog"), [0] * 4 + [1] * 4, [0, 0, 1, 1])


@pytest.mark.parametrize("form", FORMS)
def test_hidden_files_are_no_images(root: Path, cache: Path, form: str) -> None:
    """What notebooks, macOS and Windows leave behind changes nothing, and is not counted."""
    if form not in ("tar", "torchvision"):  # torchvision's is of all files below the root
        identity = load(_spec(form, root)).identity
    for split in SPLITS:
        image = (root / split / "cat" / "0.png").read_bytes()
        for place in ("cat/.ipynb_checkpoints", "__MACOSX", "dog/__MACOSX/cat", ".cache"):
            (root / split / place).mkdir(parents=True)
            (root / split / place / "copy.png").write_bytes(image)
        for name in ("cat/._0.png", "dog/.DS_Store", "dog/Thumbs.db", "desktop.ini"):
            (root / split / name).write_bytes(b"x")

    assert _labels(form, root) == SOUND
    assert not left_out(_spec(form, root))
    if form not in ("tar", "torchvision"):
        assert load(_spec(form, root)).identity == identity


@pytest.mark.parametrize("form", ["memory", "tar"])
def test_what_is_left_out_is_counted(root: Path, cache: Path, form: str) -> None:
    """By reason, and the same for a folder and a tar of it, which are one data set."""
    image = (root / "train" / "cat" / "0.png").read_bytes()
    (root / "val" / "dog" / "puppies").mkdir()
    for name in ("cat/a.jfif", "cat/b.JFIF", "cat/notes.txt", "dog/0123abc", "preview.png"):
        (root / "train" / name).write_bytes(image)
    (root / "val" / "dog" / "puppies" / "0.png").write_bytes(image)

    assert _labels(form, root) == SOUND
    assert load(_spec(form, root)).identity == load(_spec("memory", root)).identity
    assert left_out(_spec(form, root)) == {
        "ending in .jfif": 2,
        "ending in .txt": 1,
        "without an ending": 1,
        "outside the class folders": 1,
        "deeper than the class folders": 1,
    }


@pytest.mark.parametrize("form", ["memory", "tar"])
def test_a_class_of_deeper_folders_alone_is_refused(root: Path, cache: Path, form: str) -> None:
    """Rather than dropped, or replaced with the deeper folders."""
    for split in SPLITS:
        shutil.copytree(root / split / "cat", root / split / "cow" / "2023")
    with pytest.raises(DataError, match=r"class folder .*cow contains no images"):
        load(_spec(form, root))


def test_what_timm_leaves_out_is_counted(root: Path) -> None:
    """It takes fewer endings, and says nothing."""
    shutil.copy(root / "train/cat/0.png", root / "train/cat/0.webp")

    assert left_out(_spec("timm", root)) == {"ending in .webp": 1}


@pytest.mark.parametrize("form", ["memory", "stream", "timm", "torchvision"])
@pytest.mark.parametrize(
    ("links", "count"),
    [(["train/cat/8.png", "train/dog/9.png", "train/dog/a"], 3), (["val/cow"], 1), (["val"], 1)],
)
def test_links_to_nowhere_are_named(
    root: Path, cache: Path, form: str, links: list[str], count: int
) -> None:
    """Images, classes or a split on a disk that is not there are never dropped silently."""
    for link in links:
        shutil.rmtree(root / link, ignore_errors=True)
        (root / link).symlink_to("/no/such/disk/x")
    with pytest.raises(DataError, match=f"{links[0]} is a link to /no/such/disk/x") as caught:
        load(_spec(form, root))

    assert f"(dangling links: {count})" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_links_to_files_that_exist_are_followed(root: Path, cache: Path) -> None:
    """A class folder or an image may lie elsewhere; a dangling link to no image is no matter."""
    (root / "val" / "dog").rename(root / "dogs")
    (root / "val" / "dog").symlink_to(root / "dogs")
    (root / "val" / "cat" / "list.txt").symlink_to("/no/such/disk/x")

    assert _labels("memory", root) == SOUND


@pytest.mark.parametrize("form", FORMS)
def test_names_that_look_alike_are_one_class(root: Path, cache: Path, form: str) -> None:
    """Decomposed accents, as macOS packs them, also where they sort differently."""
    (root / "val" / "cat" / "1.png").unlink()
    for split, unicode_form in zip(SPLITS, ("NFD", "NFC"), strict=True):
        name = unicodedata.normalize(unicode_form, "\u00e9t\u00e9")  # type: ignore[arg-type]
        (root / split / "dog").rename(root / split / name)
        (root / split / "cat").rename(root / split / "fox")
    data = load(_spec(form, root))
    counts = dict(zip(data.classes, np.bincount(data.evaluation.labels).tolist(), strict=True))

    assert {name[0] for name, count in counts.items() if count == 1} == {"f"}
    if form == "stream":
        images, _ = next(evaluation_batches(data.evaluation))  # type: ignore[arg-type]
        assert len(images) == 3
    if form in ("memory", "stream", "tar"):
        shutil.copytree(root / "train" / "fox", root / "train" / "\u00e9t\u00e9")
        with pytest.raises(DataError, match=r"\(NFC and NFD\); merge them"):
            load(_spec(form, root))


def _linked(root: Path) -> None:
    shutil.rmtree(root / "val")
    (root / "val").symlink_to("train")


def _part(root: Path) -> None:
    for name in ("cat", "dog"):
        shutil.copy(root / "train" / name / "3.png", root / "val" / name / "0.png")
        shutil.copy(root / "train" / name / "2.png", root / "val" / name / "1.png")


@pytest.mark.parametrize("form", FORMS)
def test_evaluation_on_the_training_images_is_refused(root: Path, cache: Path, form: str) -> None:
    """Linked or copied; in every form, and again where the images are in the cache already."""
    _linked(root)
    for _ in range(2):
        with pytest.raises(DataError, match=r"the same") as caught:
            load(_spec(form, root))
        assert "\n" not in str(caught.value)


def test_some_training_images_may_be_evaluated(root: Path, cache: Path) -> None:
    """Where pixels are known, a part of the training images is refused, but not a duplicate."""
    duplicate = (root / "train/cat/3.png").read_bytes()
    (root / "val/cat/0.png").write_bytes(duplicate)
    load(_spec("memory", root))
    _part(root)
    with pytest.raises(DataError, match="every evaluation image is a training image"):
        load(_spec("memory", root))


def test_check_and_run_tell_what_is_not_used(
    root: Path, cache: Path, gmsearch: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images per split, files left out by reason, and batches that the images cannot fill."""
    monkeypatch.chdir(root.parent)
    shutil.copy(root / "train" / "cat" / "0.png", root / "train" / "cat" / "0.jfif")
    Path("s.yaml").write_text(
        f"""
study: s
model: {{family: gmnet, stem_width: 4, widths: [4, 4], depths: [1, 1], kernel_size: 3,
  gate: {{product: self, activation: relu}}}}
data: {{name: folder, root: {root}, holdout: 0.25}}
train: {{epochs: 1, batch_size: 500, augment: none}}
objectives: {{top1: maximize, flops: minimize}}
search: {{method: grid, seeds: 1}}
""",
        encoding="utf-8",
    )
    checked, ran = gmsearch("check", "s.yaml"), gmsearch("run", "s.yaml", "--engine", "serial")

    assert "images      6 train, 2 holdout, 4 evaluation; files left out: 1\n" in checked.stdout
    for done in (checked, ran):
        assert done.returncode == 0
        assert "s.yaml: data: files left out: 1 (1 ending in .jfif)\n" in done.stderr
        assert "train.batch_size 500 is larger than the 6 training images" in done.stderr

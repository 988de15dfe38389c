"""CIFAR through torchvision's own classes, on small sets in the published form.

Only the table of published checksums and the address are replaced by those of the small sets, so
downloading, checking, unpacking and reading are torchvision's and ours, as in earnest.
"""

from __future__ import annotations

import functools
import hashlib
import http.server
import pickle
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from torchvision import datasets

from gmsearch.data import load, prepare
from gmsearch.errors import DataError
from gmsearch.experiment import Cifar10, Cifar100

FORMS = {
    "cifar10": (datasets.CIFAR10, "labels", "label_names"),
    "cifar100": (datasets.CIFAR100, "fine_labels", "fine_label_names"),
}


def _spec(name: str, root: Path, **options: object) -> Cifar10 | Cifar100:
    cls = {"cifar10": Cifar10, "cifar100": Cifar100}[name]
    return cls(root=str(root), holdout=0, **options)


@pytest.fixture(params=["cifar10", "cifar100"])
def name(request: pytest.FixtureRequest) -> str:
    """Return the name of one of the two sets."""
    return str(request.param)


@pytest.fixture
def published(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pixels: Callable[..., np.ndarray],
) -> Path:
    """Write a small set as the authors do, and make its checksums the published ones."""
    cls, label_key, names_key = FORMS[name]
    folder = tmp_path / "published" / cls.base_folder
    folder.mkdir(parents=True)

    def write(file: str, content: object) -> str:
        data = pickle.dumps(content)
        (folder / file).write_bytes(data)
        return hashlib.md5(data, usedforsecurity=False).hexdigest()

    def batches(files: list[list[str]], seed: int) -> list[list[str]]:
        table = []
        for i, (file, _) in enumerate(files):
            rows = pixels(4, 32, seed + i).transpose(0, 3, 1, 2).reshape(4, -1)
            table.append([file, write(file, {"data": rows, label_key: [0, 1, 2, 1]})])
        return table

    monkeypatch.setattr(cls, "train_list", batches(cls.train_list, 0))
    monkeypatch.setattr(cls, "test_list", batches(cls.test_list, 100))
    meta = write(cls.meta["filename"], {names_key: ["a", "b", "c"]})
    monkeypatch.setattr(cls, "meta", {**cls.meta, "md5": meta})
    return tmp_path / "published"


@pytest.fixture
def server(
    name: str, published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[str]]:
    """Serve the archive of the small set from this machine; return what was asked for."""
    cls, _, _ = FORMS[name]
    site = tmp_path / "site"
    site.mkdir()
    with tarfile.open(site / cls.filename, "w:gz") as tar:
        tar.add(published / cls.base_folder, cls.base_folder)
    archive = (site / cls.filename).read_bytes()
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            asked.append(str(args[1]))

    handler = functools.partial(Handler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as http_server:
        monkeypatch.setattr(
            cls, "url", f"http://127.0.0.1:{http_server.server_port}/{cls.filename}"
        )
        md5 = hashlib.md5(archive, usedforsecurity=False).hexdigest()
        monkeypatch.setattr(cls, "tgz_md5", md5)
        thread = threading.Thread(target=http_server.serve_forever)
        thread.start()
        yield asked
        http_server.shutdown()
        thread.join()


def test_images_labels_and_names(
    name: str, published: Path, cache: Path, pixels: Callable[..., np.ndarray]
) -> None:
    """What the files hold comes back, as height, width, channel."""
    data = load(_spec(name, published))

    assert data.classes == ("a", "b", "c")
    assert (data.evaluation.images == pixels(4, 32, 100)).all()
    assert data.evaluation.labels.tolist() == [0, 1, 2, 1]
    assert len(data.train) == 4 * len(FORMS[name][0].train_list)


def test_it_is_downloaded_once_into_the_cache(
    name: str, published: Path, server: list[str], tmp_path: Path, cache: Path
) -> None:
    """Without the files in the root they are fetched; the root is not even made."""
    root = tmp_path / "nowhere"
    data = load(_spec(name, root))
    requests = len(server)

    assert requests > 0
    assert data.identity == prepare(_spec(name, published))
    prepare(_spec(name, root))
    assert len(server) == requests
    assert not root.exists()
    assert (cache / "downloads" / FORMS[name][0].base_folder).is_dir()


def test_a_smaller_resolution(name: str, published: Path, cache: Path) -> None:
    """Images are resized as those of other formats; larger ones are refused."""
    small = load(_spec(name, published, resolution=16))

    assert small.resolution == 16
    assert small.identity != prepare(_spec(name, published))
    with pytest.raises(DataError, match=r"is 32x32, smaller than data\.resolution 64"):
        prepare(_spec(name, published, resolution=64))


def test_files_that_are_not_the_published_ones(name: str, published: Path, cache: Path) -> None:
    """A changed file is refused before it is unpickled."""
    cls, _, _ = FORMS[name]

    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (published / "exploded",))

    (published / cls.base_folder / cls.test_list[0][0]).write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(DataError, match="does not contain the published files"):
        prepare(_spec(name, published))

    assert not (published / "exploded").exists()


def test_a_download_that_fails(
    name: str, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a network the message says what to put where."""
    cls, _, _ = FORMS[name]
    monkeypatch.setattr(cls, "url", "http://127.0.0.1:9/nothing.tar.gz")
    with pytest.raises(DataError, match=r"cannot be downloaded .*; unpack cifar-.*\.tar\.gz in"):
        prepare(_spec(name, tmp_path))

"""Loading plugins: what is registered, what identifies it, and every mistake as one line."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gmsearch import metrics, plugins
from gmsearch.errors import FieldError, PluginError
from gmsearch.networks import ACTIVATIONS, FAMILIES, PRODUCTS, candidate_from

Write = Callable[..., Path]

ACTIVATION = """
@activation("swish_t")
def swish_t(h):
    return h * torch.sigmoid(1.5 * h)
"""

FAMILY = """
class Net(nn.Module):
    def __init__(self, num_classes: int, width: int = 8, depths: list[int] = [1, 1],
                 rate: float = 0, act: str = None):
        super().__init__()
        self.head = nn.Linear(3, num_classes)
    def forward(self, x):
        return self.head(x.mean((2, 3)))
family("net")(Net)
"""


def _load(path: Path) -> plugins.Plugin:
    (loaded,) = plugins.load([path.name], path.parent)
    return loaded


def test_a_file_is_known_by_its_sha256(plugin: Write) -> None:
    """The digest of a single file is the SHA-256 of its bytes, wherever it lies."""
    path = plugin(ACTIVATION)
    assert _load(path).file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_parts_enter_the_tables_and_leave_them(plugin: Write) -> None:
    """A part is a row of the table of its kind until the plugin is unloaded."""
    text = (
        ACTIVATION
        + FAMILY
        + (
            '@product("scaled")\ndef scaled(channels): return nn.Identity()\n'
            '@metric("ece", better="lower")\ndef ece(logits, labels): return 0.5\n'
        )
    )
    loaded = _load(plugin(text))
    assert ACTIVATIONS["swish_t"].source == loaded.file.sha256
    assert PRODUCTS["scaled"].source == loaded.file.sha256
    assert FAMILIES["net"].source == loaded.file.sha256
    assert metrics.lookup("ece").better == "lower"
    assert metrics.lookup("holdout.ece.high@10").name == "ece"
    plugins.unload()
    assert "swish_t" not in ACTIVATIONS
    assert "scaled" not in PRODUCTS
    assert "net" not in FAMILIES
    assert not metrics.is_metric("ece")


def test_constructor_arguments_are_fields(plugin: Write) -> None:
    """Annotated arguments of a plain module become checked fields; num_classes is not one."""
    _load(plugin(FAMILY))
    net = candidate_from({"family": "net", "width": 4, "depths": [2, 3], "rate": 1})
    tree = dataclasses.asdict(net)  # type: ignore[call-overload]
    assert tree == {"family": "net", "width": 4, "depths": (2, 3), "rate": 1.0, "act": None}
    with pytest.raises(FieldError, match="expected an integer, got 'wide'"):
        candidate_from({"family": "net", "width": "wide"})
    with pytest.raises(FieldError, match="widht"):
        candidate_from({"family": "net", "widht": 4})
    with pytest.raises(FieldError, match="num_classes"):
        candidate_from({"family": "net", "num_classes": 4})


def test_limits_of_a_dataclass_hold(plugin: Write) -> None:
    """Limits in annotations and in __post_init__ of a plugin's dataclass are checked."""
    text = """
from dataclasses import dataclass
from typing import Annotated
from gmsearch.limits import Limit
@family("mine")
@dataclass(frozen=True)
class Mine:
    width: Annotated[int, Limit(ge=2)] = 8
    groups: int = 1
    def __post_init__(self):
        if self.width % self.groups:
            raise ValueError(f"groups: {self.groups} does not divide the width {self.width}")
    def build(self, num_classes):
        return nn.Linear(self.width, num_classes)
"""
    _load(plugin(text))
    assert candidate_from({"family": "mine", "groups": 4}).digest
    with pytest.raises(FieldError, match="expected an integer from 2, got 1"):
        candidate_from({"family": "mine", "width": 1})
    with pytest.raises(FieldError) as caught:
        candidate_from({"family": "mine", "groups": 3})
    assert (caught.value.path, caught.value.message) == (
        "groups",
        "3 does not divide the width 8",
    )


def test_the_file_is_in_the_digest_of_what_uses_it_alone(plugin: Write) -> None:
    """Another content makes other candidates of those that use the plugin, and of no other."""
    net = {"widths": [4], "depths": [1], "gate": {"activation": "gelu"}}
    plain = candidate_from(net).digest
    swished = {**net, "gate": {"activation": "swish_t"}}
    path = plugin(ACTIVATION)
    _load(path)
    assert candidate_from(net).digest == plain
    first = candidate_from(swished).digest
    plugin(ACTIVATION + "# changed\n")
    _load(path)
    assert candidate_from(net).digest == plain
    assert candidate_from(swished).digest != first
    plugin(ACTIVATION)
    _load(path)
    assert candidate_from(swished).digest == first


def test_modules_beside_it_are_part_of_it(plugin: Write, tmp_path: Path) -> None:
    """A module that a plugin imports from its folder is in its digest and among its files."""
    beside = tmp_path / "their_net.py"
    beside.write_text(
        "from torch import nn\nclass Net(nn.Module):\n"
        "    def __init__(self, num_classes: int): super().__init__()\n"
    )
    path = plugin('from their_net import Net\nfamily("net")(Net)\n')
    before = _load(path)
    assert set(before.sources) == {"mine.py", "their_net.py"}
    beside.write_text(beside.read_text() + "# changed\n")
    assert _load(path).file.sha256 != before.file.sha256
    assert not list(tmp_path.rglob("*.pyc"))


def test_an_installed_package_is_a_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package is named without .py; its digest covers all of its files."""
    package = tmp_path / "site" / "my_package"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from my_package import gates\n")
    gates = package / "gates.py"
    gates.write_text("import torch\nfrom gmsearch.plugins import activation\n" + ACTIVATION)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    (before,) = plugins.load(["my_package"], tmp_path)
    assert set(before.sources) == {"my_package/__init__.py", "my_package/gates.py"}
    gates.write_text(gates.read_text() + "# changed\n")
    (after,) = plugins.load(["my_package"], tmp_path)
    assert after.file.sha256 != before.file.sha256
    assert ACTIVATIONS["swish_t"].source == after.file.sha256


def test_what_it_prints_goes_to_stderr(plugin: Write, capsys: pytest.CaptureFixture[str]) -> None:
    """Output while a plugin is imported is not on stdout, where results are."""
    _load(plugin(ACTIVATION + "print('loading')\n"))
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "loading\n")


def test_it_is_executed_once_while_its_files_stay(
    plugin: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    """A plugin whose files are unchanged is not executed again, and is entered again."""
    path = plugin(ACTIVATION + "print('loading')\n")
    _load(path)
    _load(path)
    assert capsys.readouterr().err == "loading\n"
    assert "swish_t" in ACTIVATIONS


def test_files_are_announced_before_they_are_executed(
    plugin: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    """The caller hears which files will be executed, and may still stop it."""

    def stop(paths: object) -> None:
        raise KeyboardInterrupt

    path = plugin(ACTIVATION + "print('loading')\n")
    with pytest.raises(KeyboardInterrupt):
        plugins.load([path.name], path.parent, announce=stop)
    assert capsys.readouterr().err == ""


def test_a_decorator_elsewhere_changes_nothing(tmp_path: Path) -> None:
    """Imported by another program, a plugin registers nothing and its objects are themselves."""

    def double(h: float) -> float:
        return 2 * h

    assert plugins.activation("double")(double) is double
    assert "double" not in ACTIVATIONS


MISTAKES = {
    "syntax": ("def f(:\n", ":4: is not Python: "),
    "import": ("x = 1\nimport no_such_module\n", ":5: does not import: ModuleNotFoundError: "),
    "raises": ("\n\n1 / 0\n", ":6: does not import: ZeroDivisionError: division by zero"),
    "exits": ("raise SystemExit(3)\n", ":4: does not import: SystemExit: 3"),
    "nothing": ("x = 1\n", ": registers nothing; "),
    "ours": ('activation("relu")(nn.ReLU)\n', ":4: activation relu is built in; "),
    "our product": ('product("dw")(nn.Identity)\n', ":4: product dw: expected a torch.nn.Module "),
    "our family": (
        'family("timm")(lambda num_classes: nn.Linear(3, num_classes))\n',
        ":4: family timm is built in; rename it",
    ),
    "our metric": (
        'metric("high", better="lower")(lambda logits, labels: 0)\n',
        ":4: metric high is built in; rename it",
    ),
    "twice": (ACTIVATION + ACTIVATION, ":9: activation swish_t is registered twice; rename one"),
    "name": ('activation("a.b")(nn.ReLU)\n', ":4: activation 'a.b': expected a name of lower"),
    "activation": (
        'activation("a")(nn.Linear)\n',
        (
            ":4: activation a: expected a torch.nn.Module class without required arguments, or a "
            "function of one tensor, got Linear(in_features"
        ),
    ),
    "product": (
        '@product("p")\ndef p(width): pass\n',
        (
            ":4: product p: expected a torch.nn.Module class or a function that takes channels, "
            "and kernel_size if it has one, got p(width)"
        ),
    ),
    "no num_classes": (
        'family("f")(nn.Sequential)\n',
        ":4: family f: expected an argument num_classes, got Sequential(*args",
    ),
    "not a module": (
        '@family("f")\nclass F: pass\n',
        ":4: family f: expected a frozen dataclass with build(num_classes), or a ",
    ),
    "no build": (
        'import dataclasses\n@family("f")\n@dataclasses.dataclass(frozen=True)\nclass F: pass\n',
        ":5: family f: expected a method build(self, num_classes) of F",
    ),
    "not frozen": (
        'import dataclasses\n@family("f")\n@dataclasses.dataclass\nclass F: pass\n',
        ":5: family f: expected a frozen dataclass; write @dataclass(frozen=True)",
    ),
    "unannotated": (
        '@family("f")\ndef f(num_classes, width=8): pass\n',
        ":4: family f: argument width has no annotation; expected int, float, str, bool, ",
    ),
    "unsupported": (
        '@family("f")\ndef f(num_classes, act: type = nn.ReLU): pass\n',
        ":4: family f: argument act is of type type; expected int, float, str, bool, ",
    ),
    "stars": (
        '@family("f")\ndef f(num_classes, **more): pass\n',
        ":4: family f: argument **more cannot be set from a space file; ",
    ),
    "metric": (
        '@metric("m", better="lower")\ndef m(logits): return 0\n',
        ":4: metric m: expected a function of logits and labels, got m(logits)",
    ),
    "better": (
        '@metric("m", better="less")\ndef m(logits, labels): return 0\n',
        ":4: metric m: better: expected lower or higher, got 'less'",
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_line_with_its_place(plugin: Write, case: str) -> None:
    """Whatever is wrong in a plugin is said in one line that begins with file and line."""
    text, expected = MISTAKES[case]
    path = plugin(text)
    with pytest.raises(PluginError) as caught:
        _load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}{expected}"), message
    assert "\n" not in message
    assert not set(ACTIVATIONS) & {"swish_t", "a"}, "nothing is registered"


REFERENCES = {
    "none.py": "none.py: there is no file {folder}/none.py; the folder has mine.py",
    "a b.py": "a b.py: expected a file name of letters, digits, _, - and .",
    "no_such_package": "no_such_package: no such package is installed; install it, or name a file,"
    " no_such_package.py",
    "os": "os: is not a plugin; name a package that registers parts",
    "../x": "../x: expected a file such as my_gates.py, or the name of an installed package",
    "gmsearch.cli": "gmsearch.cli: is not a plugin; name a package that registers parts",
}


@pytest.mark.parametrize("reference", REFERENCES)
def test_a_reference_to_nothing_is_one_line(plugin: Write, reference: str) -> None:
    """A file that is not there and a package that is not installed are named with the remedy."""
    folder = plugin(ACTIVATION).parent
    (folder / "a b.py").touch()
    (folder / "a b.py").unlink()
    with pytest.raises(PluginError) as caught:
        plugins.load([reference], folder)
    assert str(caught.value) == REFERENCES[reference].format(folder=folder)


def test_two_plugins_may_not_share_a_name(plugin: Write) -> None:
    """A name that two plugins of one space register is refused, also when both were loaded."""
    one, two = plugin(ACTIVATION), plugin(ACTIVATION, "other.py")
    expected = f"{two}:5: activation swish_t is already registered by mine.py; rename one"
    for _ in range(2):
        with pytest.raises(PluginError) as caught:
            plugins.load([one.name, two.name], one.parent)
        assert str(caught.value) == expected
        _load(two)


def test_two_files_may_not_share_a_name(plugin: Write, tmp_path: Path) -> None:
    """Copies are kept by name, so that two files of one name are refused."""
    (tmp_path / "sub").mkdir()
    plugin(ACTIVATION), plugin(FAMILY, "sub/mine.py")
    with pytest.raises(PluginError, match=r"two plugins called mine\.py; rename one"):
        plugins.load(["mine.py", "sub/mine.py"], tmp_path)


def test_no_module_stays_importable(plugin: Write) -> None:
    """Loading leaves the search path of Python as it was."""
    before = list(sys.path)
    _load(plugin(ACTIVATION))
    assert sys.path == before
    assert os.fspath(plugin(ACTIVATION).parent) not in sys.path

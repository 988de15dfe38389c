"""The decorators of a plugin: each checks the signature of what it registers.

They register only while gmsearch loads the plugin; imported by any other program, a plugin is
an ordinary module, and every decorator returns its object unchanged.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, TypeVar

from gmsearch.errors import PluginError
from gmsearch.plugins.hints import arguments_of
from gmsearch.plugins.parts import Key, Kind, Part
from gmsearch.plugins.tables import reserved

_T = TypeVar("_T", bound=Callable[..., Any])

_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
_PRODUCT_ARGUMENTS = ("channels", "kernel_size")


@dataclasses.dataclass(kw_only=True, slots=True)
class Loading:
    """What a plugin has registered so far."""

    earlier: Mapping[Key, str]
    """Parts of the plugins before this one, and the plugin each is from."""

    parts: list[Part] = dataclasses.field(default_factory=list)


_LOADING: contextvars.ContextVar[Loading | None] = contextvars.ContextVar("loading", default=None)


@contextlib.contextmanager
def loading(state: Loading) -> Iterator[None]:
    """Let the decorators register into `state`."""
    token = _LOADING.set(state)
    try:
        yield
    finally:
        _LOADING.reset(token)


def activation(name: str, *, steps: int | None = None) -> Callable[[_T], _T]:
    """Register an activation: an nn.Module class, or a function of a tensor of any shape.

    Args:
        name: what `gate.activation` names.
        steps: element-wise operations per element, for the static cost; measured by default.
    """

    def register(obj: _T) -> _T:
        needed = _required(obj)
        ours = len(needed) == 0 if isinstance(obj, type) else len(needed) == 1
        if not ours or (isinstance(obj, type) and not is_module_class(obj)):
            raise PluginError(
                f"activation {name}: expected a torch.nn.Module class without required "
                f"arguments, or a function of one tensor, got {_shown(obj)}"
            )
        if steps is not None and (type(steps) is not int or steps < 0):
            raise PluginError(f"activation {name}: steps: expected an integer from 0, got {steps}")
        _register("activation", name, obj, steps=steps)
        return obj

    return register


def product(
    name: str, *, cost: Callable[..., Mapping[str, int]] | None = None
) -> Callable[[_T], _T]:
    """Register a product: what builds the second factor of a gate.

    It is called with `channels`, and with `kernel_size` if it takes that, and returns an
    nn.Module that maps the gated tensor (N, channels, H, W) to the same shape.

    Args:
        name: what `gate.product` names.
        cost: takes (channels, side), the width of the tensor and the pixels along its side, and
            returns any of params, flops, elementwise_ops and activation_elements of the second
            factor alone, as a mapping; measured by default.
    """

    def register(obj: _T) -> _T:
        names = _signature(obj)
        if "channels" not in names or not set(_required(obj)) <= set(_PRODUCT_ARGUMENTS):
            raise PluginError(
                f"product {name}: expected a torch.nn.Module class or a function that takes "
                f"channels, and kernel_size if it has one, got {_shown(obj)}"
            )
        _register("product", name, obj, kernel="kernel_size" in names, cost=cost)
        return obj

    return register


def family(
    name: str, *, cost: Callable[..., Mapping[str, int]] | None = None
) -> Callable[[_T], _T]:
    """Register a family of networks.

    Either a frozen dataclass whose `build(num_classes)` returns an nn.Module, or an nn.Module
    class or function that takes `num_classes`. Its other arguments, which need annotations, are
    the keys of `model`. The network maps images (N, 3, H, W) to logits (N, num_classes).

    Args:
        name: what `model.family` names.
        cost: takes (spec, num_classes, resolution), the first with the keys of `model` as
            attributes, and returns any of params, flops, elementwise_ops and
            activation_elements, as a mapping; measured by default.
    """

    def register(obj: _T) -> _T:
        what = f"family {name}"
        if isinstance(obj, type) and dataclasses.is_dataclass(obj):
            _check_dataclass(obj, what)
            given: tuple[str, ...] = ()
        elif isinstance(obj, type) and not is_module_class(obj):
            raise PluginError(
                f"{what}: expected a frozen dataclass with build(num_classes), or a "
                f"torch.nn.Module class or function that takes num_classes, got {_shown(obj)}"
            )
        elif "num_classes" not in _signature(obj):
            raise PluginError(
                f"{what}: expected an argument num_classes, got {_shown(obj)}; register a "
                "function that takes num_classes and returns the network"
            )
        else:
            given = ("num_classes",)
        arguments = arguments_of(obj, what, given)
        for key in ("family", "preset"):
            if key in arguments:
                raise PluginError(f"{what}: argument {key} is reserved; rename it")
        _register("family", name, obj, arguments=arguments, cost=cost)
        return obj

    return register


def metric(name: str, *, better: Literal["lower", "higher"]) -> Callable[[_T], _T]:
    """Register a metric: a function of logits (N, K) and labels (N,) that returns a number.

    It is measured as `NAME` on whole images and as `NAME.VERSION`, such as `NAME.high@10`, on
    every band version; with the prefix `holdout.` on the holdout.

    Args:
        name: what `objectives` and `constraints` name.
        better: whether a smaller or a larger value is better.
    """

    def register(obj: _T) -> _T:
        if len(_required(obj)) != 2 or isinstance(obj, type):
            raise PluginError(
                f"metric {name}: expected a function of logits and labels, got {_shown(obj)}"
            )
        if better not in ("lower", "higher"):
            raise PluginError(f"metric {name}: better: expected lower or higher, got {better!r}")
        _register("metric", name, obj, better=better)
        return obj

    return register


def dataset(name: str) -> Callable[[_T], _T]:
    """Register a data set: a function that returns its two splits.

    It returns `{"train": (images, labels), "evaluation": (images, labels)}`: images are uint8
    (N, S, S, 3), or a list of paths of image files, which are decoded on request;
    labels are integers (N,) from 0. A third entry `classes` may name the classes. Its
    arguments, which need annotations, are keys of `data`; one called `root` gets the folder of
    the images (`data.root`, --data-root or GMSEARCH_DATA).

    Args:
        name: what `data.name` names.
    """

    def register(obj: _T) -> _T:
        if isinstance(obj, type):
            raise PluginError(f"dataset {name}: expected a function, got {_shown(obj)}")
        arguments = arguments_of(obj, f"dataset {name}", ())
        for key in ("name", "holdout", "stream", "crop_pct", "mean", "std"):
            if key in arguments:
                raise PluginError(f"dataset {name}: argument {key} is reserved; rename it")
        _register("dataset", name, obj, arguments=arguments)
        return obj

    return register


def is_module_class(obj: object) -> bool:
    """Return whether `obj` is an nn.Module class; torch is loaded wherever there is one."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(obj, type) and issubclass(obj, torch.nn.Module)


def _check_dataclass(obj: Any, what: str) -> None:
    if not obj.__dataclass_params__.frozen:
        raise PluginError(f"{what}: expected a frozen dataclass; write @dataclass(frozen=True)")
    build = getattr(obj, "build", None)
    if build is None or list(inspect.signature(build).parameters)[1:] != ["num_classes"]:
        raise PluginError(f"{what}: expected a method build(self, num_classes) of {obj.__name__}")


def _signature(obj: Any) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(obj).parameters
    except (TypeError, ValueError):
        raise PluginError(f"{_shown(obj)} has no signature that can be read") from None


def _required(obj: Any) -> list[str]:
    """Return the arguments without default."""
    return [
        name
        for name, p in _signature(obj).items()
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]


def _shown(obj: Any) -> str:
    name = getattr(obj, "__name__", repr(obj))
    try:
        return f"{name}{inspect.signature(obj)}"
    except (TypeError, ValueError):
        return str(name)


def _register(kind: Kind, name: str, obj: Any, **options: Any) -> None:
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise PluginError(
            f"{kind} {name!r}: expected a name of lower-case letters, digits and _, a letter first"
        )
    state = _LOADING.get()
    if state is None:
        return
    if name in reserved(kind):
        raise PluginError(f"{kind} {name} is built in; rename it")
    if (kind, name) in state.earlier:
        other = state.earlier[kind, name]
        raise PluginError(f"{kind} {name} is already registered by {other}; rename one")
    if any((part.kind, part.name) == (kind, name) for part in state.parts):
        raise PluginError(f"{kind} {name} is registered twice; rename one")
    state.parts.append(Part(kind=kind, name=name, make=obj, **options))

"""Loading plugins: execute a file or import a package, compute its digest, locate every error.

The digest covers the file, the modules next to it that it imports, and the source files of what
it registers from elsewhere. A plugin whose files are as they were is executed once a process.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.metadata
import inspect
import re
import sys
import traceback
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from gmsearch.errors import PluginError
from gmsearch.experiment.plugin import PluginFile
from gmsearch.plain import canonical_json
from gmsearch.plugins.parts import Key, Part, Plugin
from gmsearch.plugins.register import Loading, loading
from gmsearch.plugins.tables import clear, enter

MAX_PLUGIN_BYTES = 2**20
_PACKAGE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}\.py")
_OURS = __name__.partition(".")[0]

Announce = Callable[[Mapping[str, Path]], None]
"""Called with the plugins' files by reference, before any of them is executed."""

_LOADED: dict[Path, Plugin] = {}
_IMPORTED: set[str] = set()
"""Modules next to plugins, imported by them."""


def resolve(reference: str, folder: Path) -> Path:
    """Return the file that a space file refers to, without executing anything.

    Args:
        reference: a file such as `my_gates.py`, or the name of an installed package.
        folder: what a relative file is relative to.

    Raises:
        PluginError: where there is no such file or package.
    """
    if not reference.endswith(".py"):
        return _package_file(reference)
    path = (folder / Path(reference).expanduser()).absolute()
    if _FILE.fullmatch(path.name) is None:
        raise PluginError(f"{reference}: expected a file name of letters, digits, _, - and .")
    if not path.is_file():
        near = ", ".join(sorted(p.name for p in path.parent.glob("*.py"))[:8]) or "no *.py file"
        raise PluginError(f"{reference}: there is no file {path}; the folder has {near}")
    return path


def load(
    references: Sequence[str],
    folder: Path,
    *,
    announce: Announce | None = None,
) -> tuple[Plugin, ...]:
    """Execute the plugins of one space; their parts replace those of other spaces.

    Args:
        references: as in the space file.
        folder: what relative files are relative to.
        announce: called before any of them is executed.

    Raises:
        PluginError: with file and line, where a plugin is missing, does not load, registers
            nothing, or registers a name that exists. Nothing is registered then.
    """
    paths = []
    for reference in references:
        with _naming(reference):
            paths.append(resolve(reference, folder))
    if announce is not None:
        announce({Path(name).name: path for name, path in zip(references, paths, strict=True)})
    plugins: list[Plugin] = []
    earlier: dict[Key, str] = {}
    for reference, path in zip(references, paths, strict=True):
        name = Path(reference).name
        with _naming(reference):
            if name in {plugin.file.reference for plugin in plugins}:
                raise PluginError(f"{reference}: there are two plugins called {name}; rename one")
            plugin = _loaded(name, path, earlier)
        plugins.append(plugin)
        earlier |= {part.key: name for part in plugin.parts}
    for plugin in plugins:
        _LOADED[plugin.path] = plugin
        enter(plugin)
    return tuple(plugins)


@contextlib.contextmanager
def _naming(reference: str) -> Iterator[None]:
    """Add the name of the plugin to a PluginError."""
    try:
        yield
    except PluginError as error:
        error.reference = reference
        raise


def loaded(file: PluginFile) -> Plugin | None:
    """Return the plugin of this identity that was executed in this process."""
    return next((plugin for plugin in _LOADED.values() if plugin.file == file), None)


def unload() -> None:
    """Remove the parts of all plugins from the tables, and forget what was executed."""
    clear()
    _LOADED.clear()


def _loaded(name: str, path: Path, earlier: Mapping[Key, str]) -> Plugin:
    known = _LOADED.get(path)
    if (
        known is not None
        and known.file.reference == name
        and _unchanged(known)
        and not any(part.key in earlier for part in known.parts)
    ):
        return known
    state = Loading(earlier=earlier)
    with _placed(path), loading(state), contextlib.redirect_stdout(sys.stderr):
        if name.endswith(".py"):
            sources, version = _execute(path), None
        else:
            sources, version = _import(name, path)
    if not state.parts:
        raise PluginError(
            f"{path}: registers nothing; expected a decorator of gmsearch.plugins, such as "
            "@activation"
        )
    return _loaded_plugin(name, path, sources, version, state.parts)


def _unchanged(plugin: Plugin) -> bool:
    try:
        return all(file_digest(path) == sha256 for path, sha256 in plugin.watched.items())
    except OSError:
        return False


def _loaded_plugin(
    name: str,
    path: Path,
    sources: Mapping[str, Path],
    version: str | None,
    parts: Sequence[Part],
) -> Plugin:
    files = {relative: file_digest(source) for relative, source in sources.items()}
    watched = {source: files[relative] for relative, source in sources.items()}
    for part in parts:
        source = _source_of(part.make)
        if source is not None and source not in watched:
            watched[source] = file_digest(source)
            files[f"{part.kind} {part.name}"] = watched[source]
    whole = files[path.name] if version is None and len(files) == 1 else _combined(files, version)
    return Plugin(
        file=PluginFile(reference=name, sha256=whole),
        path=path,
        sources=sources,
        watched=watched,
        parts=tuple(parts),
        version=version,
    )


def _combined(files: Mapping[str, str], version: str | None) -> str:
    tree = {"files": dict(files), "version": version}
    return hashlib.sha256(canonical_json(tree).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _source_of(obj: object) -> Path | None:
    """Return the file that defines what was registered, None for one built into Python."""
    try:
        return Path(inspect.getfile(inspect.unwrap(obj))).absolute()  # type: ignore[arg-type] # it raises
    except (TypeError, OSError):
        return None


def _execute(path: Path) -> dict[str, Path]:
    """Execute a file as a module; return it and the modules next to it that it imported."""
    content = path.read_bytes()
    if len(content) > MAX_PLUGIN_BYTES:
        raise PluginError(f"is larger than {MAX_PLUGIN_BYTES // 2**20} MiB")
    digest = hashlib.sha256(content).hexdigest()
    module = types.ModuleType(f"gmsearch_plugin_{path.stem.replace('.', '_')}_{digest[:8]}")
    module.__file__ = str(path)
    code = compile(content, str(path), "exec", dont_inherit=True)
    # Modules of another plugin's folder may have the names of those of this one.
    for name in {*_IMPORTED, *_modules_in(path.parent)}:
        sys.modules.pop(name, None)
    sys.modules[module.__name__] = module
    with _importable(path.parent):
        exec(code, module.__dict__)  # noqa: S102 - a plugin is code that its author is trusted with
    sources = {path.name: path}
    for name in _modules_in(path.parent):
        _IMPORTED.add(name)
        source = Path(str(sys.modules[name].__file__))
        if source.suffix == ".py":
            sources[source.relative_to(path.parent).as_posix()] = source
    return sources


@contextlib.contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Make modules of a folder importable, as for a script there; write no bytecode."""
    before = sys.dont_write_bytecode
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.dont_write_bytecode = before
        with contextlib.suppress(ValueError):
            sys.path.remove(str(folder))


def _modules_in(folder: Path) -> list[str]:
    """Return the modules that were imported from files or packages directly in a folder."""
    tops = {
        name
        for name, module in list(sys.modules.items())
        if "." not in name
        and name not in (_OURS, "__main__")
        and not name.startswith("gmsearch_plugin_")
        and getattr(module, "__file__", None)
        in (str(folder / f"{name}.py"), str(folder / name / "__init__.py"))
    }
    return [name for name in list(sys.modules) if name.partition(".")[0] in tops]


def _package_file(name: str) -> Path:
    if _PACKAGE.fullmatch(name) is None:
        raise PluginError(
            f"{name}: expected a file such as my_gates.py, or the name of an installed package"
        )
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names or top == _OURS:
        raise PluginError(f"{name}: is not a plugin; name a package that registers parts")
    spec = importlib.util.find_spec(top)  # executes nothing
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise PluginError(
            f"{name}: no such package is installed; install it, or name a file, {name}.py"
        )
    return Path(spec.origin).absolute()


def _import(name: str, path: Path) -> tuple[dict[str, Path], str | None]:
    """Import a package anew; return its files and its version."""
    top = name.partition(".")[0]
    for module in [m for m in sys.modules if m.partition(".")[0] == top]:
        del sys.modules[module]
    importlib.import_module(name)
    if path.name == "__init__.py":
        files = sorted(path.parent.rglob("*.py"))
        sources = {file.relative_to(path.parent.parent).as_posix(): file for file in files}
    else:
        sources = {path.name: path}
    distributions = importlib.metadata.packages_distributions().get(top)
    return sources, importlib.metadata.version(distributions[0]) if distributions else None


@contextlib.contextmanager
def _placed(path: Path) -> Iterator[None]:
    """Turn any exception of a plugin's code into one line with file and line."""
    try:
        yield
    except SyntaxError as error:
        where = f"{error.filename or path}:{error.lineno or 1}"
        raise PluginError(f"{where}: is not Python: {error.msg}") from error
    except (Exception, SystemExit) as error:
        where = _line_of(error, path)
        if isinstance(error, PluginError):
            raise PluginError(f"{where}: {error}") from error
        lines = str(error).strip().splitlines()
        what = ": ".join([type(error).__name__, *lines[:1]])
        raise PluginError(f"{where}: does not import: {what}") from error


def _line_of(error: BaseException, path: Path) -> str:
    """Return the last place below the plugin's folder that an exception passed."""
    frames = traceback.extract_tb(error.__traceback__)
    inside = [f for f in frames if Path(f.filename).is_relative_to(path.parent)]
    own = [f for f in inside if f"{_OURS}/plugins/" not in Path(f.filename).as_posix()]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else str(path)

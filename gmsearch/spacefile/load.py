"""From a file to a space, or to all of the mistakes in it."""

from __future__ import annotations

from pathlib import Path

from gmsearch.errors import InputError
from gmsearch.experiment import DATA_SPECS, Bands, Recipe, Spectral
from gmsearch.networks import Candidate, Gate, GmNetSpec
from gmsearch.space.domains import Tree
from gmsearch.space.settings import Match, Resources, Search, TuneOptions
from gmsearch.space.space import Space
from gmsearch.spacefile.fields import fields_of
from gmsearch.spacefile.fit import FitChecker
from gmsearch.spacefile.mistakes import Mistakes
from gmsearch.spacefile.references import (
    baseline_from,
    dependency_order,
    forbid_from,
    parameters_from,
    use_broken_parameters,
)
from gmsearch.spacefile.rules import (
    check_constraints,
    check_forbid,
    check_holdout,
    check_method,
    check_tune_options,
)
from gmsearch.spacefile.schema import KEY_TEXTS, REQUIRED
from gmsearch.spacefile.sections.bands import read_bands
from gmsearch.spacefile.sections.data import read_data
from gmsearch.spacefile.sections.match import check_match, read_match
from gmsearch.spacefile.sections.metrics import read_constraints, read_objectives
from gmsearch.spacefile.sections.plugins import Announce, PluginLoader, read_plugins
from gmsearch.spacefile.sections.search import read_search
from gmsearch.spacefile.sections.study import Name, read_name
from gmsearch.spacefile.sections.tune import check_tune, read_tune
from gmsearch.spacefile.tree import TreeReader
from gmsearch.spacefile.values import read_section
from gmsearch.spacefile.yaml import Node, parse_yaml
from gmsearch.wording import closest, near

MAX_FILE_BYTES = 256 * 1024


def load_space(
    path: Path,
    *,
    data_root: Path | None = None,
    execute: bool | None = None,
    announce: Announce | None = None,
) -> Space:
    """Read a space file, its plugins first.

    Args:
        path: The file, YAML 1.2 in UTF-8.

        data_root: Folder of the images of a stored data set; overrides the environment variable
            GMSEARCH_DATA, which overrides the file. A reader that needs no images, such as a
            report, may pass any folder.

        execute: Whether plugins are executed, or only declared from what the study's folder
            recorded. By default those of a study's frozen copy are declared, any others executed.

        announce: Called with the study's name and the plugins' files before they are executed.

    Raises:
        SpaceError: for every mistake in the file at once, each with line and column.
        InputError: for a file that is missing, unreadable or too large.
    """
    mistakes = Mistakes(str(path))
    loader = PluginLoader(file=path, execute=execute, announce=announce)
    text = _decode_text(_read_bytes(path), mistakes)
    space = assemble(parse_yaml(text, mistakes), text, data_root, loader)
    mistakes.raise_any()
    return space


def _read_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        neighbours = ", ".join(sorted(p.name for p in path.parent.glob("*.yaml"))[:8])
        hint = f"; {path.parent} has {neighbours}" if neighbours else ""
        raise InputError(f"{path}: no such file; give the path of a space file{hint}") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder; give the path of a space file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{path}: cannot be read ({reason}); give a readable file") from None
    if len(content) > MAX_FILE_BYTES:
        raise InputError(
            f"{path}: is larger than {MAX_FILE_BYTES // 1024} KiB; "
            "a space file has a few hundred lines"
        )
    return content


def _decode_text(content: bytes, mistakes: Mistakes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        lines = content[: error.start].split(b"\n")
        column = len(lines[-1].decode("utf-8", errors="replace")) + 1
        mistakes.fatal((len(lines), column), "not UTF-8 text; save the file as UTF-8")


def assemble(root: Node, source: str, data_root: Path | None, loader: PluginLoader) -> Space:
    """Return the space that the nodes of a file describe.

    Every section is read, whatever is wrong with the others. The space is usable only if no
    mistake was reported: arbitrary values replace sections with mistakes.
    """
    empty = Node({}, "", (1, 1), (1, 1), root.mistakes)

    def optional(name: str) -> Node:
        return root.mapping.get(name, empty.named(name))

    given = root.mapping.get
    _check_keys(root)
    name = read_name(root) or Name("")
    plugins = read_plugins(node, name.study, loader) if (node := given("plugins")) else ()
    data = read_data(node, data_root) if (node := given("data")) else None
    bands = read_bands(optional("bands"), optional("data"))
    search = read_search(node) if (node := given("search")) else None

    reader, drafts = TreeReader(), {}
    model: Tree = reader.read(node, Candidate) if (node := given("model")) else None
    train = reader.read(optional("train"), Recipe)
    drafts, before = reader.drafts, len(root.mistakes)
    parameters = parameters_from(drafts)
    order = dependency_order(parameters, drafts)
    forbid = forbid_from(node, drafts) if (node := given("forbid")) else None
    broken = use_broken_parameters(drafts, given("forbid"))
    consistent = len(root.mistakes) == before and not broken
    domains = {path: draft.node for path, draft in drafts.items()}
    tune = read_tune(node, domains) if (node := given("tune")) else None
    space = Space(
        study=name.study,
        about=name.about,
        source=source,
        model=model,
        train=train,
        parameters=parameters,
        order=order,
        baseline=baseline_from(node, order, drafts) if (node := given("baseline")) else None,
        forbid=forbid or (),
        data=data or Spectral(),
        bands=bands or Bands(),
        objectives=read_objectives(node, bands) if (node := given("objectives")) else (),
        constraints=read_constraints(optional("constraints"), bands),
        search=search or Search(method="grid"),
        resources=read_section(optional("resources"), Resources) or Resources(),
        tune=tune,
        match=read_match(node) if (node := given("match")) else None,
        plugins=plugins,
    )
    if search is not None:
        check_method(search, drafts, root)
    if data is not None:
        check_holdout(data, bands, search, tune, root)
    check_constraints(space.constraints, root)
    if tune is not None and data is not None and bands is not None:
        check_tune_options(tune, bands, search, root)
    _check_fit(space, FitChecker(space, root, drafts, data), root, consistent=consistent)
    return space


def _check_fit(space: Space, checker: FitChecker, root: Node, *, consistent: bool) -> None:
    """Check the arms of a space; `consistent` states whether conditions and `forbid` are valid."""
    if consistent:
        check_forbid(space, root)
        before = len(root.mistakes)
        checker.check()
        # With values that make no arm, the following would repeat what is reported.
        if space.tune is not None and len(root.mistakes) == before:
            check_tune(space, root)
        if space.match is not None and len(root.mistakes) == before:
            check_match(space, root)
    elif len(space.order) == len(space.parameters):
        checker.check_fixed_values()


def _check_keys(root: Node) -> None:
    """Report the sections that are unknown or missing; `study` is checked when it is read."""
    owners, meant = _owners(), set()
    for key, position in root.keys.items():
        if key not in KEY_TEXTS:
            owner = owners.get(key)
            meant.add(closest(key, KEY_TEXTS))
            remedy = f"it belongs to `{owner}`" if owner else near(key, KEY_TEXTS)
            root.wrong(f"unknown key {key!r}; {remedy}", position)
    for key in REQUIRED:
        if key not in {*root.mapping, *meant, "study"}:
            root.wrong(f"{key} is missing; add `{key}: …`", (1, 1))


def _owners() -> dict[str, str]:
    """Return the section that every key of a section belongs to; the last of several wins."""
    sections: list[tuple[str, type[object]]] = [
        ("tune", TuneOptions),
        ("match", Match),
        ("resources", Resources),
        ("bands", Bands),
        *(("data", cls) for cls in DATA_SPECS.values()),
        ("search", Search),
        ("train", Recipe),
        ("model.gate", Gate),
        ("model", GmNetSpec),
    ]
    return {key: section for section, cls in sections for key in fields_of(cls)}

"""The project's chores. `nox` alone runs lint, types and tests."""

from __future__ import annotations

import nox

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_external_run = True
nox.options.error_on_missing_interpreters = False  # such a session is skipped, and says so
nox.options.download_python = "never"
nox.options.sessions = ["lint", "types", "tests"]

PROJECT = nox.project.load_toml("pyproject.toml")
GROUPS = PROJECT["dependency-groups"]


@nox.session
def lint(session: nox.Session) -> None:
    """Style, format, and the direction of imports."""
    session.install(*GROUPS["lint"])
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """Mypy, strict."""
    session.install(".", "nox", *GROUPS["types"])
    session.run("mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """The whole suite with its branch coverage, or what is named behind `--`."""
    _test(session)


@nox.session(name="tests-3.13", python="3.13")
def tests_on_another_python(session: nox.Session) -> None:
    """The suite on another Python than the default; skipped where it is not installed."""
    _test(session)


def _test(session: nox.Session) -> None:
    # Many tests start processes that load torch; compiled once, that takes them half the time.
    session.install(".", *GROUPS["tests"], env={"UV_COMPILE_BYTECODE": "1"})
    # A file stays with one of the two processes, and its fixtures are made once.
    files = ("--dist", "loadfile", "--no-loadscope-reorder")
    coverage = ("--cov=gmsearch", "--cov-report=term:skip-covered")
    session.run("pytest", "-n", "2", *files, *coverage, *session.posargs)


@nox.session
def faults(session: nox.Session) -> None:
    """Injects every fault that broke a study once, and prints what became of it."""
    session.install(".", *GROUPS["tests"])
    session.run("python", "tests/faults", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Ratios against named rivals, each measured in the same run; or the scripts named."""
    session.install(".")
    for script in session.posargs or ("training", "evaluation", "bands", "cost", "startup"):
        session.run("python", f"tests/bench/{script}.py")


@nox.session
def demo(session: nox.Session) -> None:
    """The main job from the installed package: check, run, report."""
    session.install(".")
    session.run("gmsearch", "check", "spaces/gate_ablation.yaml")
    session.run("gmsearch", "run", "spaces/gate_ablation.yaml")
    session.run("gmsearch", "report", "--pareto", "--ablation")

"""One trial in some 25 lines: what it is, how it did, where its files are, how to rebuild it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gmsearch.cli.live.log import RUN_LOG
from gmsearch.display import MISSING, number
from gmsearch.experiment import Recipe, timed
from gmsearch.ledger import ArmNumbers, Study, weights
from gmsearch.metrics import STATIC_METRICS, is_trained, lookup
from gmsearch.plain import plain
from gmsearch.records import RunRecord, TrialRecord
from gmsearch.wording import spelled

_SPARKS = "▁▂▃▄▅▆▇█"
_MOST_SPARKS = 40


def trial_lines(study: Study, trial: TrialRecord) -> Iterator[str]:
    """Yield the lines, each a name and what there is to say."""
    for name, text in _facts(study, trial):
        yield f"{name:<10} {text}"
    yield from _rebuild(study, trial)


def _facts(study: Study, trial: TrialRecord) -> Iterator[tuple[str, str]]:
    space, known = study.space, study.metrics(trial)
    run = next((run for run in study.records.runs if run.run == trial.run), None)
    arm = ArmNumbers(study.records).of(trial.params)
    yield "trial", f"{trial.key} of {space.study}, seed {trial.seed}"
    yield "arm", f"#{arm or MISSING} {space.label(space.assignment(trial.params))}"
    yield "candidate", _flow(trial.candidate)
    yield "recipe", _flow(_changed(trial.recipe))
    yield "ended", _ending(trial)
    if trial.metrics:
        objectives = [goal.metric for goal in space.objectives]
        yield "result", _values(known, objectives)
        yield from _against_baseline(study, trial, objectives)
        bands = [name for name in space.bands.metrics if name not in objectives]
        yield "bands", _values(known, bands)
        yield from _curve(study, trial)
        yield "cost", _values(known, STATIC_METRICS)
        times = [name for name in known if timed(name)]
        if times:
            yield "timing", _values(known, times)
    yield from _environment(trial, run)
    yield from _places(study, trial)


def _ending(trial: TrialRecord) -> str:
    attempt = f", attempt {trial.attempt}" if trial.attempt > 1 else ""
    last = (trial.error or "").strip().rpartition("\n")[2]
    reason = f" ({trial.failure}): {last}" if trial.failure else ""
    return f"{trial.state}{reason} after {trial.seconds:.1f} s{attempt}"


def _changed(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return the length of the training, and what is not the default."""
    defaults = plain(Recipe())
    kept = ("epochs", "batch_size", "lr")
    return {k: v for k, v in recipe.items() if k in kept or defaults.get(k) != v}


def _flow(tree: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}: {spelled(value)}" for key, value in tree.items())


def _values(known: Mapping[str, float], names: Sequence[str]) -> str:
    return "  ".join(f"{name} {_value(known[name], name)}" for name in names if name in known)


def _value(value: float, metric: str, *, signed: bool = False) -> str:
    form = lookup(metric).form
    unit = {"share": " %", "time": " ms", "memory": " MB"}.get(form, "")
    text = number(value, form, decimals=1 if form == "share" else 3, signed=signed)
    return text + unit


def _against_baseline(
    study: Study, trial: TrialRecord, objectives: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Yield the differences to the baseline's trial with the same seed."""
    if study.space.baseline is None or dict(trial.params) == dict(study.space.baseline):
        return
    baseline = study.space.baseline
    for other in study.records.trials.values():
        same = study.space.assignment(other.params) == baseline and other.seed == trial.seed
        if same and other.metrics:
            known, others = study.metrics(trial), study.metrics(other)
            differences = [
                f"{name} {_value(known[name] - others[name], name, signed=True)}"
                for name in objectives
                if name in known and name in others
            ]
            yield "", f"{'  '.join(differences)} against the baseline, same seed"
            return


def _curve(study: Study, trial: TrialRecord) -> Iterator[tuple[str, str]]:
    """Yield the first trained objective by epoch."""
    history = study.history(trial)
    names = [goal.metric for goal in study.space.objectives if is_trained(goal.metric)]
    found = [name for name in (*names, "top1", "train_loss") if history and name in history]
    if history is None or not found:
        return
    values = [value for value in history[found[0]] if value is not None]
    if not values:
        return
    metric = found[0]
    first, last = (_value(value, metric) for value in (values[0], values[-1]))
    split = f" ({history['split']})" if is_trained(metric) else ""
    yield "curve", f"{_sparkline(values)}  {metric}{split} {first} to {last}, {len(values)} points"


def _sparkline(values: Sequence[float]) -> str:
    step = max(1, -(-len(values) // _MOST_SPARKS))
    shown, low = values[::step], min(values)
    width = max(values) - low or 1.0
    return "".join(_SPARKS[int((value - low) / width * (len(_SPARKS) - 1))] for value in shown)


def _environment(trial: TrialRecord, run: RunRecord | None) -> Iterator[tuple[str, str]]:
    if run is None:
        return
    threads = "" if run.threads is None else f", {run.threads} thread{'s' * (run.threads != 1)}"
    host = run.extra.get("host")
    where = f" on {host}" if isinstance(host, str) else ""
    yield "run", f"{run.run}, started {run.started or MISSING}{where}, engine {run.engine}"
    yield "device", f"{trial.device_name or (run.device.name if run.device else MISSING)}{threads}"
    versions = ", ".join(f"{name} {version}" for name, version in run.packages.items())
    yield "versions", f"Python {run.extra.get('python', MISSING)}, {versions}"
    images = run.images
    if images is not None and images.mean and images.std:
        mean, std = ([f"{value:.4f}" for value in row] for row in (images.mean, images.std))
        size = f"{images.resolution} px, " if images.resolution else ""
        yield "images", f"{size}RGB in 0..1, minus mean {mean}, by sd {std}".replace("'", "")


def _places(study: Study, trial: TrialRecord) -> Iterator[tuple[str, str]]:
    folder, file = study.folder, weights(study.folder, trial.key)
    places = (
        ("weights", file),
        ("history", folder / "history" / f"{trial.key}.json"),
        ("log", folder / RUN_LOG),
    )
    for name, path in places:
        yield name, f"{path}{'' if path.exists() else ' (missing)'}"


def _rebuild(study: Study, trial: TrialRecord) -> Iterator[str]:
    """Yield Python that builds the trained network, if its weights are there."""
    path: Path = weights(study.folder, trial.key)
    runs = [run.images for run in study.records.runs if run.run == trial.run]
    classes = runs[0].classes if runs and runs[0] is not None else None
    classes = classes or getattr(study.space.data, "classes", None)
    if not path.exists() or classes is None:
        return
    yield "rebuild    in Python:"
    if study.space.plugins:
        yield "           from gmsearch.plugins import load_kept"
    yield "           from pathlib import Path; from safetensors.torch import load_file"
    yield "           from gmsearch import ledger, models, networks"
    if study.space.plugins:
        yield f"           load_kept(Path({str(study.folder)!r}))"
    yield f"           study = ledger.read_study(Path({str(study.folder)!r}))"
    yield f"           trial = study.records.trials[{trial.key!r}]"
    yield "           spec = networks.candidate_from(trial.candidate)"
    yield f"           model = models.build(spec, num_classes={classes}, seed={trial.seed})"
    yield f"           model.load_state_dict(load_file({str(path)!r})); model.eval()"

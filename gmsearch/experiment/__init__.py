"""Description of an experiment as frozen plain data: recipe, data, bands, timing, goals, plans.

Everything here is passed between processes as JSON; nothing here runs anything.
"""

from __future__ import annotations

from gmsearch.experiment.arm import Arm, arm_from
from gmsearch.experiment.bands import Bands, bands_from
from gmsearch.experiment.data import (
    DATA_SPECS,
    Cifar10,
    Cifar100,
    DataSpec,
    FolderImages,
    ImagesOnDisk,
    ParquetImages,
    Preprocessing,
    Spectral,
    StreamableImages,
    TimmImages,
    data_from,
    require_applicable,
)
from gmsearch.experiment.goals import Bound, Constraint, Objective
from gmsearch.experiment.plan import (
    MEASUREMENT_VERSION,
    Decision,
    Plan,
    Progress,
    RemeasurePlan,
    TimingPlan,
    TrainingPlan,
    TrialPlan,
    TuningPlan,
    plan_from,
    timing_key,
    trial_key,
)
from gmsearch.experiment.plugin import PluginFile
from gmsearch.experiment.recipe import RECIPES, Recipe, recipe_from
from gmsearch.experiment.timing import (
    MODES,
    TIMED_DTYPES,
    TIMED_NAME,
    TimedDtype,
    TimingCondition,
    TimingMode,
    timed,
)

__all__ = [
    "DATA_SPECS",
    "MEASUREMENT_VERSION",
    "MODES",
    "RECIPES",
    "TIMED_DTYPES",
    "TIMED_NAME",
    "Arm",
    "Bands",
    "Bound",
    "Cifar10",
    "Cifar100",
    "Constraint",
    "DataSpec",
    "Decision",
    "FolderImages",
    "ImagesOnDisk",
    "Objective",
    "ParquetImages",
    "Plan",
    "PluginFile",
    "Preprocessing",
    "Progress",
    "Recipe",
    "RemeasurePlan",
    "Spectral",
    "StreamableImages",
    "TimedDtype",
    "TimingCondition",
    "TimingMode",
    "TimingPlan",
    "TimmImages",
    "TrainingPlan",
    "TrialPlan",
    "TuningPlan",
    "arm_from",
    "bands_from",
    "data_from",
    "plan_from",
    "recipe_from",
    "require_applicable",
    "timed",
    "timing_key",
    "trial_key",
]

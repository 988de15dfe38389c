"""Run the plans of a study one after another in this process: the reference of every engine."""

from __future__ import annotations

from gmsearch import runner
from gmsearch.driver import Driver


def run(driver: Driver) -> None:
    """Run plans until the driver has none left."""
    while (plan := driver.next()) is not None:
        for progress in runner.run(plan):
            driver.progress(progress)
        driver.finish(plan)

"""Run the plans of a study one after another in this process: the reference for every engine.

They run at the priority the program was started with; `nice -n 10 gmsearch run …` lowers it.
"""

from __future__ import annotations

from gmsearch import runner
from gmsearch.driver import Driver
from gmsearch.experiment import Decision


def run(driver: Driver) -> None:
    """Run plans until the driver has none left."""
    while (plan := driver.next()) is not None:
        work = runner.run(plan)
        decision: Decision | None = None
        try:
            while True:
                decision = driver.progress(work.send(decision))
        except StopIteration:
            driver.finish(plan)

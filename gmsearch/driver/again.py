"""The timings of a study that are made again on request."""

from __future__ import annotations

from gmsearch.driver.outcomes import ArmResults
from gmsearch.driver.preflight import RunContext
from gmsearch.driver.proposals import Proposals
from gmsearch.driver.queue import Queue
from gmsearch.experiment import Plan
from gmsearch.ledger import Ledger
from gmsearch.space import Space


def timings_again(
    space: Space, context: RunContext, ledger: Ledger, *, run: int, disturbed: bool
) -> list[Plan]:
    """Return the timings to make again, of the arms that a run of the study would time.

    Args:
        space: of the study.
        context: properties of the data and the device.
        ledger: open.
        run: number of the run they belong to.
        disturbed: whether only disturbed timings are made again.
    """
    results = ArmResults(space, context, ledger.records)
    arms = Proposals(space, ledger, results, run).trainable(timed=False)
    queue = Queue(results, ledger.folder, run)
    return queue.timings(arms, again="disturbed" if disturbed else "all")

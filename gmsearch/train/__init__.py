"""Training of one network, one epoch at a time; it does not evaluate.

Order, augmentation, mixing and stochastic depth of an epoch depend on (seed, epoch) alone, so
every arm of one seed sees the same data in the same order, and a training that continues from
`Epoch.state` ends as one that was never interrupted: on a CPU to the bit.
"""

from __future__ import annotations

from gmsearch.train.loop import Batches, Epoch, train
from gmsearch.train.memory import InMemory
from gmsearch.train.schedule import learning_rate

__all__ = ["Batches", "Epoch", "InMemory", "learning_rate", "train"]

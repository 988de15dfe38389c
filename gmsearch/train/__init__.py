"""Training of one network, one epoch at a time, without evaluation.

Order, augmentation, mixing and stochastic depth of an epoch depend on (seed, epoch) alone, so
every arm of one seed sees the same data in the same order, and a training resumed from
`Epoch.state` ends like an uninterrupted one; on a CPU, bit for bit.
"""

from __future__ import annotations

from gmsearch.train.loop import Batches, Epoch, train
from gmsearch.train.memory import InMemory
from gmsearch.train.schedule import learning_rate
from gmsearch.train.shortage import is_shortage

__all__ = ["Batches", "Epoch", "InMemory", "is_shortage", "learning_rate", "train"]

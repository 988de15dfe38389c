"""Accuracy by frequency band: band versions of images, and a model's scores on each of them."""

from __future__ import annotations

from gmsearch.bands.norms import calibration_batches, calibration_rows
from gmsearch.bands.scoring import evaluate_bands, evaluate_batches, named_metrics
from gmsearch.bands.split import versions

__all__ = [
    "calibration_batches",
    "calibration_rows",
    "evaluate_bands",
    "evaluate_batches",
    "named_metrics",
    "versions",
]

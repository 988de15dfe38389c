"""Accuracy by frequency band: band versions of images, and a model's scores on each of them."""

from __future__ import annotations

from gmsearch.bands.norms import drawn, drawn_rows
from gmsearch.bands.scoring import evaluate_bands, evaluate_batches, metrics
from gmsearch.bands.split import versions

__all__ = ["drawn", "drawn_rows", "evaluate_bands", "evaluate_batches", "metrics", "versions"]

"""Architecture search and ablation of gated image classifiers, measured by frequency band."""

from __future__ import annotations

__version__ = "0.1.0"

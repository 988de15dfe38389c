"""Figures: they draw facts and compute nothing."""

from __future__ import annotations

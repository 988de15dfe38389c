"""Labelled images: generated, or read from disk, decoded once per machine and memory-mapped."""

from __future__ import annotations

from gmsearch.data.cache import cache_dir
from gmsearch.data.dataset import Dataset, ImageSet, load, prepare

__all__ = ["Dataset", "ImageSet", "cache_dir", "load", "prepare"]

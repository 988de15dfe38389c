"""Labelled images: generated or read from disk, decoded once per machine or in every epoch."""

from __future__ import annotations

from gmsearch.data.cache import cache_dir
from gmsearch.data.dataset import Dataset, ImageSet, load, prepare
from gmsearch.data.stream import ImageStream

__all__ = ["Dataset", "ImageSet", "ImageStream", "cache_dir", "load", "prepare"]

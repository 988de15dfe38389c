"""Labelled images: generated or read from disk, decoded once per machine or in every epoch."""

from __future__ import annotations

from gmsearch.data.arrays import Arrays, stored_arrays
from gmsearch.data.cache import cache_dir
from gmsearch.data.dataset import Dataset, ImageSet, load, prepare
from gmsearch.data.formats import FORMATS, Decodable, Format, left_out
from gmsearch.data.source import Listed, Listing
from gmsearch.data.stream import ImageStream

__all__ = [
    "FORMATS",
    "Arrays",
    "Dataset",
    "Decodable",
    "Format",
    "ImageSet",
    "ImageStream",
    "Listed",
    "Listing",
    "cache_dir",
    "left_out",
    "load",
    "prepare",
    "stored_arrays",
]

"""Notes on band metrics: which frequencies they keep, and how the images were made."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np

from gmsearch.report.facts import StudyFacts

_DC = {
    "dataset_mean": "High-pass and band images have the data set's mean added back",
    "drop": "High-pass and band images have no mean",
    "image_mean": "High-pass and band images keep their own mean",
}
_DEFAULTS = {"edge": "lt", "rescale": "none", "boundary": "periodic", "bn": "keep"}
_RADII = re.compile(r"@([^:[]+)(?::([^[]+))?")


def band_notes(study: StudyFacts) -> list[str]:
    """Return how the band metrics of a study were measured, including those added later."""
    bands, later = study.space.bands, study.later_bands
    if not bands.metrics and not later:
        return []
    size = _image_size(sorted(_radii((*bands.metrics, *later))), study.data.resolution)
    options = [f"{name}: {value}" for name, value in _other_options(bands.protocol).items()]
    changed = f" ({', '.join(options)})" if options else ""
    notes = [
        (
            "low@r and high@r: top1 on images that keep only the frequencies within or beyond a "
            f"radius of r bins{size}. {_DC[bands.dc]}{changed}. nodc: top1 on whole images "
            "without their mean."
        )
    ]
    if later:
        differ = (
            " Options in brackets differ from those above; all others are the same."
            if any("[" in name for name in later)
            else ""
        )
        notes.append(f"Measured later, from saved weights: {', '.join(later)}.{differ}")
    return notes


def _radii(names: Iterable[str]) -> set[float]:
    matches = (match for name in names if (match := _RADII.search(name)))
    return {float(radius) for match in matches for radius in match.groups() if radius}


def _image_size(radii: Iterable[float], side: int | None) -> str:
    if side is None:
        return " (the records do not hold the size of the images)"
    shares = ", ".join(f"r = {r:g} keeps {_percent(share_below(r, side))}" for r in radii)
    return f" of the {side} × {side} image (of all frequencies, {shares})"


def _percent(share: float) -> str:
    # Two digits, but never as a power of ten.
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.2g} %"


def _other_options(protocol: Mapping[str, str]) -> dict[str, str]:
    return {name: protocol[name] for name, value in _DEFAULTS.items() if protocol[name] != value}


def share_below(radius: float, side: int) -> float:
    """Return the share of the side x side DFT bins closer than `radius` to the zero frequency."""
    frequencies = np.fft.fftfreq(side, 1 / side)
    distance = np.hypot(frequencies[:, None], frequencies)
    return float((distance < radius).mean())

"""Plugins: your own activations, products, families, metrics and data sets.

    from gmsearch.plugins import activation

    @activation("swish_t")
    def swish_t(h):
        return h * (1.5 * h).sigmoid()

A space file names the file, `plugins: [my_gates.py]`, and then uses the name. See
docs/plugins.md.
"""

from __future__ import annotations

from gmsearch.plugins.declared import DECLARED, KEPT, kept_files, read_declared
from gmsearch.plugins.load import load, loaded, resolve, unload
from gmsearch.plugins.parts import Part, Plugin
from gmsearch.plugins.register import activation, dataset, family, metric, product
from gmsearch.plugins.study import (
    changed_plugins,
    declare,
    load_for_plan,
    load_kept,
    require_unchanged,
    require_unused,
)
from gmsearch.plugins.tables import clear, entered_part, part_arguments

__all__ = [
    "DECLARED",
    "KEPT",
    "Part",
    "Plugin",
    "activation",
    "changed_plugins",
    "clear",
    "dataset",
    "declare",
    "entered_part",
    "family",
    "kept_files",
    "load",
    "load_for_plan",
    "load_kept",
    "loaded",
    "metric",
    "part_arguments",
    "product",
    "read_declared",
    "require_unchanged",
    "require_unused",
    "resolve",
    "unload",
]

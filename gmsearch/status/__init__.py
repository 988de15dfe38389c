"""What a study is at: its state, its best arm, and a summary of both."""

from __future__ import annotations

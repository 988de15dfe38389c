"""Engines: pools of workers that run a study's plans."""

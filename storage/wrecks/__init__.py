"""Databases that were damaged: noticed, moved aside, and read for what can be brought back."""

"""Objectives that need no labels, one file each; their leaves stand in `train/protocols`."""

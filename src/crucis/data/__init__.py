"""Data sets (a shelf), splits, views, the seal on test splits, and device-resident batches."""

REVISION = 1

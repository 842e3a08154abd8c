"""Data sets (a shelf), their fixed splits, views, task sequences, and device-resident batches."""

#: Part of every data digest: raised when splitting, duplicate removal, views or batches change their numbers.
REVISION = 1

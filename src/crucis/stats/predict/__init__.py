"""Predictions of one column from others, judged on units that were left out."""

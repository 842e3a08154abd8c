"""Measurements and perturbations of trained models. Knows no training loop and no study."""

REVISION = 1

"""Recipes of papers as facts: what the sources say, claims and trainings held against them. Imports no torch."""

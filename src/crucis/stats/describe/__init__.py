"""Crucis."""

"""Crucis: one YAML file states a question; one command answers it with models, measurements, statistics and a report.

    import crucis

    crucis.run("study.yaml")            # train, measure, judge, report; returns the report's path
    crucis.table("study.yaml")          # one row per cell and seed, as a pandas DataFrame
    crucis.load("ab12cd34ef56")         # a record: values, arrays, provenance

Importing this package imports neither torch nor numpy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import load, run, table

__version__ = "0.1.0"
__all__ = ["__version__", "load", "run", "table"]


def __getattr__(name: str) -> Any:
    if name in ("load", "run", "table"):
        from . import api

        return getattr(api, name)
    raise AttributeError(f"module 'crucis' has no attribute {name!r}")

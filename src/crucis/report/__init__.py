"""The page that a study ends in. Fill in `content.Page`, call `build`. Computes no statistic, draws only when asked."""

from __future__ import annotations

from crucis.report.build import build as build
from crucis.report.check import ReportError as ReportError
from crucis.report.content import Page as Page

__all__ = ["Page", "ReportError", "build"]

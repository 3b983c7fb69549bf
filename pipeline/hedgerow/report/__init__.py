"""The pages that a person reads after a comparison."""

from hedgerow.report.page import build_report

__all__ = ["build_report"]

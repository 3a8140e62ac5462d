"""The report of a scenario: one self-contained HTML page."""

from tflite.report.page import write_report

__all__ = ["write_report"]

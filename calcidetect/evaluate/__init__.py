"""Figures of merit, as functions of arrays and records: which marks hit, FROC, wAFROC, agreement of bone masks.

Reads no files; `calcidetect.evaluation` applies it to a run and its truth, the benchmarks to their own.
"""

from calcidetect.evaluate.agreement import BoundaryDistances, area_error, boundary_distances, dice, share_right
from calcidetect.evaluate.rules import LEAST_BOX_MM, MARGIN_MM, Placed, Truth, hit_table, hits, inside_any
from calcidetect.evaluate.statistics import (
    FALSE_MARKS,
    Estimate,
    Outcome,
    case_weights,
    critical_scores,
    estimate,
    froc,
    mean_false_marks,
    sensitivity_at,
    share_above,
    share_found,
    wafroc,
)

__all__ = [
    "FALSE_MARKS",
    "LEAST_BOX_MM",
    "MARGIN_MM",
    "BoundaryDistances",
    "Estimate",
    "Outcome",
    "Placed",
    "Truth",
    "area_error",
    "boundary_distances",
    "case_weights",
    "critical_scores",
    "dice",
    "estimate",
    "froc",
    "hit_table",
    "hits",
    "inside_any",
    "mean_false_marks",
    "sensitivity_at",
    "share_above",
    "share_found",
    "share_right",
    "wafroc",
]

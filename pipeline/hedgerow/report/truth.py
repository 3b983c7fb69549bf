"""Against truth: is any arm worse than FP32? Differences with intervals, for scores that were chosen beforehand."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hedgerow.report.cells import ARROWS, Cell, DifferenceCell, cell, difference_cell
from hedgerow.report.leavings import REFERENCE, TRUTH, Leavings, Row
from hedgerow.stages.measure import better

HEADLINE = (
    "boundary_f1", "boundary_iou", "continuity", "spatial_quality", "object_f1", "panoptic_quality", "pixel_iou", "hd95"
)  # fmt: skip
"""Few and fixed: with many, some difference would look real by chance."""


@dataclass(frozen=True, slots=True)
class TruthRow:
    """One arm's scores against truth, and how they differ from FP32's (None for FP32 itself)."""

    name: str
    simulated: bool
    cells: tuple[tuple[Cell, DifferenceCell | None], ...]
    sentence: str


def headline(run: Leavings) -> list[str]:
    """Return the chosen scores that the run has against truth."""
    there = {row.get("metric") for row in run.scores.rows if row.get("against") == TRUTH}
    return [metric for metric in HEADLINE if metric in there]


def truth_rows(run: Leavings) -> list[TruthRow]:
    """Return one row per arm, FP32 as the run has it; none where the run has no truth."""
    metrics = headline(run)
    return [_row(run, arm, metrics) for arm in run.arms] if metrics else []


def section(run: Leavings) -> dict[str, Any]:
    """Return what the section shows, as values for the template."""
    metrics = headline(run)
    units = {str(row.get("metric")): str(row.get("unit") or "1") for row in run.scores.rows}
    return {
        "truth": truth_rows(run),
        "truth_columns": [(metric, units[metric], ARROWS[better(metric)]) for metric in metrics],
    }


def _row(run: Leavings, arm: Row, metrics: Sequence[str]) -> TruthRow:
    name = str(arm.get("name"))
    cells = tuple(
        (cell(run.scores.find(metric, name, TRUTH)), difference_cell(run.differences.find(metric, name, TRUTH)))
        for metric in metrics
    )
    verdicts = {metric: found.verdict for metric, (_, found) in zip(metrics, cells, strict=True) if found}
    return TruthRow(name, bool(arm.get("simulated")), cells, "" if name == REFERENCE else _sentence(name, verdicts))


def _sentence(name: str, verdicts: dict[str, str]) -> str:
    judged = [metric for metric, verdict in verdicts.items() if verdict]
    if not judged:
        return f"{name}: the tiles are too few to say whether it is worse than {REFERENCE}."
    found = [
        f"{verdict} than {REFERENCE} in {', '.join(named)}"
        for verdict in ("worse", "better")
        if (named := [metric for metric in judged if verdicts[metric] == verdict])
    ]
    if found:
        return f"{name} is {' and '.join(found)}, of the scores looked at ({len(judged)})."
    return f"{name}: no difference to {REFERENCE} is shown in any of the scores looked at ({len(judged)})."

"""Which kind of border suffers? Scores of every arm for each pair of classes that meet."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hedgerow.report.cells import Cell, cell, ranks, spans
from hedgerow.report.leavings import REFERENCE, TRUTH, Leavings

COLUMNS: tuple[tuple[str, str], ...] = (
    *((metric, REFERENCE) for metric in ("boundary_f1", "boundary_iou", "erqa", "continuity", "spatial_quality")),
    *((metric, TRUTH) for metric in ("boundary_f1", "continuity")),
)


@dataclass(frozen=True, slots=True)
class KindOfBorder:
    """One pair of classes: its length in pixels against each reference, and a row of cells per arm."""

    name: str
    support: tuple[tuple[str, int], ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


def shown_columns(run: Leavings) -> list[tuple[str, str]]:
    """Return the columns that the run has for any kind of border."""
    there = {(row.get("metric"), row.get("against")) for row in run.scores.rows if row.get("layer", "all") != "all"}
    return [column for column in COLUMNS if column in there]


def kinds_of_border(run: Leavings) -> list[KindOfBorder]:
    """Return the kinds of border that any reference has, with the scores of every arm."""
    columns, arms = shown_columns(run), [str(arm.get("name")) for arm in run.arms]
    layers = dict.fromkeys(layer for metric, against in columns for layer in run.scores.layers(metric, against))
    kinds = [_kind(run, layer, columns, arms) for layer in layers]
    return [kind for kind in kinds if any(n for _, n in kind.support)]


def section(run: Leavings) -> dict[str, Any]:
    """Return what the section shows, as values for the template."""
    columns = shown_columns(run)
    return {
        "borders": kinds_of_border(run),
        "border_columns": [metric for metric, _ in columns],
        "border_against": spans(columns),
    }


def _kind(run: Leavings, layer: str, columns: Sequence[tuple[str, str]], arms: Sequence[str]) -> KindOfBorder:
    places = {column: ranks(run.scores, *column, arms, layer) for column in columns}
    rows = tuple(
        (arm, tuple(_cell(run, layer, column, arm, places[column].get(arm, "")) for column in columns)) for arm in arms
    )
    support = dict.fromkeys(against for _, against in columns)
    return KindOfBorder(layer, tuple((against, _support(run, layer, against, arms)) for against in support), rows)


def _cell(run: Leavings, layer: str, column: tuple[str, str], arm: str, rank: str) -> Cell:
    metric, against = column
    if arm == against:
        return Cell("reference")
    return cell(run.scores.find(metric, arm, against, layer=layer), rank)


def _support(run: Leavings, layer: str, against: str, arms: Sequence[str]) -> int:
    found = (run.scores.find("boundary_f1", arm, against, layer=layer) for arm in arms)
    return max((int(row.get("n") or 0) for row in found if row), default=0)

"""How does one score stand in a table? Its number, its interval, its place among the arms, or why there is none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hedgerow.report.leavings import REFERENCE, TRUTH, Leavings, Row, ScoreTable
from hedgerow.report.wording import NOTHING, count_text, interval_text, number_text
from hedgerow.stages.differences import loss
from hedgerow.stages.measure import better

ARROWS: Mapping[str, str] = {"higher": "↑", "lower": "↓", "zero": "→ 0", "one": "→ 1", "neither": "·"}
"""Which way a score is good."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One score of one arm as a table shows it; `rank` is 'best', 'worst' or ''."""

    text: str
    percent: float | None = None
    interval: str = ""
    reason: str = ""
    rank: str = ""


@dataclass(frozen=True, slots=True)
class DifferenceCell:
    """A difference to FP32 as a table shows it; `verdict` is empty where there is none."""

    text: str
    interval: str = ""
    reason: str = ""
    verdict: str = ""
    n: int = 0


def cell(row: Row | None, rank: str = "") -> Cell:
    """Return the cell of a row of scores."""
    if row is None:
        return Cell(NOTHING, reason="not scored")
    if row.get("value") is None:
        return Cell("n/a", reason=str(row.get("flag") or "does not apply"))
    value, low, high = float(row["value"]), row.get("low"), row.get("high")
    interval = "" if low == high == value else interval_text(low, high)  # the same in every resample: nothing to say
    return Cell(number_text(value), 100 * min(max(value, 0.0), 1.0), interval, "", rank)


def difference_cell(row: Row | None) -> DifferenceCell | None:
    """Return the cell of a row of differences, None where there is no row."""
    if row is None:
        return None
    n = int(row.get("n") or 0)
    if row.get("value") is None:
        return DifferenceCell("n/a", reason=str(row.get("flag") or "does not apply"), n=n)
    interval = interval_text(row.get("low"), row.get("high"), signed=True)
    reason = "" if interval else str(row.get("flag") or "")
    return DifferenceCell(number_text(float(row["value"]), signed=True), interval, reason, row.get("verdict") or "", n)


def ranks(scores: ScoreTable, metric: str, against: str, arms: Sequence[str], layer: str = "all") -> dict[str, str]:
    """Say who is best and who is worst as shown: arms that show the same number share the place.

    The score's own direction decides; one that only informs has no best.
    """
    values = {arm: scores.value(metric, arm, against, layer=layer) for arm in arms if arm != against}
    shown = {arm: round(loss(better(metric), value), 3) for arm, value in values.items() if value is not None}
    if len(set(shown.values())) < 2:
        return {}
    best, worst = min(shown.values()), max(shown.values())
    return {arm: "best" if lost == best else "worst" for arm, lost in shown.items() if lost in (best, worst)}


def spans(columns: Sequence[tuple[str, str]]) -> list[tuple[str, int]]:
    """Return how many columns each reference has."""
    return [(name, sum(against == name for _, against in columns)) for name in (REFERENCE, TRUTH)]


def interval_note(run: Leavings) -> str:
    """Say what the small numbers are, and how far to trust them."""
    made = run.intervals
    if not made:
        return ""
    if all(row.get("low") is None for row in run.scores.rows):
        return f"There are no intervals: they need {made.get('fewest_tiles')} tiles or more."
    tiles = 0 if run.tiles is None else len(run.tiles[["input", "tile"]].drop_duplicates())
    return (
        f"Small numbers: {made.get('level', 0):.0%} intervals from {made.get('resamples')} random draws of "
        f"{f'the {count_text(tiles)} ' if tiles else ''}tiles with replacement; they are rather too narrow, the more "
        "so the fewer the tiles."
    )

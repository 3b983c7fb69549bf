"""How do the arms stand? One table row per arm, the best and the worst of each column, and the answer in a sentence."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hedgerow.report.cells import Cell, cell, difference_cell, ranks
from hedgerow.report.leavings import REFERENCE, Leavings, Row, ScoreTable
from hedgerow.report.wording import score_text, seconds_text, size_text, value_text

COLUMNS: tuple[tuple[str, str], ...] = (
    *((metric, REFERENCE) for metric in (
        "erqa", "corner_retention", "continuity", "erq_boundary", "spatial_quality", "boundary_iou", "boundary_f1"
    )),
    ("boundary_f1", "truth"),
    ("object_f1", "truth"),
)  # fmt: skip
"""Metric and what it is taken against, in the order of the table."""

ANSWERING = ("spatial_quality", "erq_boundary", "boundary_f1")
"""The score that answers the question: the first of these that the run has."""

_BITS_IN_SITES = (r"\b[WA](\d+)\b", r"bits (\d+)")
_BITS_IN_NAME = (r"^w(\d+)", r"^w\d+a(\d+)", r"^(?:nf|int)(\d+)")


@dataclass(frozen=True, slots=True)
class Standing:
    """One row of the table of arms."""

    name: str
    reference: bool
    simulated: bool
    size: str
    seconds: str
    cells: tuple[Cell, ...]


def shown_columns(run: Leavings) -> list[tuple[str, str]]:
    """Return the columns that the run has any row for."""
    there = {(row.get("metric"), row.get("against")) for row in run.scores.rows}
    return [column for column in COLUMNS if column in there]


def standings(run: Leavings, columns: Sequence[tuple[str, str]]) -> list[Standing]:
    """Return the rows of the table of arms, in the order of the run."""
    names = [str(arm.get("name")) for arm in run.arms]
    places = {column: ranks(run.scores, *column, names) for column in columns}
    return [
        Standing(
            name=name,
            reference=name == REFERENCE,
            simulated=bool(arm.get("simulated")),
            size=size_text(arm.get("size_bytes")),
            seconds=seconds_text(arm.get("seconds_per_tile")),
            cells=tuple(_cell(run.scores, column, name, places[column].get(name, "")) for column in columns),
        )
        for arm, name in zip(run.arms, names, strict=True)
    ]


def _cell(scores: ScoreTable, column: tuple[str, str], arm: str, rank: str) -> Cell:
    metric, against = column
    return Cell("reference") if arm == against else cell(scores.find(metric, arm, against), rank)


@dataclass(frozen=True, slots=True)
class Answer:
    """Which arm keeps the borders: one sentence, and what to know before believing it."""

    sentence: str
    remarks: tuple[str, ...]


def answering_metric(scores: ScoreTable) -> str | None:
    """Return the score against fp32 that the answer is given in."""
    there = {
        row.get("metric") for row in scores.rows if row.get("against") == REFERENCE and row.get("value") is not None
    }
    return next((metric for metric in ANSWERING if metric in there), None)


def answer(run: Leavings) -> Answer:
    """Answer from the pooled scores which arm keeps the borders."""
    metric = answering_metric(run.scores)
    arms = {str(arm.get("name")): arm for arm in run.arms}
    values = {} if metric is None else _values(run.scores, metric, [name for name in arms if name != REFERENCE])
    if metric is None or not values:
        return Answer(
            "This run holds no score of a quantized arm against fp32, so it cannot say which keeps the borders.", ()
        )
    best, *others = sorted(values, key=lambda name: -values[name])
    sentence = f"{best} keeps the borders best: {metric} {score_text(values[best])} of 1 against {REFERENCE}"
    sentence += _size_clause(arms[best], arms.get(REFERENCE)) + "."
    remarks = [_lead(run.scores, metric, best, others[0])] if others else []
    remarks += [_low_bit(values, metric, [arm for arm in arms.values() if str(arm.get("name")) in values])]
    remarks += [_truth(run, best)]
    return Answer(sentence, tuple(remark for remark in remarks if remark))


def low_bit_arms(arms: Sequence[Row]) -> list[str]:
    """Return the names of the arms with weights or activations of four bits or fewer."""
    return [str(arm.get("name")) for arm in arms if _fewest_bits(arm) <= 4]


def _fewest_bits(arm: Row) -> int:
    """Read the bits of its sites ('W4 A8'), or where the run lists none, those in its name ('w4a8-group', 'nf4')."""
    name = str(arm.get("name"))
    found = _numbers(value_text(arm.get("sites") or None), _BITS_IN_SITES) or _numbers(name, _BITS_IN_NAME)
    return min(found, default=2 if name.startswith(("ternary", "binary")) else 32)


def _numbers(text: str, patterns: Sequence[str]) -> list[int]:
    return [int(number) for pattern in patterns for number in re.findall(pattern, text)]


def _values(scores: ScoreTable, metric: str, arms: Sequence[str]) -> dict[str, float]:
    found = ((arm, scores.value(metric, arm, REFERENCE)) for arm in arms)
    return {arm: value for arm, value in found if value is not None}


def _size_clause(arm: Row, reference: Row | None) -> str:
    if arm.get("size_bytes") is None or reference is None or reference.get("size_bytes") is None:
        return ""
    kind = " (computed: the arm is simulated)" if arm.get("simulated") else ""
    return f", with {size_text(arm['size_bytes'])} instead of {size_text(reference['size_bytes'])}{kind}"


def _lead(scores: ScoreTable, metric: str, best: str, second: str) -> str:
    first_row, second_row = scores.find(metric, best, REFERENCE), scores.find(metric, second, REFERENCE)
    if not first_row or not second_row:
        return ""
    low, high = first_row.get("low"), second_row.get("high")
    if low is None or high is None or high < low:
        return ""
    return f"Its lead over {second} ({score_text(second_row['value'])}) is too small to call: their intervals overlap."


def _low_bit(values: Mapping[str, float], metric: str, arms: Sequence[Row]) -> str:
    low = sorted(low_bit_arms(arms), key=lambda name: -values[name])
    if len(low) < 2:
        return ""
    best, worst = low[0], low[-1]
    return (
        f"Among the arms of four bits or fewer, {best} keeps most ({metric} {score_text(values[best])}) "
        f"and {worst} least ({score_text(values[worst])})."
    )


def _truth(run: Leavings, best: str) -> str:
    own, other = (run.scores.value("boundary_f1", arm, "truth") for arm in (REFERENCE, best))
    if own is None or other is None:
        return ""
    text = f"Against truth, boundary_f1 is {score_text(own)} for {REFERENCE} and {score_text(other)} for {best}"
    difference = difference_cell(run.differences.find("boundary_f1", best, "truth"))
    if difference is None or not difference.verdict:
        return f"{text}."
    verdict = difference.verdict if difference.verdict == "no difference shown" else f"{best} is {difference.verdict}"
    return f"{text}: {verdict} ({difference.text}, 95% interval {difference.interval})."

"""How do many scores of one map read? By metric, each with its unit, its support and the way it is good."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hedgerow import registry
from hedgerow.edges.layers import ALL
from hedgerow.records import Score
from hedgerow.stages.measure import better

HEADLINES = ("erqa", "continuity", "boundary_f1", "object_f1", "spatial_quality")
"""What is shown of every input, where it was measured."""


@dataclass(frozen=True)
class ScoreTable:
    """Borders of all kinds, pooled: `rows` one per score, `inputs` one per input when there are several."""

    rows: tuple[dict[str, Any], ...]
    inputs: tuple[dict[str, Any], ...]


def score_table(scores: Sequence[Score]) -> ScoreTable:
    """Return the scores for a reader; `metric` is the kind that gives a score, scores of one kind stand together."""
    kind_of = {
        score: kind for kind in registry.available("metrics") for score in registry.module_of("metrics", kind).BETTER
    }
    everywhere = [score for score in scores if score.layer == ALL]
    pooled = [_row(score, kind_of.get(score.metric.partition("@")[0], "")) for score in everywhere if not score.input]
    kinds = list(dict.fromkeys(row["metric"] for row in pooled))
    return ScoreTable(tuple(sorted(pooled, key=lambda row: kinds.index(row["metric"]))), _inputs(everywhere))


def _row(score: Score, kind: str) -> dict[str, Any]:
    return {
        "metric": kind,
        "score": score.metric,
        "value": score.value,
        "unit": score.unit,
        "better": better(score.metric),
        "n": score.n,
        "flag": score.flag,
    }


def _inputs(scores: Sequence[Score]) -> tuple[dict[str, Any], ...]:
    values = {(score.input, score.metric): score.value for score in scores if score.input is not None}
    headlines = [name for name in HEADLINES if any(metric == name for _, metric in values)]
    names = dict.fromkeys(name for name, _ in values)
    return tuple({"input": name, **{metric: values.get((name, metric)) for metric in headlines}} for name in names)

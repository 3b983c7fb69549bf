"""What does a comparison say in one table, and does it pass its gates?"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hedgerow.config import RunConfig
from hedgerow.errors import ConfigError, SourceError
from hedgerow.jobs.manifest import FILE
from hedgerow.jobs.measuring import FP32, chosen_scorers
from hedgerow.jobs.outfolder import SCORES
from hedgerow.records import Score
from hedgerow.registry import unknown
from hedgerow.stages.measure import conclude

COLUMNS = (
    "erqa__fp32", "corner_retention__fp32", "continuity__fp32", "erq_boundary__fp32", "spatial_quality__fp32",
    "boundary_iou__fp32", "boundary_f1__fp32", "boundary_f1__truth", "object_f1__truth",
)  # fmt: skip
"""The scores of the table: `SCORE__AGAINST`, pooled over all inputs and kinds of border."""


def arm_table(out: Path) -> list[dict[str, Any]]:
    """Return one row per arm of a finished comparison: size, time per tile and the pooled scores.

    `intervals` holds [low, high] of every score in the table, `verdicts` what its difference to FP32 says, by column.

    Raises:
        SourceError: `out` holds no finished comparison.
    """
    try:
        run = json.loads((out / FILE).read_text(encoding="utf-8"))
        content = json.loads((out / SCORES).read_text(encoding="utf-8"))
        scores = content["scores"]
    except (OSError, ValueError, KeyError) as error:
        raise SourceError(f"{out}: holds no finished comparison ({error})") from error
    pooled, differences = _pooled(scores), _pooled(content.get("differences") or ())
    columns = [c for c in COLUMNS if any(name == c for _, name in pooled)]
    return [
        {
            "arm": arm["name"],
            "simulated": arm["simulated"],
            "size_bytes": arm["size_bytes"],
            "seconds_per_tile": arm["seconds_per_tile"],
            **{column: pooled.get((arm["name"], column), {}).get("value") for column in columns},
            "intervals": {
                column: [row["low"], row["high"]]
                for column in columns
                if (row := pooled.get((arm["name"], column))) and row.get("low") is not None
            },
            "verdicts": {
                column: row["verdict"]
                for column in columns
                if (row := differences.get((arm["name"], column))) and row.get("verdict")
            },
        }
        for arm in run["arms"]
    ]


def _pooled(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], Mapping[str, Any]]:
    """Return the rows of all inputs and borders by arm and column."""
    return {
        (row["arm"], f"{row['metric']}__{row['against']}"): row
        for row in rows
        if row["input"] is None and row["layer"] == "all"
    }


@dataclass(frozen=True)
class Gates:
    """Lowest values that scores against FP32 may have."""

    lowest: tuple[tuple[str, float], ...]

    def missed(self, scores: Sequence[Score]) -> list[str]:
        """Return one line for each arm below a gate (pooled, all borders).

        A score that FP32 has of itself and an arm has not is not met; one that not even FP32 has does not apply.
        """
        pooled = [s for s in scores if s.input is None and s.layer == "all" and s.against == FP32]
        applies = {s.metric for s in pooled if s.arm == FP32 and s.value is not None}
        return [
            f"{s.arm} {s.metric} {s.flag if s.value is None else f'{s.value:.4f} < {value}'}"
            for name, value in self.lowest
            for s in pooled
            if s.metric == name and name in applies and (s.value is None or s.value < value)
        ]


def gates(texts: Iterable[str], config: RunConfig) -> Gates:
    """Read `SCORE=VALUE` assignments, before any work is done.

    Raises:
        ConfigError: one that is none, or a score that the run does not measure.
    """
    lowest = [_gate(text) for text in texts]
    known = tuple(sorted(conclude({}, chosen_scorers(config)))) if lowest else ()
    for name, _ in lowest:
        if name not in known:
            raise ConfigError(f"--fail-below: {unknown('score', name, known)}")
    return Gates(tuple(lowest))


def _gate(text: str) -> tuple[str, float]:
    name, _, number = text.partition("=")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ConfigError(f"--fail-below {text}: write it as erq_boundary=0.9")
    return name.strip(), value

"""Is an arm worse than FP32? Paired differences of their pooled scores, with intervals and a verdict.

Both arms are scored on the same resampled tiles, so what makes a tile hard for both falls out of the difference. Of the
many differences of a run about one in twenty excludes 0 by chance alone: a verdict on one score is a hint, a verdict
on one that was chosen beforehand is a test.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from hedgerow.errors import ScoreError
from hedgerow.records import Better, Score
from hedgerow.stages.bootstrap import MIN_TILES, Key, Resampled, Samples
from hedgerow.stages.measure import better

Verdict = Literal["worse", "better", "no difference shown"]
Number = TypeVar("Number", float, "NDArray[np.float64]")

_ROUNDING = 1e-12  # sums that are added up in another order differ by less


@dataclass(frozen=True, slots=True)
class Difference:
    """A pooled score of `arm` less that of `minus`, both against `against`.

    `n` counts the tiles (for a score of whole scenes the inputs) that hold anything of the score. `verdict` is None
    where there is no interval, or where the score only informs.
    """

    metric: str
    arm: str
    minus: str
    against: str
    layer: str
    input: str | None
    value: float | None
    unit: str
    n: int
    low: float | None = None
    high: float | None = None
    flag: str | None = None
    verdict: Verdict | None = None

    def as_row(self) -> dict[str, Any]:
        """Return the difference as a row of scores.json."""
        return asdict(self)


def loss(direction: Better, value: Number) -> Number:
    """Return how bad a score is, on a scale of its own: the lower, the better. One that only informs is never bad."""
    if direction == "neither":
        return 0 * value
    if direction in ("zero", "one"):
        return abs(value - (direction == "one"))
    return -value if direction == "higher" else value


def differences(
    ours: Iterable[Score], theirs: Iterable[Score], our_samples: Resampled, their_samples: Resampled
) -> list[Difference]:
    """Return the differences of all pooled scores that both arms were given.

    Args:
        ours: of the arm.
        theirs: of FP32, against the same reference.
        our_samples: what `bootstrap.resample` gave for the arm.
        their_samples: what it gave for FP32, with the same seed.

    Raises:
        ScoreError: the two were not resampled alike.
    """
    if our_samples.drawn != their_samples.drawn:
        raise ScoreError("two arms that were measured on different tiles have no paired difference")
    other = {_key(score): score for score in theirs if score.input is None}
    return [
        _difference(score, other[key], our_samples.samples[key], their_samples.samples[key])
        for score in ours
        if score.input is None and (key := _key(score)) in other
    ]


def _key(score: Score) -> Key:
    return score.layer, score.metric


def _difference(ours: Score, theirs: Score, our_samples: Samples, their_samples: Samples) -> Difference:
    tiles = min(our_samples.tiles, their_samples.tiles)
    made = partial(
        Difference, ours.metric, ours.arm, theirs.arm, ours.against, ours.layer, None, unit=ours.unit, n=tiles
    )
    if ours.value is None or theirs.value is None or ours.terms_used != theirs.terms_used:
        return made(value=None, flag=_why_none(ours, theirs))
    interval = Samples(our_samples.values - their_samples.values, tiles).interval()
    value, flags = ours.value - theirs.value, _flags(ours, theirs)
    if interval is None:
        return made(value=value, flag="; ".join((*flags, _why_no_interval(tiles, our_samples.unit))))
    verdict = _verdict(better(ours.metric), our_samples, their_samples, tiles)
    return made(value=value, low=interval[0], high=interval[1], flag="; ".join(flags) or None, verdict=verdict)


def _verdict(direction: Better, ours: Samples, theirs: Samples, tiles: int) -> Verdict | None:
    """Judge by what the arm has lost: with a score that is good near 0 or 1 this is not the difference itself."""
    if direction == "neither":
        return None
    lost = Samples(loss(direction, ours.values) - loss(direction, theirs.values), tiles).interval()
    if lost is None:
        return None
    if lost[0] > _ROUNDING:
        return "worse"
    return "better" if lost[1] < -_ROUNDING else "no difference shown"


def _flags(*rows: Score) -> list[str]:
    return [f"{row.arm}: {row.flag}" for row in rows if row.flag]


def _why_none(ours: Score, theirs: Score) -> str:
    missing = _flags(*(row for row in (ours, theirs) if row.value is None))
    return "; ".join(missing) or f"{ours.arm} and {theirs.arm} have it of other terms"


def _why_no_interval(tiles: int, unit: str) -> str:
    if tiles < MIN_TILES:
        return f"no interval: {tiles} {unit} hold anything of it, {MIN_TILES} are needed"
    return "no interval: it does not apply in too many resamples"

"""How sure is a pooled score? Draw the tiles again and again, and see what the score could have been.

A resample draws as many tiles as there are, with replacement, from all inputs together; every score is concluded anew
from the sums of the tiles drawn, never from scores of tiles. The interval is the percentile one: the middle 95 % of the
resampled scores. The same seed draws the same tiles for every arm, so that the difference of two arms can be taken
resample by resample.

Where one gap changes what is booked all over a scene (continuity, and what is made of it), tiles are no evidence of
their own: 64 tiles of one scene gave such scores intervals that held the true value in 4 of 40 cases. For these, whole
inputs are drawn instead of tiles.

What such an interval does not know: neighbouring tiles are not independent (a field that two tiles share, one sky over
the scene), so it is narrow rather than wide; it depends on the size of the tiles; with few tiles it is coarse; and a
score that hangs on extremes or rewards spread can lie at its edge or beyond it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hedgerow.edges.layers import ALL, LAYERS
from hedgerow.randomness import rng_for
from hedgerow.records import Score
from hedgerow.stages.measure import Measured, Scorers, Values, conclude, scene_values, scene_wide
from hedgerow.stages.tile_sums import TileSums

RESAMPLES = 300
"""From seed to seed the ends of an interval then waver by about a twenty-fifth of its width."""

LEVEL = 0.95

MIN_TILES = 6
"""Below this many tiles that hold anything of a score it has no interval: where an arm is worse in each of five tiles,
chance alone would do the same in 2 of 32 cases, and no interval of 95 % may say more than that."""

MOST_MISSING = 0.05
"""A score that does not apply in more than this share of the resamples has no interval."""

_BLOCK_CELLS = 2 << 20  # weights (resamples x tiles) at once: bounds the memory where tiles are many
_ROWS = 50  # resamples whose sums are held at once: histograms can have thousands of levels

Interval = tuple[float, float]
Key = tuple[str, str]
"""(layer, score)."""


@dataclass(frozen=True, slots=True)
class Samples:
    """One score in every resample: `values`, NaN where it does not apply, and how many tiles hold anything of it.

    For a score that is of a whole scene, `tiles` counts inputs (`unit`).
    """

    values: NDArray[np.float64]
    tiles: int
    unit: str = "tiles"

    def interval(self) -> Interval | None:
        """Return the middle 95 % of the values, or None where tiles or values are too few."""
        there = self.values[~np.isnan(self.values)]
        if self.tiles < MIN_TILES or len(there) < (1 - MOST_MISSING) * len(self.values):
            return None
        low, high = np.quantile(there, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return float(low), float(high)


@dataclass(frozen=True, slots=True)
class Resampled:
    """Every pooled score of one arm against one reference in every resample; `drawn` numbers the tiles to draw from."""

    samples: Mapping[Key, Samples]
    drawn: tuple[int, ...]


def resample(
    measured: Iterable[Measured],
    chosen: Scorers,
    *,
    seed: int,
    resamples: int = RESAMPLES,
    layers: Sequence[str] = LAYERS,
) -> Resampled:
    """Conclude every score from resampled tiles.

    Args:
        measured: the inputs, in an order that does not change.
        chosen: what was measured.
        seed: of the run; the same seed and tiles give the same resamples.
        resamples: how many.
        layers: `all` and kinds of border.
    """
    inputs = tuple(measured)
    pooled = scene_values(inputs, chosen)
    valid_px = np.concatenate([one.valid_px for one in inputs]) if inputs else np.zeros(0, dtype=np.int64)
    drawn = np.flatnonzero(valid_px)
    tables = _tables(inputs)
    values = _resampled(tables, draws(valid_px, seed=seed, resamples=resamples), chosen, layers)
    tiles = _tiles_with_content(tables, drawn, pooled, chosen)
    samples = {key: Samples(found, tiles[key]) for key, found in values.items()}
    whole = _of_whole_inputs(inputs, _scene_wide_part(chosen, pooled), seed=seed, resamples=resamples, layers=layers)
    samples |= {key: one for key, one in whole.items() if scene_wide(key[1])}
    return Resampled(samples, tuple(drawn.tolist()))


def _of_whole_inputs(
    inputs: Sequence[Measured], chosen: Scorers, *, seed: int, resamples: int, layers: Sequence[str]
) -> dict[Key, Samples]:
    """Conclude scores from whole inputs that are drawn again and again."""
    valid_px = np.array([one.valid_px.sum() for one in inputs], dtype=np.int64)
    names = {metric.name for metric in chosen.metrics}
    tables = [table for table in _tables(inputs) if table.metric in names]
    tiles_of = [len(one.tiles) for one in inputs]
    weights = (np.repeat(block, tiles_of, axis=1) for block in draws(valid_px, seed=seed, resamples=resamples))
    count = int(np.count_nonzero(valid_px))
    found = _resampled(tables, weights, chosen, layers)
    return {key: Samples(values, count, "inputs") for key, values in found.items()}


def _scene_wide_part(chosen: Scorers, pooled: Mapping[str, Values]) -> Scorers:
    """Return what scores of whole scenes are concluded from."""
    values = [value for layer in pooled.values() for value in layer.values() if scene_wide(value.name)]
    needed = {value.name for value in values} | {term for value in values for term in value.terms_used}
    metrics = tuple(m for m in chosen.metrics if needed & {value.name for value in m.conclude({})})
    return Scorers(metrics, chosen.composites if metrics else ())


def _tables(inputs: Sequence[Measured]) -> list[TileSums]:
    return [TileSums.of(parts) for parts in zip(*(one.sums for one in inputs), strict=True)]


def _resampled(
    tables: Sequence[TileSums], weights: Iterable[NDArray[np.float64]], chosen: Scorers, layers: Sequence[str]
) -> dict[Key, NDArray[np.float64]]:
    """Return every score in every resample, by the blocks of rows that the weights come in."""
    found: dict[Key, list[NDArray[np.float64]]] = {}
    for block in weights:
        distinct, back = np.unique(block, axis=0, return_inverse=True)  # few tiles are often drawn alike
        for key, values in _concluded(tables, distinct, chosen, layers).items():
            found.setdefault(key, []).append(np.array(values)[back.ravel()])
    return {key: np.concatenate(blocks) for key, blocks in found.items()}


def draws(valid_px: NDArray[np.int64], *, seed: int, resamples: int = RESAMPLES) -> Iterator[NDArray[np.float64]]:
    """Yield how often each tile is drawn, (resamples, tiles) in blocks of rows.

    A tile without a valid pixel is not drawn: the little that may be booked there (the centre of an object) counts
    once in every resample.
    """
    rng = rng_for(seed, "bootstrap")
    drawn = np.flatnonzero(valid_px)
    rows = max(1, _BLOCK_CELLS // max(1, len(valid_px)))
    for start in range(0, resamples, rows):
        weights = np.ones((min(rows, resamples - start), len(valid_px)))
        if len(drawn):
            weights[:, drawn] = rng.multinomial(len(drawn), np.full(len(drawn), 1 / len(drawn)), size=len(weights))
        yield weights


def with_intervals(scores: Iterable[Score], resampled: Resampled) -> list[Score]:
    """Return scores whose pooled rows (input None) have their interval in `low` and `high`."""
    return [_with_interval(score, resampled) if score.input is None else score for score in scores]


def _with_interval(score: Score, resampled: Resampled) -> Score:
    samples = resampled.samples.get((score.layer, score.metric))
    interval = samples.interval() if samples is not None and score.value is not None else None
    return score if interval is None else replace(score, low=interval[0], high=interval[1])


def _concluded(
    tables: Sequence[TileSums], weights: NDArray[np.float64], chosen: Scorers, layers: Sequence[str]
) -> dict[Key, list[float]]:
    """Return every score in every resample, NaN where it does not apply."""
    found: dict[Key, list[float]] = {}
    for start in range(0, len(weights), _ROWS):
        totals = [table.totals(weights[start : start + _ROWS]) for table in tables]
        for layer in layers:
            sums = [total.sum(axis=1) if layer == ALL else total[:, LAYERS.index(layer)] for total in totals]
            for k in range(len(weights[start : start + _ROWS])):
                tallies = {table.metric: table.tally(total[k]) for table, total in zip(tables, sums, strict=True)}
                for name, value in conclude(tallies, chosen, layer=layer).items():
                    found.setdefault((layer, name), []).append(np.nan if value.value is None else value.value)
    return found


def _tiles_with_content(
    tables: Sequence[TileSums], drawn: NDArray[np.int64], pooled: Mapping[str, Values], chosen: Scorers
) -> dict[Key, int]:
    """Return how many tiles hold anything of each score; a composite has those of its scarcest term."""
    metric_of = {value.name: metric.name for metric in chosen.metrics for value in metric.conclude({})}
    counts: dict[Key, int] = {}
    for layer, values in pooled.items():
        of_metric = {table.metric: int(table.content(layer)[drawn].sum()) for table in tables}
        for name, value in values.items():  # composites come last
            terms = (counts.get((layer, term), 0) for term in value.terms_used)
            counts[layer, name] = of_metric.get(metric_of[name], 0) if name in metric_of else min(terms, default=0)
    return counts

"""How alike are two maps, tile by tile and border by border? Book every metric once, then only add up.

A metric books its sums on pixels; here they are counted per tile and per kind of border in one pass whose cost does not
depend on the number of tiles. What is kept of a scene is a small table of sums per metric; scores of tiles, scenes and
whole sets are concluded from it, never averaged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hedgerow import registry
from hedgerow.contracts import Booking, Composite, Metric
from hedgerow.edges.layers import ALL, LAYERS
from hedgerow.edges.views import Pair
from hedgerow.errors import ScoreError
from hedgerow.records import Better, Score, Tally, Tile, Value, level_name

DEFAULT_METRICS: tuple[str | Mapping[str, Any], ...] = (
    "erqa",
    {"kind": "erqa", "profile": "reference"},
    "corners",
    "continuity",
    "sharpness",
    "boundary_iou",
    "boundary_f1",
    {"kind": "boundary_f1", "tolerance_px": 1},
    {"kind": "boundary_f1", "tolerance_px": 3},
    {"kind": "boundary_f1", "tolerance_m": 5},
    "displacement",
    "pixels",
    "objects",
    "panoptic",
    "segmentation",
    "areas",
    "average_precision",
    "c_iou",
    "polis",
    "outline_angles",
    "angle_consistency",
    "scale_consistency",
    "cldice",
    "betti_error",
    "ssim",
    "output_noise",
    "erq_boundary",
    "spatial_quality",
)
"""What is measured when nothing else is asked for; a composite comes after the scores it is made of."""

MIN_VALID_SHARE = 0.01
"""A tile with less valid area has no statistics of its own; the scene still counts its pixels."""

Values = dict[str, Value]

_KINDS = len(LAYERS)


@dataclass(frozen=True, slots=True)
class Scorers:
    """The metrics that book, and the composites made of their values, in the order given."""

    metrics: tuple[Metric, ...]
    composites: tuple[Composite, ...] = ()


@dataclass(frozen=True, slots=True)
class Levels:
    """Counted levels in long form: `count[k]` of the sum `names[name[k]]` in `cell[k]` = tile x kinds + kind."""

    names: tuple[str, ...]
    cell: NDArray[np.int32]
    name: NDArray[np.int32]
    count: NDArray[np.int32]

    def summed(self, weights: NDArray[np.float64]) -> dict[str, float]:
        """Return the sums by name, each entry weighted; those of 0 are left out."""
        total = np.bincount(self.name, weights=self.count * weights, minlength=len(self.names))
        return {self.names[k]: float(total[k]) for k in np.flatnonzero(total)}

    def part(self, tile: int | None, layer: str) -> Levels:
        """Return the entries of one tile (None = all) and one layer."""
        chosen = (
            slice(None) if tile is None else slice(*np.searchsorted(self.cell, np.array([tile, tile + 1]) * _KINDS))
        )
        cell, name, count = self.cell[chosen], self.name[chosen], self.count[chosen]
        if layer != ALL:
            here = cell % _KINDS == LAYERS.index(layer)
            cell, name, count = cell[here], name[here], count[here]
        return Levels(self.names, cell, name, count)


@dataclass(frozen=True, slots=True)
class Sums:
    """The sums of one metric: `values` (tiles, kinds of border, names); kind 0 is what has no layer of its own."""

    metric: str
    parameters: tuple[tuple[str, Any], ...]
    names: tuple[str, ...]
    values: NDArray[np.float64]
    levels: Levels | None = None

    def tally(self, tile: int | None, layer: str) -> Tally:
        """Return the tally of one tile (None = all) and one layer ('all' = every kind of border)."""
        tiles = self.values.sum(axis=0) if tile is None else self.values[tile]
        chosen = tiles.sum(axis=0) if layer == ALL else tiles[LAYERS.index(layer)]
        sums = dict(zip(self.names, map(float, chosen), strict=True))
        if self.levels is not None:
            levels = self.levels.part(tile, layer)
            sums |= levels.summed(np.ones(len(levels.cell)))
        return Tally(self.metric, self.parameters, sums)


@dataclass(frozen=True, slots=True)
class Measured:
    """One arm's map of one input against one reference: all sums, per tile and kind of border. Small and picklable."""

    tiles: tuple[str, ...]
    core_px: NDArray[np.int64]
    valid_px: NDArray[np.int64]
    sums: tuple[Sums, ...]

    def has_statistics(self, tile: int) -> bool:
        """Whether a tile has enough valid area for scores of its own."""
        return bool(self.valid_px[tile] and self.valid_px[tile] >= MIN_VALID_SHARE * self.core_px[tile])

    def tallies(self, tile: int | None = None, layer: str = ALL) -> dict[str, Tally]:
        """Return the tally of every metric, by name, for one tile (None = the scene) and one layer."""
        return {sums.metric: sums.tally(tile, layer) for sums in self.sums}


def scorers(settings: Iterable[str | Mapping[str, Any]] = DEFAULT_METRICS) -> Scorers:
    """Build metrics and composites from their settings (see `registry.build`)."""
    built = [registry.build("metrics", setting) for setting in settings]
    return Scorers(
        metrics=tuple(m for m in built if not hasattr(m, "compose")),
        composites=tuple(m for m in built if hasattr(m, "compose")),
    )


@cache
def _directions() -> dict[str, Better]:
    found: dict[str, Better] = {}
    for kind in registry.available("metrics"):
        found.update(registry.module_of("metrics", kind).BETTER)
    return found


def better(score: str) -> Better:
    """Say which way a score is good, by its name: 'hd95' -> 'lower', 'boundary_f1@5m' -> 'higher'."""
    return _directions().get(score.partition("@")[0], "neither")


@cache
def _scene_wide() -> frozenset[str]:
    modules = (registry.module_of("metrics", kind) for kind in registry.available("metrics"))
    return frozenset().union(*(getattr(module, "SCENE_WIDE", ()) for module in modules))


def scene_wide(score: str) -> bool:
    """Say whether what a score books on one pixel hangs on the whole scene, so that its tiles are no evidence apart."""
    return score.partition("@")[0] in _scene_wide()


def measure(pair: Pair, metrics: Sequence[Metric], tiles: Sequence[Tile]) -> Measured:
    """Book every metric on a pair of maps and add up per tile and kind of border.

    Args:
        pair: the two maps, of the shape that the tiles partition.
        metrics: those that book (composites are concluded later).
        tiles: a grid of tiles whose cores partition the raster.

    Raises:
        ScoreError: the tiles are not a grid over the maps, or a metric booked outside.
    """
    address = _Address.of(tiles, pair.shape)
    return Measured(
        tiles=tuple(tile.id for tile in tiles),
        core_px=np.array([tile.core.shape[0] * tile.core.shape[1] for tile in tiles], dtype=np.int64),
        valid_px=np.array([np.count_nonzero(pair.valid[tile.core.slices]) for tile in tiles], dtype=np.int64),
        sums=tuple(_sums(metric, pair, address) for metric in metrics),
    )


def scene_values(measured: Iterable[Measured], chosen: Scorers) -> dict[str, Values]:
    """Return every score by layer and name, concluded from the added sums of one or many inputs."""
    inputs = tuple(measured)
    return {layer: conclude(_added([m.tallies(layer=layer) for m in inputs]), chosen, layer=layer) for layer in LAYERS}


def tile_values(measured: Measured, chosen: Scorers) -> list[Values]:
    """Return every tile's scores by name (all borders), in the order of the tiles.

    A tile with less than 1 % valid area has none: its values are None, flagged.
    """
    return [_tile_values(measured, k, chosen) for k in range(len(measured.tiles))]


def conclude(tallies: Mapping[str, Tally], chosen: Scorers, *, layer: str = ALL) -> Values:
    """Turn tallies, by metric name, into values by score name; composites last."""
    values: Values = {}
    for metric in chosen.metrics:
        if layer == ALL or metric.by_layer:
            sums = tallies[metric.name].sums if metric.name in tallies else {}
            values.update({value.name: value for value in metric.conclude(sums)})
    for composite in chosen.composites:
        values.update({value.name: value for value in composite.compose(values)})
    return values


def scores(
    measured: Mapping[str, Measured] | Mapping[str | None, Measured],
    chosen: Scorers,
    *,
    arm: str,
    against: str,
    pooled: bool = True,
) -> list[Score]:
    """Return the score records of every input and (input None) of all of them pooled.

    Args:
        measured: by name of the input; None as a name is allowed where nothing is pooled.
        chosen: what was measured.
        arm: the candidate's name.
        against: `fp32` or `truth`.
        pooled: whether to add what is concluded from the sum of all tallies, never the mean of scores.
    """
    groups: dict[str | None, list[Measured]] = {name: [one] for name, one in measured.items()}
    if pooled:
        groups[None] = list(measured.values())
    parameters = _parameters(chosen)
    return [
        _score(value, parameters.get(value.name, {}), arm=arm, against=against, layer=layer, name=name)
        for name, group in groups.items()
        for layer, values in scene_values(group, chosen).items()
        for value in values.values()
    ]


@dataclass(frozen=True, slots=True)
class _Address:
    """Which tile is a pixel in? `rows` and `cols` give the row and column of tiles, `tile` the number of the tile."""

    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    tile: NDArray[np.int64]

    @classmethod
    def of(cls, tiles: Sequence[Tile], shape: tuple[int, int]) -> _Address:
        if sum(t.core.shape[0] * t.core.shape[1] for t in tiles) != shape[0] * shape[1]:
            raise ScoreError(f"{len(tiles)} tiles do not partition maps of {shape} px: plan them with the maps' grid")
        rows, cols = np.full(shape[0], -1), np.full(shape[1], -1)
        table = np.full((max(t.index[0] for t in tiles) + 1, max(t.index[1] for t in tiles) + 1), -1)
        for number, tile in enumerate(tiles):
            rows[tile.core.y0 : tile.core.y1] = tile.index[0]
            cols[tile.core.x0 : tile.core.x1] = tile.index[1]
            table[tile.index] = number
        if min(rows.min(initial=0), cols.min(initial=0), table.min(initial=0)) < 0:
            raise ScoreError(f"the tiles leave gaps in maps of {shape} px: plan them with the maps' grid")
        return cls(rows, cols, table)

    def numbers(self, rows: NDArray[np.int64], cols: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the tile number of each pixel."""
        return self.tile[self.rows[rows], self.cols[cols]]


def _sums(metric: Metric, pair: Pair, address: _Address) -> Sums:
    tables: dict[str, NDArray[np.float64]] = {}
    levels: dict[str, list[tuple[NDArray[np.int64], NDArray[np.float64]]]] = {}
    for booking in metric.book(pair):
        cells = _cells(booking, metric, pair, address)
        _add(tables, booking, cells, address.tile.size * _KINDS)
        for name, booked in booking.levels.items():
            levels.setdefault(name, []).append((cells, booked))
    names = tuple(sorted(tables))
    stacked = (
        np.stack([tables[name] for name in names], axis=-1) if names else np.zeros((address.tile.size * _KINDS, 0))
    )
    values = stacked.reshape(address.tile.size, _KINDS, len(names))
    return Sums(metric.name, tuple(metric.parameters), names, values, _counted(levels) if levels else None)


def _cells(booking: Booking, metric: Metric, pair: Pair, address: _Address) -> NDArray[np.int64]:
    """Return the cell (tile, kind of border) of each booked pixel."""
    tiles = address.numbers(booking.rows, booking.cols) * _KINDS
    return tiles + pair.layers[booking.rows, booking.cols] if metric.by_layer else tiles


def _add(tables: dict[str, NDArray[np.float64]], booking: Booking, cells: NDArray[np.int64], size: int) -> None:
    for name, values in booking.values.items():
        table = np.bincount(cells, weights=values, minlength=size).astype(np.float64)
        tables[name] = tables[name] + table if name in tables else table


def _counted(levels: Mapping[str, Sequence[tuple[NDArray[np.int64], NDArray[np.float64]]]]) -> Levels:
    """Count every level in every cell."""
    names: list[str] = []
    cells, numbers = [], []
    for stem, parts in levels.items():
        distinct, number = np.unique(np.concatenate([booked for _, booked in parts]), return_inverse=True)
        cells += [cell for cell, _ in parts]
        numbers.append(number + len(names))
        names += [level_name(stem, level) for level in distinct]
    many = max(len(names), 1)
    code, count = np.unique(np.concatenate(cells) * many + np.concatenate(numbers), return_counts=True)
    return Levels(tuple(names), *(part.astype(np.int32) for part in (*np.divmod(code, many), count)))


def _added(many: Sequence[Mapping[str, Tally]]) -> dict[str, Tally]:
    total: dict[str, Tally] = {}
    for tallies in many:
        for name, tally in tallies.items():
            total[name] = total[name] + tally if name in total else tally
    return total


def _tile_values(measured: Measured, tile: int, chosen: Scorers) -> Values:
    values = conclude(measured.tallies(tile), chosen)
    if measured.has_statistics(tile):
        return values
    flag = f"less than {MIN_VALID_SHARE:.0%} of the tile is valid"
    return {name: Value(name, None, value.unit, value.n, flag) for name, value in values.items()}


def _parameters(chosen: Scorers) -> dict[str, dict[str, Any]]:
    """By score name, what the metric behind it was set to."""
    found: dict[str, dict[str, Any]] = {}
    for metric in chosen.metrics:
        found.update({value.name: dict(metric.parameters) for value in metric.conclude({})})
    for composite in chosen.composites:
        own = dict(getattr(composite, "parameters", ()))
        found.update({value.name: own for value in composite.compose({})})
    return found


def _score(value: Value, parameters: dict[str, Any], *, arm: str, against: str, layer: str, name: str | None) -> Score:
    return Score(
        metric=value.name,
        arm=arm,
        against=against,
        layer=layer,
        input=name,
        value=value.value,
        unit=value.unit,
        n=value.n,
        flag=value.flag,
        parameters=parameters,
        terms_used=value.terms_used,
    )

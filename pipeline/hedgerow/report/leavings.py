"""What did a run leave behind? Manifest, scores and tiles; what is missing becomes a note, not an error."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas
from geopandas import GeoDataFrame

from hedgerow.errors import SourceError

Row = Mapping[str, Any]
REFERENCE = "fp32"
"""The arm that the others are compared with."""
TRUTH = "truth"


@dataclass(frozen=True)
class ScoreTable:
    """The rows of scores.json, found by their address."""

    rows: tuple[Row, ...] = ()
    by_key: Mapping[tuple[Any, ...], Row] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_key", {_key(row): row for row in self.rows})

    def find(self, metric: str, arm: str, against: str, *, layer: str = "all", input: str | None = None) -> Row | None:
        """Return the row at an address; `input` None is pooled over all inputs."""
        return self.by_key.get((metric, arm, against, layer, input))

    def value(
        self, metric: str, arm: str, against: str, *, layer: str = "all", input: str | None = None
    ) -> float | None:
        """Return the number at an address, None where there is none."""
        row = self.find(metric, arm, against, layer=layer, input=input)
        return None if row is None or row.get("value") is None else float(row["value"])

    def layers(self, metric: str, against: str) -> list[str]:
        """Return the kinds of border that a metric was given for, in the order of the file."""
        found = (str(r.get("layer")) for r in self.rows if (r.get("metric"), r.get("against")) == (metric, against))
        return [layer for layer in dict.fromkeys(found) if layer != "all"]


@dataclass(frozen=True)
class Leavings:
    """A finished run's folder, read."""

    out: Path
    manifest: Mapping[str, Any]
    scores: ScoreTable
    tiles: GeoDataFrame | None
    notes: tuple[str, ...]
    differences: ScoreTable = ScoreTable()
    """Of each arm less FP32, against truth: found like scores."""
    intervals: Mapping[str, Any] = field(default_factory=dict)
    """How the intervals were made."""

    @property
    def arms(self) -> list[Row]:
        """The arms as the manifest lists them, or as the scores name them."""
        listed = [arm if isinstance(arm, Mapping) else {"name": str(arm)} for arm in self.manifest.get("arms") or ()]
        if listed:
            return listed
        named: Iterable[str] = dict.fromkeys(str(row.get("arm")) for row in self.scores.rows)
        return [{"name": name} for name in named]

    @property
    def inputs(self) -> list[Row]:
        """The inputs as the manifest lists them."""
        return [row for row in self.manifest.get("inputs") or () if isinstance(row, Mapping)]

    @property
    def failures(self) -> list[Row]:
        """What failed, and why."""
        return [row for row in self.manifest.get("failures") or () if isinstance(row, Mapping)]


def read_leavings(out: Path) -> Leavings:
    """Read the folder of a finished run.

    Raises:
        SourceError: run.json is missing or broken: the run has not finished.
    """
    manifest = _json(out / "run.json")
    if manifest is None:
        raise SourceError(f"{out}: no finished run (run.json is missing or broken); run it first, or add --resume")
    notes: list[str] = []
    scores = _json(out / "scores.json")
    if scores is None:
        notes.append("scores.json is missing or broken: no score is shown.")
    tiles = _tiles(out / "tiles.parquet")
    if tiles is None:
        notes.append("tiles.parquet is missing or broken: no tile is shown.")
    rows, differences = (_rows(scores or {}, key) for key in ("scores", "differences"))
    intervals = (scores or {}).get("intervals")
    return Leavings(
        out, manifest, rows, tiles, tuple(notes), differences, intervals if isinstance(intervals, Mapping) else {}
    )


def _rows(content: Mapping[str, Any], key: str) -> ScoreTable:
    return ScoreTable(tuple(row for row in content.get(key) or () if isinstance(row, Mapping)))


def _key(row: Row) -> tuple[Any, ...]:
    return row.get("metric"), row.get("arm"), row.get("against"), row.get("layer", "all"), row.get("input")


def _json(path: Path) -> Mapping[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, Mapping) else None


def _tiles(path: Path) -> GeoDataFrame | None:
    try:
        return geopandas.read_parquet(path)
    except (OSError, ValueError):
        return None

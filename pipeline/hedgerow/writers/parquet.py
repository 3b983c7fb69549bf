"""Borders as GeoParquet 1.1: one file per layer, with a covering bbox per row, so readers can skip what is far away."""

from collections.abc import Sequence
from pathlib import Path

from geopandas import GeoDataFrame
from pydantic import BaseModel

from hedgerow.contracts import Writer
from hedgerow.writers._layers import FilePerLayer


class Config(BaseModel, frozen=True, extra="forbid"):
    """Nothing to choose."""


def build(_config: Config) -> Writer:
    """Return the writer."""
    return FilePerLayer(".parquet", put)


def put(frame: GeoDataFrame, path: Path, _layer: str = "") -> Sequence[Path]:
    """Write one frame as GeoParquet 1.1, zstd-compressed."""
    frame.to_parquet(path, index=False, compression="zstd", schema_version="1.1.0", write_covering_bbox=True)
    return [path]

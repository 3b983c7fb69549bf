"""Fields as fiboa: GeoParquet of field boundaries that follows fiboa 0.3 on Vecorel 0.1; forests and borders stay out.

The specification: https://fiboa.org/specification/v0.3.0/schema.yaml, which names the columns and their types.
"""

import datetime as dt
import json
import logging
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from geopandas import GeoDataFrame
from pydantic import BaseModel, Field, field_validator

from hedgerow.contracts import Writer
from hedgerow.errors import ConfigError
from hedgerow.records import CLASSES, FIELD
from hedgerow.writers._image_date import image_date
from hedgerow.writers._layers import Layers, conform
from hedgerow.writers._together import Together

_log = logging.getLogger(__name__)

SCHEMAS = (
    "https://vecorel.org/specification/v0.1.0/schema.yaml",
    "https://fiboa.org/specification/v0.3.0/schema.yaml",
)
LARGEST_AREA_M2, LARGEST_PERIMETER_M = 1e9, 1.25e9
"""What the specification takes for a field."""

_SDL = "https://vecorel.org/sdl/v0.2.0/schema.json"
_EXTRA = {"confidence": "double", "source": "string"}
"""Columns beyond the specification, and their types in its words."""

_COLUMNS = {
    field.name: field
    for field in (
        pa.field("id", pa.string(), nullable=False),
        pa.field("collection", pa.string(), nullable=False),
        pa.field("category", pa.list_(pa.string())),
        pa.field("metrics:area", pa.float32()),
        pa.field("metrics:perimeter", pa.float32()),
        pa.field("determination:method", pa.string()),
        pa.field("determination:datetime", pa.timestamp("ms", tz="UTC")),
        pa.field("confidence", pa.float64()),
        pa.field("source", pa.string()),
        pa.field("geometry", pa.binary(), nullable=False),
    )
}
"""The specification asks for these types, and for columns without nulls where it requires a value."""

Category = Literal["conceptual", "operational", "economic", "administrative", "other"]


class Config(BaseModel, frozen=True, extra="forbid"):
    """What the map itself does not tell."""

    collection: str | None = Field(None, min_length=1)
    """Identifier of the data set, in which ids are unique; None: the name of the image."""
    category: tuple[Category, ...] = ("other",)
    """In which sense these are fields: what is seen from above is nobody's bookkeeping, hence `other`."""
    datetime: dt.datetime | None = None
    """When the image was taken, UTC; None: what its tags say, where the image still lies at its path."""

    @field_validator("datetime")
    @classmethod
    def _in_utc(cls, value: dt.datetime | None) -> dt.datetime | None:
        return value if value is None or value.tzinfo else value.replace(tzinfo=dt.UTC)


def build(config: Config) -> Writer:
    """Return the writer."""
    return Together(".fiboa.parquet", partial(_put, config=config))


def _put(layers: Layers, path: Path, *, config: Config) -> None:
    if "fields" not in layers:
        raise ConfigError(
            f"{path.name}: fiboa holds fields, and there is only {', '.join(layers)}: export layer fields"
        )
    described = _described(_only_fields(layers["fields"]), path, config)
    table = _geoparquet(described)
    columns = [_COLUMNS.get(column.name, column) for column in table.schema]
    about = {b"geo": table.schema.metadata[b"geo"], b"collection": json.dumps(_collection(described, path, config))}
    pq.write_table(table.cast(pa.schema(columns)).replace_schema_metadata(about), path, compression="zstd")


def _only_fields(frame: GeoDataFrame) -> GeoDataFrame:
    fields = conform(frame, "fields")
    kept = fields[(fields["class"] == CLASSES[FIELD]) & fields.geometry.notna()]
    if len(kept) < len(fields):
        _log.info("fiboa: %d of %d regions are no fields and stay out", len(fields) - len(kept), len(fields))
    return kept


def _described(fields: GeoDataFrame, path: Path, config: Config) -> GeoDataFrame:
    columns = {
        "id": fields["id"].astype(str),
        "collection": _name(fields, path, config),
        "category": pd.Series([list(config.category)] * len(fields), index=fields.index, dtype=object),
        "metrics:area": _within(fields["area_m2"], LARGEST_AREA_M2),
        "metrics:perimeter": _within(fields["perimeter_m"], LARGEST_PERIMETER_M),
        "determination:method": "auto-imagery",
        "determination:datetime": _dates(fields["source"], config),
        "confidence": fields["confidence"],
        "source": fields["source"],
    }
    return GeoDataFrame(pd.DataFrame(columns, index=fields.index), geometry=fields.geometry, crs=fields.crs)


def _name(fields: GeoDataFrame, path: Path, config: Config) -> str:
    sources = fields["source"].unique()
    return config.collection or (Path(sources[0]).stem if len(sources) == 1 else "") or path.name.split(".")[0]


def _within(values: pd.Series, largest: float) -> pd.Series:
    """Leave out what the specification takes for no field's measure: an area of 1000 km2 is none."""
    return values.where((values > 0) & (values <= largest))


def _dates(sources: pd.Series, config: Config) -> pd.Series:
    dates = {source: config.datetime or image_date(Path(source)) for source in sources.unique()}
    return pd.to_datetime(sources.map(dates), utc=True)


def _geoparquet(frame: GeoDataFrame) -> pa.Table:
    file = BytesIO()
    frame.to_parquet(file, index=False, schema_version="1.1.0", write_covering_bbox=True)
    file.seek(0)
    return pq.read_table(file)


def _collection(fields: GeoDataFrame, path: Path, config: Config) -> dict[str, Any]:
    """Return what the file says of all its rows: to which schemas they keep."""
    name = _name(fields, path, config)
    return {
        "schemas": {name: list(SCHEMAS)},
        "collection": name,
        "schemas:custom": {
            "$schema": _SDL,
            "required": [],
            "collection": {},
            "properties": {column: {"type": kind} for column, kind in _EXTRA.items()},
        },
    }

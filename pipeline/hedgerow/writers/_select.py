"""Which features does a condition choose? SQL over a layer's columns, the same for every format."""

import logging
import sqlite3
from contextlib import closing

import numpy as np
from geopandas import GeoDataFrame
from numpy.typing import NDArray

from hedgerow.errors import ConfigError

_log = logging.getLogger(__name__)
_ROW = "hedgerow row"
"""The column that numbers the rows: a name that no layer has."""


def selected(frame: GeoDataFrame, condition: str, *, layer: str) -> GeoDataFrame:
    """Return the features for which `condition` holds, in their order.

    Args:
        frame: the layer.
        condition: what may follow WHERE in SQLite: `area_m2 > 10000 and class = 'field'`; truth values are 0 and 1.
        layer: its name.

    Raises:
        ConfigError: the condition is no SQL, or names a column that the layer does not have.
    """
    attributes = frame.drop(columns=frame.geometry.name)
    try:
        chosen = _rows(attributes.assign(**{_ROW: np.arange(len(frame))}), condition)
    except (sqlite3.Error, ValueError) as error:
        raise ConfigError(
            f"--where {condition!r} on layer {layer!r}: {error}. Its columns are "
            f"{', '.join(map(str, attributes.columns))}; --layer chooses one layer"
        ) from error
    if len(frame) and not len(chosen):
        _log.warning("--where %r chooses none of the %d features of layer %r", condition, len(frame), layer)
    return frame.iloc[chosen]


def _rows(attributes: GeoDataFrame, condition: str) -> NDArray[np.int64]:
    with closing(sqlite3.connect(":memory:")) as database:
        attributes.to_sql("layer", database, index=False)
        # The line break: a comment at the condition's end must not swallow the bracket.
        found = database.execute(f'SELECT "{_ROW}" FROM layer WHERE ({condition}\n) ORDER BY "{_ROW}"')
        return np.fromiter((row for (row,) in found), np.int64)

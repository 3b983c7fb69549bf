"""Borders as a GeoPackage: one file, layers `fields` and `borders`. The default. QGIS finds their styles inside."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from pathlib import Path

from pydantic import BaseModel

from hedgerow.contracts import Writer
from hedgerow.errors import GeometryError
from hedgerow.writers._layers import Layers, OneFile, put_style
from hedgerow.writers._ogr import put
from hedgerow.writers._stream import put_parts
from hedgerow.writers._styles import Style, style_of

STYLES = "layer_styles"
"""The table in which QGIS keeps styles; GDAL lists it as a layer without geometry."""

_TABLE = f"""
    CREATE TABLE {STYLES} (
        id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256), f_table_schema TEXT(256),
        f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, styleSLD TEXT,
        useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30),
        update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now'))
    )"""
_REGISTER = (
    f"INSERT INTO gpkg_contents (table_name, data_type, identifier, description) "
    f"VALUES ('{STYLES}', 'attributes', '{STYLES}', 'Styles of the layers, for QGIS')"
)
_ADD = (
    f"INSERT INTO {STYLES} (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, styleName, styleQML, "
    f"styleSLD, useAsDefault, description, owner) "
    f"SELECT '', '', table_name, column_name, ?, ?, '', 1, '', '' FROM gpkg_geometry_columns WHERE table_name = ?"
)


class Config(BaseModel, frozen=True, extra="forbid"):
    """What goes beside the map."""

    styles: bool = True
    """Whether QGIS finds a style for each layer: in a table `layer_styles`, or for a lone layer in `NAME.qml`."""


def build(config: Config) -> Writer:
    """Return the writer."""
    return OneFile(
        ".gpkg", partial(put, driver="GPKG"), partial(_finish, with_styles=config.styles),
        put_parts=partial(put_parts, driver="GPKG"),
    )  # fmt: skip


def _finish(path: Path, layers: Layers, *, with_styles: bool) -> None:
    found = {name: style_of(name, map(str, frame.columns)) for name, frame in layers.items()} if with_styles else {}
    styles = {name: style for name, style in found.items() if style}
    alone = len(layers) == 1
    try:
        with closing(sqlite3.connect(path)) as file, file:
            _check_indexed(file, path, [name for name, frame in layers.items() if len(frame)])
            if styles and not alone:
                _add_styles(file, styles)
    except sqlite3.Error as error:
        raise GeometryError(f"{path.name}: cannot be finished: {error}. Look whether the disk is full") from error
    if alone:  # a table more would make readers ask which layer is meant
        put_style(next(iter(styles.values()), None), path)


def _check_indexed(file: sqlite3.Connection, path: Path, layers: list[str]) -> None:
    """Look for every spatial index: it is written last, and GDAL says nothing when the disk is full by then."""
    rows = file.execute("SELECT table_name FROM gpkg_extensions WHERE extension_name = 'gpkg_rtree_index'")
    missing = set(layers) - {name for (name,) in rows}
    if missing:
        raise GeometryError(
            f"{path.name}: layer {', '.join(sorted(missing))} has no spatial index: look whether the disk is full"
        )


def _add_styles(file: sqlite3.Connection, styles: Mapping[str, Style]) -> None:
    file.execute(_TABLE)
    file.execute(_REGISTER)
    for layer, style in styles.items():
        file.execute(_ADD, (style.name, style.qml, layer))

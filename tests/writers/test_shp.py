"""Shapefiles: short names, sidecars, and clear refusals of what they cannot hold."""

from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import pytest
import shapely

from hedgerow import registry
from hedgerow.errors import GeometryError
from hedgerow.records import FieldMap
from hedgerow.writers import shp
from hedgerow.writers._layers import COLUMNS


def test_every_part_is_there_and_says_utf_8(two_fields: FieldMap, tmp_path: Path) -> None:
    files = registry.build("writers", "shp").write(two_fields, tmp_path / "a.shp")
    parts = {".shp", ".shx", ".dbf", ".prj", ".cpg"}
    expected = {f"a_{layer}{part}" for layer in ("fields", "borders") for part in parts}
    expected |= {"a_fields_columns.csv", "a_borders_columns.csv"}
    assert {file.name for file in files} == expected == {file.name for file in tmp_path.iterdir()}
    assert (tmp_path / "a_fields.cpg").read_text().strip() == "UTF-8"
    assert "UTM" in (tmp_path / "a_fields.prj").read_text()


def test_short_names_are_the_fixed_dictionary_and_the_sidecar_gives_the_full_ones(
    two_fields: FieldMap, tmp_path: Path
) -> None:
    registry.build("writers", "shp").write(two_fields, tmp_path / "a.shp")
    stored = pyogrio.read_info(tmp_path / "a_borders.shp")["fields"]
    assert list(stored) == ["id", "left_id", "right_id", "pair", "length_m", "conf", "open"]
    lines = (tmp_path / "a_borders_columns.csv").read_text().splitlines()
    assert lines[0] == "column,full_name"
    assert [line.split(",") for line in lines[1:]] == [[s, f] for s, f in zip(stored, COLUMNS["borders"], strict=True)]


def test_every_promised_column_has_a_short_name_that_fits() -> None:
    promised = {name for columns in COLUMNS.values() for name in columns}
    assert promised == set(shp.SHORT_NAMES)
    assert max(map(len, shp.SHORT_NAMES.values())) <= 10
    assert len(set(shp.SHORT_NAMES.values())) == len(shp.SHORT_NAMES)


def with_column(two_fields: FieldMap, name: str, value: object) -> FieldMap:
    return FieldMap(two_fields.fields.assign(**{name: value}), two_fields.borders)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [("much_too_long", 1, "at most 10 bytes"), ("AREA_M2", 1, "distinct"), ("note", "ø" * 128, "256 bytes")],
)
def test_what_does_not_fit_is_refused_and_nothing_is_left(
    two_fields: FieldMap, tmp_path: Path, name: str, value: object, words: str
) -> None:
    with pytest.raises(GeometryError, match=words):
        registry.build("writers", "shp").write(with_column(two_fields, name, value), tmp_path / "a.shp")
    assert not list(tmp_path.iterdir())


def test_mixed_geometries_are_refused(tmp_path: Path) -> None:
    mixed = geopandas.GeoDataFrame(geometry=[shapely.Point(0, 0), shapely.box(0, 0, 1, 1)], crs="EPSG:3857")
    with pytest.raises(GeometryError, match="mixes Point, Polygon"):
        registry.build("writers", "shp").write_layers({"things": mixed}, tmp_path / "a.shp")


def test_more_than_two_gigabytes_are_refused_before_writing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ring = np.column_stack([np.cos(np.linspace(0, 6, 500)), np.sin(np.linspace(0, 6, 500))])
    frame = geopandas.GeoDataFrame(geometry=[shapely.Polygon(ring)] * 20, crs="EPSG:3857")
    writer = registry.build("writers", "shp")
    (file,) = (part for part in writer.write_layers({"a": frame}, tmp_path / "a.shp") if part.suffix == ".shp")
    # The forecast is exact, so a limit one byte below the true size refuses.
    monkeypatch.setattr(shp, "_LARGEST_FILE_BYTES", file.stat().st_size - 1)
    with pytest.raises(GeometryError, match="use --to gpkg"):
        writer.write_layers({"a": frame}, tmp_path / "b.shp")
    monkeypatch.setattr(shp, "_LARGEST_FILE_BYTES", file.stat().st_size)
    writer.write_layers({"a": frame}, tmp_path / "b.shp")

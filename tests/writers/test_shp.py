"""Shapefiles: short names, sidecars, and clear refusals of what they cannot hold."""

from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import pytest
import shapely

from hedgerow import registry
from hedgerow.errors import ConfigError, GeometryError
from hedgerow.records import FieldMap
from hedgerow.writers import shp
from hedgerow.writers._layers import COLUMNS
from hedgerow.writers._maps import read_layers


def test_every_part_is_there_and_says_utf_8(two_fields: FieldMap, tmp_path: Path) -> None:
    files = registry.build("writers", "shp").write(two_fields, tmp_path / "a.shp")
    parts = {".shp", ".shx", ".dbf", ".prj", ".cpg"}
    expected = {f"a_{layer}{part}" for layer in ("fields", "borders") for part in parts}
    expected |= {"a_fields_columns.csv", "a_borders_columns.csv"}
    assert {file.name for file in files} == expected
    assert {file.name for file in tmp_path.iterdir()} == expected | {"a_fields.qml", "a_borders.qml"}
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


def polygons(count: int, vertices: int = 500) -> geopandas.GeoDataFrame:
    angles = np.linspace(0, 6, vertices)
    ring = np.column_stack([np.cos(angles), np.sin(angles)])
    shapes = shapely.polygons(ring[None] + 3.0 * np.arange(count)[:, None, None])
    return geopandas.GeoDataFrame({"id": np.arange(count), "note": "ø"}, geometry=shapes, crs="EPSG:3857")


def test_a_layer_over_the_limit_is_split_and_read_as_one(tmp_path: Path) -> None:
    frame = polygons(20)
    # The format: 100 bytes, then 8 + 44 for a shape, 4 for its ring, 16 for each of 501 vertices, one closing it.
    shape_bytes = 52 + 4 + 16 * 501
    limit = 100 + 7 * shape_bytes
    writer = registry.build("writers", {"kind": "shp", "limit_bytes": limit})
    files = writer.write_layers({"a": frame}, tmp_path / "a.shp")
    parts = [file for file in files if file.suffix == ".shp"]
    assert [part.name for part in parts] == ["a_part1.shp", "a_part2.shp", "a_part3.shp"]
    assert [part.stat().st_size for part in parts] == [limit, limit, 100 + 6 * shape_bytes]
    assert all(part.with_suffix(end).is_file() for part in parts for end in (".dbf", ".shx", ".prj", ".cpg"))
    (back,) = read_layers(tmp_path / "a.shp").values()
    assert back["id"].tolist() == list(range(20))
    assert back.geom_equals(frame).all()
    (second,) = read_layers(parts[1]).values()
    assert second["id"].tolist() == list(range(7, 14))


def test_rows_of_texts_are_split_by_the_size_of_the_table(tmp_path: Path) -> None:
    frame = geopandas.GeoDataFrame({"note": ["x" * 200] * 300}, geometry=[shapely.Point(0, 0)] * 300, crs=3857)
    limit = 50_000  # of 201 bytes a row; the points take 28 each and would all fit
    files = registry.build("writers", {"kind": "shp", "limit_bytes": limit}).write_layers(
        {"a": frame}, tmp_path / "a.shp"
    )
    tables = [file for file in files if file.suffix == ".dbf"]
    assert len(tables) > 1
    assert all(table.stat().st_size <= limit for table in tables)
    assert len(read_layers(tmp_path / "a.shp")["a"]) == 300


def test_a_split_map_keeps_its_layers_and_full_names(two_fields: FieldMap, tmp_path: Path) -> None:
    writer = registry.build("writers", {"kind": "shp", "limit_bytes": 9_500})
    frame = two_fields.fields.loc[np.zeros(60, int)].assign(id=range(60))
    writer.write(FieldMap(frame, two_fields.borders), tmp_path / "map.shp")
    assert (tmp_path / "map_borders.shp").is_file()
    assert read_layers(tmp_path / "map_fields.shp")["fields"]["perimeter_m"].tolist() == [400.125] * 60
    assert list(read_layers(tmp_path / "map_fields_part2.shp")) == ["fields"]


def test_a_shape_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    writer = registry.build("writers", {"kind": "shp", "limit_bytes": 12_000})
    with pytest.raises(GeometryError, match="one shape needs 16072 bytes"):
        writer.write_layers({"a": polygons(3, vertices=1000)}, tmp_path / "a.shp")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("older", ["a.shp", "a_part4.shp"])
def test_parts_do_not_go_beside_an_older_file_that_would_be_read_with_them(tmp_path: Path, older: str) -> None:
    (tmp_path / older).write_bytes(b"older")
    writer = registry.build("writers", {"kind": "shp", "limit_bytes": 100 + 7 * 8072})
    with pytest.raises(ConfigError, match=rf"{older}: is there from an earlier export"):
        writer.write_layers({"a": polygons(20)}, tmp_path / "a.shp")
    assert [file.name for file in tmp_path.iterdir()] == [older]


def test_truth_values_come_back_as_such(two_fields: FieldMap, tmp_path: Path) -> None:
    registry.build("writers", "shp").write(two_fields, tmp_path / "a.shp")
    assert pyogrio.read_dataframe(tmp_path / "a_borders.shp")["open"].tolist() == [0, 1]
    assert read_layers(tmp_path / "a_borders.shp")["borders"]["open"].tolist() == [False, True]

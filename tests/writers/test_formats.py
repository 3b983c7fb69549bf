"""Every format gives back what was put in: one suite for all writers."""

import json
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
import shapely
from pandas.testing import assert_frame_equal

from hedgerow import registry
from hedgerow.errors import ConfigError, GeometryError
from hedgerow.records import FieldMap
from hedgerow.writers._layers import COLUMNS
from hedgerow.writers._maps import read_layers

KINDS = registry.available("writers")
WHOLE = [kind for kind in KINDS if kind not in {"pmtiles", "fiboa"}]  # pmtiles is for viewing, fiboa holds fields only
IN_DEGREES = {"geojson"}
DATA = {".gpkg", ".shp", ".parquet", ".fgb", ".geojson"}


def write(kind: str, field_map: FieldMap, folder: Path) -> list[Path]:
    writer = registry.build("writers", kind)
    return list(writer.write(field_map, folder / f"map{writer.extension}"))


def read_back(files: list[Path]) -> dict[str, geopandas.GeoDataFrame]:
    layers: dict[str, geopandas.GeoDataFrame] = {}
    for file in files:
        if file.suffix in DATA:
            layers |= read_layers(file)
    return layers


@pytest.mark.parametrize("kind", WHOLE)
def test_both_layers_come_back_with_columns_values_and_crs(kind: str, two_fields: FieldMap, tmp_path: Path) -> None:
    layers = read_back(write(kind, two_fields, tmp_path))
    assert set(layers) == {"fields", "borders"}
    for name, original in (("fields", two_fields.fields), ("borders", two_fields.borders)):
        back = layers[name].sort_values("id", ignore_index=True)
        assert list(back.columns) == [*COLUMNS[name], "geometry"]
        assert back.crs == ("EPSG:4326" if kind in IN_DEGREES else original.crs)
        expected = original.drop(columns="geometry")
        assert_frame_equal(back.drop(columns="geometry"), expected, check_dtype=False, rtol=1e-9)


@pytest.mark.parametrize("kind", WHOLE)
def test_geometries_come_back_within_a_centimetre(kind: str, two_fields: FieldMap, tmp_path: Path) -> None:
    # Seven decimals of a degree are 1.1 cm; every other format keeps all digits.
    tolerance_m, tolerance = (0.012, 1e-3) if kind in IN_DEGREES else (0.0, 1e-9)
    for name, back in read_back(write(kind, two_fields, tmp_path)).items():
        original = getattr(two_fields, name)
        back = back.sort_values("id", ignore_index=True).to_crs(original.crs)
        assert shapely.hausdorff_distance(back.geometry, original.geometry).max() <= tolerance_m
        np.testing.assert_allclose(back.area, original.area, rtol=tolerance)
        np.testing.assert_allclose(back.length, original.length, rtol=tolerance)


@pytest.mark.parametrize("kind", WHOLE)
def test_holes_several_parts_and_letters_of_any_script_come_back(
    kind: str, two_fields: FieldMap, tmp_path: Path
) -> None:
    hole = shapely.box(500000, 6000000, 500100, 6000100).difference(shapely.box(500040, 6000040, 500060, 6000060))
    parts = shapely.MultiPolygon([hole, shapely.box(500100, 6000100, 500130, 6000130)])
    lines = shapely.MultiLineString([[(500000, 6000000), (500050, 6000000)], [(500060, 6000000), (500060, 6000090)]])
    texts = ["поле/畑 ñ.tif", "ÆØÅ €, „x“\\y'z.tif"]
    fields = two_fields.fields.assign(source=texts).set_geometry([parts, two_fields.fields.geometry[1]], crs=32632)
    borders = two_fields.borders.set_geometry([two_fields.borders.geometry[0], lines], crs=32632)
    back = read_back(write(kind, FieldMap(fields, borders), tmp_path))
    for name, original in (("fields", fields), ("borders", borders)):
        found = back[name].sort_values("id", ignore_index=True).to_crs(32632)
        assert shapely.hausdorff_distance(found.geometry, original.geometry).max() <= 0.012
        assert [shapely.get_num_geometries(g) for g in found.geometry] == [
            shapely.get_num_geometries(g) for g in original.geometry
        ]
    assert back["fields"].sort_values("id")["source"].tolist() == texts
    assert back["fields"].sort_values("id").to_crs(32632).area.tolist()[0] == pytest.approx(
        10_000 - 400 + 900, rel=1e-3
    )


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:2154", "+proj=laea +lat_0=52 +lon_0=10 +ellps=GRS80"])
def test_any_crs_is_kept(kind: str, crs: str, two_fields: FieldMap, tmp_path: Path) -> None:
    moved = FieldMap(two_fields.fields.to_crs(crs), two_fields.borders.to_crs(crs))
    for name, back in read_back(write(kind, moved, tmp_path)).items():
        if kind != "shp":  # a .prj spells names in another way; that the place is the same is asked below
            assert back.crs.equals("EPSG:4326" if kind in IN_DEGREES else moved.crs, ignore_axis_order=True)
        expected = getattr(moved, name).geometry.to_crs(32632)
        found = back.sort_values("id", ignore_index=True).geometry.to_crs(32632)
        assert shapely.hausdorff_distance(found, expected).max() <= (0.012 if kind in IN_DEGREES else 1e-6)


@pytest.mark.parametrize("kind", WHOLE)
def test_an_empty_map_keeps_its_layers(kind: str, empty_map: FieldMap, tmp_path: Path) -> None:
    layers = read_back(write(kind, empty_map, tmp_path))
    assert {name: len(frame) for name, frame in layers.items()} == {"fields": 0, "borders": 0}
    if kind in IN_DEGREES:
        return  # GeoJSON has no schema beyond its features
    for name, frame in layers.items():
        assert list(frame.columns) == [*COLUMNS[name], "geometry"]
        assert frame.crs == empty_map.crs


@pytest.mark.parametrize("kind", KINDS)
def test_writing_again_replaces_and_leaves_nothing_but_styles(kind: str, two_fields: FieldMap, tmp_path: Path) -> None:
    first = write(kind, two_fields, tmp_path)
    fewer = FieldMap(two_fields.fields.iloc[:1], two_fields.borders.iloc[:1])
    second = write(kind, fewer, tmp_path)
    assert sorted(first) == sorted(second) == sorted(p for p in tmp_path.iterdir() if p.suffix != ".qml")
    if kind in WHOLE:
        assert {len(frame) for frame in read_back(second).values()} == {1}


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_without_a_promised_column_is_refused_and_nothing_is_left(
    kind: str, two_fields: FieldMap, tmp_path: Path
) -> None:
    broken = FieldMap(two_fields.fields, two_fields.borders.drop(columns="class_pair"))
    with pytest.raises(GeometryError, match="class_pair"):
        write(kind, broken, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", WHOLE)
def test_a_lone_layer_goes_to_the_path_itself(kind: str, two_fields: FieldMap, tmp_path: Path) -> None:
    writer = registry.build("writers", kind)
    path = tmp_path / f"only{writer.extension}"
    assert path in writer.write_layers({"borders": two_fields.borders}, path)
    (frame,) = read_layers(path).values()
    assert len(frame) == 2
    assert len(geopandas.read_parquet(path) if kind == "parquet" else geopandas.read_file(path)) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_in_the_way_is_refused_before_anything_moves(kind: str, two_fields: FieldMap, tmp_path: Path) -> None:
    files = write(kind, two_fields, tmp_path)
    before = {file: file.read_bytes() for file in files[:-1]}
    files[-1].unlink()
    files[-1].mkdir()
    fewer = FieldMap(two_fields.fields.iloc[:1], two_fields.borders.iloc[:1])
    with pytest.raises(ConfigError, match=rf"{files[-1].name}: is a folder"):
        write(kind, fewer, tmp_path)
    assert {file: file.read_bytes() for file in files[:-1]} == before
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_place_where_nothing_can_be_written_is_refused(kind: str, two_fields: FieldMap, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ConfigError, match=r"map.*: cannot be written: .*file is a file, no folder: choose"):
        write(kind, two_fields, tmp_path / "file" / "below")


@pytest.mark.parametrize("kind", sorted(IN_DEGREES | {"pmtiles"}))
def test_a_format_of_one_crs_refuses_a_map_without(kind: str, two_fields: FieldMap, tmp_path: Path) -> None:
    nowhere = FieldMap(two_fields.fields.set_crs(None, allow_override=True), two_fields.borders)
    with pytest.raises(GeometryError, match="no CRS"):
        write(kind, nowhere, tmp_path)


def ring_area(ring: list[list[float]]) -> float:
    """The shoelace formula: positive where the ring runs against the clock."""
    x, y = np.array(ring).T
    return float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2)


def test_geojson_keeps_to_rfc_7946(two_fields: FieldMap, tmp_path: Path) -> None:
    square, hole = shapely.box(500000, 6000000, 500100, 6000100), shapely.box(500040, 6000040, 500060, 6000060)
    ring = square.difference(hole)
    clockwise = shapely.orient_polygons(ring, exterior_cw=True)
    fields = two_fields.fields.set_geometry([clockwise, two_fields.fields.geometry[1]], crs=32632)
    (file, *_) = write("geojson", FieldMap(fields, two_fields.borders), tmp_path)
    content = json.loads(file.read_text(encoding="utf-8"))
    assert "crs" not in content
    outer, inner = content["features"][0]["geometry"]["coordinates"]
    assert ring_area(outer) > 0 > ring_area(inner)
    numbers = [word for word in file.read_text().replace("[", " ").replace("]", " ").replace(",", " ").split()
               if word.startswith(("9.0", "54.1"))]  # fmt: skip
    assert numbers
    assert all(len(number.partition(".")[2]) <= 7 for number in numbers)
    assert all(abs(lon) <= 180 and abs(lat) <= 90 for lon, lat in outer)


def test_geoparquet_says_version_1_1_and_covers_each_row(two_fields: FieldMap, tmp_path: Path) -> None:
    file = write("parquet", two_fields, tmp_path)[0]
    meta = json.loads(pyarrow.parquet.read_schema(file).metadata[b"geo"])
    assert meta["version"] == "1.1.0"
    assert "bbox" in meta["columns"]["geometry"]["covering"]
    # A reader that asks for the west half gets the one field there.
    assert len(geopandas.read_parquet(file, bbox=(499990, 6000010, 500050, 6000020))) == 1


@pytest.mark.parametrize("kind", WHOLE)
def test_layers_of_other_columns_come_back(kind: str, tmp_path: Path) -> None:
    wells = geopandas.GeoDataFrame(
        {"name": ["ä", None], "deep": [1.5, np.nan], "n": [1, 2**40]}, geometry=[shapely.Point(9, 54)] * 2, crs=4326
    )
    writer = registry.build("writers", kind)
    (path, *_) = writer.write_layers({"wells": wells}, tmp_path / f"wells{writer.extension}")
    (back,) = read_layers(path).values()
    assert back["n"].tolist() == [1, 2**40]
    assert back["name"].tolist()[0] == "ä"
    assert pd.isna(back["name"][1])
    assert back["deep"].isna().tolist() == [False, True]

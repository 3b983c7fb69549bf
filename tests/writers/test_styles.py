"""Styles: XML of the structure that QGIS writes, where QGIS looks for it, for every class that there is."""

import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import geopandas
import pyogrio
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from hedgerow import registry
from hedgerow.records import FIELD, FOREST, OTHER, REGION_CLASSES, FieldMap, class_pair
from hedgerow.writers._maps import read_layers
from hedgerow.writers._styles import style_of, tile_style
from hedgerow.writers._tables import footprint, write_tiles

BESIDE = ("fgb", "geojson", "parquet", "shp")


def renderer(qml: str) -> ET.Element:
    assert qml.startswith("<!DOCTYPE qgis PUBLIC")
    root = ET.fromstring(qml)
    assert root.tag == "qgis"
    found = root.find("renderer-v2")
    assert found is not None
    return found


def symbols(of: ET.Element) -> dict[str, ET.Element]:
    found = {one.get("name", ""): one for one in of.findall("symbols/symbol")}
    for one in found.values():
        assert one.find("layer/Option[@type='Map']") is not None
    return found


def colour(symbol: ET.Element, option: str) -> list[int]:
    found = symbol.find(f"layer/Option/Option[@name='{option}']")
    assert found is not None
    return [int(part) for part in found.get("value", "").split(",")]


def test_fields_are_shown_by_class_and_let_the_image_shine_through() -> None:
    style = style_of("fields", ["id", "class"])
    assert style is not None
    found = renderer(style.qml)
    assert (found.get("type"), found.get("attr")) == ("categorizedSymbol", "class")
    categories = {one.get("value"): one.get("symbol") for one in found.findall("categories/category")}
    assert set(categories) == set(REGION_CLASSES) - {"other"}
    for name in categories.values():
        symbol = symbols(found)[str(name)]
        assert symbol.get("type") == "fill"
        assert 0 < colour(symbol, "color")[3] < 255


def test_borders_are_shown_by_class_pair() -> None:
    style = style_of("borders", ["class_pair"])
    assert style is not None
    found = renderer(style.qml)
    assert found.get("attr") == "class_pair"
    pairs = {class_pair(a, b) for a in (FIELD, FOREST) for b in (FIELD, FOREST, OTHER)}
    assert {one.get("value") for one in found.findall("categories/category")} == pairs
    colours = [tuple(colour(symbol, "line_color")) for symbol in symbols(found).values()]
    assert len(set(colours)) == len(pairs)


def test_tiles_are_shown_in_steps_that_leave_no_score_out() -> None:
    found = renderer(tile_style("erq_boundary__fp32", "l'arm").qml)
    assert found.get("type") == "graduatedSymbol"
    assert found.get("attr") == "CASE WHEN \"arm\" = 'l''arm' THEN \"erq_boundary__fp32\" END"
    ranges = [(float(one.get("lower", "")), float(one.get("upper", ""))) for one in found.findall("ranges/range")]
    assert (ranges[0][0], ranges[-1][1]) == (0.0, 1.0)
    assert all(before[1] == after[0] for before, after in pairwise(ranges))
    assert {one.get("symbol") for one in found.findall("ranges/range")} == set(symbols(found))


def test_a_layer_without_the_column_has_no_style() -> None:
    assert style_of("fields", ["id"]) is None
    assert style_of("wells", ["class", "class_pair"]) is None


def test_a_geopackage_says_to_qgis_how_each_layer_looks(two_fields: FieldMap, tmp_path: Path) -> None:
    (path,) = registry.build("writers", "gpkg").write(two_fields, tmp_path / "m.gpkg")
    with closing(sqlite3.connect(path)) as file:
        rows = file.execute(
            "SELECT f_table_catalog, f_table_schema, f_table_name, f_geometry_column, useAsDefault FROM layer_styles"
        ).fetchall()
        shown = [renderer(qml).get("attr") for (qml,) in file.execute("SELECT styleQML FROM layer_styles")]
        kind = file.execute("SELECT data_type FROM gpkg_contents WHERE table_name = 'layer_styles'").fetchone()
        columns = dict(file.execute("SELECT table_name, column_name FROM gpkg_geometry_columns"))
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert rows == [("", "", "fields", columns["fields"], 1), ("", "", "borders", columns["borders"], 1)]
    assert shown == ["class", "class_pair"]
    assert kind == ("attributes",)


def test_the_styles_of_a_geopackage_are_no_layer_of_the_map(two_fields: FieldMap, tmp_path: Path) -> None:
    (path,) = registry.build("writers", "gpkg").write(two_fields, tmp_path / "m.gpkg")
    assert set(read_layers(path)) == {"fields", "borders"}
    listed = dict(pyogrio.list_layers(path))
    assert {name for name, kind in listed.items() if kind} == {"fields", "borders"}
    assert listed["layer_styles"] is None
    assert len(geopandas.read_file(path, layer="borders")) == 2
    (plain,) = registry.build("writers", {"kind": "gpkg", "styles": False}).write(two_fields, tmp_path / "plain.gpkg")
    assert {name for name, _ in pyogrio.list_layers(plain)} == {"fields", "borders"}


def test_a_lone_layer_keeps_its_geopackage_to_itself_and_has_its_style_beside(
    two_fields: FieldMap, tmp_path: Path
) -> None:
    registry.build("writers", "gpkg").write_layers({"fields": two_fields.fields}, tmp_path / "m.gpkg")
    assert [name for name, _ in pyogrio.list_layers(tmp_path / "m.gpkg")] == ["fields"]
    assert renderer((tmp_path / "m.qml").read_text()).get("attr") == "class"


@pytest.mark.parametrize("kind", BESIDE)
def test_each_file_of_a_layer_has_its_style_beside_it(kind: str, two_fields: FieldMap, tmp_path: Path) -> None:
    writer = registry.build("writers", kind)
    writer.write(two_fields, tmp_path / f"map.v2{writer.extension}")
    assert renderer((tmp_path / "map.v2_fields.qml").read_text()).get("attr") == "class"
    # One file serves shapefiles, which call the column `pair`, and all others.
    shown = renderer((tmp_path / "map.v2_borders.qml").read_text()).get("attr", "")
    assert "'class_pair'" in shown
    assert "'pair'" in shown


def test_every_part_of_a_split_shapefile_has_its_style(two_fields: FieldMap, tmp_path: Path) -> None:
    writer = registry.build("writers", {"kind": "shp", "limit_bytes": 9_500})
    frame = two_fields.fields.loc[[0] * 60]
    writer.write_layers({"fields": frame}, tmp_path / "m.shp")
    assert (
        {file.stem for file in tmp_path.glob("*.qml")} == {file.stem for file in tmp_path.glob("*.shp")} > {"m_part1"}
    )


def test_a_style_that_somebody_has_changed_stays(two_fields: FieldMap, tmp_path: Path) -> None:
    (tmp_path / "m_fields.qml").write_text("mine")
    registry.build("writers", "fgb").write(two_fields, tmp_path / "m.fgb")
    assert (tmp_path / "m_fields.qml").read_text() == "mine"
    assert (tmp_path / "m_borders.qml").is_file()


def tile(arm: str, **scores: float) -> dict[str, object]:
    geobox = GeoBox((10, 10), Affine(10, 0, 500000, 0, -10, 6000000), "EPSG:32632")
    return {
        "input": "a",
        "tile": "t",
        "arm": arm,
        "status": "ok",
        "support": 1,
        "geometry": footprint(geobox),
        **scores,
    }


def test_tiles_are_shown_by_the_arm_that_lost_most(tmp_path: Path) -> None:
    rows = [tile("fp32"), tile("int8", boundary_f1__fp32=0.9), tile("w4", boundary_f1__fp32=0.4)]
    write_tiles(rows, tmp_path / "tiles.parquet")
    shown = renderer((tmp_path / "tiles.qml").read_text()).get("attr")
    assert shown == 'CASE WHEN "arm" = \'w4\' THEN "boundary_f1__fp32" END'


def test_tiles_without_scores_have_no_style(tmp_path: Path) -> None:
    write_tiles([tile("fp32")], tmp_path / "tiles.parquet")
    assert [file.name for file in tmp_path.iterdir()] == ["tiles.parquet"]

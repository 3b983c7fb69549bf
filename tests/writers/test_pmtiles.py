"""PMTiles: GDAL opens them, with both layers and their attributes, and finds every tile where it belongs."""

import gzip
import json
import struct
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyogrio
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from hedgerow import registry
from hedgerow.errors import ConfigError, GeometryError, SourceError
from hedgerow.records import FieldMap
from hedgerow.writers._layers import COLUMNS
from hedgerow.writers._maps import read_layers
from hedgerow.writers._pmtiles import tile_number, write_pmtiles
from hedgerow.writers._zooms import zooms_of

WORLD = 40_075_016.685578488  # circumference of the sphere of EPSG:3857


def write(field_map: FieldMap, folder: Path, **settings: Any) -> Path:
    (path,) = registry.build("writers", {"kind": "pmtiles", **settings}).write(field_map, folder / "m.pmtiles")
    return path


def header(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    assert data[:8] == b"PMTiles\x03"
    numbers = struct.unpack("<11Q", data[8:96])
    names = ("root", "metadata", "leaves", "tiles")
    sections = {name: numbers[2 * k : 2 * k + 2] for k, name in enumerate(names)}
    west, south, east, north = (part / 1e7 for part in struct.unpack("<4i", data[102:118]))
    assert sum(sections["tiles"]) == len(data)  # nothing after the last section, nothing missing
    return {**sections, "count": numbers[8], "zooms": tuple(data[100:102]), "bounds": (west, south, east, north)}


def test_both_layers_open_with_attributes_places_and_crs(two_fields: FieldMap, tmp_path: Path) -> None:
    path = write(two_fields, tmp_path)
    assert {name for name, _ in pyogrio.list_layers(path)} == {"fields", "borders"}
    for layer, columns in COLUMNS.items():
        original = getattr(two_fields, layer)
        back = geopandas.read_file(path, layer=layer).sort_values("id", ignore_index=True)
        assert set(columns) <= set(back.columns)
        assert back.crs == "EPSG:3857"
        assert back["confidence"].tolist() == original["confidence"].tolist()
        text = "source" if layer == "fields" else "class_pair"
        assert back[text].tolist() == original[text].tolist()
        # A step of the tile's grid at the largest zoom is an eighth of an edge of 100 m, or less.
        apart = shapely.hausdorff_distance(back.to_crs(32632).geometry, original.geometry)
        assert apart.max() < 12.5 * np.sqrt(2) / 2


def test_the_header_says_where_the_map_lies_and_at_which_zooms(two_fields: FieldMap, tmp_path: Path) -> None:
    found = header(write(two_fields, tmp_path))
    west, south, east, north = two_fields.fields.to_crs(4326).total_bounds
    np.testing.assert_allclose(found["bounds"], (west, south, east, north), atol=1e-6)
    # 200 m x 100 m at 54 degrees north are 341 units wide: a sixteenth of a tile is less than that from zoom 13 on
    # (WORLD / 2^13 / 16 = 306), where a step of the tile's grid is 1.2 units, far below an eighth of an edge.
    assert found["zooms"] == (13, 13)


def test_a_tile_holds_both_layers(two_fields: FieldMap, tmp_path: Path) -> None:
    path = write(two_fields, tmp_path, min_zoom=8, max_zoom=9)
    found = header(path)
    assert found["zooms"] == (8, 9)
    start, length = found["tiles"]
    data = path.read_bytes()[start : start + length]
    first = gzip.decompress(data[: data.index(b"\x1f\x8b", 2)])
    assert b"fields" in first
    assert b"borders" in first


def test_the_metadata_names_the_layers_and_the_types_of_their_columns(two_fields: FieldMap, tmp_path: Path) -> None:
    path = write(two_fields, tmp_path)
    start, length = header(path)["metadata"]
    about = json.loads(gzip.decompress(path.read_bytes()[start : start + length]))
    fields = {layer["id"]: layer["fields"] for layer in about["vector_layers"]}
    assert list(fields) == ["fields", "borders"]
    assert fields["fields"]["class"] == "String"
    assert fields["fields"]["area_m2"] == "Number"
    assert fields["borders"]["open"] == "Boolean"


def test_an_empty_map_opens_and_has_its_layers(empty_map: FieldMap, tmp_path: Path) -> None:
    path = write(empty_map, tmp_path)
    assert {name for name, _ in pyogrio.list_layers(path)} == {"fields", "borders"}
    for layer, columns in COLUMNS.items():
        back = geopandas.read_file(path, layer=layer)
        assert len(back) == 0
        assert set(columns) <= set(back.columns)


def test_a_map_without_borders_still_has_the_layer(two_fields: FieldMap, tmp_path: Path) -> None:
    path = write(FieldMap(two_fields.fields, two_fields.borders.iloc[:0]), tmp_path)
    assert [len(geopandas.read_file(path, layer=name)) for name in ("fields", "borders")] == [2, 0]


def test_many_tiles_are_found_through_leaf_directories(two_fields: FieldMap, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    west, south = rng.uniform(-1e7, 1e7, 6000), rng.uniform(-1e7, 1e7, 6000)
    fields = geopandas.GeoDataFrame(
        {
            "id": np.arange(6000), "class": "field", "area_m2": 1.0, "perimeter_m": 1.0, "confidence": 1.0, "source": ""
        },
        geometry=shapely.box(west, south, west + 1e4, south + 1e4), crs="EPSG:3857",
    )  # fmt: skip
    path = write(FieldMap(fields, two_fields.borders.iloc[:0]), tmp_path, min_zoom=9, max_zoom=10)
    found = header(path)
    assert found["leaves"][1] > 0
    assert found["root"][1] <= 16_384 - 127
    back = geopandas.read_file(path, layer="fields")
    assert set(back["id"]) == set(range(6000))
    pieces = back.dissolve("id").geometry.bounds  # what the edge of a tile has cut
    step = WORLD / 2**10 / 4096
    np.testing.assert_allclose(pieces["minx"], west, atol=step)
    np.testing.assert_allclose(pieces["maxy"], south + 1e4, atol=step)


def test_what_is_cut_into_tiles_is_not_read_as_a_map(two_fields: FieldMap, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cut into tiles"):
        read_layers(write(two_fields, tmp_path))


def test_what_lies_beyond_the_tiles_is_refused(two_fields: FieldMap, tmp_path: Path) -> None:
    polar = two_fields.fields.iloc[:1].set_geometry([shapely.box(0, 89, 10, 90)], crs=4326)
    with pytest.raises(GeometryError, match="beyond 85 degrees"):
        write(FieldMap(polar, two_fields.borders), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("wide", "edge", "expected"), [
    (WORLD / 16, WORLD / 512, (0, 0)),  # a sixteenth of the one tile of zoom 0, whose step is an eighth of the edge
    (WORLD / 32, WORLD / 512, (1, 1)),
    (WORLD / 64, WORLD / 512 / 8, (2, 3)),
    (WORLD / 64, WORLD / 512 / 8.1, (2, 4)),
])  # fmt: skip
def test_zooms_go_from_a_sixteenth_of_a_tile_to_an_eighth_of_an_edge(
    wide: float, edge: float, expected: tuple[int, int]
) -> None:
    lines = [shapely.LineString([(k, 0), (k, edge)]) for k in (0.0, wide)]
    assert zooms_of([geopandas.GeoDataFrame(geometry=lines, crs=3857)], None, None) == expected


def test_given_zooms_are_kept_and_the_other_one_follows() -> None:
    frame = geopandas.GeoDataFrame(geometry=[shapely.box(0, 0, 1000, 1000)], crs=3857)
    assert zooms_of([frame], 3, 5) == (3, 5)
    assert zooms_of([frame], None, 2) == (2, 2)
    assert zooms_of([frame], 20, None) == (20, 20)


def test_zooms_the_wrong_way_round_are_refused() -> None:
    with pytest.raises(ConfigError, match="min_zoom 9 lies above max_zoom 3"):
        registry.build("writers", {"kind": "pmtiles", "min_zoom": 9, "max_zoom": 3})


def test_tiles_are_numbered_as_the_specification_says() -> None:
    # Examples of the specification, and the first two zooms by hand.
    assert [tile_number(0, 0, 0), tile_number(1, 0, 0), tile_number(1, 0, 1), tile_number(1, 1, 1)] == [0, 1, 2, 3]
    assert tile_number(2, 0, 0) == 5
    assert tile_number(12, 3423, 1763) == 19_078_479


@given(st.integers(1, 6))
def test_numbers_of_a_zoom_follow_each_other_from_neighbour_to_neighbour(zoom: int) -> None:
    side = 2**zoom
    place = {tile_number(zoom, x, y): (x, y) for x in range(side) for y in range(side)}
    first = (4**zoom - 1) // 3
    assert sorted(place) == list(range(first, first + side * side))
    for number in range(first, first + side * side - 1):
        (x0, y0), (x1, y1) = place[number], place[number + 1]
        assert abs(x0 - x1) + abs(y0 - y1) == 1


def test_the_same_tiles_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        about: dict[str, Any] = {"bounds": (0, 0, 1, 1), "zooms": (0, 0), "metadata": {"vector_layers": []}}
        write_pmtiles([(0, b"tile")], tmp_path / name, **about)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()

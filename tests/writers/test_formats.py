"""Every format gives back what was put in: one suite for all writers."""

from pathlib import Path

import geopandas
import pytest
import shapely
from pandas.testing import assert_frame_equal

from hedgerow import registry
from hedgerow.errors import GeometryError
from hedgerow.records import FieldMap
from hedgerow.writers._layers import COLUMNS
from hedgerow.writers._maps import read_layers

KINDS = registry.available("writers")
ONE_FILE = {"gpkg"}
IN_DEGREES = {"geojson"}


def write(kind: str, field_map: FieldMap, folder: Path) -> list[Path]:
    writer = registry.build("writers", kind)
    return list(writer.write(field_map, folder / f"map{writer.extension}"))


def read_back(files: list[Path]) -> dict[str, geopandas.GeoDataFrame]:
    layers: dict[str, geopandas.GeoDataFrame] = {}
    for file in files:
        if file.suffix in {".gpkg", ".shp", ".parquet", ".fgb", ".geojson"}:
            layers |= read_layers(file)
    return layers


@pytest.mark.parametrize("kind", KINDS)
def test_both_layers_come_back_with_columns_values_and_crs(kind: str, two_fields: FieldMap, tmp_path: Path) -> None:
    layers = read_back(write(kind, two_fields, tmp_path))
    assert set(layers) == {"fields", "borders"}
    for name, original in (("fields", two_fields.fields), ("borders", two_fields.borders)):
        back = layers[name].sort_values("id", ignore_index=True)
        assert list(back.columns) == [*COLUMNS[name], "geometry"]
        assert back.crs == ("EPSG:4326" if kind in IN_DEGREES else original.crs)
        expected = original.drop(columns="geometry")
        assert_frame_equal(back.drop(columns="geometry"), expected, check_dtype=False, rtol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_geometries_come_back_within_a_centimetre(kind: str, two_fields: FieldMap, tmp_path: Path) -> None:
    # Seven decimals of a degree are 1.1 cm; every other format keeps all digits.
    tolerance_m = 0.012 if kind in IN_DEGREES else 0.0
    for name, back in read_back(write(kind, two_fields, tmp_path)).items():
        original = getattr(two_fields, name)
        back = back.sort_values("id", ignore_index=True).to_crs(original.crs)
        assert shapely.hausdorff_distance(back.geometry, original.geometry).max() <= tolerance_m


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_map_keeps_its_layers(kind: str, empty_map: FieldMap, tmp_path: Path) -> None:
    layers = read_back(write(kind, empty_map, tmp_path))
    assert {name: len(frame) for name, frame in layers.items()} == {"fields": 0, "borders": 0}
    if kind in IN_DEGREES:
        return  # GeoJSON has no schema beyond its features
    for name, frame in layers.items():
        assert list(frame.columns) == [*COLUMNS[name], "geometry"]
        assert frame.crs == empty_map.crs


@pytest.mark.parametrize("kind", KINDS)
def test_writing_again_replaces_and_leaves_nothing_else(kind: str, two_fields: FieldMap, tmp_path: Path) -> None:
    first = write(kind, two_fields, tmp_path)
    fewer = FieldMap(two_fields.fields.iloc[:1], two_fields.borders.iloc[:1])
    second = write(kind, fewer, tmp_path)
    assert sorted(first) == sorted(second) == sorted(tmp_path.iterdir())
    assert {len(frame) for frame in read_back(second).values()} == {1}


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_without_a_promised_column_is_refused_and_nothing_is_left(
    kind: str, two_fields: FieldMap, tmp_path: Path
) -> None:
    broken = FieldMap(two_fields.fields, two_fields.borders.drop(columns="class_pair"))
    with pytest.raises(GeometryError, match="class_pair"):
        write(kind, broken, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", KINDS)
def test_a_lone_layer_goes_to_the_path_itself(kind: str, two_fields: FieldMap, tmp_path: Path) -> None:
    writer = registry.build("writers", kind)
    path = tmp_path / f"only{writer.extension}"
    assert path in writer.write_layers({"borders": two_fields.borders}, path)
    (frame,) = read_layers(path).values()
    assert len(frame) == 2


def test_geojson_without_a_crs_is_refused(two_fields: FieldMap, tmp_path: Path) -> None:
    nowhere = FieldMap(two_fields.fields.set_crs(None, allow_override=True), two_fields.borders)
    with pytest.raises(GeometryError, match="no CRS"):
        write("geojson", nowhere, tmp_path)


def test_geoparquet_says_version_1_1_and_covers_each_row(two_fields: FieldMap, tmp_path: Path) -> None:
    import json

    import pyarrow.parquet

    file = write("parquet", two_fields, tmp_path)[0]
    meta = json.loads(pyarrow.parquet.read_schema(file).metadata[b"geo"])
    assert meta["version"] == "1.1.0"
    assert "bbox" in meta["columns"]["geometry"]["covering"]
    # A reader that asks for the west half gets the one field there.
    assert len(geopandas.read_parquet(file, bbox=(499990, 6000010, 500050, 6000020))) == 1

"""A map that comes part by part: the same files as from one that comes whole, and nothing where a part fails."""

from collections.abc import Iterator
from pathlib import Path

import geopandas
import pytest
import shapely
from pandas.testing import assert_frame_equal

from hedgerow import registry
from hedgerow.errors import GeometryError, SourceError
from hedgerow.records import FieldMap
from hedgerow.writers._maps import read_layers

KINDS = [kind for kind in registry.available("writers") if kind not in {"pmtiles", "fiboa"}]  # not made to be read back


def rows(frame: geopandas.GeoDataFrame) -> Iterator[geopandas.GeoDataFrame]:
    """One part per row."""
    return (frame.iloc[i : i + 1] for i in range(len(frame)))


def written(kind: str, layers: dict, folder: Path, *, parts: bool) -> dict[str, geopandas.GeoDataFrame]:
    writer = registry.build("writers", kind)
    write = writer.write_parts if parts else writer.write_layers
    files = write(layers, folder / f"map{writer.extension}")
    found: dict[str, geopandas.GeoDataFrame] = {}
    for file in files:
        if file.suffix == writer.extension:
            found |= read_layers(file)
    return {name: frame.sort_values("id", ignore_index=True) for name, frame in found.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_map_in_parts_is_written_as_a_whole_one(kind: str, two_fields: FieldMap, tmp_path: Path) -> None:
    layers = {"fields": two_fields.fields, "borders": two_fields.borders}
    whole = written(kind, layers, tmp_path / "whole", parts=False)
    parted = written(kind, {name: rows(frame) for name, frame in layers.items()}, tmp_path / "parts", parts=True)
    assert set(parted) == set(whole) == set(layers)
    for name, expected in whole.items():
        assert parted[name].crs == expected.crs
        assert_frame_equal(parted[name].drop(columns="geometry"), expected.drop(columns="geometry"), check_dtype=False)
        assert (
            shapely.to_wkb(parted[name].geometry.values).tolist() == shapely.to_wkb(expected.geometry.values).tolist()
        )


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "geojson"])  # it tells columns by its features
def test_an_empty_part_makes_an_empty_layer_with_its_schema(kind: str, empty_map: FieldMap, tmp_path: Path) -> None:
    layers = {"fields": empty_map.fields, "borders": empty_map.borders}
    whole = written(kind, layers, tmp_path / "whole", parts=False)
    parted = written(kind, {name: iter([frame]) for name, frame in layers.items()}, tmp_path / "parts", parts=True)
    for name, expected in whole.items():
        assert len(parted[name]) == 0
        assert list(parted[name].columns) == list(expected.columns)
        assert parted[name].crs == expected.crs


@pytest.mark.parametrize("kind", KINDS)
def test_what_goes_wrong_in_a_part_is_said_and_no_file_is_left(kind: str, two_fields: FieldMap, tmp_path: Path) -> None:
    def failing() -> Iterator[geopandas.GeoDataFrame]:
        yield two_fields.fields.iloc[:1]
        raise SourceError("the raster is torn")

    writer = registry.build("writers", kind)
    with pytest.raises(SourceError, match="the raster is torn"):
        writer.write_parts({"fields": failing()}, tmp_path / f"map{writer.extension}")
    assert list(tmp_path.iterdir()) == []


def test_a_part_that_lacks_a_column_is_refused(two_fields: FieldMap, tmp_path: Path) -> None:
    writer = registry.build("writers", "gpkg")
    parts = iter([two_fields.fields, two_fields.fields.drop(columns="class")])
    with pytest.raises(GeometryError, match="layer fields lacks class"):
        writer.write_parts({"fields": parts}, tmp_path / "map.gpkg")
    assert list(tmp_path.iterdir()) == []

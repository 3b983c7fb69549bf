"""Export: a run or a file goes out in every format, under names that say what is in them."""

import json
from pathlib import Path

import geopandas
import pyogrio
import pytest
import shapely

from hedgerow import registry
from hedgerow.errors import ConfigError, SourceError
from hedgerow.jobs.exporting import export
from hedgerow.records import FieldMap
from hedgerow.writers._maps import read_layers


def field_map() -> FieldMap:
    box = shapely.box(500000, 6000000, 500100, 6000100)
    fields = geopandas.GeoDataFrame(
        {"id": [1], "class": ["field"], "area_m2": [1e4], "perimeter_m": [400.0], "confidence": [0.5], "source": ["s"]},
        geometry=[box], crs="EPSG:32632",
    )  # fmt: skip
    borders = geopandas.GeoDataFrame(
        {
            "id": [1], "left_id": [1], "right_id": [0], "class_pair": ["field|other"], "length_m": [400.0],
            "confidence": [0.5], "open": [False],
        },
        geometry=[box.exterior], crs="EPSG:32632",
    )  # fmt: skip
    return FieldMap(fields, borders)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "run"
    for stem in ("a", "sub/b.5m"):
        for arm in ("fp32", "int8"):
            registry.build("writers", "gpkg").write(field_map(), folder / stem / arm / "borders.gpkg")
    (folder / "run.json").write_text(json.dumps({"arms": []}))
    return folder


def test_a_run_exports_every_map_under_stem_and_arm(run: Path, tmp_path: Path) -> None:
    made = export(run, "gpkg", tmp_path / "out")
    names = {str(path.relative_to(tmp_path / "out")) for path in made}
    assert names == {"a_fp32.gpkg", "a_int8.gpkg", "sub/b.5m_fp32.gpkg", "sub/b.5m_int8.gpkg"}
    assert set(read_layers(made[0])) == {"fields", "borders"}


def test_one_arm_and_one_layer_can_be_chosen(run: Path, tmp_path: Path) -> None:
    made = export(run, "fgb", tmp_path / "out", arm="int8", layer="borders")
    assert [path.name for path in made] == ["a_int8.fgb", "b.5m_int8.fgb"]
    assert geopandas.read_file(made[0]).geom_type.tolist() == ["LineString"]


@pytest.mark.parametrize("to", registry.available("writers"))
def test_one_file_goes_out_in_every_format_and_comes_back(run: Path, tmp_path: Path, to: str) -> None:
    made = export(run / "a/fp32/borders.gpkg", to, tmp_path / "new" / "map.v2")
    spatial = [path for path in made if path.suffix in {".gpkg", ".shp", ".parquet", ".fgb", ".geojson"}]
    assert all(path.name.startswith("map.v2") for path in made)
    layers = {name: frame for path in spatial for name, frame in read_layers(path).items()}
    assert {name: len(frame) for name, frame in layers.items()} == {"fields": 1, "borders": 1}
    assert layers["borders"]["class_pair"].tolist() == ["field|other"]


def test_shapefiles_go_back_to_a_geopackage_with_full_names(run: Path, tmp_path: Path) -> None:
    export(run / "a/fp32/borders.gpkg", "shp", tmp_path / "m.shp")
    (back,) = export(tmp_path / "m_borders.shp", "gpkg", tmp_path / "back.gpkg")
    frame = read_layers(back)["borders"]
    assert frame["class_pair"].tolist() == ["field|other"]
    assert frame["open"].tolist() == [False]


def test_another_crs_moves_the_shapes_and_keeps_the_geodesic_areas(run: Path, tmp_path: Path) -> None:
    (made,) = export(run / "a/fp32/borders.gpkg", "gpkg", tmp_path / "m.gpkg", dst_crs="EPSG:3857")
    frame = read_layers(made)["fields"]
    assert frame.crs == "EPSG:3857"
    assert frame["area_m2"].tolist() == [1e4]
    with pytest.raises(ConfigError, match="EPSG:1"):
        export(run / "a/fp32/borders.gpkg", "gpkg", tmp_path / "n.gpkg", dst_crs="EPSG:1")


def test_files_that_are_there_are_replaced_only_when_asked(run: Path, tmp_path: Path) -> None:
    source = run / "a/fp32/borders.gpkg"
    export(source, "shp", tmp_path / "m.shp")
    with pytest.raises(ConfigError, match=r"m_fields\.shp is there already.*--overwrite"):
        export(source, "shp", tmp_path / "m.shp")
    assert export(source, "shp", tmp_path / "m.shp", overwrite=True)


def test_an_existing_folder_takes_a_file_under_its_own_name(run: Path, tmp_path: Path) -> None:
    (made,) = export(run / "a/fp32/borders.gpkg", "gpkg", tmp_path)
    assert made == tmp_path / "borders.gpkg"


def test_any_vector_file_keeps_its_own_layers(tmp_path: Path) -> None:
    points = geopandas.GeoDataFrame({"n": [1]}, geometry=[shapely.Point(9, 54)], crs="EPSG:4326")
    points.to_file(tmp_path / "p.gpkg", layer="wells")
    (made,) = export(tmp_path / "p.gpkg", "parquet", tmp_path / "q")
    assert made == tmp_path / "q.parquet"
    assert pyogrio.list_layers(tmp_path / "p.gpkg").tolist() == [["wells", "Point"]]


def test_unknown_names_are_answered_with_the_nearest(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(ConfigError, match="did you mean 'shp'"):
        export(run, "shape", out)
    with pytest.raises(ConfigError, match="did you mean 'int8'"):
        export(run, "gpkg", out, arm="int4")
    with pytest.raises(ConfigError, match="did you mean 'fields'"):
        export(run, "gpkg", out, layer="field")
    with pytest.raises(ConfigError, match="leave it out"):
        export(run / "a/fp32/borders.gpkg", "gpkg", out, arm="int8")


def test_what_holds_no_map_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such"):
        export(tmp_path / "none", "gpkg", tmp_path / "o")
    with pytest.raises(SourceError, match=r"run\.json"):
        export(tmp_path, "gpkg", tmp_path / "o")
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(SourceError, match="has no map"):
        export(tmp_path, "gpkg", tmp_path / "o")

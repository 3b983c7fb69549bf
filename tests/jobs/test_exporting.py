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


@pytest.mark.parametrize("to", sorted({*registry.available("writers")} - {"pmtiles", "fiboa"}))
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


def test_tiles_for_viewing_hold_both_layers(run: Path, tmp_path: Path) -> None:
    (made,) = export(run / "a/fp32/borders.gpkg", "pmtiles", tmp_path / "web")
    assert made == tmp_path / "web.pmtiles"
    assert {name for name, _ in pyogrio.list_layers(made)} == {"fields", "borders"}


@pytest.mark.parametrize(
    ("out", "expected"),
    [("x.parquet", "x.parquet"), ("x.fiboa.parquet", "x.fiboa.parquet"), ("x", "x.fiboa.parquet")],
)
def test_fiboa_is_a_parquet_file_of_the_fields(run: Path, tmp_path: Path, out: str, expected: str) -> None:
    (made,) = export(run / "a/fp32/borders.gpkg", {"kind": "fiboa", "collection": "mine"}, tmp_path / out)
    assert made == tmp_path / expected
    assert geopandas.read_parquet(made)["collection"].tolist() == ["mine"]


def test_a_condition_chooses_features_before_they_are_moved(run: Path, tmp_path: Path) -> None:
    source = run / "a/fp32/borders.gpkg"
    (made,) = export(source, "gpkg", tmp_path / "m.gpkg", where="confidence < 0.1", dst_crs="EPSG:4326")
    layers = read_layers(made)
    assert {name: len(frame) for name, frame in layers.items()} == {"fields": 0, "borders": 0}
    assert layers["fields"].crs == "EPSG:4326"
    (made,) = export(source, "gpkg", tmp_path / "f.gpkg", layer="fields", where="area_m2 = 10000 and class = 'field'")
    assert len(read_layers(made)["fields"]) == 1


def test_a_format_of_one_crs_is_not_asked_for_another(run: Path, tmp_path: Path) -> None:
    source = run / "a/fp32/borders.gpkg"
    with pytest.raises(ConfigError, match=r"\.geojson file is always in EPSG:4326, not in EPSG:25832"):
        export(source, "geojson", tmp_path / "m", dst_crs="EPSG:25832")
    with pytest.raises(ConfigError, match=r"\.pmtiles file is always in EPSG:3857"):
        export(source, "pmtiles", tmp_path / "m", dst_crs="EPSG:4326")
    with pytest.raises(ConfigError, match="EPSG:1"):
        export(source, "geojson", tmp_path / "m", dst_crs="EPSG:1")
    assert len(export(source, "geojson", tmp_path / "m", dst_crs="OGC:CRS84")) == 2


def test_a_split_shapefile_goes_back_whole(tmp_path: Path) -> None:
    frame = field_map().fields.loc[[0] * 70].assign(id=range(70))
    (first,) = registry.build("writers", "gpkg").write_layers({"fields": frame}, tmp_path / "many.gpkg")
    made = export(first, {"kind": "shp", "limit_bytes": 9_500}, tmp_path / "s.shp")
    assert sum(path.suffix == ".shp" for path in made) > 1
    (back,) = export(tmp_path / "s.shp", "gpkg", tmp_path / "back.gpkg")
    found = read_layers(back)
    assert {name: len(frame) for name, frame in found.items()} == {"s": 70}
    assert found["s"]["perimeter_m"].tolist() == [400.0] * 70
    with pytest.raises(ConfigError, match=r"s_part1\.shp is there already"):
        export(first, "shp", tmp_path / "s.shp")


def test_files_that_are_there_are_replaced_only_when_asked(run: Path, tmp_path: Path) -> None:
    source = run / "a/fp32/borders.gpkg"
    export(source, "shp", tmp_path / "m.shp")
    with pytest.raises(ConfigError, match=r"m_fields\.shp is there already.*--overwrite"):
        export(source, "shp", tmp_path / "m.shp")
    assert export(source, "shp", tmp_path / "m.shp", overwrite=True)


def test_an_existing_folder_takes_a_file_under_its_own_name(run: Path, tmp_path: Path) -> None:
    (made,) = export(run / "a/fp32/borders.gpkg", "gpkg", tmp_path)
    assert made == tmp_path / "borders.gpkg"


@pytest.mark.parametrize(("to", "name"), [("gpkg", "m.shp"), ("shp", "m.GPKG"), ("fiboa", "m.fgb")])
def test_a_name_that_says_another_format_is_refused(run: Path, tmp_path: Path, to: str, name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}: ends as another format does"):
        export(run / "a/fp32/borders.gpkg", to, tmp_path / name)
    assert not list(tmp_path.iterdir())


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

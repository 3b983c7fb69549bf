"""`hedgerow export` from the command line: conditions, settings of a format, and one line where something is wrong."""

from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine


@pytest.fixture(scope="module")
def source(compared) -> Path:
    return compared.out / "strips" / "fp32" / "borders.gpkg"


def told(done, *texts: str) -> None:
    assert done.exit_code == 1, (done.stdout, done.stderr)
    assert len(done.stderr.splitlines()) == 1, done.stderr
    for text in texts:
        assert text in done.stderr


def test_where_and_dst_crs_make_the_map_that_was_asked_for(invoke, source: Path, tmp_path: Path) -> None:
    fields = geopandas.read_file(source, layer="fields")
    bound = float(fields.area_m2.median())
    done = invoke("export", source, "--to", "fgb", "-o", tmp_path / "big.fgb", "--layer", "fields", "-q",
                  "--where", f"area_m2 > {bound} and class = 'field'", "--dst-crs", "EPSG:3857")  # fmt: skip
    assert done.exit_code == 0, done.stderr
    back = geopandas.read_file(tmp_path / "big.fgb")
    assert back.crs == "EPSG:3857"
    assert set(back.id) == set(fields[(fields.area_m2 > bound) & (fields["class"] == "field")].id)
    assert 0 < len(back) < len(fields)


def test_a_setting_of_the_format_splits_a_shapefile_that_goes_back_whole(invoke, source: Path, tmp_path: Path) -> None:
    words = ("--to", "shp", "-o", tmp_path / "s.shp", "-q", "--set", "limit_bytes=12000")
    assert invoke("export", source, *words).exit_code == 0
    assert len(list(tmp_path.glob("s_fields_part*.shp"))) > 1
    assert invoke("export", tmp_path / "s_fields.shp", "--to", "gpkg", "-o", tmp_path / "b.gpkg", "-q").exit_code == 0
    back, original = geopandas.read_file(tmp_path / "b.gpkg"), geopandas.read_file(source, layer="fields")
    assert back.id.tolist() == original.id.tolist()
    assert shapely.equals(shapely.normalize(back.geometry), shapely.normalize(original.geometry)).all()
    assert back.confidence.tolist() == pytest.approx(original.confidence.tolist(), rel=1e-9)


def test_tiles_and_fiboa_are_formats_like_the_others(invoke, source: Path, compared, tmp_path: Path) -> None:
    assert invoke("export", source, "--to", "pmtiles", "-o", tmp_path / "m.pmtiles", "-q").exit_code == 0
    assert {name for name, _ in pyogrio.list_layers(tmp_path / "m.pmtiles")} == {"fields", "borders"}
    done = invoke("export", compared.out, "--to", "fiboa", "-o", tmp_path / "all", "--arm", "int8", "-q",
                  "--set", "datetime=2024-07-01")  # fmt: skip
    assert done.exit_code == 0, done.stderr
    made = sorted(path.name for path in (tmp_path / "all").iterdir())
    assert made == ["strips_int8.fiboa.parquet", "woods_int8.fiboa.parquet"]
    dates = geopandas.read_parquet(tmp_path / "all" / made[0])["determination:datetime"]
    assert {str(date) for date in dates} == {"2024-07-01 00:00:00+00:00"}


@pytest.mark.parametrize("name", ["m.pmtiles", "m.fiboa.parquet"])
def test_a_raster_is_traced_into_the_format_of_the_name(invoke, tmp_path: Path, name: str) -> None:
    labels = np.kron(np.array([[1, 2], [3, 4]], np.uint8), np.ones((20, 20), np.uint8))
    profile = {"driver": "GTiff", "height": 40, "width": 40, "count": 1, "dtype": "uint8", "crs": "EPSG:32633"}
    with rasterio.open(tmp_path / "l.tif", "w", transform=Affine(1, 0, 5e5, 0, -1, 5e6), **profile) as dataset:
        dataset.write(labels, 1)
    done = invoke("trace", tmp_path / "l.tif", "-o", tmp_path / name, "-q")
    assert done.exit_code == 0, done.stderr
    if name.endswith(".parquet"):
        areas = geopandas.read_parquet(tmp_path / name)["metrics:area"]
    else:
        areas = geopandas.read_file(tmp_path / name, layer="fields")["area_m2"]
    # The square metres of the grid; the scale of the zone is 0.9996 at its middle.
    assert areas.tolist() == pytest.approx([400.0] * 4, rel=1e-3)


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        (("--to", "gpkg", "-o", "m.gpkg", "--where", "area > 3"), ("no such column: area", "--layer chooses one")),
        (("--to", "shape", "-o", "m.shp"), ("unknown writers kind 'shape'", "did you mean 'shp'")),
        (("--to", "geojson", "-o", "m", "--dst-crs", "EPSG:3857"), ("always in EPSG:4326",)),
        (("--to", "fiboa", "-o", "m.parquet", "--layer", "borders"), ("fiboa holds fields",)),
        (("--to", "shp", "-o", "m.shp", "--set", "limit=3"), ("limit: Extra inputs are not permitted",)),
        (
            ("--to", "gpkg", "-o", "taken/m.gpkg"),
            ("taken/m.gpkg: cannot be written: taken is a file, no folder: choose another place",),
        ),
        (("--to", "gpkg", "-o", "folder.gpkg", "-f"), ("folder.gpkg/borders.gpkg: is a folder",)),
    ],
)
def test_what_cannot_be_exported_is_said_in_one_line_and_leaves_nothing(
    invoke, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words, texts
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("taken").write_text("a file")
    Path("folder.gpkg/borders.gpkg").mkdir(parents=True)
    told(invoke("export", source, *words, "-q"), *texts)
    assert sorted(str(path) for path in Path().rglob("*")) == ["folder.gpkg", "folder.gpkg/borders.gpkg", "taken"]

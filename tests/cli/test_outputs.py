"""Every output of the installed `hedgerow compare`, read back with other libraries."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from pyproj import CRS
from rasterio.enums import ColorInterp, MaskFlags

STEMS, ARMS = ("strips", "woods"), ("fp32", "int8", "w4a4-spatial")
SHAPES = {"strips": (192, 160), "woods": (160, 192)}
EPSG = {"strips": 32633, "woods": 4326}
TILES = 9  # of 64 px on 192 x 160: three rows and three columns

maps = pytest.mark.parametrize(("stem", "arm"), [(stem, arm) for stem in STEMS for arm in ARMS])


def test_the_table_is_data_and_the_progress_is_not(compared) -> None:
    for arm in ARMS:
        assert len(re.findall(rf"│ {arm} ", compared.stdout)) == 1
    for column in ("size MB", "s/tile", "erqa", "corner_retention", "continuity", "erq_boundary", "spatial_quality",
                   "boundary_iou", "boundary_f1", "object_f1"):  # fmt: skip
        assert column in compared.stdout
    assert compared.stdout.rstrip().endswith(f"report: {compared.out / 'report.html'}")
    for stage in ("scale", "quantize", "predict", "map", "measure"):
        assert stage in compared.stderr
        assert f" {stage} " not in compared.stdout


def test_the_folder_holds_what_is_promised_and_nothing_else(compared) -> None:
    names = {str(path.relative_to(compared.out)) for path in compared.out.rglob("*") if path.is_file()}
    per_map = {f"{s}/{a}/{name}" for s in STEMS for a in ARMS for name in ("probability.tif", "borders.gpkg")}
    assert names == {"run.json", "scores.json", "tiles.parquet", "tiles.qml", "report.html", *per_map}


def test_the_manifest_says_what_was_done(compared, scenes_folder: Path, tiny_model: Path) -> None:
    run = json.loads((compared.out / "run.json").read_text())
    assert run["config"]["tile_px"] == 64
    assert run["config"]["halo_px"] == 32
    assert run["config"]["model"] == str(tiny_model)
    assert run["seed"] == 0
    assert run["failures"] == []
    assert {"python", "hedgerow", "torch", "numpy", "rasterio", "shapely"} <= run["versions"].keys()
    assert [(i["name"], i["status"], i["tiles"]) for i in run["inputs"]] == [(s, "done", TILES) for s in STEMS]
    for one in run["inputs"]:
        path = scenes_folder / f"{one['name']}.tif"
        assert one["path"] == str(path)
        assert one["fingerprints"][path.name].startswith(f"{path.stat().st_size}-")
        assert one["truth"] == str(path.with_suffix(".gpkg"))
        assert len(one["scaling"]["low"]) == len(one["scaling"]["high"]) == 3
    assert {"scale", "quantize", "predict", "map", "measure"} <= run["seconds"].keys()


def test_the_manifest_says_what_was_really_quantized(compared) -> None:
    arms = {arm["name"]: arm for arm in json.loads((compared.out / "run.json").read_text())["arms"]}
    assert tuple(arms) == ARMS
    assert arms["fp32"]["sites"] == {}
    assert not arms["fp32"]["simulated"]
    for name in ARMS[1:]:
        assert arms[name]["simulated"]
        assert arms[name]["sites"]
    widths = arms["w4a4-spatial"]["sites"]
    assert any("8" in str(bits) for site, bits in widths.items() if "head" in site)
    assert any("4" in str(bits) for site, bits in widths.items() if "blocks" in site)
    assert arms["fp32"]["size_bytes"] > arms["int8"]["size_bytes"] > arms["w4a4-spatial"]["size_bytes"]
    assert arms["fp32"]["seconds_per_tile"] > 0


def test_scores_have_the_promised_columns_and_one_row_per_key(compared) -> None:
    scores = json.loads((compared.out / "scores.json").read_text())["scores"]
    columns = {"metric", "arm", "against", "layer", "input", "value", "unit", "n", "low", "high", "flag", "parameters",
               "terms_used"}  # fmt: skip
    assert all(row.keys() == columns for row in scores)
    keys = [(r["metric"], r["arm"], r["against"], r["layer"], r["input"]) for r in scores]
    assert len(set(keys)) == len(keys)
    assert {r["arm"] for r in scores} == set(ARMS)
    assert {r["against"] for r in scores} == {"fp32", "truth"}
    assert {r["input"] for r in scores} == {*STEMS, None}
    assert {"all", "field|field", "field|forest", "field|other", "forest|other"} == {r["layer"] for r in scores}
    for row in scores:
        assert row["unit"]
        assert (row["value"] is None) == (row["flag"] is not None) or row["value"] is not None
        assert isinstance(row["n"], int)
    wanted = {"erqa", "erqa_reference", "corner_retention", "continuity", "sharpness", "erq_boundary",
              "spatial_quality", "boundary_iou", "boundary_f1", "object_f1"}  # fmt: skip
    assert wanted <= {r["metric"] for r in scores}


def test_fp32_is_like_itself_and_the_others_are_not(compared) -> None:
    rows = json.loads((compared.out / "scores.json").read_text())["scores"]
    pooled = {(r["arm"], r["metric"]): r["value"] for r in rows if r["against"] == "fp32" and r["layer"] == "all"
              and r["input"] is None}  # fmt: skip
    for metric in ("erqa", "continuity", "boundary_iou", "boundary_f1", "object_f1"):
        assert pooled["fp32", metric] == 1.0
        assert 0 < pooled["w4a4-spatial", metric] < 1
        assert 0 < pooled["int8", metric] <= 1


def test_tiles_have_one_row_per_tile_and_arm(compared) -> None:
    tiles = geopandas.read_parquet(compared.out / "tiles.parquet")
    assert len(tiles) == len(STEMS) * TILES * len(ARMS)
    assert not tiles.duplicated(["input", "tile", "arm"]).any()
    assert {"input", "tile", "arm", "status", "support", "geometry"} <= set(tiles.columns)
    scores = [name for name in tiles.columns if "__" in name]
    assert {name.split("__")[1] for name in scores} == {"fp32", "truth"}
    assert {"boundary_iou__fp32", "boundary_f1__truth", "erq_boundary__fp32"} <= set(scores)
    assert (tiles.support > 0).all()
    assert set(tiles.status) == {"ok"}
    assert tiles.crs == CRS(4326)


@pytest.mark.parametrize("stem", STEMS)
def test_tiles_lie_on_their_rasters_and_partition_them(compared, scenes_folder: Path, stem: str) -> None:
    tiles = geopandas.read_parquet(compared.out / "tiles.parquet").query("input == @stem and arm == 'int8'")
    with rasterio.open(scenes_folder / f"{stem}.tif") as dataset:
        frame = geopandas.GeoSeries([shapely.box(*dataset.bounds)], crs=dataset.crs).to_crs(4326).iloc[0]
    union = shapely.union_all(tiles.geometry.to_numpy())
    assert union.symmetric_difference(frame).area < 1e-3 * frame.area
    assert shapely.area(tiles.geometry.to_numpy()).sum() == pytest.approx(frame.area, rel=1e-3)
    assert int(tiles.support.sum()) == 192 * 160


@maps
def test_probabilities_are_a_tiled_cog_with_names_mask_and_tag(compared, stem: str, arm: str) -> None:
    with rasterio.open(compared.out / stem / arm / "probability.tif") as dataset:
        assert dataset.shape == SHAPES[stem]
        assert dataset.crs == CRS(EPSG[stem])
        assert dataset.dtypes == ("uint8",) * 4
        assert dataset.descriptions == ("other", "field", "forest", "border")
        assert dataset.tags()["HEDGEROW"] == "probability"
        assert dataset.nodata is None
        assert all(rows == cols for rows, cols in dataset.block_shapes)  # tiles, not strips
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.mask_flag_enums[0] == [MaskFlags.per_dataset]
        assert ColorInterp.alpha not in dataset.colorinterp
        pixels, valid = dataset.read().astype(int), dataset.dataset_mask() > 0
    assert valid.all()
    assert (np.abs(pixels.sum(axis=0) - 255) <= 2).all()  # four numbers that add up to 1, each rounded
    assert not list((compared.out / stem / arm).glob("*.msk"))


@maps
def test_borders_are_two_layers_in_the_crs_of_the_input(compared, stem: str, arm: str, scenes_folder: Path) -> None:
    path = compared.out / stem / arm / "borders.gpkg"
    assert {name for name, kind in pyogrio.list_layers(path) if kind} == {"fields", "borders"}
    fields, borders = (geopandas.read_file(path, layer=layer) for layer in ("fields", "borders"))
    assert fields.crs == borders.crs == CRS(EPSG[stem])
    assert list(fields.columns) == ["id", "class", "area_m2", "perimeter_m", "confidence", "source", "geometry"]
    assert list(borders.columns) == [
        "id", "left_id", "right_id", "class_pair", "length_m", "confidence", "open", "geometry",
    ]  # fmt: skip
    assert len(fields) > 3
    assert set(fields["class"]) <= {"field", "forest"}
    assert set(borders.class_pair) <= {"field|field", "field|forest", "field|other", "forest|forest", "forest|other"}
    assert set(fields.source) == {str(scenes_folder / f"{stem}.tif")}
    assert fields.id.is_unique
    assert borders.id.is_unique
    assert {*borders.left_id, *borders.right_id} <= {0, *fields.id}
    assert fields.confidence.between(0, 1).all()
    assert borders.confidence.between(0, 1).all()


@maps
def test_fields_are_a_valid_coverage(compared, stem: str, arm: str) -> None:
    fields = geopandas.read_file(compared.out / stem / arm / "borders.gpkg", layer="fields")
    assert shapely.coverage_is_valid(fields.geometry.to_numpy())


@maps
def test_areas_and_lengths_are_metres_in_any_crs(compared, stem: str, arm: str) -> None:
    path = compared.out / stem / arm / "borders.gpkg"
    fields, borders = (geopandas.read_file(path, layer=layer) for layer in ("fields", "borders"))
    utm = fields.estimate_utm_crs()  # its scale is off by up to 0.08 % in area
    assert fields.area_m2.to_numpy() == pytest.approx(fields.to_crs(utm).area.to_numpy(), rel=1e-3)
    assert borders.length_m.to_numpy() == pytest.approx(borders.to_crs(utm).length.to_numpy(), rel=1e-3)


class Loaded(HTMLParser):
    """What a browser would fetch for a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [
            value or "" for name, value in attrs if name in ("src", "srcset", "data", "poster", "xlink:href")
        ]
        self.found += [value or "" for name, value in attrs if name == "href" and tag in ("link", "use", "image")]
        assert tag not in ("script", "iframe", "object", "embed")


def test_the_report_needs_nothing_but_itself(compared) -> None:
    page = (compared.out / "report.html").read_text()
    parser = Loaded()
    parser.feed(page)
    assert parser.found
    assert all(value.startswith(("data:", "#")) for value in parser.found)
    assert all(url.startswith(("data:", "#")) for url in re.findall(r"url\(['\"]?([^)'\"]+)", page))
    assert "@import" not in page
    for arm in ARMS:
        assert arm in page

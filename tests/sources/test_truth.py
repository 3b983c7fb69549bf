"""Truth: found by name, brought to the raster's grid, mended where it can be and refused where it cannot."""

from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from shapely.affinity import affine_transform

from hedgerow.config import TruthRule
from hedgerow.errors import ConfigError, SourceError
from hedgerow.records import FIELD, FOREST
from hedgerow.sources._frame import FRAME_MARGIN_PX, opened_at_frame
from hedgerow.sources._truth import find_truth, read_truth

CRS = "EPSG:32632"
# 100 x 100 pixels of 10 m: x 500000..501000, y 6000000..6001000.
GRID = GeoBox((100, 100), Affine(10, 0, 500000, 0, -10, 6001000), CRS)


def square(x: float, y: float, side: float = 100) -> shapely.Polygon:
    return shapely.box(500000 + x, 6000000 + y, 500000 + x + side, 6000000 + y + side)


def save(path: Path, geometries: list[Any], *, layer: str = "parcels", crs: str | None = CRS, **columns: Any) -> Path:
    frame = geopandas.GeoDataFrame(columns, geometry=geometries, crs=crs)
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_file(path, layer=layer, engine="pyogrio")
    return path


def geobox_of(path: Path) -> GeoBox:
    with rasterio.open(path) as dataset:
        return GeoBox(dataset.shape, dataset.transform, dataset.crs.to_wkt())


# --- finding ---------------------------------------------------------------------------------------------------------


def test_auto_finds_the_same_name_beside_the_input_and_never_a_mask(tmp_path: Path) -> None:
    image = tmp_path / "a.tif"
    assert find_truth("auto", image, "a") is None
    save(tmp_path / "a_mask.gpkg", [square(0, 0)])
    assert find_truth("auto", image, "a") is None
    save(tmp_path / "a_fields.gpkg", [square(0, 0)])
    assert find_truth("auto", image, "a") == tmp_path / "a_fields.gpkg"
    save(tmp_path / "a.gpkg", [square(0, 0)])
    assert find_truth("auto", image, "a") == tmp_path / "a.gpkg"


def test_the_input_itself_named_as_a_mask_has_no_truth_of_that_name(tmp_path: Path) -> None:
    save(tmp_path / "x_mask.gpkg", [square(0, 0)])
    assert find_truth("auto", tmp_path / "x_mask.tif", "x_mask") is None


@pytest.mark.parametrize("name", ["sub/a.gpkg", "a_fields.shp", "a.parquet"])
def test_a_folder_is_searched_by_stem(tmp_path: Path, name: str) -> None:
    truth = tmp_path / "truth" / name
    truth.parent.mkdir(parents=True)
    save(truth, [square(0, 0)])
    folder = str(tmp_path / "truth")
    assert find_truth(folder, Path("images/sub/a.tif"), "sub/a") == truth
    assert find_truth(folder, Path("images/sub/b.tif"), "sub/b") is None


def test_one_file_serves_every_input_and_a_missing_one_is_refused(tmp_path: Path) -> None:
    truth = save(tmp_path / "all.gpkg", [square(0, 0)])
    assert find_truth(str(truth), Path("x.tif"), "x") == truth
    assert find_truth(None, Path("x.tif"), "x") is None
    with pytest.raises(SourceError, match="no such file"):
        find_truth(str(tmp_path / "none.gpkg"), Path("x.tif"), "x")


# --- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".gpkg", ".shp", ".geojson", ".parquet", ".fgb"])
def test_polygons_arrive_in_the_grid_s_crs_from_any_format_and_crs(tmp_path: Path, suffix: str) -> None:
    original = square(300, 300)
    there = geopandas.GeoSeries([original], crs=CRS).to_crs("EPSG:4326")
    truth = read_truth(save(tmp_path / f"a{suffix}", list(there), crs="EPSG:4326", n=[1]), GRID)
    assert truth.classes.tolist() == [FIELD]
    # RFC 7946 keeps 7 decimals of a degree: 1.1 cm.
    assert shapely.hausdorff_distance(truth.geometries[0], original) < 0.02


def test_multipolygons_and_bow_ties_become_single_valid_polygons(tmp_path: Path) -> None:
    # Two triangles of 100 m x 50 m that touch in the middle of the tie: 2 x 2500 m2.
    tie = shapely.transform(shapely.Polygon([(0, 0), (100, 100), (100, 0), (0, 100)]), lambda xy: xy + GRID_CORNER)
    pair = shapely.MultiPolygon([square(300, 300), square(600, 600)])
    truth = read_truth(save(tmp_path / "a.gpkg", [tie, pair], n=[1, 2]), GRID)
    assert truth.report["made_valid"] == 1
    assert [shapely.get_type_id(g) for g in truth.geometries] == [shapely.GeometryType.POLYGON] * 4
    assert shapely.is_valid(truth.geometries).all()
    assert sorted(shapely.area(truth.geometries).round(6)) == [2500, 2500, 10_000, 10_000]


GRID_CORNER = np.array([500100.0, 6000100.0])


def test_truth_is_cut_beyond_the_frame_so_that_the_frame_is_no_border(tmp_path: Path) -> None:
    margin_m = FRAME_MARGIN_PX * 10
    path = save(tmp_path / "a.gpkg", [square(900, 400, 1000), square(1050, 50), square(1000, 50)], n=[1, 2, 3])
    truth = read_truth(path, GRID)
    # The first reaches 900 m beyond the frame; the second lies outside and the third only touches it.
    assert truth.report["opened_at_frame"] == 1
    (cut,) = truth.geometries
    assert shapely.bounds(cut) == pytest.approx([500900, 6000400, 501000 + margin_m, 6001000 + margin_m], abs=1e-6)


def test_an_edge_drawn_along_the_frame_goes_on_beyond_it() -> None:
    # A field drawn up to 1 px from the left and lower side of a raster of 100 x 200 px; its other sides are borders.
    drawn = shapely.box(1, 40, 60, 99)
    (opened,), (changed,) = opened_at_frame(np.array([drawn]), (100, 200))
    assert changed
    # Inside: all of what was drawn, and the strips of 1 px between it and the frame.
    inside = shapely.intersection(opened, shapely.box(0, 0, 200, 100))
    assert (
        inside.symmetric_difference(
            shapely.union_all([drawn, shapely.box(0, 40, 1, 99), shapely.box(1, 99, 60, 100)])
        ).area
        == 0
    )
    lines = shapely.intersection(shapely.boundary(opened), shapely.box(0, 0, 200, 100))
    # The upper and the right border reach the frame (60 px each); the corner of 1 px x 1 px stays out.
    assert lines.length == pytest.approx(60 + 60 + 2)


def test_borders_that_meet_the_frame_or_lie_away_from_it_stay_as_they_are() -> None:
    away = shapely.box(3, 3, 60, 60)
    # A wedge whose two sides run into the frame at 45 degrees and more.
    wedge = shapely.Polygon([(0, 50), (30, 10), (30, 90)])
    opened, changed = opened_at_frame(np.array([away, wedge]), (100, 200))
    assert changed.tolist() == [False, False]
    assert [a.equals(b) for a, b in zip(opened, (away, wedge), strict=True)] == [True, True]


def test_a_rotated_grid_takes_only_what_it_covers(tmp_path: Path) -> None:
    # Turned by 45 degrees about its corner: a diamond with corners at (0,0), (±707, 707), (0, 1414) m.
    turned = GeoBox((100, 100), Affine.translation(500000, 6000000) @ Affine.rotation(45) @ Affine.scale(10), CRS)
    path = save(tmp_path / "a.gpkg", [square(0, 700), square(600, 0)], n=["in", "in its bounding box only"])
    truth = read_truth(path, turned)
    assert [shapely.bounds(g).tolist()[0] for g in truth.geometries] == [500000]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (TruthRule(), [FIELD, FOREST, FIELD, FIELD]),
        (TruthRule(default="forest"), [FIELD, FOREST, FOREST, FOREST]),
        (TruthRule(attribute="code", classes={"3": "forest", "7": "other"}), [FOREST, FIELD, FIELD]),
    ],
)
def test_classes_come_from_the_attribute_the_mapping_and_the_default(
    tmp_path: Path, rule: TruthRule, expected: list[int]
) -> None:
    squares = [square(200 * i, 0) for i in range(4)]
    columns = {"class": ["field", "Forest", "meadow", None], "code": [3.0, 4.0, 7.0, None]}
    truth = read_truth(save(tmp_path / "a.gpkg", squares, **columns), GRID, truth_rule=rule)
    assert truth.classes.tolist() == expected
    if rule.attribute is None:
        assert truth.report["without_class"] == {"meadow": 1}


def test_layers_give_classes_by_their_names_and_lines_are_passed_over(tmp_path: Path) -> None:
    path = save(tmp_path / "a.gpkg", [square(0, 0)], layer="fields", n=[1])
    save(path, [square(200, 0), square(400, 0)], layer="forest", n=[1, 2])
    save(path, [shapely.boundary(square(0, 0))], layer="borders", n=[1])
    truth = read_truth(path, GRID)
    assert truth.classes.tolist() == [FIELD, FOREST, FOREST]
    assert truth.report["skipped_layers"] == ["borders (LineString)"]


def test_a_raster_without_fields_inside_the_truth_s_extent_has_empty_truth(tmp_path: Path) -> None:
    truth = read_truth(save(tmp_path / "a.gpkg", [square(-900, 0), square(1500, 0)], n=[1, 2]), GRID)
    assert len(truth.geometries) == len(truth.classes) == 0


@pytest.mark.parametrize("name", ["a.gpkg", "a.parquet", "a.geojson", "a.shp"])
def test_a_file_without_a_polygon_lies_nowhere_and_is_empty_truth(tmp_path: Path, name: str) -> None:
    frame = geopandas.GeoDataFrame({"class": []}, geometry=[], crs=CRS)
    if name.endswith("parquet"):
        frame.to_parquet(tmp_path / name)
    else:
        frame.to_file(tmp_path / name, geometry_type="Polygon")
    truth = read_truth(tmp_path / name, GRID)
    assert len(truth.geometries) == truth.report["polygons"] == 0


@pytest.mark.parametrize(
    ("geometry", "crs", "words"),
    [
        (square(50_000, 0), CRS, r"do not overlap.*longitude 9\.\d+ to 9\.\d+.*the raster at longitude 9\.0000"),
        (shapely.boundary(square(0, 0)), CRS, "polygons are wanted"),
    ],
)
def test_truth_elsewhere_or_of_lines_is_refused(tmp_path: Path, geometry: Any, crs: str, words: str) -> None:
    path = save(tmp_path / "a.gpkg", [geometry], crs=crs, n=[1])
    with pytest.raises(SourceError, match=words):
        read_truth(path, GRID)


@pytest.mark.filterwarnings("ignore:'crs' was not provided")
@pytest.mark.parametrize("suffix", [".gpkg", ".shp", ".parquet"])
def test_truth_without_a_crs_is_refused(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"a{suffix}", [square(0, 0)], crs=None, n=[1])
    with pytest.raises(SourceError, match="has no CRS"):
        read_truth(path, GRID)


def test_unknown_attributes_and_classes_are_refused_with_the_nearest_name(tmp_path: Path) -> None:
    path = save(tmp_path / "a.gpkg", [square(0, 0)], crop=["wheat"])
    with pytest.raises(SourceError, match="did you mean 'crop'"):
        read_truth(path, GRID, truth_rule=TruthRule(attribute="crops"))
    with pytest.raises(ConfigError, match="did you mean 'field'"):
        read_truth(path, GRID, truth_rule=TruthRule(default="fields"))


def test_what_is_no_vector_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.gpkg").write_text("nothing")
    (tmp_path / "a.parquet").write_text("nothing")
    for name in ("a.gpkg", "a.parquet"):
        with pytest.raises(SourceError, match=name):
            read_truth(tmp_path / name, GRID)


# --- real truth ------------------------------------------------------------------------------------------------------


@pytest.mark.real_data
def test_hand_drawn_us_fields_lie_on_their_tiles(real_data: Path) -> None:
    images = sorted((real_data / "naip_us_fields").glob("*.tif"))
    counts, mended = [], 0
    for image in images:
        path = find_truth("auto", image, image.stem)
        assert path is not None
        truth = read_truth(path, geobox_of(image))
        counts.append(len(truth.geometries))
        mended += truth.report["made_valid"]
    assert (len(counts), sum(counts)) == (10, 244)  # both numbers stand in the folder's README
    assert mended >= 1


def length_along_frame_px(polygons: np.ndarray, geobox: GeoBox) -> float:
    """How much boundary lies within 2 px of the raster's frame, in pixels."""
    (height, width), to_pixels = geobox.shape, (~geobox.transform).to_shapely()
    lines = [affine_transform(shapely.boundary(polygon), to_pixels) for polygon in polygons]
    band = shapely.difference(shapely.box(0, 0, width, height), shapely.box(2, 2, width - 2, height - 2))
    return float(shapely.length(shapely.intersection(lines, band)).sum())


@pytest.mark.real_data
def test_fields_drawn_up_to_the_edge_of_the_image_have_no_border_there(real_data: Path) -> None:
    drawn_px = kept_px = frame_px = 0.0
    for image in sorted((real_data / "naip_us_fields").glob("*.tif")):
        geobox, path = geobox_of(image), image.with_name(f"{image.stem}_fields.gpkg")
        drawn_px += length_along_frame_px(geopandas.read_file(path).geometry.to_numpy(), geobox)
        kept_px += length_along_frame_px(read_truth(path, geobox).geometries, geobox)
        frame_px += 2 * sum(geobox.shape)
    # What remains are borders that meet the frame, some 4 px each, and corners of fields.
    assert drawn_px > 0.5 * frame_px
    assert kept_px < 0.05 * frame_px


@pytest.mark.real_data
def test_danish_parcels_have_another_name_and_are_given_by_path(real_data: Path) -> None:
    image = real_data / "s2_dk_lpis" / "s2_l1c_20160508_bgr.tif"
    parcels = real_data / "s2_dk_lpis" / "lpis_parcels_2016.gpkg"
    assert find_truth("auto", image, image.stem) is None
    assert find_truth(str(parcels), image, image.stem) == parcels
    truth = read_truth(parcels, geobox_of(image))
    in_file = geopandas.read_file(parcels).explode()
    assert len(truth.geometries) == len(in_file)


@pytest.mark.real_data
def test_the_virginian_forest_is_forest_by_its_layer_and_not_danish(real_data: Path) -> None:
    path = real_data / "naip_va_forest" / "forest_semiauto.gpkg"
    truth = read_truth(path, geobox_of(real_data / "naip_va_forest" / "NAIP-VA-b1.tiff"))
    assert truth.classes.tolist() == [FOREST]
    with pytest.raises(SourceError, match="do not overlap"):
        read_truth(path, geobox_of(real_data / "s2_dk_lpis" / "s2_l1c_20160508_bgr.tif"))

"""How pixels become regions: border pixels go to their neighbours, background is no field, nothing small is lost."""

import logging
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine

import hedgerow
from hedgerow.edges.views import Pair, View, view_of_truth
from hedgerow.errors import ScoreError
from hedgerow.jobs.grids import common_ground
from hedgerow.jobs.loading import load
from hedgerow.jobs.mapfiles import map_files
from hedgerow.jobs.told import as_told
from hedgerow.records import FIELD, FOREST, OTHER, Regions

TRANSFORM = Affine(1, 0, 500000, 0, -1, 5000000)


def view_of(path: Path, kind: str = "auto") -> View:
    (file,) = map_files([path], kind)
    ground = common_ground(file, file)
    loaded = load(file, ground)
    return loaded.view(loaded.valid, ground.pixel_size_m)


def values(found: list) -> dict[str, float | None]:
    return {score.metric: score.value for score in found if score.layer == "all" and score.input is None}


# --- classes --------------------------------------------------------------------------------------------------------


def test_border_pixels_of_a_class_raster_go_to_the_regions_beside_them(raster, tmp_path: Path) -> None:
    codes = np.array([[1, 1, 1, 3, 3, 2, 2, 0, 0, 3, 1]] * 6, np.uint8)
    view = view_of(raster(tmp_path / "map.tif", codes), "classes")
    # The border of two pixels is halved; the one of a single pixel goes to either side.
    assert view.classes[0, :9].tolist() == [FIELD] * 4 + [FOREST] * 3 + [OTHER] * 2
    assert view.classes[0, 9] in (OTHER, FIELD)
    assert view.classes[0, 10] == FIELD
    assert len(view.objects) == 3
    assert view.object_classes.tolist() == [FIELD, FOREST, FIELD]


def test_codes_of_others_may_be_said(raster, tmp_path: Path) -> None:
    """0 background, 1 field, 2 boundary, as masks of fields and boundaries have them, is the same map as ours."""
    ours = np.array([[0, 0, 1, 1, 3, 3, 1, 1, 0]] * 6, np.uint8)
    theirs = np.where(ours == 3, 2, ours).astype(np.uint8)
    one = view_of(raster(tmp_path / "ours.tif", ours), "classes")
    two = view_of(raster(tmp_path / "theirs.tif", theirs), "classes=other,field,border")
    np.testing.assert_array_equal(one.classes, two.classes)
    assert len(two.objects) == 2
    with pytest.raises(ScoreError, match="codes from 0 to 2; classes are 0 other, 1 field: say what"):
        view_of(tmp_path / "theirs.tif", "classes=other,field")


def test_fields_of_one_class_are_parted_by_their_border(raster, tmp_path: Path) -> None:
    codes = np.ones((40, 40), np.uint8)
    codes[19:21], codes[:, 19:21] = 3, 3
    labels = np.kron(np.array([[1, 2], [3, 4]], np.int16), np.ones((20, 20), np.int16))
    pair = raster(tmp_path / "c.tif", codes), raster(tmp_path / "r.tif", labels)
    found = values(hedgerow.score(*pair, kind="classes", reference_kind="auto"))
    for metric in ("object_f1", "boundary_f1", "boundary_iou", "erqa"):
        assert found[metric] == 1.0


def test_a_single_pixel_of_a_class_is_a_region(raster, tmp_path: Path) -> None:
    codes = np.ones((20, 20), np.uint8)
    codes[5, 5], codes[10, 10:12] = 2, 2
    view = view_of(raster(tmp_path / "map.tif", codes))
    assert sorted(view.objects.area_px.tolist()) == [1, 2, 400 - 3]


def test_a_class_raster_of_nothing_but_border_is_other(raster, tmp_path: Path) -> None:
    view = view_of(raster(tmp_path / "map.tif", np.full((8, 8), 3, np.uint8)))
    assert (view.classes == OTHER).all()


# --- labels and masks -----------------------------------------------------------------------------------------------


def test_background_of_labels_is_other_and_areas_apart_are_two_fields(raster, tmp_path: Path) -> None:
    labels = np.zeros((10, 10), np.int32)
    labels[1:3, 1:3], labels[6:9, 6:9], labels[1:3, 6:9] = 7, 7, -4
    view = view_of(raster(tmp_path / "map.tif", labels))
    assert len(view.objects) == 3
    np.testing.assert_array_equal(view.classes, np.where(labels != 0, FIELD, OTHER))


def test_labels_may_be_stored_as_floats_when_it_is_said(raster, tmp_path: Path) -> None:
    whole, floats = np.array([[1, 1, 70000, 70000]] * 4, np.int32), np.array([[1, 1, 70000, 70000]] * 4, np.float32)
    pair = raster(tmp_path / "f.tif", floats), raster(tmp_path / "i.tif", whole)
    assert values(hedgerow.score(*pair, kind="labels"))["object_f1"] == 1.0
    with pytest.raises(ScoreError, match=r"values from 1 to 70000; a probability lies in \[0, 1\]"):
        hedgerow.score(*pair)


@pytest.mark.parametrize("inside", [1, 200, 255])
def test_a_mask_is_black_and_white_whatever_its_other_value_is(raster, tmp_path: Path, inside: int) -> None:
    pixels = np.zeros((12, 12), np.uint8)
    pixels[3:9, 3:9] = inside
    view = view_of(raster(tmp_path / "map.tif", pixels), "mask")
    np.testing.assert_array_equal(view.p, np.where(pixels != 0, 255, 0))
    assert len(view.objects) == 1


def test_a_mask_of_fields_against_polygons_is_told_and_right_as_labels(
    raster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pixels = np.zeros((40, 40), np.uint8)
    pixels[8:20, 8:20], pixels[24:36, 8:20] = 255, 255
    mask = raster(tmp_path / "mask.tif", pixels)
    boxes = [shapely.box(500008, 5000000 - y - 12, 500020, 5000000 - y) for y in (8, 24)]
    geopandas.GeoDataFrame(geometry=boxes, crs="EPSG:32633").to_file(tmp_path / "truth.gpkg")
    with caplog.at_level(logging.WARNING, logger="hedgerow"):
        as_image = values(hedgerow.score(mask, tmp_path / "truth.gpkg"))
    assert "mask.tif is read as a mask" in caplog.text
    assert "truth.gpkg as polygons" in caplog.text
    assert as_image["object_f1"] == 1.0
    assert as_image["completeness"] < 0.5  # the middle lines of the areas are not their outlines
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="hedgerow"):
        as_labels = values(hedgerow.score(mask, tmp_path / "truth.gpkg", kind="labels"))
    assert caplog.text == ""
    assert as_labels["object_f1"] == as_labels["boundary_f1"] == 1.0
    assert as_labels["completeness"] > 0.95  # thinning cuts a corner here and there


# --- nodata ---------------------------------------------------------------------------------------------------------


def test_a_nodata_value_of_0_leaves_out_the_background_and_that_is_said(
    raster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    labels = np.zeros((40, 40), np.int16)
    labels[4:16, 4:16], labels[20:32, 4:16] = 1, 2
    found = raster(tmp_path / "found.tif", np.where(labels == 1, labels, 0), nodata=0)  # the second field is missed
    with caplog.at_level(logging.WARNING, logger="hedgerow"):
        flattered = values(hedgerow.score(found, raster(tmp_path / "r.tif", labels)))
    assert flattered["object_recall"] == 1.0
    assert "found.tif: 0 is its nodata value, so background is left out of the comparison" in caplog.text
    assert "rio edit-info --unset-nodata found.tif" in caplog.text
    with rasterio.open(found, "r+") as dataset:
        dataset.nodata = None
    caplog.clear()
    assert values(hedgerow.score(found, tmp_path / "r.tif"))["object_recall"] == 0.5
    assert "nodata" not in caplog.text


def test_nan_is_nodata_and_told_unless_it_is_declared(raster, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pixels = np.zeros((30, 30), np.float32)
    pixels[5:25, 5:15] = 0.75
    reference = raster(tmp_path / "r.tif", pixels)
    pixels[:, 20:] = np.nan
    found = {}
    for name, nodata in (("declared", np.nan), ("bare", None)):
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger="hedgerow"):
            found[name] = hedgerow.score(raster(tmp_path / f"{name}.tif", pixels, nodata=nodata), reference)
        assert ("300 pixels are NaN" in caplog.text) == (name == "bare")
    assert found["bare"] == found["declared"]
    n = {score.metric: score.n for score in found["bare"] if score.layer == "all"}
    whole = {score.metric: score.n for score in hedgerow.score(reference, reference) if score.layer == "all"}
    assert n["boundary_f1"] == whole["boundary_f1"]  # all of the boundary lies in the columns that are left


def test_a_nodata_value_beyond_the_range_is_no_probability(raster, tmp_path: Path) -> None:
    pixels = np.full((20, 20), 0.25, np.float32)
    pixels[5:15, 5:15], pixels[:2] = 0.75, -9999
    assert values(hedgerow.score(*[raster(tmp_path / "p.tif", pixels, nodata=-9999)] * 2))["boundary_f1"] == 1.0


# --- what a truth tells of ------------------------------------------------------------------------------------------


def test_forests_are_not_held_against_a_map_by_a_file_of_parcels(raster, tmp_path: Path) -> None:
    codes = np.zeros((40, 40), np.uint8)
    codes[4:16, 4:16], codes[24:36, 4:16] = 1, 2
    parcels = geopandas.GeoDataFrame(geometry=[shapely.box(500004, 4999984, 500016, 4999996)], crs="EPSG:32633")
    parcels.to_file(tmp_path / "parcels.gpkg")
    candidate = raster(tmp_path / "c.tif", codes)
    found = values(hedgerow.score(candidate, tmp_path / "parcels.gpkg"))
    assert found["object_precision"] == found["boundary_f1"] == 1.0
    parcels.assign(**{"class": "field"}).to_file(tmp_path / "told.gpkg")  # this one tells classes, and of no forest
    assert values(hedgerow.score(candidate, tmp_path / "told.gpkg"))["object_precision"] == 0.5


def test_lines_of_a_class_that_is_not_told_vanish_and_the_others_stay() -> None:
    labels = np.ones((12, 30), np.int32)
    labels[3:9, 3:9], labels[3:9, 20:26] = 2, 3
    regions = Regions(labels, np.array([OTHER, OTHER, FIELD, FOREST], np.uint8))
    line = np.zeros(labels.shape, bool)
    for label in (2, 3):
        rows, cols = np.nonzero(labels == label)
        line[rows.min(), cols.min() : cols.max() + 1] = line[rows.max(), cols.min() : cols.max() + 1] = True
    view = view_of_truth(regions, line, np.ones(labels.shape, bool), (1.0, 1.0))
    told = as_told(view, frozenset({FIELD}))
    assert len(told.objects) == 1
    np.testing.assert_array_equal(told.line, line & (np.arange(30) < 14))
    assert as_told(view, frozenset({FIELD, FOREST})) is view
    assert Pair(told, told).matches  # it is a view like any other


def test_a_map_without_the_untold_class_is_left_as_it_is() -> None:
    regions = Regions(np.ones((4, 4), np.int32), np.array([OTHER, FIELD, FOREST], np.uint8))  # forest, but nowhere
    view = view_of_truth(regions, np.eye(4, dtype=bool), np.ones((4, 4), bool), (1.0, 1.0))
    assert as_told(view, frozenset({FIELD})) is view

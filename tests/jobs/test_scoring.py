"""`hedgerow.score` on small maps of known answer: masks, labels, probabilities, vectors, nodata, grids."""

import json
import logging
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from affine import Affine

import hedgerow
from hedgerow.errors import ConfigError, ScoreError, SourceError
from hedgerow.records import Score
from hedgerow.stages.measure import better

TRANSFORM = Affine(1, 0, 500000, 0, -1, 5000000)


def polygons(path: Path, *boxes: tuple[float, float, float, float], crs: str = "EPSG:32633") -> Path:
    shapes = [shapely.box(500000 + x0, 5000000 - y1, 500000 + x1, 5000000 - y0) for x0, y0, x1, y1 in boxes]
    frame = geopandas.GeoDataFrame({"class": ["field"] * len(boxes)}, geometry=shapes, crs="EPSG:32633")
    frame.to_crs(crs).to_file(path)
    return path


def values(found: list[Score], layer: str = "all", name: str | None = None) -> dict[str, float | None]:
    return {score.metric: score.value for score in found if score.layer == layer and score.input == name}


def quarters() -> np.ndarray:
    """Four labels, 32 px each."""
    return np.kron(np.array([[1, 2], [3, 4]], np.int16), np.ones((32, 32), np.int16))


def mask() -> np.ndarray:
    pixels = np.zeros((64, 64), np.uint8)
    pixels[20:44, 16:48] = 255
    return pixels


@pytest.mark.parametrize(
    ("pixels", "name"),
    [
        (quarters(), "labels"),
        (mask(), "mask"),
        ((mask() / 255).astype(np.float32), "probability"),
        (mask() // 255, "0/1"),
    ],
)
def test_a_map_of_any_kind_is_perfect_against_itself(raster, tmp_path: Path, pixels: np.ndarray, name: str) -> None:
    path = raster(tmp_path / "map.tif", pixels)
    assert_perfect(hedgerow.score(path, path), name)


def test_polygons_are_perfect_against_themselves(tmp_path: Path) -> None:
    path = polygons(tmp_path / "map.gpkg", (0, 0, 40, 40), (40, 0, 80, 40), (10, 60, 50, 90))
    assert_perfect(hedgerow.score(path, path, gsd_m=0.7), "polygons")


def assert_perfect(found: list[Score], name: str) -> None:
    best = {"higher": 1.0, "one": 1.0, "lower": 0.0, "zero": 0.0}
    everywhere = [score for score in found if score.layer == "all" and better(score.metric) in best]
    for score in everywhere:
        if score.value is None:
            assert score.flag, (name, score.metric)
        else:
            assert score.value == best[better(score.metric)], (name, score.metric)
    applies = {score.metric for score in everywhere if score.value is not None}
    assert {"boundary_iou", "boundary_f1", "erqa", "completeness", "object_f1"} <= applies


def test_a_field_that_is_missing_costs_a_quarter_of_the_objects(raster, tmp_path: Path) -> None:
    reference, candidate = quarters(), quarters()
    candidate[:32, :32] = 0  # background: three objects of four, all three right
    found = values(hedgerow.score(raster(tmp_path / "c.tif", candidate), raster(tmp_path / "r.tif", reference)))
    assert found["object_precision"] == 1.0
    assert found["object_recall"] == 0.75
    assert found["object_f1"] == pytest.approx(2 * 0.75 / 1.75)
    assert found["boundary_f1"] == 1.0  # the missing field's border is there: its neighbours and the background make it


def test_a_mask_and_its_probability_are_one_map(raster, tmp_path: Path) -> None:
    byte, real = raster(tmp_path / "b.tif", mask()), raster(tmp_path / "f.tif", (mask() / 255).astype(np.float32))
    assert values(hedgerow.score(byte, real))["erqa"] == 1.0


def test_a_mask_of_0_and_1_is_rendered_and_that_is_said(
    raster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="hedgerow"):
        hedgerow.score(raster(tmp_path / "one.tif", mask() // 255), raster(tmp_path / "r.tif", mask()))
    assert "a 0/1 mask is rendered as 0/255" in caplog.text


def test_a_probability_beyond_one_is_refused(raster, tmp_path: Path) -> None:
    path = raster(tmp_path / "p.tif", np.full((8, 8), 1.5, np.float32))
    with pytest.raises(ScoreError, match=r"values from 1\.5 to 1\.5"):
        hedgerow.score(path, path)


def test_only_what_is_valid_in_both_maps_counts(raster, tmp_path: Path) -> None:
    reference, candidate = quarters(), quarters()
    candidate[:, 32:] = 9  # wrong in the right half, which the reference does not know
    reference[:, 34:] = -1
    found = hedgerow.score(raster(tmp_path / "c.tif", candidate), raster(tmp_path / "r.tif", reference, nodata=-1))
    assert values(found)["object_recall"] is not None
    boundary = next(s for s in found if s.metric == "boundary_f1" and s.layer == "all")
    assert 0 < boundary.n <= 2 * (34 + 64)  # nothing is counted in the 30 columns that are invalid


def test_maps_without_a_common_valid_pixel_are_refused(raster, tmp_path: Path) -> None:
    left, right = quarters(), quarters()
    left[:, 32:], right[:, :32] = -1, -1
    with pytest.raises(ScoreError, match="no valid pixel in common"):
        hedgerow.score(raster(tmp_path / "l.tif", left, nodata=-1), raster(tmp_path / "r.tif", right, nodata=-1))


@pytest.mark.parametrize("tile_px", [7, 32, 4096])
def test_tiles_do_not_matter(raster, tmp_path: Path, tile_px: int) -> None:
    rng = np.random.default_rng(3)
    one = raster(tmp_path / "c.tif", np.kron(rng.integers(1, 9, (8, 8)), np.ones((8, 8))).astype(np.int16))
    other = raster(tmp_path / "r.tif", np.kron(rng.integers(1, 9, (8, 8)), np.ones((8, 8))).astype(np.int16))
    expected = values(hedgerow.score(one, other))
    assert 0 < expected["boundary_f1"] < 1
    for metric, value in values(hedgerow.score(one, other, tile_px=tile_px)).items():
        assert value == (None if expected[metric] is None else pytest.approx(expected[metric], rel=1e-12)), metric


def test_vectors_are_scored_on_a_grid_of_their_own(tmp_path: Path) -> None:
    reference = polygons(tmp_path / "r.gpkg", (0, 0, 40, 40), (40, 0, 80, 40))
    same = polygons(tmp_path / "s.gpkg", (0, 0, 40, 40), (40, 0, 80, 40), crs="EPSG:4326")
    half = polygons(tmp_path / "h.gpkg", (0, 0, 40, 40))
    assert values(hedgerow.score(same, reference, gsd_m=1))["object_f1"] == 1.0
    assert values(hedgerow.score(half, reference, gsd_m=1))["object_recall"] == 0.5
    assert values(hedgerow.score(half, reference, gsd_m=1))["object_precision"] == 1.0


def test_a_raster_is_scored_by_vectors_in_another_crs(raster, tmp_path: Path) -> None:
    reference = polygons(
        tmp_path / "r.gpkg", (0, 0, 32, 32), (32, 0, 64, 32), (0, 32, 32, 64), (32, 32, 64, 64), crs="EPSG:3857"
    )
    found = values(hedgerow.score(raster(tmp_path / "c.tif", quarters()), reference))
    assert found["object_f1"] == 1.0
    assert found["boundary_f1"] == 1.0


def test_vectors_that_do_not_fit_are_refused(raster, tmp_path: Path) -> None:
    here, empty = polygons(tmp_path / "r.gpkg", (0, 0, 40, 40)), tmp_path / "e.gpkg"
    geopandas.GeoDataFrame({"class": []}, geometry=[], crs="EPSG:32633").to_file(empty, geometry_type="Polygon")
    with pytest.raises(ConfigError, match="--gsd METRES"):
        hedgerow.score(here, here)
    with pytest.raises(ConfigError, match="wider than 20000 px"):
        hedgerow.score(here, here, gsd_m=0.001)
    with pytest.raises(ScoreError, match="hold no polygon"):
        hedgerow.score(empty, empty, gsd_m=1)
    far = raster(tmp_path / "far.tif", quarters(), transform=Affine(1, 0, 800000, 0, -1, 5000000))
    with pytest.raises(SourceError, match="do not overlap"):
        hedgerow.score(far, here)


@pytest.mark.parametrize(
    ("other", "text"),
    [
        ({"transform": TRANSFORM @ Affine.translation(0.5, 0)}, "different grids"),
        ({"crs": "EPSG:32632"}, "different grids"),
        ({"crs": None}, "has no CRS"),
    ],
)
def test_other_grids_are_refused(raster, tmp_path: Path, other: dict, text: str) -> None:
    one, two = raster(tmp_path / "a.tif", quarters()), raster(tmp_path / "b.tif", quarters(), **other)
    with pytest.raises((ScoreError, SourceError), match=text):
        hedgerow.score(one, two)


def test_folders_need_a_stem_in_common(raster, tmp_path: Path) -> None:
    for folder, name in (("a", "x.tif"), ("b", "y.tif")):
        (tmp_path / folder).mkdir()
        raster(tmp_path / folder / name, quarters())
    with pytest.raises(ScoreError, match="no file of one stem in common"):
        hedgerow.score(tmp_path / "a", tmp_path / "b")


def test_a_pool_of_folders_adds_up_and_never_averages(raster, tmp_path: Path) -> None:
    small = np.kron(np.array([[1, 2]], np.int16), np.ones((16, 16), np.int16))
    for folder in ("ours", "theirs"):
        (tmp_path / folder).mkdir()
        raster(tmp_path / folder / "good.tif", quarters())
        raster(tmp_path / folder / "bad.tif", small if folder == "theirs" else np.zeros_like(small))
    found = hedgerow.score(tmp_path / "ours", tmp_path / "theirs")
    assert values(found, name="good")["object_recall"] == 1.0
    assert values(found, name="bad")["object_recall"] == 0.0
    assert values(found)["object_recall"] == pytest.approx(4 / 6)  # four of six fields, not the mean of 1 and 0


def test_scores_are_written_only_where_none_are(raster, tmp_path: Path) -> None:
    path = raster(tmp_path / "map.tif", quarters())
    found = hedgerow.score(path, path, out=tmp_path / "scores")
    assert json.loads((tmp_path / "scores/scores.json").read_text())["scores"][0]["metric"] == found[0].metric
    with pytest.raises(ConfigError, match="--overwrite"):
        hedgerow.score(path, path, out=tmp_path / "scores")
    hedgerow.score(path, path, out=tmp_path / "scores", overwrite=True)

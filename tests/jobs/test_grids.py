"""Two rasters meet on the window that both cover, without a pixel moved; on other grids only when asked."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.warp import transform_bounds
from rasterio.windows import from_bounds
from scipy.ndimage import gaussian_filter

import hedgerow
from hedgerow.geo.metres import pixel_size_m
from hedgerow.geo.windows import Window
from hedgerow.jobs.grids import common_ground, window_near
from hedgerow.jobs.mapfiles import RasterFile
from hedgerow.records import CLASSES

METRES = {"crs": "EPSG:32633", "transform": Affine(1, 0, 500000, 0, -1, 5000000)}
DEGREES = {"crs": "EPSG:4326", "transform": Affine(1.2e-5, 0, 15, 0, -0.9e-5, 50)}


@pytest.fixture(scope="module")
def raster(raster: Callable[..., Path]) -> Callable[..., Path]:
    """What has a band per class says so."""
    told = {"descriptions": CLASSES, "tags": {"HEDGEROW": "probability"}}
    return lambda path, pixels, **options: raster(path, pixels, **(told if pixels.ndim == 3 else {}), **options)


def worlds() -> Mapping[str, np.ndarray]:
    """A map of each kind, 96 px a side."""
    rng = np.random.default_rng(5)
    labels = np.kron(rng.integers(1, 30, (6, 6)), np.ones((16, 16))).astype(np.int16)
    classes = np.kron(rng.integers(0, 3, (6, 6)), np.ones((16, 16))).astype(np.uint8)
    classes[:, 31:34], classes[62:65] = 3, 3
    mask = np.zeros((96, 96), np.uint8)
    mask[20:44, 16:48], mask[60:80, 30:90] = 255, 255
    soft = gaussian_filter(mask / 255, 2)
    border = gaussian_filter(255.0 * (classes == 3), 1)
    rest = (255 - border) * np.stack([classes == 0, classes == 1, (classes == 2) | (classes == 3)])
    return {
        "labels": labels,
        "classes": classes,
        "mask": mask,
        "byte probability": np.rint(soft * 255).astype(np.uint8),
        "probability": soft.astype(np.float32),
        "probabilities": np.rint([*rest, border]).astype(np.uint8),
    }


def file_of(grid: GeoBox) -> RasterFile:
    return RasterFile(Path("map.tif"), "labels", grid, (1,), None)


@pytest.mark.parametrize("name", worlds())
@pytest.mark.parametrize("place", [METRES, DEGREES], ids=["metres", "degrees"])
def test_another_extent_scores_as_if_both_were_cropped_by_hand(raster, tmp_path: Path, name: str, place: dict) -> None:
    pixels, moved = worlds()[name], np.roll(worlds()[name], 2, axis=-1)

    def at(row: int, col: int) -> dict[str, Any]:
        return place | {"transform": place["transform"] @ Affine.translation(col, row)}

    # The candidate begins 9 columns and the reference 5 rows later; both end in between.
    candidate = raster(tmp_path / "c.tif", moved[..., :80, 9:], **at(0, 9))
    reference = raster(tmp_path / "r.tif", pixels[..., 5:, :70], **at(5, 0))
    by_hand = (raster(tmp_path / f"{k}.tif", p[..., 5:80, 9:70], **at(5, 9)) for k, p in enumerate((moved, pixels)))
    ours, expected = hedgerow.score(candidate, reference), hedgerow.score(*by_hand)
    assert ours == expected
    erqa = next(s.value for s in ours if s.metric == "erqa")
    assert 0 < erqa < 1  # the two maps are neither equal nor strangers


def test_what_is_read_of_a_large_raster_covers_the_target_and_little_more() -> None:
    grid = GeoBox((4000, 4000), Affine(1e-4, 0, 14.8, 0, -1e-4, 50.2), "EPSG:4326")
    target = GeoBox((300, 500), Affine(10, 0, 500000, 0, -10, 5550000), "EPSG:32633")
    found = window_near(grid, target)
    box = transform_bounds("EPSG:32633", "EPSG:4326", *target.boundingbox.bbox, densify_pts=101)
    expected = from_bounds(*box, grid.transform)
    assert found.contains(
        Window(
            int(np.floor(expected.row_off)), int(np.floor(expected.col_off)),
            int(np.ceil(expected.row_off + expected.height)), int(np.ceil(expected.col_off + expected.width)),
        )
    )  # fmt: skip
    assert found.shape[0] - expected.height < 20
    assert found.shape[1] - expected.width < 20
    far = GeoBox((300, 500), Affine(10, 0, 500000, 0, -10, 1000000), "EPSG:32633")
    assert 0 in window_near(grid, far).shape


def test_the_ground_is_the_reference_s_and_its_pixels_are_measured_there() -> None:
    grid = GeoBox((100, 100), Affine(1e-4, 0, 15, 0, -1e-4, 60), "EPSG:4326")
    ground = common_ground(file_of(grid[:50, :]), file_of(grid[10:, 20:]))
    assert ground.geobox == grid[10:50, 20:]
    assert ground.pixel_size_m == pixel_size_m(grid[10:50, 20:])
    height, width = ground.pixel_size_m
    assert width / height == pytest.approx(0.5, rel=0.01)  # cos 60 degrees


@pytest.mark.parametrize("name", worlds())
def test_a_map_of_half_the_pixel_size_is_the_same_map_when_resampled(raster, tmp_path: Path, name: str) -> None:
    pixels = worlds()[name]
    fine = np.repeat(np.repeat(pixels, 2, axis=-2), 2, axis=-1)
    half = METRES["transform"] @ Affine.scale(0.5)
    found = hedgerow.score(
        raster(tmp_path / "fine.tif", fine, transform=half), raster(tmp_path / "r.tif", pixels), resample=True
    )
    values = {score.metric: score.value for score in found if score.layer == "all"}
    # The mean, or the nearest, of four equal pixels is that pixel.
    assert {values[name] for name in ("erqa", "boundary_f1", "boundary_iou", "object_f1")} == {1.0}


@pytest.mark.parametrize("name", worlds())
def test_a_map_in_another_crs_is_nearly_the_same_map_when_resampled(raster, tmp_path: Path, name: str) -> None:
    from rasterio.enums import Resampling
    from rasterio.shutil import copy
    from rasterio.vrt import WarpedVRT

    reference = raster(tmp_path / "r.tif", worlds()[name])
    with (
        rasterio.open(reference) as dataset,
        # Three times as fine, so that the way there loses little.
        WarpedVRT(dataset, crs="EPSG:4326", resampling=Resampling.nearest, width=360, height=300) as warped,
    ):
        assert warped.crs.to_epsg() == 4326
        copy(warped, tmp_path / "c.tif", driver="GTiff")
    found = hedgerow.score(tmp_path / "c.tif", reference, resample=True, kind="auto")
    values = {score.metric: score.value for score in found if score.layer == "all"}
    assert values["boundary_f1"] == pytest.approx(1, abs=0.02)
    assert values["object_f1"] == pytest.approx(1, abs=0.08)


def test_resampling_leaves_a_pair_on_one_grid_alone(raster, tmp_path: Path) -> None:
    one, other = raster(tmp_path / "a.tif", worlds()["labels"]), raster(tmp_path / "b.tif", worlds()["labels"].T)
    assert hedgerow.score(one, other, resample=True) == hedgerow.score(one, other)


def test_beyond_a_resampled_candidate_nothing_counts(raster, tmp_path: Path) -> None:
    pixels = worlds()["labels"]
    reference = raster(tmp_path / "r.tif", pixels)
    left = raster(tmp_path / "c.tif", pixels[:, :48], transform=METRES["transform"] @ Affine.translation(0.25, 0))
    found = {s.metric: s.value for s in hedgerow.score(left, reference, resample=True) if s.layer == "all"}
    # Moved by a quarter of a pixel, the nearest pixel is the same; what the right half holds is not asked.
    assert found["object_f1"] == found["boundary_f1"] == found["erqa"] == 1.0

"""The probability raster: what is written by windows is read by windows, wherever and by whomever."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from rasterio.enums import MaskFlags

from hedgerow.errors import GeometryError, SourceError
from hedgerow.geo.windows import Window, grid, whole
from hedgerow.records import CLASSES
from hedgerow.writers._probability import ProbabilityFile, ProbabilityRaster


def geobox_of(shape: tuple[int, int]) -> GeoBox:
    return GeoBox(shape, Affine(10, 0, 500000, 0, -10, 6000000), "EPSG:32632")


def pixels_of(shape: tuple[int, int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (len(CLASSES), *shape), dtype=np.uint8), rng.random(shape) > 0.2


def write(path: Path, data: np.ndarray, valid: np.ndarray, size_px: int) -> None:
    with ProbabilityRaster(path, geobox_of(valid.shape)) as raster:
        for _, window in grid(valid.shape, size_px):
            raster.write(window, data[:, *window.slices], valid[window.slices])


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 700), st.integers(1, 90), st.integers(37, 800))
def test_any_tiling_gives_back_the_pixels_and_the_mask(
    tmp_path_factory: pytest.TempPathFactory, height: int, width: int, size_px: int
) -> None:
    path = tmp_path_factory.mktemp("raster") / "p.tif"
    data, valid = pixels_of((height, width))
    write(path, data, valid, size_px)
    file = ProbabilityFile(path)
    window = whole(file.shape)
    np.testing.assert_array_equal(file.read(window), np.where(valid, data, 0))
    np.testing.assert_array_equal(file.valid.read(window), valid)


def test_the_file_is_a_cog_with_class_names_an_internal_mask_and_no_nodata(tmp_path: Path) -> None:
    path = tmp_path / "p.tif"
    write(path, *pixels_of((600, 700)), 256)
    with rasterio.open(path) as dataset:
        assert dataset.descriptions == CLASSES
        assert dataset.tags()["HEDGEROW"] == "probability"
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.nodata is None
        assert dataset.mask_flag_enums == ([MaskFlags.per_dataset],) * 4
        assert dataset.dtypes == ("uint8",) * 4
        assert dataset.crs == "EPSG:32632"
        assert dataset.overviews(1) == [2]
    assert [file.name for file in tmp_path.iterdir()] == ["p.tif"]


def test_what_was_never_written_is_invalid(tmp_path: Path) -> None:
    path = tmp_path / "p.tif"
    with ProbabilityRaster(path, geobox_of((40, 60))) as raster:
        raster.write(Window(10, 10, 20, 30), pixels_of((10, 20))[0], np.ones((10, 20), bool))
    expected = np.zeros((40, 60), bool)
    expected[10:20, 10:30] = True
    np.testing.assert_array_equal(ProbabilityFile(path).valid.read(Window(0, 0, 40, 60)), expected)


def test_an_error_inside_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="boom"), ProbabilityRaster(tmp_path / "p.tif", geobox_of((40, 60))):
        raise RuntimeError("boom")
    assert not list(tmp_path.iterdir())


def test_a_window_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    data, valid = pixels_of((10, 20))
    with ProbabilityRaster(tmp_path / "p.tif", geobox_of((40, 60))) as raster:
        with pytest.raises(GeometryError, match="outside"):
            raster.write(Window(35, 0, 45, 20), data, valid)
        with pytest.raises(GeometryError, match="needs uint8"):
            raster.write(Window(0, 0, 10, 20), data.astype(np.float32), valid)


def test_the_reader_pickles_and_serves_threads(tmp_path: Path) -> None:
    path = tmp_path / "p.tif"
    data, valid = pixels_of((300, 200))
    write(path, data, valid, 128)
    file = pickle.loads(pickle.dumps(ProbabilityFile(path)))
    mask = pickle.loads(pickle.dumps(file.valid))
    windows = [window for _, window in grid((300, 200), 50)]
    with ThreadPoolExecutor(4) as pool:
        for window, pixels, inside in zip(
            windows, pool.map(file.read, windows), pool.map(mask.read, windows), strict=True
        ):
            np.testing.assert_array_equal(pixels, np.where(valid, data, 0)[:, *window.slices])
            np.testing.assert_array_equal(inside, valid[window.slices])
    assert file.geobox == geobox_of((300, 200))
    assert file.classes == CLASSES


def test_a_raster_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"missing\.tif"):
        _ = ProbabilityFile(tmp_path / "missing.tif").shape
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "height": 4, "width": 4}
    with rasterio.open(tmp_path / "one.tif", "w", crs="EPSG:32632", transform=Affine(1, 0, 0, 0, -1, 9), **profile):
        pass
    with pytest.raises(SourceError, match="border"):
        _ = ProbabilityFile(tmp_path / "one.tif").shape

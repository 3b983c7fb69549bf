"""What a file holds is told by its header, else by its values, and those of one side are judged together."""

import logging
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.enums import ColorInterp

from hedgerow.errors import ConfigError, SourceError
from hedgerow.jobs.mapfiles import RasterFile, map_files
from hedgerow.records import CLASSES

TRANSFORM = Affine(1, 0, 500000, 0, -1, 5000000)


def kind_of(path: Path, asked: str = "auto") -> str:
    return map_files([path], asked)[0].kind


@pytest.mark.parametrize(
    ("values", "dtype", "kind"),
    [
        ([0, 1], "uint8", "mask"),
        ([0, 255], "uint8", "mask"),
        ([0], "uint8", "mask"),
        ([0, 2], "uint8", "classes"),
        ([0, 1, 2, 3], "uint8", "classes"),
        ([0, 1, 4], "uint8", "probability"),
        ([0, 1, 255], "uint8", "probability"),
        ([-1, 1], "int8", "labels"),
        ([0, 1], "int8", "mask"),
        ([0, 1], "int16", "labels"),
        ([0, 1], "uint16", "labels"),
        ([0, 1], "int64", "labels"),
        ([0, 1], "float32", "probability"),
        ([0, 0.5], "float64", "probability"),
    ],
)
def test_the_type_and_the_values_tell_the_kind(
    raster, tmp_path: Path, values: list[float], dtype: str, kind: str
) -> None:
    pixels = np.resize(np.asarray(values, dtype), (600, 3))  # more rows than are looked at in one go
    assert kind_of(raster(tmp_path / "map.tif", pixels)) == kind


def test_nodata_is_no_value(raster, tmp_path: Path) -> None:
    pixels = np.array([[0, 1, 2, 255]], np.uint8)
    assert kind_of(raster(tmp_path / "bare.tif", pixels)) == "probability"
    assert kind_of(raster(tmp_path / "map.tif", pixels, nodata=255)) == "classes"
    assert kind_of(raster(tmp_path / "none.tif", np.full((2, 2), 9, np.uint8), nodata=9)) == "mask"


def test_bytes_of_one_side_are_judged_together(raster, tmp_path: Path) -> None:
    plain = raster(tmp_path / "a.tif", np.array([[0, 1]], np.uint8))
    wooded = raster(tmp_path / "b.tif", np.array([[0, 2]], np.uint8))
    wide = raster(tmp_path / "c.tif", np.array([[0, 2]], np.int32))
    assert [file.kind for file in map_files([plain, wooded, wide])] == ["classes", "classes", "labels"]


def test_classes_by_guess_are_told(raster, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = raster(tmp_path / "a.tif", np.array([[0, 2]], np.uint8))
    with caplog.at_level(logging.WARNING, logger="hedgerow"):
        kind_of(path, "classes")
        assert caplog.text == ""
        kind_of(path)
    assert "read as classes, 0 other, 1 field, 2 forest, 3 border" in caplog.text


def test_bytes_that_look_like_labels_are_told(raster, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    parcels = np.repeat(np.repeat(np.arange(1, 17, dtype=np.uint8).reshape(4, 4), 30, 0), 30, 1)
    noise = np.random.default_rng(0).integers(0, 256, (120, 120)).astype(np.uint8)
    with caplog.at_level(logging.WARNING, logger="hedgerow"):
        assert kind_of(raster(tmp_path / "smooth.tif", noise)) == "probability"
        assert caplog.text == ""
        assert kind_of(raster(tmp_path / "parcels.tif", parcels)) == "probability"
    assert "for labels say --as labels" in caplog.text


@pytest.mark.parametrize("value", [1, 7, 255])
def test_bytes_of_nothing_and_one_value_are_a_mask(raster, tmp_path: Path, value: int) -> None:
    assert kind_of(raster(tmp_path / "mask.tif", np.array([[0, value]], np.uint8))) == "mask"


def test_what_is_asked_is_believed_of_one_band_only(raster, tmp_path: Path) -> None:
    one = raster(tmp_path / "one.tif", np.array([[0, 1]], np.uint8))
    assert {kind_of(one, asked) for asked in ("probability", "mask", "classes", "labels")} == {
        "probability", "mask", "classes", "labels",
    }  # fmt: skip
    ours = raster(tmp_path / "ours.tif", np.zeros((4, 2, 2), np.uint8))
    with rasterio.open(ours, "r+") as dataset:
        dataset.descriptions = CLASSES  # the tag may be lost on the way, the names of the bands say as much
    assert kind_of(ours, "labels") == "probabilities"
    assert kind_of(tmp_path / "any.gpkg", "labels") == "polygons"


def test_an_alpha_band_is_a_mask_not_a_band(raster, tmp_path: Path) -> None:
    path = raster(tmp_path / "map.tif", np.array([[[0, 7]], [[255, 0]]], np.uint8))
    with rasterio.open(path, "r+") as dataset:
        dataset.colorinterp = [ColorInterp.gray, ColorInterp.alpha]
    (file,) = map_files([path])
    assert isinstance(file, RasterFile)
    assert file.bands == (1,)
    assert file.kind == "mask"  # the 7 is transparent


def test_a_palette_holds_codes_and_no_probabilities(raster, tmp_path: Path) -> None:
    path = raster(tmp_path / "map.tif", np.array([[0, 5, 9]], np.uint8))
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {5: (255, 0, 0), 9: (0, 255, 0)})
    assert kind_of(path) == "labels"
    with rasterio.open(path, "r+") as dataset:
        dataset.write(np.array([[[0, 1, 2]]], np.uint8))
    assert kind_of(path) == "classes"


def test_unknown_kinds_and_other_bands_are_refused(raster, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'labels'"):
        map_files([], "label")
    with pytest.raises(SourceError, match="has 2 bands"):
        map_files([raster(tmp_path / "two.tif", np.zeros((2, 2, 2), np.uint8))])
    odd = raster(tmp_path / "odd.tif", np.zeros((4, 2, 2), np.float32))
    with rasterio.open(odd, "r+") as dataset:
        dataset.descriptions = CLASSES
    with pytest.raises(SourceError, match=r"\(float32\) instead of other, field, forest, border \(uint8\)"):
        map_files([odd])

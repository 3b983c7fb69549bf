"""`hedgerow trace` and `hedgerow.trace`: which kind a raster is, which values are fields, and what is refused."""

from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio import features

import hedgerow
from hedgerow.errors import ConfigError, HedgerowError, SourceError
from hedgerow.jobs.tracing import trace_file
from hedgerow.records import BORDER, FIELD
from hedgerow.writers._probability import ProbabilityRaster

TRANSFORM = Affine(2, 0, 500000, 0, -2, 5000000)


def raster(path: Path, pixels: np.ndarray, tags: dict[str, str] | None = None, **options: object) -> Path:
    bands = pixels if pixels.ndim == 3 else pixels[None]
    with rasterio.open(
        path, "w", driver="GTiff", count=len(bands), height=bands.shape[1], width=bands.shape[2], dtype=bands.dtype,
        **({"crs": "EPSG:32633", "transform": TRANSFORM} | options),
    ) as dataset:  # fmt: skip
        dataset.write(bands)
        dataset.update_tags(**(tags or {}))
    return path


def halves() -> np.ndarray:
    return np.repeat(np.array([[5, 7]], np.int16), 10, axis=1).repeat(10, axis=0)


def test_an_array_is_traced_into_a_field_map() -> None:
    made = hedgerow.trace(halves(), GeoBox((10, 20), TRANSFORM, "EPSG:32633"))
    assert made.fields.area.tolist() == [400.0, 400.0]
    (border,) = made.borders.itertuples()
    assert border.geometry.length == 20.0
    assert {border.left_id, border.right_id} == set(made.fields.id)


def test_every_area_of_one_value_is_a_field_and_nodata_is_none(tmp_path: Path) -> None:
    labels = halves()
    labels[:, 4:6] = 0  # a value as any other
    labels[3, 12] = -1
    trace_file(raster(tmp_path / "l.tif", labels, nodata=-1), tmp_path / "map.gpkg")
    fields = geopandas.read_file(tmp_path / "map.gpkg", layer="fields")
    assert sorted(fields.area) == [4.0 * 10 * 2, 4.0 * 10 * 4, 4.0 * 10 * 4, 4.0 * (100 - 1)]


def test_burning_the_fields_gives_the_labels_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    labels = np.kron(rng.permutation(30).reshape(5, 6) + 1, np.ones((4, 4))).astype(np.int32)
    trace_file(raster(tmp_path / "l.tif", labels), tmp_path / "map.gpkg", tile_px=7)
    fields = geopandas.read_file(tmp_path / "map.gpkg", layer="fields")
    burned = features.rasterize(
        zip(fields.geometry, fields.id, strict=True), out_shape=labels.shape, transform=TRANSFORM, dtype="int32"
    )
    pairs = set(zip(burned.ravel().tolist(), labels.ravel().tolist(), strict=True))
    assert len(pairs) == len(set(labels.ravel().tolist())) == len(fields)


def test_the_tag_says_what_a_raster_is(tmp_path: Path) -> None:
    geobox = GeoBox((40, 60), TRANSFORM, "EPSG:32633")
    pixels = np.zeros((4, 40, 60), np.uint8)
    pixels[FIELD], pixels[FIELD, :, 29:31], pixels[BORDER, :, 29:31] = 240, 0, 240
    with ProbabilityRaster(tmp_path / "run/arm/probability.tif", geobox) as file:
        file.write(geobox_window(geobox), pixels, np.ones((40, 60), bool))
    trace_file(tmp_path / "run/arm/probability.tif", tmp_path / "map.gpkg")
    fields = geopandas.read_file(tmp_path / "map.gpkg", layer="fields")
    assert len(fields) == 2
    assert fields.area.sum() == 4.0 * 40 * 60  # the border's pixels were given to the fields
    (border,) = geopandas.read_file(tmp_path / "map.gpkg", layer="borders").itertuples()
    assert border.confidence == pytest.approx(240 / 255, abs=0.02)


def geobox_window(geobox: GeoBox):
    from hedgerow.geo.windows import whole

    return whole((geobox.shape[0], geobox.shape[1]))


@pytest.mark.parametrize("kind", ["labels", "classes", None])
def test_a_kind_may_be_said(tmp_path: Path, kind: str | None) -> None:
    path = raster(tmp_path / "l.tif", halves(), {"HEDGEROW": "classes"})
    trace_file(path, tmp_path / "map.gpkg", kind=kind)
    assert len(geopandas.read_file(tmp_path / "map.gpkg", layer="fields")) == 2


@pytest.mark.parametrize(
    ("pixels", "options", "error", "text"),
    [
        (halves().astype(np.float32), {}, SourceError, "labels are one band of integers"),
        (np.ones((3, 4, 4), np.uint8), {}, SourceError, r"3 band\(s\) of uint8"),
        (halves(), {"crs": None}, SourceError, "has no CRS"),
        (np.full((4, 4), 2**32 - 1, np.uint32), {}, SourceError, "number them anew"),
    ],
)
def test_a_raster_that_holds_no_labels_is_refused(
    tmp_path: Path, pixels: np.ndarray, options: dict, error: type[HedgerowError], text: str
) -> None:
    path = raster(tmp_path / "l.tif", pixels, **options)
    with pytest.raises(error, match=text):
        trace_file(path, tmp_path / "map.gpkg")
    assert not (tmp_path / "map.gpkg").exists()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"out": "map.dxf"}, "no writer for .dxf"),
        ({"out": "map"}, "no writer for a file without extension"),
        ({"kind": "labelz"}, "did you mean 'labels'"),
        ({"layer": "field"}, "did you mean 'fields'"),
        ({"kind": "probability"}, "bands are"),
        ({"raster": "missing.tif"}, "cannot be read as a raster"),
    ],
)
def test_a_trace_that_cannot_be_made_is_refused(tmp_path: Path, options: dict, text: str) -> None:
    labels = raster(tmp_path / "l.tif", halves())
    source = tmp_path / options.pop("raster") if "raster" in options else labels
    with pytest.raises((ConfigError, SourceError), match=text):
        trace_file(source, tmp_path / options.pop("out", "map.gpkg"), **options)


def test_a_file_is_replaced_only_when_asked(tmp_path: Path) -> None:
    labels = raster(tmp_path / "l.tif", halves())
    (tmp_path / "map.gpkg").write_text("mine")
    with pytest.raises(ConfigError, match="is there already"):
        trace_file(labels, tmp_path / "map.gpkg")
    trace_file(labels, tmp_path / "map.gpkg", overwrite=True)
    assert len(geopandas.read_file(tmp_path / "map.gpkg", layer="fields")) == 2

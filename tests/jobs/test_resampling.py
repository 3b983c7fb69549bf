"""Codes keep their values, means are taken over valid pixels only, and beyond the source nothing is valid."""

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from hedgerow.jobs.resampling import resampled

FINE = GeoBox((60, 80), Affine(1, 0, 500000, 0, -1, 5000000), "EPSG:32633")
HALF = GeoBox((30, 40), FINE.transform @ Affine.scale(2), "EPSG:32633")


def test_larger_pixels_are_area_averages() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 60, 80)).astype(np.uint8)
    found, valid = resampled(pixels, np.ones((60, 80), bool), FINE, HALF, smooth=True)
    expected = pixels.reshape(2, 30, 2, 40, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(found, expected, atol=0.5)  # rounded to bytes
    assert valid.all()


def test_an_area_average_leaves_out_what_is_invalid() -> None:
    pixels, valid = np.full((1, 60, 80), 100, np.uint8), np.ones((60, 80), bool)
    pixels[0, ::2, ::2], valid[::2, ::2] = 255, False  # one of four; three remain
    found, usable = resampled(pixels, valid, FINE, HALF, smooth=True)
    assert usable.all()
    assert (found == 100).all()
    valid[1::2, ::2] = False  # two of four: half is not most
    assert not resampled(pixels, valid, FINE, HALF, smooth=True)[1].any()


def test_smaller_pixels_lie_on_the_plane_through_larger_ones() -> None:
    rows, cols = np.mgrid[:30, :40]
    plane = (2 * rows + 3 * cols).astype(np.uint8)[None]
    found, _ = resampled(plane, np.ones((30, 40), bool), HALF, FINE, smooth=True)
    fine_rows, fine_cols = np.mgrid[:60, :80]
    expected = 2 * ((fine_rows + 0.5) / 2 - 0.5) + 3 * ((fine_cols + 0.5) / 2 - 0.5)
    inner = (slice(2, -2), slice(2, -2))
    np.testing.assert_allclose(found[0][inner], expected[inner], atol=0.5 + 1e-6)


def test_codes_are_those_of_the_pixel_below_the_centre() -> None:
    codes = np.random.default_rng(1).integers(-(2**30), 2**30, (1, 60, 80)).astype(np.int32)
    other = GeoBox((50, 50), Affine(1.7e-5, 0, 15.0001, 0, -1.1e-5, 45.1535), "EPSG:4326")
    found, valid = resampled(codes, np.ones((60, 80), bool), FINE, other, smooth=False)
    rows, cols = np.mgrid[:50, :50]
    a = other.transform
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:32633", always_xy=True).transform(
        a.a * (cols + 0.5) + a.c, a.e * (rows + 0.5) + a.f
    )
    col, row = np.floor(x - 500000).astype(int), np.floor(5000000 - y).astype(int)
    inside = (row >= 0) & (row < 60) & (col >= 0) & (col < 80)
    assert 0.2 < inside.mean() < 1
    np.testing.assert_array_equal(valid, inside)
    np.testing.assert_array_equal(found[0][inside], codes[0][row[inside], col[inside]])

"""Scaling: one line per band, measured once per input on a seeded sample, the same for every tile."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from hedgerow.errors import ConfigError, SourceError
from hedgerow.geo.windows import Window
from hedgerow.records import Patch
from hedgerow.scaling import Scaling, constant_scaling, sample_windows, scaling_of

RGB = ("red", "green", "blue")


@dataclass
class Memory:
    """A source of one band in memory that counts what is read."""

    data: NDArray[Any]
    valid: NDArray[np.bool_]
    name: str = "memory"
    bands: tuple[str, ...] = ("gray",)
    windows: list[Window] = field(default_factory=list)

    @property
    def geobox(self) -> GeoBox:
        return GeoBox(self.valid.shape, Affine.scale(1, -1), "EPSG:32632")

    def read(self, window: Window) -> Patch:
        self.windows.append(window)
        return Patch(self.data[:, *window.slices], self.valid[window.slices])


def memory(data: NDArray[Any], valid: NDArray[np.bool_] | None = None) -> Memory:
    data = data if data.ndim == 3 else data[None]
    return Memory(data, np.ones(data.shape[1:], bool) if valid is None else valid)


def test_low_becomes_0_high_becomes_1_and_the_rest_is_clipped() -> None:
    patch = Patch(np.array([[[10, 20, 30]], [[0, 5, 99]]], np.uint16), np.ones((1, 3), bool))
    scaled = Scaling((10.0, 0.0), (30.0, 10.0)).apply(patch)
    assert scaled.dtype == np.float32
    assert scaled.tolist() == [[[0, 0.5, 1]], [[0, 0.5, 1]]]


def test_invalid_pixels_take_the_mean_of_the_valid_ones() -> None:
    data = np.array([[[0.0, 1.0, 0.5, 77.0]]], np.float32)
    patch = Patch(data, np.array([[True, True, False, False]]))
    assert Scaling((0.0,), (1.0,)).apply(patch).tolist() == [[[0, 1, 0.5, 0.5]]]
    empty = Patch(data, np.zeros((1, 4), bool))
    assert Scaling((0.0,), (1.0,)).apply(empty).tolist() == [[[0, 0, 0, 0]]]


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_a_pixel_is_scaled_alike_in_every_window(h: int, w: int, data: st.DataObject) -> None:
    source = memory(np.random.default_rng(h).integers(0, 10_000, (h, w)).astype(np.uint16))
    scaling = scaling_of(source, seed=0)
    assert scaling is not None
    y, x = data.draw(st.integers(0, h - 1)), data.draw(st.integers(0, w - 1))
    whole = scaling.apply(source.read(Window(0, 0, h, w)))
    np.testing.assert_array_equal(scaling.apply(source.read(Window(y, x, h, w))), whole[:, y:, x:])


def test_a_small_raster_is_measured_whole_by_its_percentiles() -> None:
    # 0..1000: the 0.5th percentile of 1001 equally spaced values is 5, the 99.5th 995 (numpy's linear rule).
    values = np.random.default_rng(0).permutation(1001).reshape(7, 143)
    assert scaling_of(memory(values.astype(np.uint16)), seed=0) == Scaling((5.0,), (995.0,))


def test_invalid_pixels_do_not_count() -> None:
    values = np.arange(1001, dtype=np.float32).reshape(7, 143)
    dirty, valid = np.stack([values, np.full_like(values, -9999)], axis=1).reshape(14, 143), np.ones((14, 143), bool)
    valid[1::2] = False
    assert scaling_of(memory(dirty, valid), seed=0) == Scaling((5.0,), (995.0,))


def test_a_band_of_one_value_has_a_span_all_the_same() -> None:
    assert scaling_of(memory(np.full((5, 5), 7, np.uint8)), seed=0) == Scaling((7.0,), (8.0,))


def test_a_large_raster_is_sampled_by_seed() -> None:
    rows, cols = np.mgrid[:2000, :2000]
    source = memory((rows + cols).astype(np.uint16))
    first = scaling_of(source, seed=1)
    read = sum(w.shape[0] * w.shape[1] for w in source.windows)
    assert read == 24 * 256**2  # not the whole 4 megapixels
    assert scaling_of(source, seed=1) == first
    assert scaling_of(source, seed=2) != first
    assert first is not None
    # rows + cols runs from 0 to 3998; 24 windows see most of it.
    assert 0 <= first.low[0] < 800
    assert 3200 < first.high[0] <= 3998


def test_samples_lie_inside_and_cover_small_rasters() -> None:
    assert sample_windows(memory(np.zeros((300, 400))), 0) == [Window(0, 0, 300, 400)]
    frame = Window(0, 0, 100, 40_000)
    assert all(frame.contains(w) and w.shape == (100, 256) for w in sample_windows(memory(np.zeros((100, 40_000))), 0))


@pytest.mark.parametrize("side", [3, 300])
def test_a_scene_in_a_sea_of_nodata_is_found(side: int) -> None:
    # 24 windows of 256 px see 10 % of a raster of 4000 x 4000: one valid corner must not pass for "no valid pixel".
    data, valid = np.zeros((4000, 4000), np.uint8), np.zeros((4000, 4000), bool)
    data[-side:, -side:], valid[-side:, -side:] = np.arange(side) % 200, True
    scaling = scaling_of(memory(data, valid), seed=0)
    expected = np.percentile(np.arange(side) % 200, (0.5, 99.5))
    assert scaling is not None
    assert (scaling.low[0], scaling.high[0]) == pytest.approx(tuple(expected), abs=2)


def test_nothing_valid_has_no_scaling() -> None:
    assert scaling_of(memory(np.zeros((9, 9)), np.zeros((9, 9), bool)), seed=0) is None
    assert scaling_of(memory(np.zeros((2600, 2600), np.uint8), np.zeros((2600, 2600), bool)), seed=0) is None


@pytest.mark.parametrize(
    ("low", "high"), [((1.0,), (1.0,)), ((2.0,), (1.0,)), ((0.0,), (1.0, 2.0)), ((0.0,), (float("nan"),))]
)
def test_a_scaling_without_a_span_cannot_exist(low: Any, high: Any) -> None:
    with pytest.raises(SourceError, match="high > low"):
        Scaling(low, high)


def test_constants_are_taken_as_they_are() -> None:
    given_values = {"low": (0.0, 1.0, 2.0), "high": (3000.0, 3001.0, 3002.0)}
    assert constant_scaling(given_values, RGB) == Scaling((0.0, 1.0, 2.0), (3000.0, 3001.0, 3002.0))


@pytest.mark.parametrize(
    "constants",
    [
        {"low": (0.0,), "high": (1.0,)},
        {"low": (0.0,) * 3},
        {"low": (0.0,) * 3, "high": (1.0,) * 3, "gamma": (1.0,) * 3},
        {"low": (1.0,) * 3, "high": (0.0,) * 3},
    ],
)
def test_constants_that_do_not_fit_the_model_s_bands_are_refused(constants: Any) -> None:
    with pytest.raises(ConfigError, match="scaling") as caught:
        constant_scaling(constants, RGB)
    assert "\n" not in str(caught.value)

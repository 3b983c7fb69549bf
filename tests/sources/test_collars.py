"""Collars that nothing flags: found when joined to the frame, told with the share and the fix, never acted upon."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from hedgerow.geo.windows import Window
from hedgerow.records import Patch
from hedgerow.sources._collars import collar_warning


@dataclass
class Memory:
    data: NDArray[Any]
    valid: NDArray[np.bool_]
    name: str = "memory"
    bands: tuple[str, ...] = ("red", "green", "blue")
    most_px: int = 0

    @property
    def geobox(self) -> GeoBox:
        return GeoBox(self.valid.shape, Affine.scale(1, -1), "EPSG:32632")

    def read(self, window: Window) -> Patch:
        self.most_px = max(self.most_px, window.shape[0] * window.shape[1])
        return Patch(self.data[:, *window.slices], self.valid[window.slices])


def scene(side: int = 100, dtype: Any = np.uint8) -> Memory:
    """Noise without an extreme value."""
    data = np.random.default_rng(0).integers(1, 250, (3, side, side)).astype(dtype)
    return Memory(data, np.ones((side, side), bool))


@pytest.mark.parametrize(
    ("dtype", "value"), [(np.uint8, 0), (np.uint8, 255), (np.uint16, 0), (np.uint16, 65535), (np.float32, 0)]
)
def test_a_collar_is_told_with_its_share_and_the_fix(dtype: Any, value: int) -> None:
    image = scene(dtype=dtype)
    image.data[:, :, :25] = value  # a quarter
    text = collar_warning(image)
    assert text is not None
    assert "25.0% of the raster" in text
    assert f"--set nodata={value}" in text
    assert "\n" not in text


def test_a_slanted_collar_of_a_large_raster_is_measured_on_a_thinned_grid() -> None:
    image = scene(3000)
    rows, cols = np.mgrid[:3000, :3000]
    image.data[:, rows + cols < 1200] = 0  # 1200^2 / 2 of 3000^2 pixels: 8 %
    text = collar_warning(image)
    assert text is not None
    # A triangle thinned by 6 is off by less than half its legs: 0.05 %.
    assert 7.9 <= float(text.split("%")[0]) <= 8.1
    assert image.most_px <= 3000  # a row at a time


def test_black_inside_flagged_or_coloured_is_no_collar() -> None:
    lake = scene()
    lake.data[:, 20:60, 20:60] = 0  # does not reach the frame
    flagged = scene()
    flagged.data[:, :, :25] = 0
    flagged.valid[:, :25] = False  # nodata, alpha or mask say it already
    blue = scene()
    blue.data[:2, :, :25] = 0  # one band has values
    sliver = scene()
    sliver.data[:, 0] = 0  # 1 % is not more than 1 %
    assert [collar_warning(image) for image in (scene(), lake, flagged, blue, sliver)] == [None] * 5

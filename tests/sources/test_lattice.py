"""Where one raster lies on the grid of another: by whole pixels, or nowhere."""

from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from hedgerow.sources._lattice import offset_px


@given(st.integers(-200, 200), st.integers(-200, 200), st.integers(1, 300), st.integers(1, 300))
def test_a_grid_that_was_moved_by_whole_pixels_is_found_where_it_was_moved_to(
    row: int, col: int, height: int, width: int
) -> None:
    grid = GeoBox((50, 60), Affine(9.6, 2.8, 3e5, 2.8, -9.6, 5e6), "EPSG:32633")  # turned, as drone blocks are
    moved = GeoBox((height, width), grid.transform @ Affine.translation(col, row), "EPSG:32633")
    assert offset_px(moved, grid) == (row, col)
    assert offset_px(grid, moved) == (-row, -col)
    between = GeoBox((height, width), moved.transform @ Affine.translation(0.5, 0), "EPSG:32633")
    assert offset_px(between, grid) is None


def test_a_pixel_size_that_drifts_over_the_raster_is_another_grid() -> None:
    grid = GeoBox((100, 1000), Affine(1, 0, 0, 0, -1, 0), "EPSG:32633")
    drifting = GeoBox((100, 1000), Affine(1.0001, 0, 0, 0, -1, 0), "EPSG:32633")  # 0.1 px at the far end
    rounded = GeoBox((100, 1000), Affine(1 + 1e-9, 0, 0, 0, -1, 0), "EPSG:32633")
    assert offset_px(drifting, grid) is None
    assert offset_px(rounded, grid) == (0, 0)


def test_pixels_that_differ_beyond_all_numbers_do_not_fall_together() -> None:
    tiny, huge = (GeoBox((10, 10), Affine(size, 0, 0, 0, -size, 0), "EPSG:32633") for size in (1e-150, 1e200))
    assert offset_px(huge, tiny) is None

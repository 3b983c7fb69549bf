"""Tiles: cores partition the raster exactly, the halo only adds, and a tile's name never changes."""

from collections import Counter

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from hedgerow.errors import GeometryError
from hedgerow.geo.tiling import tile_geobox
from hedgerow.geo.windows import Window, grid, whole
from hedgerow.records import Tile

SIDES = st.integers(1, 90)


def raster(height: int, width: int) -> GeoBox:
    return GeoBox((height, width), Affine(10, 0, 500000, 0, -10, 6000000), "EPSG:32632")


@settings(deadline=None, max_examples=60)
@given(SIDES, SIDES, st.integers(1, 100), st.integers(0, 120))
def test_cores_partition_the_raster_and_padded_windows_contain_them(h: int, w: int, size: int, halo: int) -> None:
    covered = np.zeros((h, w), int)
    for tile in tile_geobox(raster(h, w), size, halo):
        covered[tile.core.slices] += 1
        assert tile.padded.contains(tile.core)
        assert whole((h, w)).contains(tile.padded)
        # The halo is whole unless the raster ends there.
        assert tile.padded.y0 == max(0, tile.core.y0 - halo)
        assert tile.padded.y1 == min(h, tile.core.y1 + halo)
        assert tile.padded.x0 == max(0, tile.core.x0 - halo)
        assert tile.padded.x1 == min(w, tile.core.x1 + halo)
    assert (covered == 1).all()


@settings(deadline=None, max_examples=30)
@given(SIDES, SIDES, st.integers(1, 100))
def test_ids_are_unique_and_sort_in_row_major_order(h: int, w: int, size: int) -> None:
    ids = [tile.id for tile in tile_geobox(raster(h, w), size, 0)]
    assert ids == sorted(set(ids))


def test_ids_say_row_and_column_and_do_not_depend_on_the_halo() -> None:
    # 100 x 70 pixels in cores of 32: 4 rows (32, 32, 32, 4) and 3 columns (32, 32, 6).
    ids = [tile.id for tile in tile_geobox(raster(100, 70), 32, 8)]
    assert ids[:4] == ["r0000c0000", "r0000c0001", "r0000c0002", "r0001c0000"]
    assert len(ids) == 12
    assert ids == [tile.id for tile in tile_geobox(raster(100, 70), 32, 0)]
    shapes = Counter(tile.core.shape for tile in tile_geobox(raster(100, 70), 32, 8))
    assert shapes == {(32, 32): 6, (32, 6): 3, (4, 32): 2, (4, 6): 1}


def test_a_tile_knows_its_place_on_earth() -> None:
    tile = tile_geobox(raster(100, 70), 32, 8)[4]  # row 1, column 1
    assert tile.geobox.shape == (32, 32)
    # Its corner is 32 pixels of 10 m to the right of and below the raster's.
    assert tile.geobox.transform @ (0, 0) == (500320, 5999680)


def test_a_raster_smaller_than_a_tile_is_one_tile() -> None:
    (tile,) = tile_geobox(raster(20, 30), 512, 64)
    assert tile.core == tile.padded == Window(0, 0, 20, 30)


@pytest.mark.parametrize(("size", "halo"), [(0, 0), (-1, 0), (16, -1)])
def test_impossible_tiles_are_refused(size: int, halo: int) -> None:
    with pytest.raises(GeometryError, match="impossible"):
        tile_geobox(raster(8, 8), size, halo)


def test_a_tile_whose_padding_misses_its_core_cannot_exist() -> None:
    with pytest.raises(GeometryError, match="does not contain core"):
        Tile((0, 0), core=Window(0, 0, 4, 4), padded=Window(1, 0, 4, 4), geobox=raster(4, 4))


@settings(deadline=None, max_examples=60)
@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(0, 60), st.integers(0, 60), SIDES, SIDES)
def test_a_clipped_window_is_what_numpy_would_keep(y: int, x: int, dy: int, dx: int, h: int, w: int) -> None:
    inside = np.zeros((h, w), bool)
    rows = [r for r in range(y, y + dy) if 0 <= r < h]
    cols = [c for c in range(x, x + dx) if 0 <= c < w]
    inside[np.ix_(rows, cols)] = True
    clipped = np.zeros((h, w), bool)
    clipped[Window(y, x, y + dy, x + dx).clipped((h, w)).slices] = True
    np.testing.assert_array_equal(clipped, inside)


def test_windows_count_from_one_another() -> None:
    outer = Window(10, 20, 50, 60)
    assert Window(12, 25, 30, 40).inside(outer) == Window(2, 5, 20, 20)
    assert outer.padded(5) == Window(5, 15, 55, 65)
    assert outer.shape == (40, 40)
    with pytest.raises(GeometryError, match="ends before it starts"):
        Window(5, 0, 4, 1)


def test_the_grid_is_anchored_at_the_origin() -> None:
    # Two rasters of other size share every cell that is whole in both.
    small, large = dict(grid((100, 100), 32)), dict(grid((200, 300), 32))
    assert all(large[index] == cell for index, cell in small.items() if cell.shape == (32, 32))

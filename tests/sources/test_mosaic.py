"""Many rasters as one: cut pieces give back the uncut raster, and a pixel's value depends on its place alone."""

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from rasterio.enums import Resampling
from rasterio.warp import reproject
from scipy.ndimage import gaussian_filter

from hedgerow.contracts import Composed, Source, may_hold
from hedgerow.errors import ConfigError, HedgerowError, SourceError
from hedgerow.geo.windows import Window, whole
from hedgerow.scaling import scaling_of
from hedgerow.sources import geotiff
from hedgerow.sources._collars import mosaic_collar_warning
from hedgerow.sources._placed import Resampled, placed
from hedgerow.sources.mosaic import Config, MosaicSource, build

PLACE = Affine(10, 0, 500000, 0, -10, 6000000)
FRACTIONS = Affine(0.35, 0, 524275.2, 0, -0.35, 6000000.7)
"""Pixels and corners that are no binary fractions, on both sides of 2^19: sums there and back differ by a bit."""
SHAPE = (61, 83)
UTM = "+proj=tmerc +lat_0=0 +lon_0=9 +k=0.9996 +datum=WGS84 +units=m +x_0="
"""UTM zone 32 but for its false easting: places in it are those of EPSG:32632, moved."""


def save(path: Path, data: NDArray[Any], transform: Affine = PLACE, crs: Any = "EPSG:32632", **profile: Any) -> Path:
    count, height, width = data.shape
    profile = {"photometric": "RGB"} | profile
    with rasterio.open(path, "w", "GTiff", width, height, count, crs, transform, data.dtype, **profile) as file:
        file.write(data)
    return path


def noise(height: int, width: int, dtype: Any = np.uint8, seed: int = 0) -> NDArray[Any]:
    return np.random.default_rng(seed).integers(1, 255, (3, height, width)).astype(dtype)


def smooth(height: int, width: int) -> NDArray[np.uint16]:
    """Values from 1 to 60001 that change slowly: interpolation errors are errors of place times a known slope."""
    rough = np.random.default_rng(5).standard_normal((3, height, width))
    soft = np.stack([gaussian_filter(band, 6) for band in rough])
    return (1 + 60_000 * (soft - soft.min()) / np.ptp(soft)).astype(np.uint16)


def cut(folder: Path, data: NDArray[Any], windows: Sequence[Window], transform: Affine = PLACE, **profile: Any) -> Path:
    """Write parts of a raster, 0.tif, 1.tif, ..."""
    for number, window in enumerate(windows):
        corner = transform @ Affine.translation(window.x0, window.y0)
        save(folder / f"{number}.tif", data[:, *window.slices], corner, **profile)
    return folder


def mosaic(folder: Path, *, reverse: bool = False, crs: str | None = None, **options: Any) -> MosaicSource:
    paths = sorted(folder.glob("*.tif"), reverse=reverse)
    return build(Config(members=[geotiff.Config(path=p, name=p.name, **options) for p in paths], crs=crs))


def everything(source: Source) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    patch = source.read(whole((source.geobox.shape[0], source.geobox.shape[1])))
    return patch.data, patch.valid


def refusal(folder: Path, kind: type[HedgerowError] = SourceError, **options: Any) -> str:
    with pytest.raises(kind) as caught:
        mosaic(folder, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


ADJOINING = [Window(0, 0, 40, 50), Window(0, 50, 40, 83), Window(40, 0, 61, 50), Window(40, 50, 61, 83)]
OVERLAPPING = [Window(0, 0, 45, 60), Window(0, 44, 45, 83), Window(33, 0, 61, 60), Window(33, 44, 61, 83)]


# --- one lattice ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "windows", [ADJOINING, OVERLAPPING, ADJOINING[::-1]], ids=["adjoining", "overlapping", "named from the end"]
)
@pytest.mark.parametrize(
    "transform",
    [
        PLACE,
        FRACTIONS,
        Affine(10, 0, 500000, 0, 10, 5000000),  # south-up
        PLACE @ Affine.rotation(30),
    ],
    ids=["10 m", "35 cm", "south-up", "rotated"],
)
def test_pieces_give_back_the_uncut_raster(tmp_path: Path, windows: list[Window], transform: Affine) -> None:
    data = noise(*SHAPE, dtype=np.uint16)
    made = mosaic(cut(tmp_path, data, windows, transform))
    assert made.geobox == GeoBox(SHAPE, transform, "EPSG:32632")  # to the last bit
    read, valid = everything(made)
    np.testing.assert_array_equal(read, data)
    assert valid.all()
    assert read.dtype == np.uint16
    assert set(made.methods) == {"as stored"}


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cut(tmp_path_factory.mktemp("pieces"), noise(*SHAPE), OVERLAPPING)


@pytest.fixture(scope="module")
def of_pieces(pieces: Path) -> MosaicSource:
    return mosaic(pieces)


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_any_window_of_the_pieces_is_that_of_the_uncut_raster(of_pieces: MosaicSource, data: st.DataObject) -> None:
    y0, x0 = data.draw(st.integers(0, SHAPE[0] - 1)), data.draw(st.integers(0, SHAPE[1] - 1))
    y1, x1 = data.draw(st.integers(y0 + 1, SHAPE[0])), data.draw(st.integers(x0 + 1, SHAPE[1]))
    patch = of_pieces.read(Window(y0, x0, y1, x1))
    np.testing.assert_array_equal(patch.data, noise(*SHAPE)[:, y0:y1, x0:x1])
    assert patch.valid.all()


def test_a_corner_that_no_piece_has_comes_from_its_neighbours(tmp_path: Path) -> None:
    data = noise(*SHAPE)
    made = mosaic(cut(tmp_path, data, ADJOINING[:0:-1], FRACTIONS))
    # From the first member, the one on the lower right, the corner would be another:
    assert mosaic(tmp_path).members[0].geobox.transform @ Affine.translation(-50, -40) != FRACTIONS
    assert made.geobox == GeoBox(SHAPE, FRACTIONS, "EPSG:32632")
    read, valid = everything(made)
    expected = np.ones(SHAPE, bool)
    expected[ADJOINING[0].slices] = False
    np.testing.assert_array_equal(valid, expected)
    np.testing.assert_array_equal(read, np.where(expected, data, 0))


def test_what_no_member_covers_is_known_without_reading(pieces: Path) -> None:
    made = mosaic(pieces)
    assert isinstance(made, Source)
    assert isinstance(made, Composed)
    assert sorted(made.extents) == sorted(OVERLAPPING)
    apart = build(Config(members=tuple(geotiff.Config(path=pieces / f"{k}.tif", name=str(k)) for k in (0, 3))))
    assert may_hold(apart, Window(44, 0, 61, 45))  # one pixel of the piece on the lower right
    assert not may_hold(apart, Window(45, 0, 61, 44))
    assert may_hold(apart.members[0], Window(0, 0, 1, 1))  # a plain raster may hold pixels everywhere


def test_a_member_is_asked_only_where_it_lies(pieces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, Window]] = []
    read = geotiff.RasterSource.read

    def noted(self: geotiff.RasterSource, window: Window) -> Any:
        asked.append((self.name, window))
        return read(self, window)

    monkeypatch.setattr(geotiff.RasterSource, "read", noted)
    mosaic(pieces).read(Window(34, 50, 40, 83))
    # Piece 0 ends at column 60; piece 1 has all the rest, so 2 and 3 need not be opened at all.
    assert asked == [("0.tif", Window(34, 50, 40, 60)), ("1.tif", Window(34, 6, 40, 39))]


def test_a_mosaic_pickles(pieces: Path) -> None:
    made = mosaic(pieces)
    again = pickle.loads(pickle.dumps(made))
    assert again == made
    np.testing.assert_array_equal(everything(again)[0], everything(made)[0])


# --- overlaps ---------------------------------------------------------------------------------------------------------


def test_the_first_valid_pixel_by_name_counts_in_any_order_of_the_files(tmp_path: Path) -> None:
    first, second = np.full((3, 4, 4), 10, np.uint8), np.full((3, 4, 4), 20, np.uint8)
    first[:, 1, 1] = 0
    save(tmp_path / "a.tif", first, nodata=0)
    save(tmp_path / "b.tif", second, PLACE @ Affine.translation(1, 1))
    expected = np.array([
        [10, 10, 10, 10, 0],
        [10, 20, 10, 10, 20],
        [10, 10, 10, 10, 20],
        [10, 10, 10, 10, 20],
        [0, 20, 20, 20, 20],
    ])  # fmt: skip
    for reverse in (False, True):
        read, valid = everything(mosaic(tmp_path, reverse=reverse))
        np.testing.assert_array_equal(read[0], expected)
        np.testing.assert_array_equal(valid, expected > 0)


def test_a_finer_raster_hides_a_coarser_one_and_a_stored_one_a_resampled_one(tmp_path: Path) -> None:
    save(tmp_path / "a_coarse.tif", np.full((3, 4, 4), 50, np.uint8), PLACE @ Affine.scale(2))
    save(tmp_path / "b_shifted.tif", np.full((3, 4, 8), 40, np.uint8), PLACE @ Affine.translation(0.5, 0))
    save(tmp_path / "c_fine.tif", np.full((3, 8, 4), 30, np.uint8))
    save(tmp_path / "d_fine.tif", np.full((3, 2, 4), 20, np.uint8), PLACE @ Affine.translation(0, 8))
    made = mosaic(tmp_path)
    assert [member.name for member in made.members] == ["c_fine.tif", "d_fine.tif", "b_shifted.tif", "a_coarse.tif"]
    assert made.methods == ("as stored", "as stored", "bilinear", "bilinear")
    read, valid = everything(made)
    assert read[0, 0].tolist() == [30] * 4 + [40] * 5  # the shifted raster ends half a pixel beyond column 8
    assert read[0, 5].tolist() == [30] * 4 + [50] * 4 + [0]
    assert read[0, 9].tolist() == [20] * 4 + [0] * 5
    np.testing.assert_array_equal(valid, read[0] > 0)


# --- resampled members ------------------------------------------------------------------------------------------------


def on_grid(path: Path, grid: GeoBox) -> tuple[Resampled, NDArray[Any], NDArray[np.bool_]]:
    """Read one raster on a grid, whole."""
    part = placed(geotiff.build(geotiff.Config(path=path)), grid)
    assert isinstance(part, Resampled)
    patch = part.read(part.window)
    return part, patch.data, patch.valid


def test_half_a_pixel_aside_values_are_the_means_of_two(tmp_path: Path) -> None:
    row = np.array([10, 20, 40, 80], np.uint8)
    path = save(tmp_path / "a.tif", np.broadcast_to(row, (3, 2, 4)), PLACE @ Affine.translation(0.5, 0))
    part, data, valid = on_grid(path, GeoBox((2, 5), PLACE, "EPSG:32632"))
    # Centres lie at 0, 1, 2, 3 and 4 pixels from the raster's left frame: on it, between two pixels, and on its right.
    assert part.window == Window(0, 0, 2, 5)
    assert data[0].tolist() == [[10, 15, 30, 60, 80]] * 2
    assert valid.all()


def test_twice_as_coarse_pixels_are_shared_out_by_their_distance(tmp_path: Path) -> None:
    path = save(
        tmp_path / "a.tif", np.full((3, 1, 2), 0, np.uint8) + np.array([40, 80], np.uint8), PLACE @ Affine.scale(2)
    )
    _, data, _ = on_grid(path, GeoBox((2, 4), PLACE, "EPSG:32632"))
    assert data[0].tolist() == [[40, 50, 70, 80]] * 2  # centres a quarter of a coarse pixel off its own


def test_more_than_two_pixels_along_one_are_averaged_first(tmp_path: Path) -> None:
    data = noise(8, 12, dtype=np.float32)
    path = save(tmp_path / "a.tif", data, PLACE @ Affine.scale(0.25))
    part, read, valid = on_grid(path, GeoBox((2, 3), PLACE, "EPSG:32632"))
    assert part.how == "mean of 4 x 4 px, bilinear"
    np.testing.assert_allclose(read, data.reshape(3, 2, 4, 3, 4).mean(axis=(2, 4)), rtol=1e-6)
    assert valid.all()


def test_a_pixel_is_valid_where_the_pixel_under_its_centre_is_and_takes_nothing_from_invalid_ones(
    tmp_path: Path,
) -> None:
    data = np.full((3, 6, 6), 100, np.uint8)
    data[:, 2, 3] = 0  # nodata, and a value that would darken its neighbours
    path = save(tmp_path / "a.tif", data, PLACE @ Affine.scale(2), nodata=0)
    _, read, valid = on_grid(path, GeoBox((12, 12), PLACE, "EPSG:32632"))
    expected = np.ones((12, 12), bool)
    expected[4:6, 6:8] = False
    np.testing.assert_array_equal(valid, expected)
    assert set(np.unique(read[:, valid])) == {100}
    assert not read[:, ~valid].any()


def exact_gdal(data: NDArray[Any], source: GeoBox, target: GeoBox) -> NDArray[np.float64]:
    """Warp by GDAL without its approximations; without XSCALE it widens the kernel where pixels shrink by a hair."""
    out = np.full((3, *target.shape), np.nan)
    reproject(
        data.astype(np.float64), out, src_transform=source.transform, src_crs=str(source.crs), src_nodata=np.nan,
        dst_transform=target.transform, dst_crs=str(target.crs), dst_nodata=np.nan, resampling=Resampling.bilinear,
        tolerance=0, XSCALE=1, YSCALE=1,
    )  # fmt: skip
    return out


ZONE_33 = GeoBox((150, 200), Affine(10, 0, 690000, 0, -10, 6000000), "EPSG:32633")
"""Around 18 degrees east, where zone 33 ends."""


def in_zone_34(folder: Path) -> tuple[Path, GeoBox, NDArray[Any]]:
    """Write a raster of zone 34 whose pixels lie askew, by 2.4 degrees, on those of ZONE_33."""
    x, y = Transformer.from_crs(32633, 32634, always_xy=True).transform(691000, 5999250)
    grid = GeoBox((120, 140), Affine(10, 0, round(x, -1) - 703, 0, -10, round(y, -1) + 598), "EPSG:32634")
    data = smooth(120, 140)
    return save(folder / "b.tif", data, grid.transform, "EPSG:32634"), grid, data


def test_another_zone_is_what_gdal_makes_of_it(tmp_path: Path) -> None:
    path, grid, data = in_zone_34(tmp_path)
    part, read, valid = on_grid(path, ZONE_33)
    expected = exact_gdal(data, grid, ZONE_33)[:, *part.window.slices]
    theirs = np.isfinite(expected[0])
    # Both place a pixel to some millimetres: at most a rim pixel is in one and not in the other, and ...
    assert (valid != theirs).sum() <= 3
    assert valid.sum() > 16_000
    steepest = np.abs(np.diff(data.astype(float), axis=2)).max()
    off = np.abs(read - expected)[:, valid & theirs]
    assert off.max() <= 0.5 + 2e-3 * steepest  # ... values differ by rounding and two thousandths of a pixel


@pytest.fixture(scope="module")
def skewed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Resampled, NDArray[Any], NDArray[np.bool_]]:
    """Floats of another zone on a grid three times as coarse, read whole."""
    folder = tmp_path_factory.mktemp("skewed")
    _, grid, data = in_zone_34(folder)
    path = save(folder / "c.tif", data / 7.0, grid.transform, "EPSG:32634")
    return on_grid(path, GeoBox((50, 67), ZONE_33.transform @ Affine.scale(3), "EPSG:32633"))


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_a_value_in_another_crs_does_not_depend_on_the_window(skewed: Any, data: st.DataObject) -> None:
    part, read, valid = skewed
    assert part.block == (3, 3)
    frame = part.window
    y0, x0 = data.draw(st.integers(frame.y0, frame.y1 - 1)), data.draw(st.integers(frame.x0, frame.x1 - 1))
    y1, x1 = data.draw(st.integers(y0 + 1, frame.y1)), data.draw(st.integers(x0 + 1, frame.x1))
    window = Window(y0, x0, y1, x1)
    patch = part.read(window)
    np.testing.assert_array_equal(patch.data, read[:, *window.inside(frame).slices])  # to the last bit
    np.testing.assert_array_equal(patch.valid, valid[window.inside(frame).slices])


def test_adjoining_pieces_of_another_zone_leave_no_gap(tmp_path: Path) -> None:
    path, grid, data = in_zone_34(tmp_path)
    whole_part, uncut, valid = on_grid(path, ZONE_33)
    path.unlink()
    windows = [Window(0, 0, 70, 60), Window(0, 60, 70, 140), Window(70, 0, 120, 60), Window(70, 60, 120, 140)]
    cut(tmp_path, data, windows, grid.transform, crs="EPSG:32634")
    save(tmp_path / "z.tif", np.full((3, 2, 2), 7, np.uint16), ZONE_33.transform, "EPSG:32633")
    made = mosaic(tmp_path, crs="EPSG:32633")
    back = Window(0, 0, *whole_part.window.shape)
    west, north = (~made.geobox.transform) @ (ZONE_33.transform @ (whole_part.window.x0, whole_part.window.y0))
    assert (west, north) == (round(west), round(north))  # on the lattice of z.tif, which is that of ZONE_33
    there = Window(int(north), int(west), int(north) + back.y1, int(west) + back.x1)
    patch = made.read(there)
    np.testing.assert_array_equal(patch.valid, valid)
    # Values differ beside the cuts only, by less than half a pixel's slope: there is no neighbour to interpolate with.
    steepest = np.abs(np.diff(data.astype(float), axis=2)).max()
    differ = np.abs(patch.data.astype(float) - uncut)[:, valid]
    assert differ.max() <= steepest
    assert (differ > 0).mean() < 0.05


# --- the grid ---------------------------------------------------------------------------------------------------------


def test_the_crs_is_that_of_most_members_and_on_a_tie_that_of_the_first(tmp_path: Path) -> None:
    save(tmp_path / "a.tif", noise(8, 8), crs=f"{UTM}700000", transform=Affine.translation(200000, 0) @ PLACE)
    save(tmp_path / "b.tif", noise(8, 8), PLACE @ Affine.translation(8, 0))
    assert mosaic(tmp_path).geobox.transform.c == 700000
    save(tmp_path / "c.tif", noise(8, 8), PLACE @ Affine.translation(16, 0))
    made = mosaic(tmp_path)
    assert made.geobox.crs.epsg == 32632
    assert made.geobox == GeoBox((8, 24), PLACE, "EPSG:32632")
    # The move between the two systems is by whole pixels, so what is interpolated is what is stored.
    read, valid = everything(made)
    np.testing.assert_array_equal(read, np.concatenate([noise(8, 8)] * 3, axis=2))
    assert valid.all()


def test_pixels_are_those_of_the_finest_member_and_of_the_lattice_that_most_share(tmp_path: Path) -> None:
    save(tmp_path / "a.tif", noise(4, 4), PLACE @ Affine.translation(0.5, 0))
    save(tmp_path / "b.tif", noise(4, 4), PLACE @ Affine.translation(4, 0))
    save(tmp_path / "c.tif", noise(4, 4), PLACE @ Affine.translation(8, 0))
    save(tmp_path / "d.tif", noise(4, 4), PLACE @ Affine.translation(0, 4) @ Affine.scale(2))
    made = mosaic(tmp_path)
    assert made.geobox == GeoBox((12, 12), PLACE, "EPSG:32632")
    read = dict(zip((member.name for member in made.members), made.methods, strict=True))
    assert read == {"a.tif": "bilinear", "b.tif": "as stored", "c.tif": "as stored", "d.tif": "bilinear"}


def test_a_crs_that_no_member_has_gets_square_pixels_at_whole_multiples(tmp_path: Path) -> None:
    save(tmp_path / "a.tif", noise(40, 60))
    made = mosaic(tmp_path, crs="EPSG:3857")
    a = made.geobox.transform
    # Mercator stretches by 1 / cos(latitude): 10 m at 54.15 degrees north are 17.07 there, of the ellipsoid 17.1.
    assert (a.a, a.e) == (17.1, -17.1)
    assert (a.c / 17.1, a.f / 17.1) == pytest.approx((round(a.c / 17.1), round(a.f / 17.1)), abs=1e-6)
    _, valid = everything(made)
    # 40 x 60 pixels of 100 m2, seen in pixels of 17.1 / 1.707 = 10.02 m; the rim may differ by half a pixel.
    assert valid.sum() == pytest.approx(40 * 60 * (10 / 10.02) ** 2, rel=0.03)


def test_one_raster_is_a_mosaic_too(tmp_path: Path) -> None:
    data = noise(6, 5)
    save(tmp_path / "a.tif", data)
    made = mosaic(tmp_path)
    assert made.geobox == GeoBox((6, 5), PLACE, "EPSG:32632")
    np.testing.assert_array_equal(everything(made)[0], data)


# --- what is refused --------------------------------------------------------------------------------------------------


def test_types_that_differ_are_refused_with_both(tmp_path: Path) -> None:
    save(tmp_path / "a.tif", noise(4, 4))
    save(tmp_path / "b.tif", noise(4, 4, np.uint16))
    text = refusal(tmp_path)
    assert text.startswith("b.tif: holds uint16, but a.tif holds uint8")
    assert "convert one of them" in text


def test_a_member_without_the_bands_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "a.tif", noise(4, 4))
    path = save(tmp_path / "b.tif", noise(4, 4)[:1], photometric="MINISBLACK")
    assert refusal(tmp_path).startswith(f"{path}: has 1 band(s)")


def test_members_more_than_four_times_coarser_are_refused_with_both_sizes(tmp_path: Path) -> None:
    save(tmp_path / "a.tif", noise(4, 4))
    path = save(tmp_path / "b.tif", noise(4, 4), PLACE @ Affine.scale(4))
    assert mosaic(tmp_path).geobox.shape == (16, 16)
    save(path, noise(4, 4), PLACE @ Affine.scale(4.2))
    text = refusal(tmp_path)
    assert "mosaic of 10 m per pixel (a.tif) and 42 m (b.tif): at most 4 times coarser" in text


def test_members_far_apart_are_refused_with_the_size_of_the_box(tmp_path: Path) -> None:
    save(tmp_path / "a.tif", noise(100, 100))
    path = save(tmp_path / "b.tif", noise(100, 100), PLACE @ Affine.translation(9000, 9000))
    assert mosaic(tmp_path).geobox.shape == (9100, 9100)  # 83 Mpx: hardly covered, but small enough
    save(path, noise(100, 100), PLACE @ Affine.translation(9950, 9950))
    text = refusal(tmp_path)
    assert "the box around them has 10050 x 10050 px, of which they cover 0.02%" in text
    assert "leave out --mosaic" in text


def test_a_crs_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "a.tif", noise(4, 4))
    assert "mosaic_crs EPSG:1: PROJ knows no such CRS" in refusal(tmp_path, ConfigError, crs="EPSG:1")


@pytest.mark.parametrize("crs", ["+proj=gnom +lat_0=-50 +lon_0=-171", "+proj=geos +h=35785831 +lon_0=180 +sweep=y"])
def test_a_member_that_has_no_place_in_the_crs_is_refused(tmp_path: Path, crs: str) -> None:
    save(tmp_path / "a.tif", noise(4, 4))  # at 9 degrees east: not on the half of the earth that these show
    text = refusal(tmp_path, crs=crs)
    assert text.startswith("a.tif: has no place in")
    assert "--mosaic-crs" in text


def test_a_mosaic_of_nothing_is_refused() -> None:
    with pytest.raises(SourceError, match="has no member"):
        build(Config(members=()))


# --- scaling and collars ----------------------------------------------------------------------------------------------


def test_pieces_are_scaled_like_the_uncut_raster(tmp_path: Path) -> None:
    data = smooth(1200, 1400)  # more than is measured whole
    (tmp_path / "pieces").mkdir()
    windows = [Window(0, 0, 700, 800), Window(0, 800, 700, 1400), Window(700, 0, 1200, 1400)]
    uncut = geotiff.build(geotiff.Config(path=save(tmp_path / "uncut.tif", data)))
    expected = scaling_of(uncut, seed=3)
    assert expected is not None
    assert scaling_of(mosaic(cut(tmp_path / "pieces", data, windows)), seed=3) == expected


def test_windows_that_measure_the_range_are_drawn_where_members_are(tmp_path: Path) -> None:
    data = noise(300, 300, np.uint16)
    save(tmp_path / "a.tif", data)
    save(tmp_path / "b.tif", data + 5000, PLACE @ Affine.translation(4000, 4000))
    scaling = scaling_of(mosaic(tmp_path), seed=0)
    assert scaling is not None
    # Values of a are 1..254, those of b 5001..5254: only a sample of both has both ends.
    assert scaling.low[0] < 255
    assert scaling.high[0] > 5000


def test_a_collar_of_a_member_is_told_with_its_name(tmp_path: Path) -> None:
    data = noise(50, 50)
    save(tmp_path / "a.tif", data)
    data[:, :, :10] = 0
    save(tmp_path / "b.tif", data, PLACE @ Affine.translation(40, 0))
    text = mosaic_collar_warning(mosaic(tmp_path))
    assert text is not None
    assert text.startswith("b.tif: 20.0% of the raster is exactly 0")
    assert "more" not in text
    save(tmp_path / "c.tif", data, PLACE @ Affine.translation(80, 0))
    text = mosaic_collar_warning(mosaic(tmp_path))
    assert text is not None
    assert text.startswith("b.tif: 20.0%")
    assert text.endswith("(1 more inputs have collars)")
    assert mosaic_collar_warning(mosaic(tmp_path, nodata=0)) is None

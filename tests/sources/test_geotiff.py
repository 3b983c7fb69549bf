"""Raster files: what rasterio reads, on one grid, in the network's band order, with all kinds of nodata in one mask."""

import pickle
import threading
import warnings
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
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window as RasterioWindow

from hedgerow.contracts import Source
from hedgerow.errors import SourceError
from hedgerow.geo.windows import Window, whole
from hedgerow.sources import geotiff
from hedgerow.sources.geotiff import Config, build

CRS = "EPSG:32632"
PLACE = Affine(10, 0, 500000, 0, -10, 6000000)
RGB = ("red", "green", "blue")


def save(
    path: Path,
    data: NDArray[Any],
    *,
    crs: Any = CRS,
    transform: Affine | None = PLACE,
    descriptions: Sequence[str | None] = (),
    colours: Sequence[ColorInterp] = (),
    mask: NDArray[Any] | None = None,
    **profile: Any,
) -> Path:
    """Write (bands, height, width) with rasterio."""
    profile = {"driver": "GTiff", "crs": crs, "transform": transform} | profile
    count, height, width = data.shape
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", count=count, height=height, width=width, dtype=data.dtype, **profile) as file,
    ):
        file.write(data)
        for index, text in enumerate(descriptions, start=1):
            file.set_band_description(index, text)
        if colours:
            file.colorinterp = colours
        if mask is not None:
            file.write_mask(mask)
    return path


def noise(*shape: int, dtype: Any = np.uint8, low: int = 1, high: int = 255) -> NDArray[Any]:
    """Pixels without an extreme value."""
    return np.random.default_rng(0).integers(low, high, shape).astype(dtype)


def picture(path: Path, data: NDArray[Any] | None = None, **options: Any) -> Path:
    """Write an RGB file that says so."""
    return save(path, noise(3, 12, 16) if data is None else data, photometric="RGB", **options)


def source(path: Any, **options: Any) -> geotiff.RasterSource:
    return build(Config(path=path, **options))


def everything(made: Source) -> tuple[NDArray[Any], NDArray[Any]]:
    patch = made.read(whole(made.geobox.shape))
    return patch.data, patch.valid


def refusal(path: Any, **options: Any) -> str:
    """Return the one line in which a file is refused; it names the file."""
    with pytest.raises(SourceError) as caught:
        source(path, **options)
    text = str(caught.value)
    assert "\n" not in text
    return text


# --- pixels ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = noise(4, 200, 300, dtype=np.uint16, high=10_000)
    options: dict[str, Any] = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"}
    names = ["blue", "green", "red", "nir"]
    return save(tmp_path_factory.mktemp("large") / "s2.tif", data, descriptions=names, **options)


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_windows_are_what_rasterio_reads(large: Path, data: st.DataObject) -> None:
    y0, x0 = data.draw(st.integers(0, 199)), data.draw(st.integers(0, 299))
    y1, x1 = data.draw(st.integers(y0 + 1, 200)), data.draw(st.integers(x0 + 1, 300))
    patch = source(large).read(Window(y0, x0, y1, x1))
    with rasterio.open(large) as file:
        np.testing.assert_array_equal(patch.data, file.read([3, 2, 1], window=RasterioWindow(x0, y0, x1 - x0, y1 - y0)))
    assert patch.valid.all()


def test_a_source_is_what_it_promises(large: Path) -> None:
    made = source(large)
    assert isinstance(made, Source)
    assert (made.name, made.bands, made.dtype) == ("s2", RGB, "uint16")
    assert source(large, name="sub/s2").name == "sub/s2"
    assert made.geobox.shape == (200, 300)
    assert made.geobox.transform == PLACE
    assert str(made.geobox.crs) == CRS  # not half a page of WKT
    assert made.paths == (large,)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
def test_stored_values_come_back_unscaled_in_their_type(tmp_path: Path, dtype: str) -> None:
    data = noise(3, 5, 7, dtype=dtype) if dtype != "int16" else noise(3, 5, 7, dtype=dtype, low=-900)
    read, valid = everything(source(save(tmp_path / "a.tif", data, descriptions=RGB)))
    np.testing.assert_array_equal(read, data)
    assert read.dtype == dtype
    assert valid.all()


def test_complex_numbers_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "slc.tif", noise(3, 4, 4, dtype=np.complex64), descriptions=RGB)
    text = refusal(path)
    assert text.startswith(str(path))
    assert "complex" in text


# --- which pixels are valid ------------------------------------------------------------------------------------------


def test_0_on_bytes_is_nodata_only_where_all_bands_have_it(tmp_path: Path) -> None:
    data = noise(3, 4, 4)
    data[:, 0, 0] = 0  # nothing there
    data[:2, 1, 1] = 0  # a pure blue pixel
    read, valid = everything(source(picture(tmp_path / "a.tif", data, nodata=0)))
    expected = np.ones((4, 4), bool)
    expected[0, 0] = False
    np.testing.assert_array_equal(valid, expected)
    np.testing.assert_array_equal(read, data)


@pytest.mark.parametrize("nodata", [-9999.0, 0.0, np.finfo(np.float32).min, float("nan")])
def test_a_value_that_no_measurement_has_is_nodata_wherever_any_band_has_it(tmp_path: Path, nodata: float) -> None:
    data = noise(3, 4, 4, dtype=np.float32)
    data[1, 2, 3] = nodata
    read, valid = everything(source(save(tmp_path / "a.tif", data, descriptions=RGB, nodata=nodata)))
    expected = np.ones((4, 4), bool)
    expected[2, 3] = False
    np.testing.assert_array_equal(valid, expected)
    assert read[:, 2, 3].tolist() == [0, 0, 0]  # what is invalid holds no NaN


def test_a_negative_value_on_integers_is_nodata_wherever_any_band_has_it(tmp_path: Path) -> None:
    data = noise(3, 4, 4, dtype=np.int16)
    data[0, 0, 0] = -9999
    _, valid = everything(source(save(tmp_path / "a.tif", data, descriptions=RGB, nodata=-9999)))
    assert np.argwhere(~valid).tolist() == [[0, 0]]


@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_invalid_whatever_the_file_says(tmp_path: Path, strange: float) -> None:
    data = noise(3, 4, 4, dtype=np.float32)
    data[2, 3, 1] = strange
    _, valid = everything(source(save(tmp_path / "a.tif", data, descriptions=RGB)))
    assert np.argwhere(~valid).tolist() == [[3, 1]]


def test_negative_reflectance_is_valid(tmp_path: Path) -> None:
    data = noise(3, 4, 4, dtype=np.float32)
    data[:, 1, 1] = -1597
    _, valid = everything(source(save(tmp_path / "a.tif", data, descriptions=RGB, nodata=-9999)))
    assert valid.all()


def test_the_config_s_nodata_overrides_the_file_s(tmp_path: Path) -> None:
    data = noise(3, 4, 4)
    data[:, 0, 0], data[:, 1, 1] = 0, 255
    path = picture(tmp_path / "a.tif", data, nodata=0)
    assert np.argwhere(~everything(source(path))[1]).tolist() == [[0, 0]]
    assert np.argwhere(~everything(source(path, nodata=255))[1]).tolist() == [[1, 1]]


def test_a_nodata_value_beyond_the_type_hides_nothing(tmp_path: Path) -> None:
    data = noise(3, 4, 4)
    assert everything(source(picture(tmp_path / "a.tif", data), nodata=-9999))[1].all()


@pytest.mark.parametrize(("dtype", "opaque"), [("uint8", 255), ("uint16", 65535)])
def test_alpha_is_a_mask_and_no_band(tmp_path: Path, dtype: str, opaque: int) -> None:
    data = noise(4, 4, 4, dtype=dtype)
    data[3] = opaque
    data[3, 0] = 0
    data[3, 1, 0] = opaque // 2 - 1  # rather collar than ground
    data[3, 1, 1] = opaque // 2 + 1
    made = source(save(tmp_path / "a.tif", data, photometric="RGB", alpha="yes"))
    read, valid = everything(made)
    assert read.shape == (3, 4, 4)
    assert np.argwhere(~valid).tolist() == [[0, 0], [0, 1], [0, 2], [0, 3], [1, 0]]


def test_nodata_alpha_and_internal_mask_are_combined(tmp_path: Path) -> None:
    data = noise(4, 4, 4)
    data[3] = 255
    data[:3, 0, 0] = 0  # nodata
    data[3, 1, 1] = 0  # transparent
    mask = np.full((4, 4), 255, np.uint8)
    mask[2, 2] = 0  # masked
    options: dict[str, Any] = {"photometric": "RGB", "alpha": "yes"}
    both = source(save(tmp_path / "nodata_alpha.tif", data, nodata=0, **options))
    assert np.argwhere(~everything(both)[1]).tolist() == [[0, 0], [1, 1]]
    every = source(save(tmp_path / "all.tif", data, nodata=0, mask=mask, **options))
    assert np.argwhere(~everything(every)[1]).tolist() == [[0, 0], [1, 1], [2, 2]]


def test_an_internal_mask_is_read_by_windows(tmp_path: Path) -> None:
    mask = np.full((12, 16), 255, np.uint8)
    mask[3:7, 5:9] = 0
    made = source(picture(tmp_path / "a.tif", mask=mask))
    np.testing.assert_array_equal(made.read(Window(2, 4, 8, 16)).valid, mask[2:8, 4:16] == 255)


def test_each_band_of_a_virtual_raster_has_its_own_nodata_and_type(tmp_path: Path) -> None:
    low, high = noise(3, 2, 2), noise(3, 2, 2, dtype=np.uint16, low=1000, high=9000)
    low[0, 0, 0], high[1, 1, 1] = 0, 0
    save(tmp_path / "low.tif", low)
    save(tmp_path / "high.tif", high)
    kinds = [("red", "low.tif", "Byte", 255), ("green", "high.tif", "Int32", -7), ("blue", "low.tif", "Byte", 0)]
    bands = "".join(
        f"<VRTRasterBand dataType='{kind}' band='{band}'><Description>{name}</Description>"
        f"<NoDataValue>{nodata}</NoDataValue><SimpleSource><SourceFilename relativeToVRT='1'>{file}</SourceFilename>"
        f"<SourceBand>{band}</SourceBand></SimpleSource></VRTRasterBand>"
        for band, (name, file, kind, nodata) in enumerate(kinds, start=1)
    )
    vrt = tmp_path / "scene.vrt"
    place = ", ".join(map(str, PLACE.to_gdal()))
    vrt.write_text(
        f"<VRTDataset rasterXSize='2' rasterYSize='2'><SRS>{CRS}</SRS><GeoTransform>{place}</GeoTransform>{bands}"
        "</VRTDataset>"
    )
    made = source(vrt)
    assert made.nodata == (255, -7, 0)
    read, _ = everything(made)
    assert read.dtype == np.int32
    np.testing.assert_array_equal(read, np.stack([low[0], high[1], low[2]]))


# --- which band is which ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("descriptions", "colours", "stored", "expected"),
    [
        (RGB, (), None, (1, 2, 3)),
        (("B02", "B03", "B04"), (), None, (3, 2, 1)),
        (("B8A", "B4", "B3", "B2"), (), None, (2, 3, 4)),
        (("Near Infrared", "Red band", "Green band", "Blue band"), (), None, (2, 3, 4)),
        (("Red Edge 1", "b_red", "b_green", "b_blue"), (), None, (2, 3, 4)),
        (("near infra red", "Red", "Green", "Blue"), (), None, (2, 3, 4)),
        ((), ("blue", "green", "red"), None, (3, 2, 1)),
        ((), ("gray", "red", "green", "blue"), None, (2, 3, 4)),
        # False colour: the file's colours are how it is shown, its descriptions what it holds.
        (("nir", "red", "green", "blue"), ("red", "green", "blue", "undefined"), None, (2, 3, 4)),
        ((None, "red", "green", "blue"), ("red", "green", "blue", "undefined"), None, (2, 3, 4)),
        (("B02", "B03", "B04"), ("red", "green", "blue"), ("red", "green", "blue"), (1, 2, 3)),
        ((), (), ("-", "blue", "green", "red"), (4, 3, 2)),
    ],
)
def test_roles_come_from_config_then_descriptions_then_colours(
    tmp_path: Path, descriptions: Any, colours: Any, stored: Any, expected: tuple[int, ...]
) -> None:
    count = max(len(descriptions), len(colours), len(stored or ()))
    interpretations = [ColorInterp[name] for name in colours]
    path = save(tmp_path / "a.tif", noise(count, 3, 3), descriptions=descriptions, colours=interpretations)
    assert tuple(index for _, index in source(path, stored_bands=stored).places) == expected


def test_other_bands_can_be_asked_for(large: Path) -> None:
    made = source(large, bands=("nir", "red"))
    assert made.bands == ("nir", "red")
    with rasterio.open(large) as file:
        np.testing.assert_array_equal(everything(made)[0], file.read([4, 3]))


@pytest.mark.parametrize("count", [1, 3, 5])
def test_bands_without_a_name_are_not_guessed(tmp_path: Path, count: int) -> None:
    path = save(tmp_path / "a.tif", noise(count, 3, 3), photometric="MINISBLACK")
    text = refusal(path)
    assert text.startswith(str(path))
    assert f"{count} band(s)" in text
    assert "the model needs red, green, blue" in text
    assert ("--bands red=PATTERN,green=PATTERN,blue=PATTERN" if count == 1 else "name all bands as stored") in text


def test_too_few_bands_for_the_names_given_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", noise(1, 3, 3))
    assert "has 1 band(s), but 3 are named" in refusal(path, stored_bands=RGB)
    assert "has 1 band(s) [1=red]" in refusal(path, stored_bands=("red",))


# --- single-band files of one scene ----------------------------------------------------------------------------------


def stack(folder: Path, **changes: Any) -> dict[str, Path]:
    """Write one file per role; `changes` go into the last one."""
    data = noise(3, 6, 5, dtype=np.uint16)
    return {
        role: save(folder / f"{role}.tif", data[i : i + 1], **(changes if role == "blue" else {}))
        for i, role in enumerate(RGB)
    }


def test_single_band_files_become_one_image_in_the_model_s_order(tmp_path: Path) -> None:
    files = stack(tmp_path)
    backwards = dict(reversed(files.items()))
    read, valid = everything(source(backwards, name="scene"))
    np.testing.assert_array_equal(read, noise(3, 6, 5, dtype=np.uint16))
    assert valid.all()
    assert source(backwards).paths == tuple(files.values())


def test_each_file_of_a_stack_brings_its_own_nodata(tmp_path: Path) -> None:
    files = stack(tmp_path)
    data = noise(1, 6, 5, dtype=np.float32)
    data[0, 2, 2] = -1
    files["blue"] = save(tmp_path / "other.tif", data, nodata=-1)
    data[0, 3, 3], data[0, 2, 2] = -1, 5
    files["red"] = save(tmp_path / "red2.tif", data)
    made = source(files)
    assert made.dtype == "float32"
    # -1 is nodata in blue alone.
    assert np.argwhere(~everything(made)[1]).tolist() == [[2, 2]]


@pytest.mark.parametrize(
    "change",
    [
        {"transform": PLACE @ Affine.translation(0.5, 0)},
        {"transform": PLACE @ Affine.scale(2)},
        {"crs": "EPSG:32633"},
    ],
)
def test_grids_that_differ_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    text = refusal(stack(tmp_path, **change))
    assert text.startswith(str(tmp_path / "blue.tif"))
    assert "its grid differs from that of red.tif" in text
    assert "bring the bands to one grid" in text


def test_sizes_that_differ_are_refused_with_both(tmp_path: Path) -> None:
    files = stack(tmp_path)
    save(files["blue"], noise(1, 12, 10, dtype=np.uint16))
    assert "(12, 10) against (6, 5)" in refusal(files)


def test_a_hundredth_of_a_pixel_is_no_other_grid(tmp_path: Path) -> None:
    assert source(stack(tmp_path, transform=PLACE @ Affine.translation(0.005, 0))).geobox.transform == PLACE


def test_a_role_without_a_file_or_with_a_picture_is_refused(tmp_path: Path) -> None:
    files = stack(tmp_path)
    assert "no file for band blue: name one with --bands blue=" in refusal({k: files[k] for k in ("red", "green")})
    files["green"] = picture(tmp_path / "rgb.tif")
    assert "rgb.tif: has 3 bands, but stands for `green` alone" in refusal(files)


# --- what is refused -------------------------------------------------------------------------------------------------


def test_a_palette_is_no_imagery(tmp_path: Path) -> None:
    with rasterio.open(
        tmp_path / "classes.tif", "w", driver="GTiff", count=1, height=2, width=2, dtype="uint8", crs=CRS,
        transform=PLACE, photometric="palette",
    ) as file:  # fmt: skip
        file.write(noise(1, 2, 2))
        file.write_colormap(1, {1: (255, 0, 0, 255)})
    text = refusal(tmp_path / "classes.tif", stored_bands=("red",), bands=("red",))
    assert "classes.tif: band 1 is a palette of classes, not imagery: give the image" in text


@pytest.mark.parametrize(
    ("options", "what", "fix"),
    [
        ({"crs": None}, "has no CRS", "rio edit-info --crs EPSG:XXXX a.tif"),
        ({"crs": None, "transform": None}, "has no CRS", "and a transform, if it has none"),
        ({"transform": None}, "has a CRS but no geotransform", "rio edit-info --transform"),
        (
            {"crs": None, "transform": None, "gcps": ((0, 0), (0, 9), (9, 0))},
            "has 3 ground control points but no grid",
            "rio warp a.tif out.tif --dst-crs EPSG:XXXX",
        ),
    ],
)  # fmt: skip
def test_a_picture_without_a_place_is_refused_with_the_fix(
    tmp_path: Path, options: dict[str, Any], what: str, fix: str
) -> None:
    points = [GroundControlPoint(row, col, col, row) for row, col in options.get("gcps", ())]
    with warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning):  # rasterio warns us as it writes
        path = picture(tmp_path / "a.tif", **{key: value for key, value in options.items() if key != "gcps"})
        if points:
            with rasterio.open(path, "r+") as file:
                file.gcps = points, rasterio.CRS.from_epsg(4326)
    text = refusal(path)
    assert text.startswith(str(path))
    assert what in text
    assert fix in text


@pytest.mark.parametrize("content", [b"", b"this is no raster", b"II*\x00\x08\x00\x00\x00"])
def test_a_file_that_is_no_raster_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.tif"
    path.write_bytes(content)
    text = refusal(path)
    assert text.startswith(f"{path}: cannot be opened as a raster")
    assert "Replace the file or leave it out" in text


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "cannot be opened" in refusal(tmp_path / "none.tif")


def test_a_file_cut_off_in_its_pixels_is_told_when_it_is_read(tmp_path: Path) -> None:
    path = picture(tmp_path / "cut.tif", noise(3, 64, 64))
    path.write_bytes(path.read_bytes()[:4000])
    made = source(path)  # the header is whole
    with pytest.raises(SourceError, match=r"cut\.tif: cannot read .*Is the file whole\?"):
        everything(made)


def test_a_file_that_goes_away_is_told_when_it_is_read(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.tif")
    made = source(path)
    path.unlink()
    with pytest.raises(SourceError, match="cannot read"):
        everything(made)


# --- other formats and grids -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("driver", "name"), [("PNG", "a.png"), ("ENVI", "a.img"), ("HFA", "b.img"), ("COG", "c.tif")])
def test_formats_whose_place_lies_in_a_sidecar_are_read(tmp_path: Path, driver: str, name: str) -> None:
    data = noise(3, 12, 16)
    stored = None if driver == "PNG" else RGB
    path = save(tmp_path / name, data, driver=driver)
    made = source(path, stored_bands=stored)
    assert made.geobox.transform == PLACE
    assert made.geobox.crs.epsg == 32632
    np.testing.assert_array_equal(everything(made)[0], data)


def test_a_world_file_places_a_picture(tmp_path: Path) -> None:
    with warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning):
        path = picture(tmp_path / "a.tif", transform=None)
    # World file: x size, rotations, y size, centre of the upper left pixel.
    (tmp_path / "a.tfw").write_text("10\n0\n0\n-10\n500005\n5999995\n")
    assert source(path).geobox.transform == PLACE


@pytest.mark.parametrize(
    "transform",
    [
        Affine(10, 0, 500000, 0, 10, 6000000),  # south-up
        PLACE @ Affine.rotation(30),
        PLACE @ Affine.shear(20, 0),
    ],
)
def test_south_up_rotated_and_sheared_grids_are_kept_as_they_are(tmp_path: Path, transform: Affine) -> None:
    data = noise(3, 12, 16)
    made = source(picture(tmp_path / "a.tif", data, transform=transform))
    np.testing.assert_array_equal(everything(made)[0], data)
    assert made.geobox.transform.almost_equals(transform)


# --- handles ---------------------------------------------------------------------------------------------------------


def test_a_source_holds_no_handle_and_pickles(large: Path) -> None:
    made = source(large)
    before = everything(made)[0]
    again = pickle.loads(pickle.dumps(made))
    assert again == made
    np.testing.assert_array_equal(everything(again)[0], before)


def test_every_thread_has_a_handle_of_its_own(large: Path) -> None:
    made, handles, wrong = source(large), {}, []
    with rasterio.open(large) as file:
        expected = file.read([3, 2, 1])
    start = threading.Barrier(4)

    def work(number: int) -> None:
        start.wait(timeout=20)
        rng = np.random.default_rng(number)
        for y, x in rng.integers(0, 136, (40, 2)):
            window = Window(int(y), int(x), int(y) + 64, int(x) + 64)
            if not np.array_equal(made.read(window).data, expected[:, *window.slices]):
                wrong.append(window)
        first, second = geotiff._open_in_thread(large), geotiff._open_in_thread(large)
        assert first is second
        handles[number] = first

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert not wrong
    assert len({id(handle) for handle in handles.values()}) == 4


def test_a_thread_keeps_a_bounded_number_of_files_open(tmp_path: Path) -> None:
    paths = [picture(tmp_path / f"{number}.tif", noise(3, 2, 2)) for number in range(20)]
    first = geotiff._open_in_thread(paths[0])
    for path in paths:
        everything(source(path))
    assert first.closed
    np.testing.assert_array_equal(everything(source(paths[0]))[0], noise(3, 2, 2))


def test_a_file_written_anew_is_read_anew(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.tif", noise(3, 4, 4))
    everything(source(path))
    path.unlink()
    picture(path, np.full((3, 4, 4), 7, np.uint8))
    assert (everything(source(path))[0] == 7).all()

"""`hedgerow trace` and `hedgerow.trace`: which kind a raster is, which values are fields, and what is refused."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
from affine import Affine
from geopandas.testing import assert_geodataframe_equal
from odc.geo.geobox import GeoBox
from rasterio import features
from rasterio.control import GroundControlPoint
from shapely.geometry import shape

import hedgerow
from hedgerow.edges import components
from hedgerow.errors import ConfigError, GeometryError, HedgerowError, SourceError
from hedgerow.geo.windows import Window
from hedgerow.jobs.seams import check_seams
from hedgerow.jobs.tracing import Rules, trace_file
from hedgerow.records import BORDER, FIELD
from hedgerow.sources import _traceable
from hedgerow.writers._layers import COLUMNS
from hedgerow.writers._maps import read_layers
from hedgerow.writers._probability import ProbabilityRaster

TRANSFORM = Affine(2, 0, 500000, 0, -2, 5000000)
POINTS = [GroundControlPoint(0, 0, 11, 48), GroundControlPoint(0, 20, 12, 48)]


@pytest.fixture(scope="module")
def raster(raster: Callable[..., Path]) -> Callable[..., Path]:
    """Pixels of 2 m."""
    return partial(raster, transform=TRANSFORM)


def halves() -> np.ndarray:
    return np.repeat(np.array([[5, 7]], np.int16), 10, axis=1).repeat(10, axis=0)


def test_an_array_is_traced_into_a_field_map() -> None:
    made = hedgerow.trace(halves(), GeoBox((10, 20), TRANSFORM, "EPSG:32633"))
    assert made.fields.area.tolist() == [400.0, 400.0]
    (border,) = made.borders.itertuples()
    assert border.geometry.length == 20.0
    assert {border.left_id, border.right_id} == set(made.fields.id)


def test_every_area_of_one_value_is_a_field_and_nodata_is_none(raster, tmp_path: Path) -> None:
    labels = halves()
    labels[:, 4:6] = 0  # a value as any other
    labels[3, 12] = -1
    trace_file(raster(tmp_path / "l.tif", labels, nodata=-1), tmp_path / "map.gpkg")
    fields = geopandas.read_file(tmp_path / "map.gpkg", layer="fields")
    assert sorted(fields.area) == [4.0 * 10 * 2, 4.0 * 10 * 4, 4.0 * 10 * 4, 4.0 * (100 - 1)]


def test_burning_the_fields_gives_the_labels_back(raster, tmp_path: Path) -> None:
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
def test_a_kind_may_be_said(raster, tmp_path: Path, kind: str | None) -> None:
    path = raster(tmp_path / "l.tif", np.where(halves() == 5, 1, 2).astype(np.int16), tags={"HEDGEROW": "classes"})
    trace_file(path, tmp_path / "map.gpkg", kind=kind)
    found = geopandas.read_file(tmp_path / "map.gpkg", layer="fields")
    assert found["class"].tolist() == (["field", "field"] if kind == "labels" else ["field", "forest"])


def test_classes_are_kept_and_border_pixels_go_to_the_nearest_region(raster, tmp_path: Path) -> None:
    codes = np.array([[1] * 4 + [3] * 2 + [2] * 4] * 4 + [[1] * 5 + [2] * 5] + [[0] * 10], np.uint8)
    codes[0, 0] = 255
    trace_file(raster(tmp_path / "c.tif", codes, nodata=255), tmp_path / "map.gpkg", kind="classes")
    fields = geopandas.read_file(tmp_path / "map.gpkg", layer="fields")
    assert fields["class"].tolist() == ["field", "forest"]
    assert fields.area.tolist() == [4.0 * (5 * 5 - 1), 4.0 * 5 * 5]
    assert fields.confidence.tolist() == [1.0, 1.0]
    borders = geopandas.read_file(tmp_path / "map.gpkg", layer="borders")
    assert sorted(borders.class_pair) == ["field|forest", "field|other", "forest|other"]


def test_the_codes_of_classes_may_be_said(raster, tmp_path: Path) -> None:
    """As masks of fields and boundaries have them: 0 background, 1 field, 2 boundary."""
    codes = np.array([[0] * 2 + [1] * 4 + [2] * 2 + [1] * 4] * 6, np.uint8)
    path = raster(tmp_path / "mask.tif", codes)
    trace_file(path, tmp_path / "map.gpkg", kind="classes=other,field,border")
    fields = geopandas.read_file(tmp_path / "map.gpkg", layer="fields")
    assert fields["class"].tolist() == ["field", "field"]
    assert fields.area.tolist() == [4.0 * 5 * 6, 4.0 * 5 * 6]
    with pytest.raises(SourceError, match=r"2 stands for no class \(0 other, 1 field\)"):
        trace_file(path, tmp_path / "two.gpkg", kind="classes=other,field")
    with pytest.raises(ConfigError, match="did you mean 'forest'"):
        trace_file(path, tmp_path / "two.gpkg", kind="classes=other,forrest")
    with pytest.raises(ConfigError, match="labels=a"):
        trace_file(path, tmp_path / "two.gpkg", kind="labels=a")


def test_areas_of_a_few_pixels_are_told_to_look_like_imagery(
    raster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pixels = np.random.default_rng(0).integers(0, 4000, (40, 40)).astype(np.uint16)
    trace_file(raster(tmp_path / "b4.tif", pixels), tmp_path / "a.gpkg")
    assert "is this imagery?" in caplog.text
    caplog.clear()
    blocks = np.kron(np.arange(1, 101).reshape(10, 10), np.ones((4, 4), int)).astype(np.uint16)
    trace_file(raster(tmp_path / "fields.tif", blocks), tmp_path / "b.gpkg")
    assert "imagery" not in caplog.text


@pytest.mark.parametrize(("scheduler", "tile_px"), [("sync", 3), ("threads", 7), ("processes", 9)])
def test_tiles_schedulers_and_workers_do_not_show_in_the_file(
    raster, tmp_path: Path, tile_px: int, scheduler: str
) -> None:
    labels = np.random.default_rng(3).integers(0, 4, (20, 33)).astype(np.int32)
    path = raster(tmp_path / "l.tif", labels, nodata=0)
    trace_file(path, tmp_path / "one.gpkg", scheduler="sync")
    made = trace_file(path, tmp_path / "two.gpkg", tile_px=tile_px, scheduler=scheduler, workers=2)
    for layer in ("fields", "borders"):
        one, two = (geopandas.read_file(tmp_path / name, layer=layer) for name in ("one.gpkg", "two.gpkg"))
        assert len(one) == made.summary[layer] > 50
        assert_geodataframe_equal(one, two)


def test_a_raster_is_read_by_windows_and_nothing_else_is_left(
    raster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []
    read = _traceable._pixels

    def watched(path: Path, window: Window, **options: bool) -> np.ndarray:
        seen.append(window.shape)
        return read(path, window, **options)

    monkeypatch.setattr(_traceable, "_pixels", watched)
    path = raster(tmp_path / "l.tif", np.ones((40, 2100), np.uint8))
    trace_file(path, tmp_path / "out/map.gpkg", scheduler="sync")
    assert max(width for _, width in seen) <= 1024
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["map.gpkg"]


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_probabilities_may_be_bytes_or_floats_of_all_classes_or_of_field_alone(
    raster, tmp_path: Path, dtype: type
) -> None:
    share = np.full((30, 40), 0.8)
    share[:, 18:22] = 0.2
    four = np.stack([1 - share, share, np.zeros_like(share), np.zeros_like(share)])
    scale = 255 if dtype == np.uint8 else 1
    for name, pixels in (("one", share[None]), ("four", four)):
        path = raster(tmp_path / f"{name}.tif", (np.rint(pixels * 255) / 255 * scale).astype(dtype))
        trace_file(path, tmp_path / f"{name}.gpkg", kind="probability", tracer="components")
    one, four_bands = (geopandas.read_file(tmp_path / f"{n}.gpkg", layer="fields") for n in ("one", "four"))
    assert one.area.tolist() == four_bands.area.tolist() == [4.0 * 30 * 18, 4.0 * 30 * 18]
    assert one.confidence.tolist() == pytest.approx([0.8, 0.8])


def test_pixels_that_are_not_a_number_are_nodata(raster, tmp_path: Path) -> None:
    share = np.full((10, 10), 0.9, np.float32)
    share[:, 5] = np.nan
    trace_file(raster(tmp_path / "p.tif", share), tmp_path / "map.gpkg", kind="probability", tracer="components")
    fields = geopandas.read_file(tmp_path / "map.gpkg", layer="fields")
    assert fields.area.tolist() == [4.0 * 50, 4.0 * 40]
    assert len(geopandas.read_file(tmp_path / "map.gpkg", layer="borders")) == 0


def test_a_nodata_value_need_be_no_probability(raster, tmp_path: Path) -> None:
    share = np.full((10, 10), 0.9, np.float32)
    share[:, 5] = -9999
    path = raster(tmp_path / "p.tif", share, nodata=-9999)
    trace_file(path, tmp_path / "map.gpkg", kind="probability", tracer="components")
    fields = geopandas.read_file(tmp_path / "map.gpkg", layer="fields")
    assert fields.area.tolist() == [4.0 * 50, 4.0 * 40]
    assert fields.confidence.tolist() == pytest.approx([0.9, 0.9], abs=1 / 255)
    with pytest.raises(SourceError, match=r"values from -9999 to 0\.9 are no probabilities"):
        trace_file(raster(tmp_path / "untold.tif", share), tmp_path / "untold.gpkg", kind="probability")


def test_a_turned_grid_is_traced_where_it_lies(raster, tmp_path: Path) -> None:
    turned = TRANSFORM @ Affine.rotation(30) @ Affine.shear(10, 0)
    labels = np.kron(np.arange(1, 13).reshape(3, 4), np.ones((5, 6))).astype(np.int32)
    trace_file(raster(tmp_path / "l.tif", labels, transform=turned), tmp_path / "map.gpkg", tile_px=7)
    fields = geopandas.read_file(tmp_path / "map.gpkg", layer="fields")
    with rasterio.open(tmp_path / "l.tif") as dataset:
        gdal = [shape(s) for s, _ in features.shapes(labels, transform=dataset.transform)]
    assert len(gdal) == len(fields) == 12
    for ours, theirs in zip(fields.geometry, gdal, strict=True):
        assert ours.symmetric_difference(theirs).area < 1e-6 * theirs.area
    assert fields.area_m2.tolist() == pytest.approx([4 * 30] * 12, rel=2e-3)


@pytest.mark.parametrize("extension", ["gpkg", "fgb", "parquet", "shp"])
@pytest.mark.parametrize("kind", ["labels", "classes"])
def test_a_raster_of_nodata_makes_empty_layers(
    raster, tmp_path: Path, kind: str, extension: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = raster(tmp_path / "l.tif", np.full((6, 7), 9, np.uint8), nodata=9)
    made = trace_file(path, tmp_path / f"map.{extension}", kind=kind)
    assert "no valid pixel" in caplog.text
    assert made.summary == {"fields": 0, "borders": 0, "gap_m2": 0, "overlap_m2": 0}
    layers: dict[str, geopandas.GeoDataFrame] = {}
    for file in made.files:
        if file.suffix == f".{extension}":
            layers |= read_layers(file)
    for name, columns in COLUMNS.items():
        assert len(layers[name]) == 0
        assert list(layers[name].columns) == [*columns, "geometry"]
        assert layers[name].crs == "EPSG:32633"


@pytest.mark.parametrize(
    ("pixels", "options", "error", "text"),
    [
        (halves().astype(np.float32), {}, SourceError, "labels are one band of integers: pass --as probability"),
        (np.ones((3, 4, 4), np.uint8), {}, SourceError, r"3 band\(s\) of uint8"),
        (halves(), {"crs": None}, SourceError, "has no CRS"),
        (np.full((4, 4), 2**32 - 1, np.uint32), {}, SourceError, "number them anew"),
        (halves(), {"transform": None}, SourceError, "has no geotransform"),
        (
            halves(),
            {"crs": "EPSG:4326", "transform": None, "gcps": POINTS},
            SourceError,
            "2 ground control points .*rio warp",
        ),
    ],
)
def test_a_raster_that_holds_no_labels_is_refused(
    raster, tmp_path: Path, pixels: np.ndarray, options: dict, error: type[HedgerowError], text: str
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
        ({"kind": "probability"}, "bands are int16"),
        ({"kind": "classes"}, "5, 7 stands for no class .0 other, 1 field, 2 forest, 3 border"),
        ({"tracer": "watershed"}, "labels are taken as they are"),
        ({"tracer": "watershet"}, "did you mean 'watershed'"),
        ({"rules": Rules(min_border=0.5)}, "min_border = 0.5: .*l.tif tells no border probability"),
        ({"out": "l.tif/map.gpkg"}, "l.tif: cannot be written to"),
        ({"tile_px": 0}, "a tile of 0 px is impossible"),
        ({"raster": "missing.tif"}, "cannot be read as a raster"),
    ],
)
def test_a_trace_that_cannot_be_made_is_refused(raster, tmp_path: Path, options: dict, text: str) -> None:
    labels = raster(tmp_path / "l.tif", halves())
    source = tmp_path / options.pop("raster") if "raster" in options else labels
    with pytest.raises(HedgerowError, match=text):
        trace_file(source, tmp_path / options.pop("out", "map.gpkg"), **options)
    assert [file.name for file in tmp_path.iterdir()] == ["l.tif"]


@pytest.mark.parametrize("size", [-1.0, float("nan"), float("inf")])
@pytest.mark.parametrize(
    "name", ["simplify_m", "regularize_m", "smooth_reach_m", "min_area_m2", "min_hole_m2", "min_width_m"]
)
def test_sizes_that_are_none_are_refused_before_the_work(name: str, size: float) -> None:
    with pytest.raises(ConfigError, match=f"^{name} = {size}: must be"):
        Rules(**{name: size})
    with pytest.raises(ConfigError, match=f"^{name} = {size}: must be"):
        hedgerow.trace(halves(), GeoBox((10, 20), TRANSFORM, "EPSG:32633"), **{name: size})


def test_a_faint_line_parts_no_fields(raster, tmp_path: Path) -> None:
    """Of two lines one is faint; where no border probability is known, nothing can be asked of it."""
    pixels = np.zeros((4, 30, 60), np.uint8)
    pixels[FIELD] = 250
    for column, border in ((20, 100), (40, 200)):
        pixels[FIELD, :, column - 1 : column + 1] = 255 - border
        pixels[BORDER, :, column - 1 : column + 1] = border
    path, field_alone = raster(tmp_path / "p.tif", pixels), raster(tmp_path / "f.tif", pixels[FIELD])
    classes = raster(tmp_path / "c.tif", np.ones((30, 60), np.uint8))
    for least, columns in ((0.0, [20, 20, 20]), (0.5, [40, 20]), (0.9, [60])):
        out = tmp_path / f"{least}.gpkg"
        trace_file(path, out, kind="probability", rules=Rules(min_border=least))
        assert geopandas.read_file(out, layer="fields").area.tolist() == [4.0 * 30 * n for n in columns]
    for other, kind in ((field_alone, "probability"), (classes, "classes")):
        with pytest.raises(ConfigError, match=r"^min_border = 0.5: .*\.tif tells no border probability"):
            trace_file(other, tmp_path / "map.gpkg", kind=kind, rules=Rules(min_border=0.5))
        with pytest.raises(ConfigError, match=r"^min_border = 0.5"):
            check_seams(other, kind=kind, rules=Rules(min_border=0.5))


@pytest.mark.parametrize("border", [-0.1, 1.5, float("nan")])
def test_a_border_strength_that_is_no_probability_is_refused(border: float) -> None:
    with pytest.raises(ConfigError, match=f"^min_border = {border}: must be a probability"):
        Rules(min_border=border)


def test_a_file_is_replaced_only_when_asked(raster, tmp_path: Path) -> None:
    labels = raster(tmp_path / "l.tif", halves())
    (tmp_path / "map.gpkg").write_text("mine")
    with pytest.raises(ConfigError, match="is there already"):
        trace_file(labels, tmp_path / "map.gpkg")
    trace_file(labels, tmp_path / "map.gpkg", overwrite=True)
    assert len(geopandas.read_file(tmp_path / "map.gpkg", layer="fields")) == 2


@pytest.mark.parametrize("values", [(-0.1, 0.5), (0.5, 1.5)])
def test_floats_that_are_no_probabilities_are_refused(raster, tmp_path: Path, values: tuple[float, float]) -> None:
    path = raster(tmp_path / "p.tif", np.full((4, 4), values[0], np.float32) + np.eye(4, dtype=np.float32) * values[1])
    with pytest.raises(SourceError, match="are no probabilities: scale them to"):
        trace_file(path, tmp_path / "map.gpkg", kind="probability")


def test_a_label_beyond_31_bits_does_no_harm_where_it_is_nodata(raster, tmp_path: Path) -> None:
    labels = np.array([[1, 2**32 - 1], [2, 2]], np.uint32)
    trace_file(raster(tmp_path / "l.tif", labels, nodata=2**32 - 1), tmp_path / "map.gpkg")
    assert geopandas.read_file(tmp_path / "map.gpkg", layer="fields").area.tolist() == [4.0, 8.0]


def test_more_fields_than_numbers_are_refused(raster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(components, "MOST", 199)
    path = raster(tmp_path / "l.tif", np.arange(200, dtype=np.int32).reshape(10, 20))
    with pytest.raises(GeometryError, match=r"200 areas are more than can be numbered \(199\)"):
        trace_file(path, tmp_path / "map.gpkg", scheduler="sync")
    assert not (tmp_path / "map.gpkg").exists()


def test_blocks_tiles_and_their_number_are_told(raster, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    path = raster(tmp_path / "l.tif", halves())
    trace_file(path, tmp_path / "map.gpkg", tile_px=10, scheduler="sync", progress=lambda *said: told.append(said))
    assert told == [("label", 1, 1), ("trace", 1, 2), ("trace", 2, 2)]

"""One map of many inputs: cutting a raster into pieces changes nothing, and borders between pieces leave no trace."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from geopandas import GeoDataFrame
from numpy.typing import NDArray
from pyproj import Geod, Transformer
from rasterio.windows import Window

import hedgerow
from hedgerow.config import RunConfig
from hedgerow.errors import ConfigError, SourceError
from hedgerow.geo import windows
from hedgerow.jobs.planning import describe, plan
from hedgerow.report.pictures import image_of

ADJOINING = [(0, 0, 90, 70), (0, 70, 90, 160), (90, 0, 192, 70), (90, 70, 192, 160)]
OVERLAPPING = [(0, 0, 101, 77), (0, 33, 101, 160), (80, 0, 192, 77), (80, 33, 192, 160)]
"""(first row, first column, last row, last column) of pieces of a raster of 192 x 160 px."""


def cut(path: Path, folder: Path, parts: Sequence[tuple[int, int, int, int]]) -> Path:
    """Write parts of a raster file as files of their own."""
    folder.mkdir(parents=True)
    with rasterio.open(path) as whole:
        for number, (y0, x0, y1, x1) in enumerate(parts):
            window = Window(x0, y0, x1 - x0, y1 - y0)
            place = {"width": x1 - x0, "height": y1 - y0, "transform": whole.window_transform(window)}
            with rasterio.open(folder / f"{number}.tif", "w", **(whole.profile | place)) as piece:
                piece.write(whole.read(window=window))
    return folder


@pytest.fixture(scope="module")
def config(tiny_model: Path) -> Callable[..., RunConfig]:
    def made(*inputs: Path, **options: Any) -> RunConfig:
        options = {"model": str(tiny_model), "tile_px": 64, "halo_px": 32, "threads": 1, "workers": 1} | options
        return RunConfig(inputs=tuple(map(str, inputs)), **options)

    return made


def layers(out: Path, name: str) -> dict[str, GeoDataFrame]:
    path = out / name / "fp32/borders.gpkg"
    return {layer: geopandas.read_file(path, layer=layer) for layer in ("fields", "borders")}


def assert_same_map(ours: dict[str, GeoDataFrame], theirs: dict[str, GeoDataFrame]) -> None:
    """All but the source: geometries to the last bit, and every number."""
    for layer, frame in theirs.items():
        assert ours[layer].geometry.normalize().to_wkb().tolist() == frame.geometry.normalize().to_wkb().tolist()
        for column in frame.columns.drop(["geometry", "source"], errors="ignore"):
            assert ours[layer][column].tolist() == frame[column].tolist()


# --- pieces of one raster ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def uncut(scenes_folder: Path, config: Callable[..., RunConfig], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("uncut") / "out"
    hedgerow.run(config(scenes_folder / "strips.tif"), out)
    assert len(layers(out, "strips")["fields"]) > 3
    return out


@pytest.mark.parametrize("parts", [ADJOINING, OVERLAPPING], ids=["adjoining", "overlapping"])
def test_the_map_of_the_pieces_is_that_of_the_uncut_raster(
    uncut: Path, scenes_folder: Path, config: Callable[..., RunConfig], tmp_path: Path, parts: Any
) -> None:
    pieces = cut(scenes_folder / "strips.tif", tmp_path / "pieces", parts)
    hedgerow.run(config(pieces, mosaic=True), tmp_path / "out")
    assert_same_map(layers(tmp_path / "out", "pieces"), layers(uncut, "strips"))
    made, expected = tmp_path / "out/pieces/fp32/probability.tif", uncut / "strips/fp32/probability.tif"
    with rasterio.open(made) as ours, rasterio.open(expected) as theirs:
        assert (ours.transform, ours.crs, ours.shape) == (theirs.transform, theirs.crs, theirs.shape)
        np.testing.assert_array_equal(ours.read(), theirs.read())
        np.testing.assert_array_equal(ours.dataset_mask(), theirs.dataset_mask())


@pytest.mark.parametrize(("scheduler", "workers"), [("sync", 1), ("threads", 2)])
def test_the_order_of_the_inputs_and_the_workers_change_nothing(
    uncut: Path, scenes_folder: Path, config: Callable[..., RunConfig], tmp_path: Path, scheduler: str, workers: int
) -> None:
    pieces = cut(scenes_folder / "strips.tif", tmp_path / "pieces", OVERLAPPING)
    shuffled = [pieces / f"{number}.tif" for number in (2, 0, 3, 1)]
    hedgerow.run(config(*shuffled, mosaic=True, scheduler=scheduler, workers=workers), tmp_path / "out")
    assert_same_map(layers(tmp_path / "out", "mosaic"), layers(uncut, "strips"))
    (row,) = json.loads((tmp_path / "out/run.json").read_text())["inputs"]
    assert [member["name"] for member in row["members"]] == ["0.tif", "1.tif", "2.tif", "3.tif"]
    assert row["paths"] == [str(pieces / member["name"]) for member in row["members"]]


def test_scores_against_truth_are_those_of_the_uncut_raster(
    scenes_folder: Path, config: Callable[..., RunConfig], tmp_path: Path
) -> None:
    options = {"arms": ("fp32", "int8"), "metrics": ({"kind": "boundary_iou"}, {"kind": "objects"})}
    pieces = cut(scenes_folder / "strips.tif", tmp_path / "pieces", ADJOINING)
    shutil.copy(scenes_folder / "strips.gpkg", tmp_path / "pieces.gpkg")
    truth = str(scenes_folder / "strips.gpkg")
    hedgerow.compare(config(scenes_folder / "strips.tif", truth=truth, **options), tmp_path / "uncut")
    hedgerow.compare(config(pieces, mosaic=True, truth="auto", **options), tmp_path / "out")
    ours, theirs = (json.loads((tmp_path / out / "scores.json").read_text())["scores"] for out in ("out", "uncut"))
    renamed = [row | {"input": row["input"] and "pieces"} for row in theirs]
    assert ours == renamed
    assert any(row["against"] == "truth" and row["value"] for row in ours)
    (row,) = json.loads((tmp_path / "out/run.json").read_text())["inputs"]
    assert row["truth"] == str(tmp_path / "pieces.gpkg")


# --- borders across pieces --------------------------------------------------------------------------------------------

_FACTORY = '''
import torch
from torch import Tensor, nn


class Colours(nn.Module):
    """Red is field, blue is border."""

    def forward(self, image: Tensor) -> Tensor:
        red, _, blue = image.unbind(1)
        return 20 * torch.stack([0.3 + 0 * red, red, 0 * red - 1, blue], dim=1)


def network() -> nn.Module:
    return Colours()
'''

X, Y, SIDE_M, LINE_M = 694_000.0, 6_000_000.0, 1500.0, 30.0
"""West and north frame of the fields in EPSG:32633, at the end of that zone; side of a field; width of its border."""


def farm(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the colours (3, ...) of places in EPSG:32633: square fields with a line of LINE_M between them."""
    to_line = np.minimum(*(np.abs((side + SIDE_M / 2) % SIDE_M - SIDE_M / 2) for side in (x - X, Y - y)))
    line = to_line < LINE_M / 2
    return np.stack([np.where(line, 10, 250), np.full(x.shape, 130), np.where(line, 250, 10)]).astype(np.uint8)


def photograph(path: Path, crs: str, transform: Affine, shape: tuple[int, int]) -> Path:
    """Write what the farm looks like on a grid."""
    cols, rows = np.meshgrid(np.arange(shape[1]) + 0.5, np.arange(shape[0]) + 0.5)
    x, y = transform @ (cols, rows)
    x, y = Transformer.from_crs(crs, "EPSG:32633", always_xy=True).transform(x, y)
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "photometric": "RGB", "crs": crs}
    with rasterio.open(path, "w", height=shape[0], width=shape[1], transform=transform, **profile) as file:
        file.write(farm(x, y))
    return path


@pytest.fixture
def colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A network that knows fields by their colour: what a map shows is what the mosaic shows."""
    (tmp_path / "known_by_colour.py").write_text(_FACTORY)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "known_by_colour:network"


def two_zones(folder: Path) -> None:
    """Two columns of fields in zone 33 and the half of a third; from there on in zone 34, the halves overlapping."""
    photograph(folder / "a.tif", "EPSG:32633", Affine(10, 0, X, 0, -10, Y), (300, 380))
    x, y = Transformer.from_crs(32633, 32634, always_xy=True).transform(X + 3600, Y)
    # Zone 34 is turned by some degrees here: this window holds all that is missing.
    photograph(folder / "b.tif", "EPSG:32634", Affine(10, 0, x - 300, 0, -10, y + 300), (380, 150))


def two_resolutions(folder: Path) -> None:
    """The same farm at 10 m, and at 20 m where it goes on."""
    photograph(folder / "a.tif", "EPSG:32633", Affine(10, 0, X, 0, -10, Y), (300, 380))
    photograph(folder / "b.tif", "EPSG:32633", Affine(20, 0, X + 3600, 0, -20, Y), (150, 45))


@pytest.mark.parametrize("pictures", [two_zones, two_resolutions])
def test_fields_across_pieces_are_single_polygons_of_a_valid_coverage(
    colours: str, config: Callable[..., RunConfig], tmp_path: Path, pictures: Callable[[Path], None]
) -> None:
    pictures(tmp_path / "farm")
    scaling = {"low": (0.0,) * 3, "high": (255.0,) * 3}
    hedgerow.run(config(tmp_path / "farm", model=colours, mosaic=True, tile_px=128, scaling=scaling), tmp_path / "out")
    fields = layers(tmp_path / "out", "farm")["fields"]
    assert shapely.coverage_is_valid(fields.geometry.to_numpy())
    assert fields.crs.to_epsg() == 32633
    geod = Geod(ellps="WGS84")
    to_degrees = Transformer.from_crs(32633, 4326, always_xy=True)
    for row in range(2):  # the third column of fields lies across the seam
        west, north = X + 2 * SIDE_M, Y - row * SIDE_M
        square = shapely.segmentize(shapely.box(west, north - SIDE_M, west + SIDE_M, north), 100)
        degrees = shapely.transform(square, lambda xy: np.column_stack(to_degrees.transform(*xy.T)))
        expected_m2 = abs(geod.geometry_area_perimeter(degrees)[0])
        found = fields[fields.intersects(square.buffer(-3 * LINE_M))]
        assert len(found) == 1
        (field,) = found.itertuples()
        assert field.area_m2 == pytest.approx(expected_m2, rel=0.005)
        assert field.geometry.symmetric_difference(square).area < 0.02 * square.area


# --- what a plan says -------------------------------------------------------------------------------------------------


@pytest.fixture
def corners(scenes_folder: Path, tmp_path: Path) -> Path:
    """The upper left and the lower right corner of a scene, 64 and 32 px, with nothing between them."""
    return cut(scenes_folder / "strips.tif", tmp_path / "corners", [(0, 0, 64, 64), (160, 128, 192, 160)])


def test_a_plan_shows_one_scene_its_members_and_the_tiles_that_hold_none(
    config: Callable[..., RunConfig], corners: Path
) -> None:
    made = plan(config(corners, mosaic=True, tile_px=32))
    (scene,) = made.scenes
    assert (scene.name, len(scene.tiles)) == ("corners", 6 * 5)
    assert [tile.index for tile in scene.filled] == [(0, 0), (0, 1), (1, 0), (1, 1), (5, 4)]
    assert made.tile_count == 5
    (row,) = json.loads(json.dumps(describe(made)))["inputs"]
    assert (row["size"], row["tiles"], row["empty_tiles"]) == ("160 x 192", 5, 25)
    assert [(member["name"], member["window"], member["read"]) for member in row["members"]] == [
        ("0.tif", [0, 0, 64, 64], "as stored"),
        ("1.tif", [160, 128, 192, 160], "as stored"),
    ]
    # What is guessed follows from what is predicted: 5 of 30 equal tiles.
    everything = plan(config(corners, mosaic=True, tile_px=192))
    assert made.guess_seconds(1) == pytest.approx(everything.guess_seconds(1) * 5 / 30)


def test_only_tiles_with_a_member_are_predicted_and_the_rest_is_invalid(
    config: Callable[..., RunConfig], corners: Path, tmp_path: Path
) -> None:
    heard: list[tuple[str, int, int]] = []
    hedgerow.run(
        config(corners, mosaic=True, tile_px=32), tmp_path / "out", progress=lambda *words: heard.append(words)
    )
    assert max(done for stage, done, _ in heard if stage == "predict") == 5
    assert ("predict", 5, 5) in heard
    with rasterio.open(tmp_path / "out/corners/fp32/probability.tif") as made:
        valid = made.dataset_mask() > 0
    expected = np.zeros((192, 160), bool)
    expected[:64, :64] = expected[160:, 128:] = True
    np.testing.assert_array_equal(valid, expected)


def test_the_manifest_names_every_member_with_its_fingerprint_and_how_to_read_them_again(
    config: Callable[..., RunConfig], corners: Path, tmp_path: Path
) -> None:
    (corners / "sub").mkdir()
    (corners / "1.tif").rename(corners / "sub/0.tif")  # two files of one name
    hedgerow.run(config(corners, mosaic=True), tmp_path / "out")
    run = json.loads((tmp_path / "out/run.json").read_text())
    assert run["config"]["mosaic"] is True
    (row,) = run["inputs"]
    assert row["path"] == str(corners)
    assert row["fingerprints"].keys() == {"0.tif", "sub/0.tif"}
    for name, print_ in row["fingerprints"].items():
        assert print_.startswith(f"{(corners / name).stat().st_size}-")
    assert [member["name"] for member in row["members"]] == ["0.tif", "sub/0.tif"]
    assert row["empty_tiles"] == 3 * 3 - 2
    fields = layers(tmp_path / "out", "corners")["fields"]
    assert set(fields.source) == {str(corners)}
    # The report shows the imagery through the same settings.
    shown = image_of(row, windows.Window(160, 120, 192, 160))
    assert shown is not None
    assert shown.shape == (32, 40, 3)
    assert shown[:, 8:].std() > 5
    shutil.rmtree(corners / "sub")
    assert image_of(json.loads(json.dumps(row)), windows.Window(160, 120, 192, 160)) is None


def test_without_mosaic_every_input_keeps_its_own_map(config: Callable[..., RunConfig], corners: Path) -> None:
    made = plan(config(corners))
    assert [scene.name for scene in made.scenes] == ["0", "1"]
    assert [row["members"] for row in describe(made)["inputs"]] == [[], []]


def test_scenes_of_single_band_files_are_merged_by_folder(config: Callable[..., RunConfig], tmp_path: Path) -> None:
    for x, name in ((0, "east"), (-8, "west")):
        for value, band in ((50, "B04"), (100, "B03"), (150, "B02")):
            path = tmp_path / "s2" / name / f"T_{band}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            place = Affine(10, 0, 500000 + 10 * x, 0, -10, 6000000)
            with rasterio.open(path, "w", "GTiff", 8, 8, 1, "EPSG:32632", place, "uint8") as file:
                file.write(np.full((1, 8, 8), value + x, np.uint8))
    bands = {"red": "*B04*", "green": "*B03*", "blue": "*B02*"}
    (scene,) = plan(config(tmp_path / "s2", bands=bands, mosaic=True)).scenes
    assert scene.name == "s2"
    assert len(scene.scene.paths) == 6
    patch = scene.source.read(windows.whole((8, 16)))
    assert patch.data[:, 0, 0].tolist() == [42, 92, 142]
    assert patch.data[:, 7, 15].tolist() == [50, 100, 150]


# --- truth ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["corners.gpkg", "corners/corners_fields.gpkg"])
def test_truth_of_all_lies_beside_the_folder_or_in_it(
    config: Callable[..., RunConfig], scenes_folder: Path, corners: Path, place: str
) -> None:
    shutil.copy(scenes_folder / "strips.gpkg", corners.parent / place)
    (scene,) = plan(config(corners, mosaic=True, truth="auto")).scenes
    assert scene.truth == corners.parent / place


def test_truths_of_single_members_are_refused_with_the_reason(
    config: Callable[..., RunConfig], scenes_folder: Path, corners: Path
) -> None:
    shutil.copy(scenes_folder / "strips.gpkg", corners / "0.gpkg")
    with pytest.raises(SourceError, match=r"one vector file for all its inputs: name it, or call it corners\.gpkg"):
        plan(config(corners, mosaic=True, truth="auto"))


# --- what is refused --------------------------------------------------------------------------------------------------


def test_one_member_that_cannot_be_read_is_no_hole_in_the_map(config: Callable[..., RunConfig], corners: Path) -> None:
    (corners / "2.tif").write_text("no raster")
    with pytest.raises(SourceError, match=r"2\.tif: cannot be opened as a raster.* or leave it out"):
        plan(config(corners, mosaic=True))


def test_a_crs_for_a_mosaic_needs_a_mosaic(config: Callable[..., RunConfig], corners: Path) -> None:
    with pytest.raises(ConfigError, match="pass --mosaic as well"):
        plan(config(corners, mosaic_crs="EPSG:32633"))
    (scene,) = plan(config(corners, mosaic=True, mosaic_crs="EPSG:32634")).scenes
    assert scene.source.geobox.crs.epsg == 32634

"""Planning: everything that can be refused is refused before a pixel is read; what is wrong with one input stays there.

And what planning cannot see (pixels) is told by the run, which loses no other input.
"""

import html
import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine

import hedgerow
from hedgerow import RunConfig
from hedgerow.errors import ConfigError, GeometryError, HedgerowError, ModelError, SourceError
from hedgerow.jobs.planning import Plan, describe, plan
from hedgerow.sources.geotiff import RasterSource

QUICK = ({"kind": "boundary_iou"},)
PLACE = Affine(1, 0, 500000, 0, -1, 6000000)


def picture(path: Path, shape: tuple[int, int] = (48, 40), data: Any = None, **profile: Any) -> Path:
    """Write an RGB raster of 1 m pixels near 9 degrees east, 54 degrees north."""
    if data is None:
        data = np.random.default_rng(0).integers(1, 250, (3, *shape)).astype(np.uint8)
    profile = {"crs": "EPSG:32632", "transform": PLACE, "photometric": "RGB"} | profile
    height, width = data.shape[1:]
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", "GTiff", width, height, len(data), dtype=data.dtype, **profile) as file:
        file.write(data)
    return path


def truth(path: Path, x: float = 500010, crs: str = "EPSG:32632") -> Path:
    frame = geopandas.GeoDataFrame(geometry=[shapely.box(x, 5999970, x + 20, 5999990)], crs="EPSG:32632").to_crs(crs)
    frame.to_file(path, engine="pyogrio")
    return path


@pytest.fixture
def make(tiny_model: Path) -> Callable[..., Plan]:
    def planned(*inputs: Path | str, **settings: Any) -> Plan:
        return plan(config(tiny_model, *inputs, **settings))

    return planned


def config(folder: Path, *inputs: Path | str, **settings: Any) -> RunConfig:
    settings = {"tile_px": 32, "halo_px": 16, "scheduler": "sync", "model": str(folder)} | settings
    return RunConfig(inputs=tuple(map(str, inputs)), **settings)


def refusal(kind: type[HedgerowError], action: Callable[..., Any], *args: Any, **options: Any) -> str:
    with pytest.raises(kind) as caught:
        action(*args, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- what a plan says -------------------------------------------------------------------------------------------------


def test_a_plan_knows_tiles_grid_and_size(make: Callable[..., Plan], tmp_path: Path) -> None:
    picture(tmp_path / "a.tif", (48, 40))
    picture(tmp_path / "sub/b.tif", (20, 100))
    made = make(tmp_path)
    assert [scene.name for scene in made.scenes] == ["a", "sub/b"]
    # 48 x 40 in tiles of 32: 2 x 2; 20 x 100: 1 x 4.
    assert [len(scene.tiles) for scene in made.scenes] == [4, 4]
    assert made.tile_count == 8
    assert made.megapixels == pytest.approx((48 * 40 + 20 * 100) / 1e6)
    assert [scene.gsd_m for scene in made.scenes] == pytest.approx([1 / 0.9996] * 2, rel=1e-5)
    assert made.failures == made.passed_over == ()
    assert all(isinstance(scene.source, RasterSource) for scene in made.scenes)


def test_a_plan_can_be_shown_as_json(make: Callable[..., Plan], tmp_path: Path) -> None:
    picture(tmp_path / "a.tif")
    picture(tmp_path / "a_mask.tif")
    (tmp_path / "b.tif").write_text("no raster")
    shown = json.loads(json.dumps(describe(make(tmp_path))))
    (row,) = shown["inputs"]
    assert (row["name"], row["size"], row["crs"], row["tiles"], row["gsd_m"]) == ("a", "40 x 48", "EPSG:32632", 4, "1")
    assert [failure["input"] for failure in shown["failures"]] == ["b"]
    assert [Path(path).name for path in shown["passed_over"]] == ["a_mask.tif"]
    assert shown["tiles"] == 4
    assert shown["seconds"] > 0
    assert shown["gigabytes"] > 0


def test_more_arms_and_fewer_workers_take_longer_and_a_finer_look_does_too(
    make: Callable[..., Plan], tmp_path: Path
) -> None:
    path = picture(tmp_path / "a.tif")
    one = make(path)
    assert make(path, arms=("fp32", "int8")).guess_seconds(1) == pytest.approx(2 * one.guess_seconds(1))
    assert one.guess_seconds(2) == pytest.approx(one.guess_seconds(1) / 2)
    # At half the pixel size the network sees four times as many pixels.
    assert make(path, gsd_m=0.5).guess_seconds(1) == pytest.approx(4 * one.guess_seconds(1))
    assert make(path, gsd_m=2.0).guess_seconds(1) == pytest.approx(one.guess_seconds(1) / 4)
    assert make(path, gsd_m=0.5).guess_bytes(1) > one.guess_bytes(1)


def test_planning_opens_no_pixels(make: Callable[..., Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = picture(tmp_path / "cut.tif", (200, 200))
    path.write_bytes(path.read_bytes()[:2000])  # no pixel of it can be read

    def refuse(*_: Any) -> None:
        raise AssertionError("a pixel was read")

    monkeypatch.setattr(RasterSource, "read", refuse)
    assert make(path, truth=str(truth(tmp_path / "t.gpkg"))).tile_count == 49


def test_a_resolution_beyond_the_model_s_is_noted(tiny_model: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_model, tmp_path / "model")
    card = json.loads((tmp_path / "model/model.json").read_text())
    (tmp_path / "model/model.json").write_text(json.dumps(card | {"gsd_m": [5, 20]}))
    path = picture(tmp_path / "a.tif")
    (scene,) = plan(config(tmp_path / "model", path)).scenes
    assert scene.warnings == ("1 m per pixel is outside the model's range of 5 to 20 m",)
    (scene,) = plan(config(tmp_path / "model", path, gsd_m=8)).scenes
    assert scene.warnings == ()


def with_card(tiny_model: Path, folder: Path, **changes: Any) -> Path:
    shutil.copytree(tiny_model, folder)
    card = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(card | changes))
    return folder


def test_what_counts_is_the_resolution_that_the_network_sees(tiny_model: Path, tmp_path: Path) -> None:
    """5 m of 2 m pixels is 2.5 of them; only whole factors are made: 2, so the network looks at 4 m."""
    model = with_card(tiny_model, tmp_path / "model", gsd_m=[5, 20])
    path = picture(tmp_path / "a.tif", transform=PLACE @ Affine.scale(2))
    (scene,) = plan(config(model, path, gsd_m=5)).scenes
    assert scene.warnings == ("4 m per pixel is outside the model's range of 5 to 20 m",)


def test_a_resolution_beyond_the_model_s_is_told_in_log_manifest_and_report(
    tiny_model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = with_card(tiny_model, tmp_path / "model", gsd_m=[5, 20])
    for name in ("a.tif", "b.tif"):
        picture(tmp_path / "in" / name)
    text = "1 m per pixel is outside the model's range of 5 to 20 m"
    with caplog.at_level(logging.WARNING):
        hedgerow.compare(config(model, tmp_path / "in", metrics=QUICK), tmp_path / "out")
    assert [message for message in caplog.messages if text in message] == [f"a and 1 more: {text}"]
    manifest = json.loads((tmp_path / "out/run.json").read_text())
    assert [one["warnings"] for one in manifest["inputs"]] == [[text], [text]]
    page = html.unescape((tmp_path / "out/report.html").read_text())
    assert f'<td class="text">{text}</td><td class="text">a, b</td>' in page


def test_the_licence_travels_from_the_card_to_plan_manifest_and_report(tiny_model: Path, tmp_path: Path) -> None:
    model = with_card(tiny_model, tmp_path / "model", name="mine", licence="CC-BY-NC-4.0 <b>")
    settings = config(model, picture(tmp_path / "a.tif"), metrics=QUICK)
    assert describe(plan(settings))["licence"] == "CC-BY-NC-4.0 <b>"
    hedgerow.compare(settings, tmp_path / "out")
    assert json.loads((tmp_path / "out/run.json").read_text())["model"]["licence"] == "CC-BY-NC-4.0 <b>"
    page = (tmp_path / "out/report.html").read_text()
    assert "the model mine; its licence: CC-BY-NC-4.0 &lt;b&gt;." in page
    hedgerow.run(settings, tmp_path / "run")
    assert json.loads((tmp_path / "run/run.json").read_text())["model"]["licence"] == "CC-BY-NC-4.0 <b>"


# --- what is refused --------------------------------------------------------------------------------------------------


def test_a_single_input_s_problem_is_raised_as_it_is(make: Callable[..., Plan], tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_text("no raster")
    assert refusal(SourceError, make, path).startswith(f"{path}: cannot be opened as a raster")


def test_problems_of_some_inputs_are_recorded_and_the_others_planned(make: Callable[..., Plan], tmp_path: Path) -> None:
    picture(tmp_path / "a.tif")
    picture(tmp_path / "gray.tif", data=np.ones((1, 8, 8), np.uint8), photometric="MINISBLACK")
    (tmp_path / "m.tif").write_text("no raster")
    picture(tmp_path / "nowhere.tif", crs=None)
    picture(tmp_path / "wrong.tif", crs="EPSG:4326")  # metres passed off as degrees
    picture(tmp_path / "z.tif")
    made = make(tmp_path)
    assert [scene.name for scene in made.scenes] == ["a", "z"]
    told = {failure.input: failure.error for failure in made.failures}
    assert list(told) == ["gray", "m", "nowhere", "wrong"]
    assert "has 1 band(s)" in told["gray"]
    assert "cannot be opened" in told["m"]
    assert "has no CRS" in told["nowhere"]
    assert "check its CRS" in told["wrong"]
    assert not any("\n" in text for text in told.values())


def test_when_every_input_fails_the_first_is_told(make: Callable[..., Plan], tmp_path: Path) -> None:
    for name in ("a.tif", "b.tif"):
        (tmp_path / name).write_text("no raster")
    text = refusal(SourceError, make, tmp_path)
    assert text.startswith("none of 2 inputs can be worked on; the first: ")
    assert "a.tif: cannot be opened" in text


def test_metres_passed_off_as_degrees_are_refused(make: Callable[..., Plan], tmp_path: Path) -> None:
    assert "check its CRS" in refusal(GeometryError, make, picture(tmp_path / "a.tif", crs="EPSG:4326"))


@pytest.mark.parametrize(
    ("settings", "kind", "what"),
    [
        ({"model": "hedgerow-tinny"}, ModelError, "did you mean 'hedgerow-tiny'?"),
        ({"gsd_m": 100.0}, ConfigError, "100 times"),
        ({"scaling": {"low": (0.0,), "high": (1.0,)}}, ConfigError, "3 values each, for red, green, blue"),
        ({"truth": "nowhere.gpkg"}, SourceError, "there is no such file"),
        ({"stored_bands": ("nir", "red", "green")}, SourceError, "the model needs red, green, blue"),
        ({"stored_bands": ("red",) * 4}, SourceError, "has 3 band(s), but 4 are named"),
    ],
)
def test_settings_that_cannot_be_run_are_refused(
    make: Callable[..., Plan], tmp_path: Path, settings: dict[str, Any], kind: type[HedgerowError], what: str
) -> None:
    assert what in refusal(kind, make, picture(tmp_path / "a.tif"), **settings)


def test_settings_that_no_input_can_be_run_with_are_no_input_s_failure(
    make: Callable[..., Plan], tmp_path: Path
) -> None:
    picture(tmp_path / "a.tif")
    picture(tmp_path / "b.tif")
    with pytest.raises(ConfigError, match="unknown class of truth 'feild'"):
        make(tmp_path, truth=str(truth(tmp_path / "t.gpkg")), truth_rule={"default": "feild"})


# --- truth ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("crs", ["EPSG:32632", "EPSG:4326", "EPSG:3857"])
def test_truth_in_any_crs_is_taken(make: Callable[..., Plan], tmp_path: Path, crs: str) -> None:
    path = picture(tmp_path / "a.tif")
    (scene,) = make(path, truth=str(truth(tmp_path / "t.gpkg", crs=crs))).scenes
    assert scene.truth == tmp_path / "t.gpkg"
    assert scene.warnings == ()


def test_truth_without_overlap_is_refused_with_both_places(make: Callable[..., Plan], tmp_path: Path) -> None:
    far = truth(tmp_path / "t.gpkg", x=700000)
    text = refusal(SourceError, make, picture(tmp_path / "a.tif"), truth=str(far))
    assert text.startswith(f"{far}: truth and raster do not overlap")
    assert "the raster at longitude 9." in text


def test_truth_beside_the_input_is_found_and_its_absence_noted(make: Callable[..., Plan], tmp_path: Path) -> None:
    picture(tmp_path / "a.tif")
    picture(tmp_path / "b.tif")
    truth(tmp_path / "a_fields.gpkg")
    made = make(tmp_path, truth="auto")
    assert [scene.truth and scene.truth.name for scene in made.scenes] == ["a_fields.gpkg", None]
    assert made.scenes[1].warnings == ("no truth was found for it",)


# --- what the run tells of pixels -------------------------------------------------------------------------------------


def run(folder: Path, out: Path, *inputs: Path, **settings: Any) -> tuple[Any, dict[str, Any]]:
    result = hedgerow.run(config(folder, *inputs, **settings), out)
    return result, json.loads((out / "run.json").read_text())


def status(manifest: dict[str, Any]) -> dict[str, str]:
    return {row["name"]: row["status"] for row in manifest["inputs"]}


def test_a_raster_cut_off_in_the_middle_of_a_folder_costs_no_other(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for name in "abc":
        picture(folder / f"{name}.tif")
    (folder / "b.tif").write_bytes((folder / "b.tif").read_bytes()[:1500])
    (folder / "d.tif").write_text("no raster")
    result, manifest = run(tiny_model, tmp_path / "out", folder)
    assert status(manifest) == {"a": "done", "b": "failed", "c": "done", "d": "failed"}
    assert {failure.input for failure in result.failures} == {"b", "d"}
    assert "b.tif: cannot read" in next(f.error for f in result.failures if f.input == "b")
    written = {path.parent.parent.name for path in (tmp_path / "out").rglob("borders.gpkg")}
    assert written == {"a", "c"}


def test_an_input_without_a_valid_pixel_is_skipped_and_recorded(tiny_model: Path, tmp_path: Path) -> None:
    picture(tmp_path / "in/a.tif")
    picture(tmp_path / "in/empty.tif", data=np.zeros((3, 40, 40), np.uint8), nodata=0)
    result, manifest = run(tiny_model, tmp_path / "out", tmp_path / "in", arms=("fp32", "int8"))
    assert result.skipped == ("empty",)
    assert status(manifest) == {"a": "done", "empty": "skipped"}
    assert result.failures == ()
    assert not (tmp_path / "out/empty").exists()


def test_a_run_of_nothing_but_nodata_ends_well_with_everything_skipped(tiny_model: Path, tmp_path: Path) -> None:
    empty = picture(tmp_path / "empty.tif", data=np.zeros((3, 40, 40), np.uint8), nodata=0)
    result, manifest = run(tiny_model, tmp_path / "out", empty)
    assert (result.skipped, result.files, status(manifest)) == (("empty",), (), {"empty": "skipped"})


@pytest.mark.parametrize("shape", [(20, 17), (1, 1), (3, 70)])
def test_a_raster_smaller_than_a_tile_works(tiny_model: Path, tmp_path: Path, shape: tuple[int, int]) -> None:
    path = picture(tmp_path / "a.tif", shape)
    _, manifest = run(tiny_model, tmp_path / "out", path, tile_px=512, halo_px=64)
    assert status(manifest) == {"a": "done"}
    with rasterio.open(tmp_path / "out/a/fp32/probability.tif") as file:
        assert file.shape == shape
        # Every pixel has an answer: four rounded probabilities sum to 1 within half a byte each.
        assert np.abs(file.read().astype(int).sum(axis=0) - 255).max() <= 2


@pytest.fixture(scope="module")
def scene(scenes_folder: Path) -> Any:
    """Return pixels (bands, height, width) in which the tiny model finds fields."""
    with rasterio.open(scenes_folder / "strips.tif") as file:
        return file.read()


@pytest.fixture(scope="module")
def north_up(scene: Any, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the fields of the scene on an ordinary grid, in pixel coordinates."""
    folder = tmp_path_factory.mktemp("north_up")
    run(tiny_model, folder / "out", picture(folder / "a.tif", data=scene))
    return fields_px(folder / "out", PLACE)


def fields_px(out: Path, transform: Affine) -> Any:
    fields = geopandas.read_file(out / "a/fp32/borders.gpkg", layer="fields")
    assert fields.crs.to_epsg() == 32632
    return fields.geometry.affine_transform((~transform).to_shapely())


@pytest.mark.parametrize(
    "transform",
    [
        Affine(1, 0, 500000, 0, 1, 5999960),  # south-up
        PLACE @ Affine.rotation(30),
        PLACE @ Affine.shear(0, 15),
    ],
)
def test_south_up_rotated_and_sheared_rasters_give_the_same_fields_at_their_own_place(
    scene: Any, north_up: Any, tiny_model: Path, tmp_path: Path, transform: Affine
) -> None:
    path = picture(tmp_path / "a.tif", data=scene, transform=transform)
    run(tiny_model, tmp_path / "out", path)
    with rasterio.open(tmp_path / "out/a/fp32/probability.tif") as file:
        assert file.transform.almost_equals(transform, 1e-6)
    found = fields_px(tmp_path / "out", transform)
    assert len(found) == len(north_up) > 3
    # Coordinates of 6,000,000 m hold 1e-9 m; there and back again is far below a thousandth of a pixel.
    assert (found.symmetric_difference(north_up, align=False).area < 1e-3).all()


def test_scaling_is_one_per_input_whatever_the_tiles_and_constants_override_it(
    tiny_model: Path, tmp_path: Path
) -> None:
    path = picture(tmp_path / "a.tif")
    constants = {"low": (0.0, 1.0, 2.0), "high": (100.0, 101.0, 102.0)}
    cases: dict[str, Any] = {"small": {"tile_px": 32}, "large": {"tile_px": 64}, "fixed": {"scaling": constants}}
    made = {
        name: run(tiny_model, tmp_path / name, path, **settings)[1]["inputs"][0] for name, settings in cases.items()
    }
    assert made["small"]["scaling"] == made["large"]["scaling"]
    assert made["small"]["scaling_from"] == "percentiles of the input"
    assert made["fixed"]["scaling"] == {"low": [0, 1, 2], "high": [100, 101, 102]}
    assert made["fixed"]["scaling_from"] == "config"


def test_a_black_collar_is_reported_and_its_fix_works(
    tiny_model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = np.random.default_rng(0).integers(1, 250, (3, 48, 40)).astype(np.uint8)
    data[:, :, :10] = 0
    path = picture(tmp_path / "a.tif", data=data)
    with caplog.at_level(logging.WARNING):
        _, manifest = run(tiny_model, tmp_path / "out", path)
    (warning,) = manifest["inputs"][0]["warnings"]
    assert "25.0% of the raster is exactly 0" in warning
    assert f"a: {warning}" in caplog.messages
    with rasterio.open(tmp_path / "out/a/fp32/probability.tif") as file:
        assert file.dataset_mask().all()  # reported, not acted upon
    assert "--set nodata=0" in warning
    _, manifest = run(tiny_model, tmp_path / "fixed", path, nodata=0)
    assert manifest["inputs"][0]["warnings"] == []
    with rasterio.open(tmp_path / "fixed/a/fp32/probability.tif") as file:
        np.testing.assert_array_equal(file.dataset_mask() > 0, (data > 0).any(axis=0))


def test_a_manifest_s_config_gives_the_same_maps_again(tiny_model: Path, tmp_path: Path) -> None:
    path = picture(tmp_path / "a.tif")
    _, manifest = run(tiny_model, tmp_path / "out", path)
    hedgerow.run(RunConfig.model_validate(manifest["config"]), tmp_path / "again")
    with (
        rasterio.open(tmp_path / "out/a/fp32/probability.tif") as first,
        rasterio.open(tmp_path / "again/a/fp32/probability.tif") as second,
    ):
        np.testing.assert_array_equal(first.read(), second.read())

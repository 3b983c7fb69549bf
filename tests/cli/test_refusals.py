"""What cannot be done is said in one line with an exit code, before or beside what can; and nothing is lost."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from safetensors.torch import load_file, save_file


def one_line(done, *texts: str) -> None:
    assert done.exit_code == 1, (done.stdout, done.stderr)
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    for text in texts:
        assert text in done.stderr


def image(path: Path, height: int = 64, width: int = 64, **options: object) -> Path:
    """Write an RGB picture of noise, all valid, that may lack what is set to None."""
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {"crs": "EPSG:32633", "transform": Affine(1, 0, 500000, 0, -1, 5000000), "photometric": "RGB"} | options
    pixels = np.random.default_rng(0).integers(1, 255, (3, height, width)).astype(np.uint8)
    with rasterio.open(
        path, "w", driver="GTiff", count=3, height=height, width=width, dtype="uint8",
        **{key: value for key, value in profile.items() if value is not None},
    ) as dataset:  # fmt: skip
        dataset.write(pixels)
    return path


def manifest(out: Path) -> dict:
    return json.loads((out / "run.json").read_text())


# --- exit 1: settings -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        (("--arms", "fp32,int9"), ("unknown arm 'int9'", "did you mean 'int8'")),
        (("--arms", "int8,int8"), ("'int8' is given twice",)),
        (("--to", "shp,shape"), ("unknown writers kind 'shape'", "did you mean")),
        (("--set", "tracer.kind=watershet"), ("unknown tracers kind", "did you mean 'watershed'")),
        (("--set", "metrics=[{kind: erqua}]"), ("unknown metrics kind", "did you mean 'erqa'")),
        (("--set", "tile=3"), ("tile: Extra inputs are not permitted",)),
        (("--set", "tile_px"), ("write it as a.b=value",)),
        (("--config", "areal"), ("unknown preset 'areal'", "did you mean 'aerial'")),
        (("--scheduler", "thread"), ("unknown scheduler 'thread'",)),
        (("--fail-below", "erqua=0.9"), ("unknown score 'erqua'", "did you mean 'erqa'")),
        (("--fail-below", "erqa=high"), ("write it as",)),
        (("--truth", "nowhere.gpkg"), ("there is no such file",)),
    ],
)
def test_a_wrong_setting_is_refused_before_any_work(quick, scenes_folder: Path, tmp_path: Path, words, texts) -> None:
    out = tmp_path / "out"
    one_line(quick("compare", scenes_folder, "-o", out, *words), *texts)
    assert not out.exists() or not list(out.rglob("*.tif"))


def test_cuda_is_refused_where_there_is_none(quick, scenes_folder: Path, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    one_line(quick("run", scenes_folder, "-o", tmp_path / "out", "--device", "cuda"), "use --device cpu")
    one_line(quick("run", scenes_folder, "-o", tmp_path / "other", "--device", "tpu"), "there is auto, cpu and cuda")


@pytest.mark.parametrize("words", [(), ("compare",), ("run", "a.tif"), ("compare", "a.tif", "-o", "o", "--nonsense")])
def test_a_wrong_command_line_is_a_usage_error(invoke, words) -> None:
    done = invoke(*words)
    assert done.exit_code == 2
    assert "Usage" in done.stderr or "Usage" in done.stdout


@pytest.mark.parametrize("words", [("-j", "0"), ("--bands", "red=*B4*,green")])
def test_a_wrong_value_is_a_usage_error(invoke, tmp_path: Path, words) -> None:
    assert invoke("run", tmp_path, "-o", tmp_path / "out", *words).exit_code == 2


# --- exit 1: models -------------------------------------------------------------------------------------------------


def other_model(tiny_model: Path, folder: Path) -> Path:
    return shutil.copytree(tiny_model, folder)


def test_weights_that_are_a_pickle_are_refused(invoke, tiny_model: Path, scenes_folder: Path, tmp_path: Path) -> None:
    model = other_model(tiny_model, tmp_path / "model")
    torch.save({"head.weight": torch.zeros(1)}, model / "model.safetensors")
    done = invoke("run", scenes_folder, "-o", tmp_path / "out", "--model", model, "-q")
    one_line(done, "is a pickle", "model.safetensors", "convert it to safetensors")


def test_weights_of_other_shapes_are_refused(invoke, tiny_model: Path, scenes_folder: Path, tmp_path: Path) -> None:
    model = other_model(tiny_model, tmp_path / "model")
    state = load_file(model / "model.safetensors")
    save_file(state | {"head.weight": torch.zeros(16, 5, 3, 3)}, model / "model.safetensors")
    done = invoke("run", scenes_folder, "-o", tmp_path / "out", "--model", model, "-q")
    one_line(done, "1 weights do not fit", "head.weight (16, 5, 3, 3) instead of (16, 8, 3, 3)")


def test_damaged_weights_are_refused(invoke, tiny_model: Path, scenes_folder: Path, tmp_path: Path) -> None:
    model = other_model(tiny_model, tmp_path / "model")
    whole = (model / "model.safetensors").read_bytes()
    (model / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    done = invoke("run", scenes_folder, "-o", tmp_path / "out", "--model", model, "-q")
    one_line(done, "is no safetensors file")


def test_an_unknown_model_is_answered_with_the_known_ones(invoke, scenes_folder: Path, tmp_path: Path) -> None:
    done = invoke("run", scenes_folder, "-o", tmp_path / "out", "--model", "hedgerow-tinny", "-q")
    one_line(done, "did you mean 'hedgerow-tiny'")


# --- exit 1: inputs -------------------------------------------------------------------------------------------------


def test_a_folder_without_rasters_is_refused(quick, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    one_line(quick("run", tmp_path, "-o", tmp_path / "out"), "no raster in")
    one_line(quick("run", tmp_path / "nothing", "-o", tmp_path / "out"), "there is no such file or folder")


def test_a_raster_without_crs_is_refused_with_the_remedy(hedgerow, tiny_model: Path, tmp_path: Path) -> None:
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        path = image(tmp_path / "plain.tif", crs=None, transform=None)
    done = hedgerow("run", path, "-o", tmp_path / "out", "--model", tiny_model, "-q")
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    for text in ("error:", str(path), "has no CRS", "rio edit-info --crs"):
        assert text in line


def test_too_few_bands_are_refused(quick, tmp_path: Path) -> None:
    path = tmp_path / "one.tif"
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=64, width=64, dtype="uint8", crs="EPSG:32633",
        transform=Affine(1, 0, 500000, 0, -1, 5000000),
    ) as dataset:  # fmt: skip
        dataset.write(np.ones((1, 64, 64), np.uint8))
    one_line(quick("run", path, "-o", tmp_path / "out"), "has 1 band(s)", "needs red, green, blue")


def test_a_raster_smaller_than_a_tile_works(quick, tmp_path: Path) -> None:
    path = image(tmp_path / "small.tif", 40, 23)
    done = quick("compare", path, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    with rasterio.open(tmp_path / "out/small/fp32/probability.tif") as dataset:
        assert dataset.shape == (40, 23)
        assert (dataset.dataset_mask() > 0).all()
    assert manifest(tmp_path / "out")["inputs"][0]["tiles"] == 1


def test_a_raster_of_one_pixel_works(quick, tmp_path: Path) -> None:
    done = quick("compare", image(tmp_path / "dot.tif", 1, 1), "-o", tmp_path / "out")
    assert done.exit_code == 0, done.stderr


# --- nodata ---------------------------------------------------------------------------------------------------------


def empty(path: Path) -> Path:
    image(path, nodata=0)
    with rasterio.open(path, "r+") as dataset:
        dataset.write(np.zeros((3, 64, 64), np.uint8))
    return path


def test_a_raster_without_a_valid_pixel_is_skipped_and_recorded(quick, tmp_path: Path) -> None:
    inputs = tmp_path / "inputs"
    empty(inputs / "empty.tif")
    image(inputs / "full.tif")
    done = quick("compare", inputs, "-o", tmp_path / "out", "--arms", "fp32,int8", "--json")
    assert done.exit_code == 0, done.stderr
    assert "skipped: empty: no valid pixel" in done.stderr
    assert json.loads(done.stdout)["skipped"] == ["empty"]
    assert [(i["name"], i["status"]) for i in manifest(tmp_path / "out")["inputs"]] == [
        ("empty", "skipped"), ("full", "done"),
    ]  # fmt: skip
    assert not (tmp_path / "out/empty").exists()


@pytest.mark.parametrize("command", ["run", "compare"])
def test_nothing_but_rasters_without_a_valid_pixel_is_no_crash(quick, tmp_path: Path, command: str) -> None:
    more = ("--arms", "fp32,int8") if command == "compare" else ("--arm", "int8")
    done = quick(command, empty(tmp_path / "empty.tif"), "-o", tmp_path / "out", *more)
    assert done.exit_code == 0, done.stderr
    assert "skipped: empty: no valid pixel" in done.stderr
    assert [i["status"] for i in manifest(tmp_path / "out")["inputs"]] == ["skipped"]


# --- truth ----------------------------------------------------------------------------------------------------------


def test_truth_in_another_crs_is_brought_to_the_raster(quick, scenes_folder: Path, compared, tmp_path: Path) -> None:
    truth = geopandas.read_file(scenes_folder / "strips.gpkg")
    truth.to_crs(3857).to_file(tmp_path / "mercator.gpkg")
    done = quick("compare", scenes_folder / "strips.tif", "-o", tmp_path / "out", "--truth", tmp_path / "mercator.gpkg")
    assert done.exit_code == 0, done.stderr

    def rows(out: Path) -> dict:
        scores = json.loads((out / "scores.json").read_text())["scores"]
        return {(r["metric"], r["layer"]): r["n"] for r in scores
                if r["against"] == "truth" and r["input"] == "strips" and r["arm"] == "fp32"}  # fmt: skip

    # the truth's corners move by micrometres only: the same objects, and the same pixels but for a handful
    ours, expected = rows(tmp_path / "out"), rows(compared.out)
    assert ours["object_f1", "all"] == expected["object_f1", "all"]
    assert ours["boundary_f1", "all"] == pytest.approx(expected["boundary_f1", "all"], rel=0.01)


def test_truth_without_overlap_is_refused(quick, scenes_folder: Path, tmp_path: Path) -> None:
    far = geopandas.read_file(scenes_folder / "strips.gpkg")
    far.geometry = far.translate(50_000, 0)
    far.to_file(tmp_path / "far.gpkg")
    done = quick("compare", scenes_folder / "strips.tif", "-o", tmp_path / "out", "--truth", tmp_path / "far.gpkg")
    one_line(done, "truth and raster do not overlap", "far.gpkg")


def test_truth_that_nowhere_is_found_is_refused(quick, tmp_path: Path) -> None:
    done = quick("compare", image(tmp_path / "alone.tif"), "-o", tmp_path / "out", "--truth", "auto")
    one_line(done, "no input has truth there", "STEM_fields.gpkg")


# --- exit 3 and 4 ---------------------------------------------------------------------------------------------------


def test_a_corrupt_file_in_the_middle_leaves_the_others_written(quick, tmp_path: Path) -> None:
    inputs = tmp_path / "inputs"
    for name in ("a", "b_cut", "c"):
        image(inputs / f"{name}.tif", 128, 128, compress="deflate", tiled=True, blockxsize=64, blockysize=64)
    (inputs / "b_gone.tif").write_bytes(b"not a raster")
    whole = (inputs / "b_cut.tif").read_bytes()
    (inputs / "b_cut.tif").write_bytes(whole[: len(whole) * 2 // 3])
    out = tmp_path / "out"
    done = quick("compare", inputs, "-o", out, "--json")
    assert done.exit_code == 3, (done.stdout, done.stderr)
    failed = {failure["input"]: failure["error"] for failure in json.loads(done.stdout)["failures"]}
    assert failed.keys() == {"b_cut", "b_gone"}
    for name, error in failed.items():
        assert f"{name}.tif" in error
        assert f"failed: {name}: " in done.stderr
    assert {f["input"]: f["error"] for f in manifest(out)["failures"]} == failed
    statuses = {i["name"]: i["status"] for i in manifest(out)["inputs"]}
    assert statuses == {"a": "done", "b_cut": "failed", "b_gone": "failed", "c": "done"}
    for name in ("a", "c"):
        assert len(geopandas.read_file(out / name / "fp32/borders.gpkg", layer="fields")) >= 0
    scores = json.loads((out / "scores.json").read_text())["scores"]
    assert {row["input"] for row in scores} == {"a", "c", None}
    assert "b_cut" in (out / "report.html").read_text()


def test_a_gate_that_is_not_met_exits_with_4_after_everything_is_written(
    quick, scenes_folder: Path, tmp_path: Path
) -> None:
    words = ("compare", scenes_folder / "woods.tif", "-o", tmp_path / "out", "--arms", "w4a4-minmax")
    done = quick(*words, "--fail-below", "boundary_iou=0.999", "--fail-below", "boundary_f1=0.01")
    assert done.exit_code == 4
    (line,) = done.stderr.splitlines()
    assert line.startswith("gate not met: w4a4-minmax boundary_iou 0.")
    assert line.endswith("< 0.999")
    assert "boundary_f1" not in line
    assert (tmp_path / "out/report.html").is_file()
    assert "w4a4-minmax" in done.stdout


# --- OUT ------------------------------------------------------------------------------------------------------------


def test_an_existing_out_is_refused_and_a_run_is_overwritten_when_asked(quick, tmp_path: Path) -> None:
    path, out = image(tmp_path / "a.tif"), tmp_path / "out"
    assert quick("compare", path, "-o", out, "--arms", "fp32,int8").exit_code == 0
    (out / "notes.txt").write_text("mine")
    (out / "a/int8/photo.jpg").write_text("mine")
    one_line(quick("run", path, "-o", out), "exists already", "--overwrite")
    one_line(quick("run", path, "-o", out, "--resume"), "no interrupted run to resume")
    assert (out / "scores.json").exists()
    assert quick("run", path, "-o", out, "--overwrite").exit_code == 0
    left = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    ours = {"run.json", "a/fp32/probability.tif", "a/fp32/borders.gpkg"}
    assert left == ours | {"notes.txt", "a/int8/photo.jpg"}


@pytest.mark.parametrize("content", [None, "{}", "[1]", "not json", '{"config": {"lr": 1}}'])
def test_a_folder_of_others_is_never_overwritten(quick, tmp_path: Path, content: str | None) -> None:
    out = tmp_path / "out"
    (out / "fp32").mkdir(parents=True)
    (out / "fp32/probability.tif").write_text("mine")
    if content is not None:
        (out / "run.json").write_text(content)
    one_line(quick("run", image(tmp_path / "a.tif"), "-o", out, "-f"), "no run of hedgerow")
    assert (out / "fp32/probability.tif").read_text() == "mine"


def test_the_inputs_inside_out_survive_an_overwrite(quick, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert quick("run", image(tmp_path / "a.tif"), "-o", out).exit_code == 0
    inside = image(out / "images/b.tif")
    assert quick("run", inside, "-o", out, "-f").exit_code == 0
    assert inside.is_file()
    assert (out / "b/fp32/borders.gpkg").is_file()
    assert not (out / "a").exists()


@pytest.mark.parametrize("out", ["file", "file/below"])
def test_an_out_that_cannot_be_written_is_refused(quick, tmp_path: Path, out: str) -> None:
    (tmp_path / "file").write_text("mine")
    for more in ((), ("-f",)):
        one_line(quick("run", image(tmp_path / "a.tif"), "-o", tmp_path / out, *more), str(tmp_path / out))
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("words", [("synth", "--scenes", 1), ("score", "labels", "labels"), ("trace", "labels")])
def test_no_command_crashes_on_an_out_that_cannot_be_written(invoke, tmp_path: Path, words) -> None:
    (tmp_path / "file").write_text("mine")
    labels = tmp_path / "labels.tif"
    with rasterio.open(
        labels, "w", driver="GTiff", count=1, height=8, width=8, dtype="int16", crs="EPSG:32633",
        transform=Affine(1, 0, 500000, 0, -1, 5000000),
    ) as dataset:  # fmt: skip
        dataset.write(np.arange(64, dtype=np.int16).reshape(1, 8, 8))
    done = invoke(*(labels if word == "labels" else word for word in words), "-o", tmp_path / "file/below.gpkg", "-q")
    one_line(done, str(tmp_path / "file"))


# --- exit 70 --------------------------------------------------------------------------------------------------------


def test_what_nobody_expected_is_one_line_and_70(tmp_path: Path) -> None:
    code = (
        "import sys, hedgerow.jobs.listing as listing\n"
        "def broken(_):\n    raise RuntimeError('the moon\\nis down')\n"
        "listing.listing = broken\nfrom hedgerow_cli.app import main\n"
        "sys.argv = ['hedgerow', 'components', *sys.argv[1:]]\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 70
    assert done.stderr == "unexpected RuntimeError: the moon is down (run it with -vv for the whole story)\n"
    told = subprocess.run([sys.executable, "-c", code, "-vv"], capture_output=True, text=True)
    assert told.returncode == 70
    assert "Traceback" in told.stderr

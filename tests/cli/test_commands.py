"""What each command gives a person or a script: data on stdout, the rest on stderr, files where they were asked for."""

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio
import yaml
from affine import Affine
from pyproj import CRS


def write_raster(path: Path, pixels: np.ndarray, epsg: int = 32633, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    bands = pixels if pixels.ndim == 3 else pixels[None]
    with rasterio.open(
        path, "w", driver="GTiff", count=len(bands), height=bands.shape[1], width=bands.shape[2], dtype=bands.dtype,
        crs=f"EPSG:{epsg}", transform=Affine(1, 0, 500000, 0, -1, 5000000), **options,
    ) as dataset:  # fmt: skip
        dataset.write(bands)
    return path


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labels: four squares of 20 px, in a row of two rows."""
    labels = np.kron(np.array([[1, 2], [3, 4]], np.int16), np.ones((20, 20), np.int16))
    return write_raster(tmp_path_factory.mktemp("labels") / "squares.tif", labels)


# --- help, listings, settings ---------------------------------------------------------------------------------------


def test_help_is_quick_because_it_imports_no_heavy_package() -> None:
    code = (
        "import sys\nfrom hedgerow_cli.app import main\nsys.argv = ['hedgerow', '--help']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = {'torch', 'dask', 'numpy', 'rasterio', 'geopandas', 'matplotlib', 'pydantic'} & set(sys.modules)\n"
        "sys.stderr.write(','.join(sorted(heavy)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr == ""
    assert "compare" in done.stdout


def test_importing_the_package_imports_no_heavy_package_and_offers_the_functions() -> None:
    code = (
        "import sys, hedgerow\nassert not {'torch', 'dask', 'rasterio', 'geopandas'} & set(sys.modules)\n"
        "for name in hedgerow.__all__: assert callable(getattr(hedgerow, name)), name\n"
        "assert set(hedgerow.__all__) <= set(dir(hedgerow))"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_every_command_of_the_contract_is_there(invoke) -> None:
    text = invoke("--help").stdout
    for command in ("run", "compare", "score", "trace", "export", "train", "synth", "plan", "report", "components",
                    "config", "doctor"):  # fmt: skip
        assert f" {command} " in text
        assert invoke(command, "--help").exit_code == 0


def test_the_version_is_that_of_the_package(invoke) -> None:
    from importlib.metadata import version

    assert invoke("--version").stdout.strip() == version("hedgerow")


def test_components_are_listed_one_line_each_and_as_json(invoke) -> None:
    text, values = invoke("components").stdout, json.loads(invoke("components", "--json").stdout)
    assert {"sources", "backbones", "quantizers", "losses", "tracers", "metrics", "writers", "arms", "presets",
            "models"} <= values.keys()  # fmt: skip
    assert {"none", "minmax", "percentile", "spatial"} <= {kind["name"] for kind in values["quantizers"]}
    assert {"fp32", "int8", "w4a4-minmax", "w4a4-percentile", "w4a4-spatial"} <= {a["name"] for a in values["arms"]}
    for kinds in values.values():
        for kind in kinds:
            assert kind["about"], f"{kind['name']} says nothing about itself"
            assert kind["name"] in text
    assert set(json.loads(invoke("components", "arms", "--json").stdout)) == {"arms"}


def test_an_unknown_family_is_answered_with_the_nearest(invoke) -> None:
    done = invoke("components", "metric")
    assert done.exit_code == 1
    assert "did you mean 'metrics'" in done.stderr


def configs() -> list[Path]:
    folder = Path(__file__).resolve().parents[2] / "configs"
    return sorted(folder.rglob("*.yaml"))


@pytest.mark.parametrize("path", configs(), ids=lambda path: path.stem)
def test_every_file_in_configs_is_understood_by_path_and_by_name(invoke, path: Path) -> None:
    kind = {"arms": "arm", "train": "training"}.get(path.parent.name, "run")
    for name in (path, path.stem):
        done = invoke("config", "check", name)
        assert done.exit_code == 0, done.stderr
        assert done.stdout == f"{name}: ok ({kind})\n"
    shown = yaml.safe_load(invoke("config", "show", path).stdout)
    given = yaml.safe_load(path.read_text())
    assert given.keys() <= shown.keys()


@pytest.mark.parametrize("text", ["tile_pxx: 3", "tile_px: many", "[1, 2]", "a: {b: ", "quantizer: {kind: nonsense}"])
def test_settings_that_are_wrong_are_refused_in_one_line(invoke, tmp_path: Path, text: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    done = invoke("config", "check", path)
    assert done.exit_code == 1
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_doctor_finds_this_machine_fit(invoke) -> None:
    findings = json.loads(invoke("doctor", "--json").stdout)
    states = {finding["what"]: finding["state"] for finding in findings}
    for what in ("python", "torch", "numpy", "rasterio", "geopandas", "dask", "models"):
        assert states[what] == "ok"
    assert all(finding["fix"] for finding in findings if finding["state"] == "missing")
    assert "torch" in invoke("doctor").stdout


# --- plan -----------------------------------------------------------------------------------------------------------


def test_a_plan_says_what_would_run_and_computes_nothing(invoke, scenes_folder: Path, tiny_model: Path) -> None:
    before = sorted(scenes_folder.rglob("*"))
    words = ("plan", scenes_folder, "--arms", "fp32,int8", "--truth", "auto", "--model", tiny_model, "--tile-size", 64)
    plan = json.loads(invoke(*words, "--json").stdout)
    assert plan["tiles"] == 18
    assert plan["arms"] == ["fp32", "int8"]
    assert plan["megapixels"] == pytest.approx(2 * 192 * 160 / 1e6)
    assert [(row["name"], row["size"], row["truth"]) for row in plan["inputs"]] == [
        ("strips", "160 x 192", "strips.gpkg"), ("woods", "192 x 160", "woods.gpkg"),
    ]  # fmt: skip
    assert plan["failures"] == []
    assert plan["seconds"] > 0
    assert plan["gigabytes"] > 0
    text = invoke(*words).stdout
    assert "strips" in text
    assert "18 tiles x 2 arm(s)" in text
    assert sorted(scenes_folder.rglob("*")) == before


def test_a_plan_tells_the_problems_of_inputs(invoke, scenes_folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.tif").write_bytes(b"II*\x00 no raster")
    done = invoke("plan", scenes_folder, tmp_path, "--model", tiny_model, "--json")
    assert done.exit_code == 0
    (failure,) = json.loads(done.stdout)["failures"]
    assert failure["input"] == "broken"
    assert "cannot be opened" in failure["error"]


@pytest.mark.parametrize("words", [("--arms", "int9"), ("--set", "tracer.kind=watershet")])
def test_a_plan_refuses_what_a_run_would_refuse(invoke, scenes_folder: Path, tiny_model: Path, words) -> None:
    done = invoke("plan", scenes_folder, "--model", tiny_model, *words)
    assert done.exit_code == 1
    assert "did you mean" in done.stderr


def test_names_with_brackets_are_shown_as_they_are(
    invoke, monkeypatch: pytest.MonkeyPatch, scenes_folder: Path, tiny_model: Path, tmp_path: Path
) -> None:
    finding = {"what": "transformers", "found": "", "state": "note", "fix": "pip install hedgerow[hub]"}
    shutil.copy(scenes_folder / "woods.tif", tmp_path / "field [red] 7.tif")
    assert "field [red] 7" in invoke("plan", tmp_path, "--model", tiny_model).stdout
    monkeypatch.setattr("hedgerow.jobs.doctoring.examine", lambda: [finding])
    assert finding["fix"] in invoke("doctor").stdout


# --- run and export -------------------------------------------------------------------------------------------------


def test_run_makes_the_maps_of_one_arm_in_further_formats(quick, scenes_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = quick("run", scenes_folder / "strips.tif", "-o", out, "--arm", "int8", "--to", "shp, geojson")
    assert done.exit_code == 0, done.stderr
    assert done.stderr == ""
    files = [Path(line) for line in done.stdout.splitlines()]
    assert all(path.is_file() and path.parent == out / "strips" / "int8" for path in files)
    fields = geopandas.read_file(out / "strips/int8/borders.gpkg", layer="fields")
    shapes = geopandas.read_file(out / "strips/int8/borders_fields.shp")
    assert shapes.crs == CRS(32633)
    assert len(shapes) == len(fields)
    assert shapes["area_m2"].to_numpy() == pytest.approx(fields["area_m2"].to_numpy(), rel=1e-6)
    assert len(geopandas.read_file(out / "strips/int8/borders_borders.geojson")) > 0
    run = json.loads((out / "run.json").read_text())
    assert [arm["name"] for arm in run["arms"]] == ["int8"]
    assert not (out / "scores.json").exists()


def test_a_finished_run_is_exported_map_by_map(hedgerow, compared, tmp_path: Path) -> None:
    done = hedgerow("export", compared.out, "--to", "shp", "-o", tmp_path / "shapes", "-q")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert all(Path(line).is_file() for line in done.stdout.splitlines())
    for stem in ("strips", "woods"):
        for arm in ("fp32", "int8", "w4a4-spatial"):
            for layer in ("fields", "borders"):
                shapes = geopandas.read_file(tmp_path / "shapes" / f"{stem}_{arm}_{layer}.shp")
                there = pyogrio.read_info(compared.out / stem / arm / "borders.gpkg", layer=layer)
                assert len(shapes) == there["features"]
                assert shapes.crs == CRS(there["crs"])


def test_one_map_is_exported_as_json_says(invoke, compared, tmp_path: Path) -> None:
    source = compared.out / "woods/fp32/borders.gpkg"
    done = invoke(
        "export", source, "--to", "parquet", "-o", tmp_path / "map.parquet", "--layer", "fields", "--json", "-q"
    )
    assert json.loads(done.stdout) == {"files": [str(tmp_path / "map.parquet")]}
    assert (
        len(geopandas.read_parquet(tmp_path / "map.parquet")) == pyogrio.read_info(source, layer="fields")["features"]
    )
    again = invoke("export", source, "--to", "parquet", "-o", tmp_path / "map.parquet", "--layer", "fields")
    assert again.exit_code == 1
    assert "--overwrite" in again.stderr


def test_the_report_is_built_again_from_a_finished_run(invoke, compared, tmp_path: Path) -> None:
    out = shutil.copytree(compared.out, tmp_path / "out")
    before = (out / "report.html").read_text()
    (out / "report.html").unlink()
    done = invoke("report", out)
    assert done.stdout.strip() == str(out / "report.html")
    assert (out / "report.html").read_text() == before
    refused = invoke("report", tmp_path)
    assert refused.exit_code == 1


# --- trace and score ------------------------------------------------------------------------------------------------


def test_a_label_raster_is_traced_into_fields_and_borders(hedgerow, squares: Path, tmp_path: Path) -> None:
    done = hedgerow("trace", squares, "-o", tmp_path / "new/map.gpkg", "--tile-size", 7)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "new/map.gpkg")
    assert done.stderr.strip().endswith("4 fields, 4 borders; gaps 0 m2, overlaps 0 m2")
    fields, borders = (geopandas.read_file(tmp_path / "new/map.gpkg", layer=layer) for layer in ("fields", "borders"))
    assert fields.area.tolist() == [400.0] * 4
    assert sorted(borders.length) == [20.0] * 4
    assert set(borders.class_pair) == {"field|field"}


def test_a_traced_layer_may_come_alone(invoke, squares: Path, tmp_path: Path) -> None:
    done = invoke("trace", squares, "-o", tmp_path / "map.geojson", "--layer", "fields", "--json")
    told = json.loads(done.stdout)
    assert told.pop("files") == [str(tmp_path / "map.geojson")]
    assert told == {"fields": 4, "borders": 4, "gap_m2": 0, "overlap_m2": 0}
    assert len(geopandas.read_file(tmp_path / "map.geojson")) == 4


def test_borders_are_straightened_and_smoothed_when_asked_for(invoke, tmp_path: Path) -> None:
    row, col = np.mgrid[:40, :60]
    halves = write_raster(tmp_path / "halves.tif", (1 + (2 * row + col > 70)).astype(np.int16))  # a staircase
    found = {}
    for name, words in {
        "exact": (),
        "straight": ("--regularize", 2),
        "round": ("--smooth", 1, "--smooth-reach", 0.5),
    }.items():
        done = invoke("trace", halves, "-o", tmp_path / f"{name}.gpkg", "--json", *words)
        assert done.exit_code == 0, done.stderr
        told = json.loads(done.stdout)
        assert told["fields"] == 2
        assert told["gap_m2"] == told["overlap_m2"] == 0
        (found[name],) = geopandas.read_file(tmp_path / f"{name}.gpkg", layer="borders").geometry
    assert len(found["straight"].coords) == 2
    # Every corner inside has become two.
    assert len(found["round"].coords) == 2 * len(found["exact"].coords) - 2
    assert found["straight"].length < found["round"].length < found["exact"].length


def test_a_tracer_takes_settings_and_refuses_others(invoke, squares: Path, tmp_path: Path) -> None:
    out = ("-o", tmp_path / "map.gpkg")
    classes = np.ones((30, 61), np.uint8)  # two fields of 30 m, and a border between them with a gap of 4 m
    classes[:, 30] = np.where(abs(np.arange(30) - 14.5) < 2, 1, 3)
    raster = write_raster(tmp_path / "classes.tif", classes)
    for neck_m, fields in ((0, 1), (5, 2)):
        done = invoke("trace", raster, *out, "-f", "--as", "classes", "--set", f"neck_m={neck_m}", "--json")
        assert json.loads(done.stdout)["fields"] == fields
    for words in (("--as", "classes", "--set", "neckm=3"), ("--set", "neck_m=3")):
        done = invoke("trace", squares, *out, "-f", *words)
        assert done.exit_code == 1
        assert words[-1].split("=")[0] in done.stderr


def test_a_raster_can_be_checked_for_seams_without_writing_a_map(invoke, squares: Path, tmp_path: Path) -> None:
    done = invoke("trace", squares, "--check-seams", "--tile-size", 7)
    assert done.exit_code == 0, done.stderr
    assert done.stdout == "4 fields and 4 borders at tiles of 7 px; 0 features differ at tiles of 2 and 15 px\n"
    report = json.loads(invoke("trace", squares, "--check-seams", "-o", tmp_path / "m.gpkg", "--json").stdout)
    assert report["files"] == [str(tmp_path / "m.gpkg")]
    assert report["seams"] == {"tile_px": [1024, 341, 2049], "fields": 4, "borders": 4, "differences": []}


def test_a_seam_is_said_and_fails(invoke, squares: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hedgerow.jobs import seams

    where = seams.Difference("fields", 2, (0.0, 1.0, 2.0, 3.0))
    monkeypatch.setattr(seams, "differences", lambda first, other, px: [where] if px == 2 else [])
    done = invoke("trace", squares, "--check-seams", "--tile-size", 7)
    assert done.exit_code == 1
    assert "fields, tiles of 2 px, differ within 0.0 1.0 2.0 3.0" in done.stdout
    assert "1 features differ at tiles of 2 and 15 px" in done.stderr


def test_a_trace_needs_a_place_for_its_map_or_something_to_check(invoke, squares: Path) -> None:
    done = invoke("trace", squares)
    assert done.exit_code == 2
    assert "say where the map goes" in done.stderr


def test_a_raster_of_nodata_is_traced_into_empty_layers_and_it_is_said(hedgerow, tmp_path: Path) -> None:
    transform = rasterio.Affine(2, 0, 500000, 0, -2, 5000000)
    with rasterio.open(
        tmp_path / "empty.tif", "w", driver="GTiff", count=1, height=4, width=5, dtype="int32", nodata=-1,
        crs="EPSG:32633", transform=transform,
    ) as file:  # fmt: skip
        file.write(np.full((1, 4, 5), -1, np.int32))
    done = hedgerow("trace", tmp_path / "empty.tif", "-o", tmp_path / "map.gpkg")
    assert done.returncode == 0
    assert "no valid pixel" in done.stderr
    for layer in ("fields", "borders"):
        assert len(geopandas.read_file(tmp_path / "map.gpkg", layer=layer)) == 0


def test_a_trace_never_replaces_a_file_unasked(invoke, squares: Path, tmp_path: Path) -> None:
    (tmp_path / "map_fields.geojson").write_text("mine")  # what a format of one layer makes of map.geojson
    done = invoke("trace", squares, "-o", tmp_path / "map.geojson")
    assert done.exit_code == 1
    assert "map_fields.geojson is there already" in done.stderr
    assert (tmp_path / "map_fields.geojson").read_text() == "mine"
    assert invoke("trace", squares, "-o", tmp_path / "map.geojson", "-f").exit_code == 0


def test_tracing_the_probabilities_of_a_run_gives_its_map(invoke, compared, tmp_path: Path) -> None:
    folder = compared.out / "woods/int8"
    assert invoke("trace", folder / "probability.tif", "-o", tmp_path / "map.gpkg").exit_code == 0
    ours, its = (geopandas.read_file(path, layer="fields") for path in (tmp_path / "map.gpkg", folder / "borders.gpkg"))
    assert ours.geometry.to_wkb().tolist() == its.geometry.to_wkb().tolist()
    assert ours.confidence.tolist() == its.confidence.tolist()


def scores_of(done) -> dict[str, float | None]:
    assert done.stdout, done.stderr
    rows = json.loads(done.stdout)["scores"]
    assert {row["arm"] for row in rows} == {"candidate"}
    assert {row["against"] for row in rows} == {"reference"}
    return {row["metric"]: row["value"] for row in rows if row["layer"] == "all" and row["input"] is None}


def test_scoring_a_run_s_rasters_gives_the_scores_of_the_run(hedgerow, compared) -> None:
    one, other = (compared.out / "strips" / arm / "probability.tif" for arm in ("int8", "fp32"))
    done = hedgerow("score", one, other, "--json", "--tile-size", 64)  # the run's: equal to the last bit
    assert done.returncode == 0, done.stderr
    found = scores_of(done)
    run = json.loads((compared.out / "scores.json").read_text())["scores"]
    expected = {r["metric"]: r["value"] for r in run if (r["arm"], r["against"], r["layer"], r["input"])
                == ("int8", "fp32", "all", "strips")}  # fmt: skip
    assert found == expected


def test_a_map_has_full_marks_against_itself_as_raster_and_as_vector(invoke, compared) -> None:
    raster, vector = compared.out / "woods/int8/probability.tif", compared.out / "woods/int8/borders.gpkg"
    for done in (
        invoke("score", raster, raster, "--json"),
        invoke("score", vector, vector, "--gsd", 1, "--json"),
    ):
        values = scores_of(done)
        for metric in ("erqa", "boundary_iou", "boundary_f1", "object_f1", "continuity"):
            assert values[metric] == 1.0


def test_a_raster_is_scored_by_the_vectors_traced_from_it(invoke, squares: Path, tmp_path: Path) -> None:
    assert invoke("trace", squares, "-o", tmp_path / "map.gpkg").exit_code == 0
    values = scores_of(invoke("score", squares, tmp_path / "map.gpkg", "--json"))
    assert values["object_f1"] == 1.0
    assert values["boundary_f1"] == 1.0
    assert scores_of(invoke("score", tmp_path / "map.gpkg", squares, "--json"))["object_f1"] == 1.0


def test_folders_are_scored_by_stem_and_pooled(invoke, squares: Path, tmp_path: Path) -> None:
    for stem in ("a", "b"):
        for folder in ("ours", "theirs"):
            (tmp_path / folder).mkdir(exist_ok=True)
            shutil.copy(squares, tmp_path / folder / f"{stem}.tif")
    shutil.copy(squares, tmp_path / "ours/only.tif")
    done = invoke("score", tmp_path / "ours", tmp_path / "theirs", "--json", "-o", tmp_path / "scores")
    rows = json.loads(done.stdout)["scores"]
    assert {row["input"] for row in rows} == {"a", "b", None}
    counts = {row["input"]: row["n"] for row in rows if row["metric"] == "boundary_f1" and row["layer"] == "all"}
    assert counts[None] == counts["a"] + counts["b"]
    assert json.loads((tmp_path / "scores/scores.json").read_text())["scores"] == rows
    refused = invoke("score", tmp_path / "ours", tmp_path / "theirs", "-o", tmp_path / "scores")
    assert refused.exit_code == 1
    assert "--overwrite" in refused.stderr


def test_scores_are_a_table_for_a_person(invoke, squares: Path) -> None:
    done = invoke("score", squares, squares)
    assert "boundary_f1" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("squares", "missing.tif"), "there is no such file"),
        (("squares", "elsewhere"), "lie on different grids"),
        (("vector", "vector"), "give their grid with --gsd"),
        (("squares", "folder"), "give two files or two folders"),
        (("squares", "three bands"), "has 3 bands"),
    ],
)
def test_maps_that_cannot_be_scored_are_refused_in_one_line(
    invoke, squares: Path, tmp_path: Path, words: tuple[str, str], text: str
) -> None:
    vector = tmp_path / "map.gpkg"
    invoke("trace", squares, "-o", vector)
    known = {
        "squares": squares,
        "vector": vector,
        "folder": tmp_path,
        "elsewhere": write_raster(tmp_path / "zone.tif", np.ones((40, 40), np.int16), epsg=32632),
        "three bands": write_raster(tmp_path / "three.tif", np.ones((3, 40, 40), np.uint8)),
    }
    done = invoke("score", *(known.get(word, tmp_path / word) for word in words))
    assert done.exit_code == 1
    assert text in done.stderr
    assert len(done.stderr.splitlines()) == 1


# --- synth ----------------------------------------------------------------------------------------------------------


def test_synthetic_scenes_come_with_truth_and_are_the_same_for_a_seed(invoke, tmp_path: Path) -> None:
    files = [
        Path(line) for line in invoke("synth", "-o", tmp_path / "a", "--scenes", 1, "--seed", 7, "-q").stdout.split()
    ]
    assert [path.suffix for path in files] == [".tif"]
    assert files[0].with_suffix(".gpkg").is_file()
    assert invoke("synth", "-o", tmp_path / "b", "--scenes", 1, "--seed", 7, "-q").exit_code == 0
    for path in files:
        assert (tmp_path / "b" / path.name).read_bytes() == path.read_bytes()
    refused = invoke("synth", "-o", tmp_path / "a", "--scenes", 1)
    assert refused.exit_code == 1
    assert "--overwrite" in refused.stderr


# --- interruption ---------------------------------------------------------------------------------------------------


def test_an_interrupted_run_is_resumed_and_gives_the_same_scores(
    invoke, scenes_folder: Path, tiny_model: Path, tmp_path: Path
) -> None:
    arm = tmp_path / "quick.yaml"
    arm.write_text("quantizer: {kind: minmax, weight_bits: 8, activation_bits: 8}\ncalibration_tiles: 2\n")

    def words(out: Path, *more: object) -> list[str]:
        given = ["compare", scenes_folder, "-o", out, "--arms", f"fp32,{arm}", "--truth", "auto", *more]
        return list(map(str, [*given, "--model", tiny_model, "--tile-size", 64, "--halo", 32, "--set", "threads=1"]))

    out, command = tmp_path / "out", Path(sysconfig.get_path("scripts")) / "hedgerow"
    running = subprocess.Popen(
        [command, *words(out, "-j", 1)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    until = time.monotonic() + 60
    while not list(out.glob("strips/*/probability.tif")) and time.monotonic() < until:
        time.sleep(0.002)
    running.send_signal(signal.SIGINT)
    stdout, stderr = running.communicate(timeout=60)
    assert running.returncode == 130, stderr
    assert stdout == ""
    assert stderr.strip().endswith("interrupted; run it again with --resume to go on, or --overwrite to begin anew")
    assert "Traceback" not in stderr
    assert not (out / "run.json").exists()

    refused = invoke(*words(out, "-q"))
    assert refused.exit_code == 1
    assert "--resume to go on with it" in refused.stderr
    other = invoke(*words(out, "--resume", "--seed", 5, "-q"))
    assert other.exit_code == 1
    assert "begun with other settings" in other.stderr

    kept = {path: path.stat().st_mtime_ns for path in out.glob("*/*/probability.tif")}
    assert kept
    resumed = invoke(*words(out, "--resume", "-q", "-j", 2))  # how many work may change, what comes out may not
    assert resumed.exit_code == 0, resumed.stderr
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert not (out / ".work").exists()
    whole = invoke(*words(tmp_path / "whole", "-q", "-j", 1))
    assert whole.exit_code == 0, whole.stderr
    assert (out / "scores.json").read_bytes() == (tmp_path / "whole/scores.json").read_bytes()


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    command = Path(sysconfig.get_path("scripts")) / "hedgerow"
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([command, "components", "--json"], stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert done.stderr == ""
    assert done.returncode == 0

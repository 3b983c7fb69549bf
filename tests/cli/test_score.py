"""`hedgerow score` as a person meets it: the installed command on files of all kinds, right and wrong."""

import json
import shutil
import subprocess
from pathlib import Path

import cv2
import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine

TRANSFORM = Affine(1, 0, 500000, 0, -1, 5000000)
TILE_PX = 64
"""As the run's: sums of the same tiles are equal to the last bit."""


def squares(dtype: type = np.int16) -> np.ndarray:
    """Four labels, 20 px each."""
    return np.kron(np.array([[1, 2], [3, 4]], dtype), np.ones((20, 20), dtype))


def polygons(path: Path, *shapes: shapely.Geometry, crs: str | None = "EPSG:32633") -> Path:
    frame = geopandas.GeoDataFrame({"class": ["field"] * len(shapes)}, geometry=list(shapes), crs=crs)
    frame.to_file(path, **({} if shapes else {"geometry_type": "Polygon"}))
    return path


def box(x0: float, y0: float, x1: float, y1: float) -> shapely.Polygon:
    return shapely.box(500000 + x0, 5000000 - y1, 500000 + x1, 5000000 - y0)


def rows_of(done: subprocess.CompletedProcess[str]) -> list[dict]:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["scores"]


def pooled(rows: list[dict]) -> dict[str, float | None]:
    return {row["metric"]: row["value"] for row in rows if row["layer"] == "all" and row["input"] is None}


def refused(done, *texts: str) -> None:
    code = done.exit_code if hasattr(done, "exit_code") else done.returncode
    assert code in (1, 2), (code, done.stdout, done.stderr)
    assert done.stdout == ""
    errors = [line for line in done.stderr.splitlines() if not line.startswith("WARNING")]
    assert len(errors) == 1, done.stderr
    for text in texts:
        assert text in errors[0]


# --- what comes out -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stem", ["strips", "woods"])
def test_scoring_a_map_of_a_run_by_its_truth_gives_the_scores_of_the_run(
    hedgerow, compared, scenes_folder: Path, stem: str
) -> None:
    done = hedgerow(
        "score", compared.out / stem / "int8/probability.tif", scenes_folder / f"{stem}.gpkg", "--json",
        "--tile-size", TILE_PX,
    )  # fmt: skip
    ours = {(r["metric"], r["layer"]): (r["value"], r["n"], r["flag"]) for r in rows_of(done)}
    run = json.loads((compared.out / "scores.json").read_text())["scores"]
    expected = {
        (r["metric"], r["layer"]): (r["value"], r["n"], r["flag"])
        for r in run
        if (r["arm"], r["against"], r["input"]) == ("int8", "truth", stem)
    }
    assert ours == expected


def test_the_overlay_shows_what_was_kept_missed_and_misplaced(raster, hedgerow, tmp_path: Path) -> None:
    one, other = np.zeros((40, 60), np.uint8), np.zeros((40, 60), np.uint8)
    one[8:20, 8:20] = other[8:20, 8:20] = 255  # in both
    one[8:20, 40:52] = 255  # only in the candidate
    other[26:36, 8:20] = 255  # only in the reference
    done = hedgerow("score", raster(tmp_path / "c.tif", one), raster(tmp_path / "r.tif", other), "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"scores.json", "overlay.png"}
    picture = cv2.imread(str(tmp_path / "out/overlay.png"))[..., ::-1]  # OpenCV reads blue first
    assert picture.shape == (40, 60, 3)
    parts = {"both": (slice(0, 24), slice(0, 30)), "candidate": (slice(0, 24), slice(30, 60)),
             "reference": (slice(24, 40), slice(0, 30)), "nobody": (slice(24, 40), slice(30, 60))}  # fmt: skip
    colours = {name: {tuple(map(int, c)) for c in picture[part].reshape(-1, 3)} for name, part in parts.items()}
    black, white, blue, red = (0, 0, 0), (255, 255, 255), (0, 0, 255), (255, 0, 0)
    assert colours == {"both": {black, white}, "candidate": {black, red}, "reference": {black, blue}, "nobody": {black}}


def test_folders_leave_an_overlay_of_each_pair(raster, hedgerow, tmp_path: Path) -> None:
    for folder in ("ours", "theirs"):
        for stem in ("a", "b.v2"):
            raster(tmp_path / folder / f"{stem}.tif", squares())
    done = hedgerow("score", tmp_path / "ours", tmp_path / "theirs", "-o", tmp_path / "out", "--json")
    assert {row["input"] for row in rows_of(done)} == {"a", "b.v2", None}
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"scores.json", "a_overlay.png", "b.v2_overlay.png"}


def test_what_is_in_one_folder_only_is_counted_on_stderr(raster, hedgerow, tmp_path: Path) -> None:
    for name in ("ours/a", "theirs/a", "ours/b", *(f"theirs/c{k}" for k in range(7))):
        raster(tmp_path / f"{name}.tif", squares())
    done = hedgerow("score", tmp_path / "ours", tmp_path / "theirs", "--json")
    assert {row["input"] for row in rows_of(done)} == {"a", None}
    left, right = done.stderr.splitlines()
    assert "ours: 1 without a partner, not scored: b" in left
    assert "theirs: 7 without a partner, not scored: c0, c1, c2, c3, c4 and 2 more" in right


def test_the_table_names_unit_support_and_direction_of_every_score(raster, invoke, tmp_path: Path) -> None:
    path = raster(tmp_path / "map.tif", squares())
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in invoke("score", path, path).stdout.splitlines()
            if line.startswith("│")]  # fmt: skip
    scores = {row[1]: row for row in rows}
    assert set(scores) == {row["metric"] for row in json.loads(invoke("score", path, path, "--json").stdout)["scores"]}
    metric, _, value, unit, good, n, flag = scores["boundary_f1"]
    assert (metric, value, unit, good, flag) == ("boundary_f1", "1.0000", "1", "high", "")
    assert n == str(2 * 40 - 1)  # one row and one column of boundary, which share a pixel
    titles = [row[0] for row in rows if row[0]]
    assert len(titles) == len(set(titles))  # scores of one metric stand together


def test_a_table_of_folders_shows_the_inputs_too(raster, invoke, tmp_path: Path) -> None:
    for name in ("ours/a", "ours/b", "theirs/a", "theirs/b"):
        raster(tmp_path / f"{name}.tif", squares())
    text = invoke("score", tmp_path / "ours", tmp_path / "theirs").stdout
    first, second = text.index("By input"), text.index("Pooled over all inputs")
    assert first < second
    assert [line.split("│")[1].strip() for line in text[first:second].splitlines() if line.startswith("│")] == [
        "a",
        "b",
    ]


def test_only_the_metrics_that_are_named_are_measured(raster, invoke, tmp_path: Path) -> None:
    path = raster(tmp_path / "map.tif", squares())
    rows = json.loads(invoke("score", path, path, "--metrics", "boundary_f1, objects", "--json").stdout)["scores"]
    assert {row["metric"] for row in rows} == {"boundary_f1", "object_precision", "object_recall", "object_f1"}
    refused(invoke("score", path, path, "--metrics", "boundary_f2"), "did you mean 'boundary_f1'")
    refused(invoke("score", path, path, "--metrics", ","), "no metric is named")
    refused(invoke("score", path, path, "--metrics", "erqa,erqa"), "name each once")


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.fixture
def files(raster, tmp_path: Path) -> dict[str, Path]:
    """Every kind of file that people mistake for a map, or for a map of this place."""
    folder = tmp_path / "files"
    good = raster(folder / "good.tif", squares())
    (folder / "text.txt").write_text("hello")
    (folder / "broken.tif").write_bytes(b"II*\x00 not a raster")
    (folder / "broken.gpkg").write_bytes(b"not a database")
    (folder / "broken.parquet").write_bytes(b"PAR1 not a table")
    (folder / "broken.json").write_text("{}")
    (folder / "empty").mkdir()
    noise = np.random.default_rng(0).integers(1, 9999, (256, 256)).astype(np.int16)
    raster(folder / "half/good.tif", noise, compress="deflate", tiled=True, blockxsize=64, blockysize=64)
    whole = (folder / "half/good.tif").read_bytes()
    (folder / "half/good.tif").write_bytes(whole[: len(whole) * 2 // 3])
    raster(folder / "rgb.tif", np.ones((3, 40, 40), np.uint8))
    raster(folder / "complex.tif", np.ones((40, 40), np.complex64))
    raster(folder / "tagged.tif", np.ones((4, 40, 40), np.uint8))
    with rasterio.open(folder / "tagged.tif", "r+") as dataset:
        dataset.update_tags(HEDGEROW="probability")
    raster(folder / "percent.tif", np.full((40, 40), 55.5, np.float32))
    raster(folder / "negative.tif", np.full((40, 40), -0.25, np.float32))
    raster(folder / "infinite.tif", np.full((40, 40), np.inf, np.float32))
    raster(folder / "wide.tif", np.full((40, 40), 2**40, np.int64))
    raster(folder / "invalid.tif", np.zeros((40, 40), np.int16), nodata=0)
    raster(folder / "nan.tif", np.full((40, 40), np.nan, np.float32), nodata=np.nan)
    raster(folder / "far.tif", squares(), transform=Affine(1, 0, 600000, 0, -1, 5000000))
    raster(folder / "shifted.tif", squares(), transform=TRANSFORM @ Affine.translation(0.5, 0))
    raster(folder / "coarse.tif", squares(), transform=TRANSFORM @ Affine.scale(2))
    raster(folder / "south up.tif", squares()[::-1], transform=Affine(1, 0, 500000, 0, 1, 4999960))
    raster(folder / "zone 32.tif", squares(), crs="EPSG:32632")
    for name, pixels in (("plain.png", squares(np.uint8)), ("narrow.png", squares(np.uint8)[:, 1:])):
        with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
            raster(folder / name, pixels * 50, driver="PNG", crs=None, transform=None)
    polygons(folder / "here.gpkg", box(0, 0, 20, 20))
    polygons(folder / "there.gpkg", box(9000, 0, 9020, 20))
    polygons(folder / "nothing.gpkg")
    geopandas.GeoDataFrame(geometry=[shapely.Point(0, 0)], crs="EPSG:32633").to_file(folder / "points.gpkg")
    with pytest.warns(UserWarning, match="crs"):
        polygons(folder / "unplaced.gpkg", box(0, 0, 20, 20), crs=None)
    raster(folder / "twice/good.tif", squares())
    polygons(folder / "twice/good.gpkg", box(0, 0, 20, 20))
    raster(folder / "other/stem.tif", squares())
    return {path.relative_to(folder).as_posix(): path for path in [*folder.rglob("*"), good]}


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        (("nowhere.tif", "good.tif"), ("nowhere.tif: there is no such file or folder",)),
        (("nowhere*.tif", "good.tif"), ("there is no such file or folder",)),
        (("good.tif", "empty"), ("give two files or two folders",)),
        (("empty", "twice"), ("no map directly in it", "no file of one stem in common")),
        (("other", "twice"), ("(stem)", "(good)", "name the files alike")),
        (("twice", "half"), ("good.gpkg and good.tif bear one stem", "twice/*.gpkg'")),
        (("half", "half"), ("half/good.tif: cannot be read",)),
        (("text.txt", "good.tif"), ("text.txt: cannot be read as a raster or vector",)),
        (("broken.tif", "good.tif"), ("broken.tif: cannot be read as a raster or vector",)),
        (("good.tif", "broken.gpkg"), ("broken.gpkg: no vector file can be read there",)),
        (("good.tif", "broken.parquet"), ("broken.parquet: no GeoParquet can be read there",)),
        (("good.tif", "broken.json"), ("broken.json",)),
        (("rgb.tif", "good.tif"), ("rgb.tif: has 3 bands; give one band",)),
        (("complex.tif", "good.tif"), ("complex.tif: holds complex64",)),
        (("tagged.tif", "good.tif"), ("tagged.tif: is tagged as a probability raster, but its bands are None",)),
        (("percent.tif", "good.tif"), ("values from 55.5 to 55.5; a probability lies in [0, 1]",)),
        (("negative.tif", "good.tif"), ("values from -0.25 to -0.25",)),
        (("infinite.tif", "good.tif"), ("values from inf to inf",)),
        (("wide.tif", "good.tif"), ("do not fit 31 bits",)),
        (("invalid.tif", "good.tif"), ("no valid pixel in common",)),
        (("good.tif", "nan.tif"), ("no valid pixel in common",)),
        (("good.tif", "far.tif"), ("do not overlap",)),
        (("good.tif", "far.tif", "--resample"), ("do not overlap",)),
        (("good.tif", "shifted.tif"), ("lie on different grids", "--resample")),
        (("good.tif", "coarse.tif"), ("40 x 40 px of 1 x 1", "40 x 40 px of 2 x 2", "--resample")),
        (("good.tif", "zone 32.tif"), ("EPSG:32633", "EPSG:32632", "--resample")),
        (("south up.tif", "good.tif"), ("lie on different grids",)),
        (("plain.png", "good.tif"), ("plain.png: has no CRS", "rio edit-info --like good.tif")),
        (("narrow.png", "good.tif"), ("narrow.png: has no CRS", "--crs EPSG:XXXX")),
        (("plain.png", "here.gpkg"), ("plain.png: has no CRS", "--crs EPSG:XXXX")),
        (("plain.png", "plain.png"), ("plain.png: has no CRS", "--gsd METRES")),
        (("plain.png", "narrow.png", "--gsd", 1), ("40 x 40 px", "40 x 39 px", "different grids")),
        (("good.tif", "there.gpkg"), ("truth and raster do not overlap",)),
        (("here.gpkg", "there.gpkg", "--gsd", 1), ("do not overlap",)),
        (("here.gpkg", "here.gpkg"), ("give their grid with --gsd METRES",)),
        (("here.gpkg", "here.gpkg", "--gsd", 0), ("--gsd 0: give metres per pixel, above 0",)),
        (("here.gpkg", "here.gpkg", "--gsd", -1), ("--gsd -1: give metres per pixel, above 0",)),
        (("here.gpkg", "here.gpkg", "--gsd", "nan"), ("--gsd nan",)),
        (("here.gpkg", "here.gpkg", "--gsd", 0.0001), ("wider than 20000 px",)),
        (("nothing.gpkg", "nothing.gpkg", "--gsd", 1), ("hold no polygon",)),
        (("good.tif", "points.gpkg"), ("polygons are wanted",)),
        (("good.tif", "unplaced.gpkg"), ("has no CRS",)),
        (("good.tif", "good.tif", "--as", "label"), ("unknown kind of raster 'label'; did you mean 'labels'",)),
        (("good.tif", "good.tif", "--reference-as", "lables"), ("did you mean 'labels'",)),
        (("good.tif", "good.tif", "--as", "mask"), ("a mask holds 0 and one other value",)),
        (("good.tif", "good.tif", "--as", "classes"), ("codes from 1 to 4; classes are 0 other",)),
        (("percent.tif", "good.tif", "--as", "labels"), ("holds 55.5; labels are whole numbers",)),
        (("negative.tif", "good.tif", "--as", "classes"), ("class codes are whole numbers",)),
        (("wide.tif", "good.tif", "--as", "probability"), ("lies in 0 to 255",)),
        (("good.tif", "good.tif", "--tile-size", 0), ("a tile of 0 px is impossible",)),
    ],
)  # fmt: skip
def test_what_cannot_be_scored_is_told_in_one_line_and_touches_nothing(
    invoke, files: dict[str, Path], tmp_path: Path, words, texts
) -> None:
    given = [files.get(word, tmp_path / "files" / word if "nowhere" in str(word) else word) for word in words]
    refused(invoke("score", *given, "-o", tmp_path / "out"), *texts)
    assert not (tmp_path / "out").exists()


def test_an_unknown_option_or_too_few_arguments_are_a_usage_error(invoke, files: dict[str, Path]) -> None:
    good = files["good.tif"]
    for words in ((good,), (good, good, good), (good, good, "--gsd", "ten"), (good, good, "--nonsense")):
        assert invoke("score", *words).exit_code == 2


def test_earlier_results_are_neither_touched_nor_mixed_with_those_of_a_score_that_fails(
    invoke, files: dict[str, Path], tmp_path: Path
) -> None:
    good, out = files["good.tif"], tmp_path / "out"
    assert invoke("score", good, good, "-o", out).exit_code == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    refused(invoke("score", good, good, "-o", out), "scores.json: exists already", "--overwrite")
    refused(invoke("score", files["half"], files["half"], "-o", out, "-f"), "cannot be read")
    refused(invoke("score", good, files["percent.tif"], "-o", out, "-f"), "values from 55.5")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    (out / "scores.json").unlink()
    refused(invoke("score", good, good, "-o", out), "overlay.png: exists already")
    assert invoke("score", good, good, "-o", out, "-f").exit_code == 0
    assert (out / "scores.json").read_bytes() == before["scores.json"]


@pytest.mark.parametrize("out", ["file", "file/below"])
def test_an_out_that_is_a_file_is_refused_before_any_work(invoke, files: dict[str, Path], tmp_path: Path, out) -> None:
    (tmp_path / "file").write_text("mine")
    refused(invoke("score", files["good.tif"], files["good.tif"], "-o", tmp_path / out), "file: is a file")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_pattern_says_which_files_of_a_folder_are_meant(invoke, files: dict[str, Path]) -> None:
    both = files["twice"]
    done = invoke("score", f"{both}/*.tif", f"{both}/*.gpkg", "--json")
    assert {row["input"] for row in json.loads(done.stdout)["scores"]} == {"good", None}


# --- what is scored, with a word about it ---------------------------------------------------------------------------


def test_a_truth_without_a_polygon_is_a_map_of_other_with_flags_and_no_nan(
    hedgerow, files: dict[str, Path], tmp_path: Path
) -> None:
    done = hedgerow("score", files["good.tif"], files["nothing.gpkg"], "--json")
    rows = rows_of(done)
    assert "nothing.gpkg: holds no polygon of a field or forest here: a map of `other` only" in done.stderr
    assert pooled(rows)["object_f1"] == 0.0
    assert all(row["flag"] for row in rows if row["value"] is None)
    assert "NaN" not in done.stdout
    flags = {row["metric"]: row["flag"] for row in rows if row["layer"] == "all"}
    assert flags["object_f1"]


def test_polygons_that_cross_themselves_are_made_valid_and_counted(hedgerow, tmp_path: Path) -> None:
    # A bow tie: its two triangles are what a valid polygon can mean by it.
    bow = shapely.Polygon([(500004, 4999996), (500036, 4999964), (500036, 4999996), (500004, 4999964)])
    triangles = [shapely.Polygon([(500004, 4999996), (500020, 4999980), (500004, 4999964)]),
                 shapely.Polygon([(500036, 4999996), (500020, 4999980), (500036, 4999964)])]  # fmt: skip
    crossed, plain = polygons(tmp_path / "bow.gpkg", bow), polygons(tmp_path / "two.gpkg", *triangles)
    done = hedgerow("score", plain, crossed, "--gsd", 0.5, "--json")
    assert pooled(rows_of(done))["object_f1"] == 1.0
    assert "bow.gpkg: 1 polygons cross or touch themselves: made valid" in done.stderr


def test_polygons_in_degrees_are_laid_on_a_raster_in_metres(raster, hedgerow, tmp_path: Path) -> None:
    # A little off the pixels' edges, where the last digit would decide.
    fields = [box(x, y, x + 20, y + 20) for x in (0.3, 20.3) for y in (0.3, 20.3)]
    metres = polygons(tmp_path / "metres.gpkg", *fields)
    geopandas.read_file(metres).to_crs("EPSG:4326").to_file(tmp_path / "degrees.geojson")
    path = raster(tmp_path / "map.tif", squares())
    by_metres, by_degrees = (
        pooled(rows_of(hedgerow("score", path, truth, "--json"))) for truth in (metres, tmp_path / "degrees.geojson")
    )
    assert by_degrees == by_metres
    assert by_degrees["object_f1"] == by_degrees["boundary_f1"] == 1.0


def test_two_plain_pictures_are_scored_on_a_metric_grid(hedgerow, files: dict[str, Path]) -> None:
    done = hedgerow("score", files["plain.png"], files["plain.png"], "--gsd", 2, "--json", "--as", "labels")
    values = pooled(rows_of(done))
    assert values["object_f1"] == values["erqa"] == values["boundary_f1"] == 1.0


def test_a_grid_size_that_has_no_use_is_told(hedgerow, files: dict[str, Path]) -> None:
    done = hedgerow("score", files["good.tif"], files["good.tif"], "--gsd", 5, "--json")
    assert done.returncode == 0
    assert "--gsd 5 is not used" in done.stderr


def test_sidecars_and_hidden_files_are_no_maps(raster, invoke, tmp_path: Path) -> None:
    for folder in ("ours", "theirs"):
        raster(tmp_path / folder / "a.tif", squares())
        (tmp_path / folder / "a.tif.aux.xml").write_text("<PAMDataset/>")
        (tmp_path / folder / "._a.tif").write_bytes(b"what other systems leave")
        (tmp_path / folder / "a.md").write_text("about")
    shutil.copytree(tmp_path / "ours", tmp_path / "ours/deeper")
    done = invoke("score", tmp_path / "ours", tmp_path / "theirs", "--json")
    assert {row["input"] for row in json.loads(done.stdout)["scores"]} == {"a", None}
    assert done.stderr == ""


def test_metrics_with_options_come_from_a_config_or_an_assignment(raster, hedgerow, tmp_path: Path) -> None:
    one = raster(tmp_path / "one.tif", squares())
    config = tmp_path / "strict.yaml"
    config.write_text("metrics: [{kind: boundary_f1, tolerance_px: 5}]\n", encoding="utf-8")
    by_config = rows_of(hedgerow("score", one, one, "-c", config, "--json"))
    by_set = rows_of(hedgerow("score", one, one, "--set", "metrics=[{kind: boundary_f1, tolerance_px: 5}]", "--json"))
    assert pooled(by_config) == pooled(by_set) == {"boundary_f1@5px": 1.0}

"""`--mosaic` at the command line: one map, called after its folder, and a plan that shows what it is made of."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import rasterio
from click.testing import Result
from rasterio.windows import Window


@pytest.fixture
def halves(scenes_folder: Path, tmp_path: Path) -> Path:
    """A scene of 192 x 160 px as two files side by side."""
    folder = tmp_path / "halves"
    folder.mkdir()
    with rasterio.open(scenes_folder / "strips.tif") as whole:
        for name, x in (("west", 0), ("east", 80)):
            window = Window(x, 0, 80, 192)
            place = {"width": 80, "transform": whole.window_transform(window)}
            with rasterio.open(folder / f"{name}.tif", "w", **(whole.profile | place)) as half:
                half.write(whole.read(window=window))
    return folder


def test_a_run_makes_one_map_called_after_the_folder(
    quick: Callable[..., Result], halves: Path, tmp_path: Path
) -> None:
    done = quick("run", halves, "--mosaic", "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert done.stdout.split() == [str(tmp_path / "out/halves/fp32/borders.gpkg")]
    with rasterio.open(tmp_path / "out/halves/fp32/probability.tif") as made:
        assert made.shape == (192, 160)
        assert (made.dataset_mask() > 0).all()


def test_a_plan_shows_grid_members_and_skipped_tiles(
    quick: Callable[..., Result], halves: Path, tiny_model: Path
) -> None:
    done = quick("plan", halves, "--mosaic")
    assert done.exit_code == 0, done.output
    assert "halves: one map of 2 inputs" in done.stdout
    assert "of 9 tiles 0 hold none and are skipped" in done.stdout
    (east,) = (line for line in done.stdout.splitlines() if "east.tif" in line)
    assert [cell.strip() for cell in east.strip("│").split("│")] == [
        "east.tif", "80 x 192", "EPSG:32633", "1", "as stored", "0, 80",
    ]  # fmt: skip
    shown = json.loads(quick("plan", halves, "--mosaic", "--json").stdout)
    assert [row["name"] for row in shown["inputs"]] == ["halves"]
    assert [member["name"] for member in shown["inputs"][0]["members"]] == ["east.tif", "west.tif"]


def test_what_does_not_go_together_is_refused_in_one_line_before_any_work(
    quick: Callable[..., Result], halves: Path, tmp_path: Path
) -> None:
    with rasterio.open(halves / "east.tif") as half:
        profile, pixels = half.profile, half.read()
    with rasterio.open(halves / "east.tif", "w", **(profile | {"dtype": "uint16", "photometric": "RGB"})) as other:
        other.write(pixels.astype("uint16"))
    done = quick("run", halves, "--mosaic", "-o", tmp_path / "out")
    assert done.exit_code == 1
    assert done.stderr.strip().count("\n") == 0
    assert "west.tif: holds uint8, but east.tif holds uint16" in done.stderr
    assert not (tmp_path / "out").exists()


def test_settings_in_a_file_ask_for_a_mosaic_too(quick: Callable[..., Result], halves: Path, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("mosaic: true\nmosaic_crs: EPSG:32634\n")
    shown = json.loads(quick("plan", halves, "-c", tmp_path / "own.yaml", "--json").stdout)
    (row,) = shown["inputs"]
    assert row["crs"] == "EPSG:32634"
    assert {member["read"] for member in row["members"]} == {"bilinear"}


def test_the_crs_of_a_mosaic_may_be_given(quick: Callable[..., Result], halves: Path, tmp_path: Path) -> None:
    done = quick("run", halves, "--mosaic", "--mosaic-crs", "EPSG:32634", "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    with rasterio.open(tmp_path / "out/halves/fp32/probability.tif") as made:
        assert made.crs == "EPSG:32634"
    alone = quick("plan", halves, "--mosaic-crs", "EPSG:32634")
    assert alone.exit_code == 1
    assert "pass --mosaic as well" in alone.stderr

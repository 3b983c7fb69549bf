"""The benches: each one can be called by its name, and so can those that the pages cite."""

import re
import sys
from importlib import import_module
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the benches are scripts beside each other

import bench_worlds
import numpy as np
import rasterio

import bench

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CITED = re.compile(r"bench/bench\.py((?: [a-z]+)+)(?= *[`\n]|  )")
"""A command of a page, up to its closing quote, the end of its line, or what is said of it after two blanks."""


def cited(text: str) -> set[str]:
    return {name for command in CITED.findall(text) for name in command.split()}


def test_every_bench_of_every_topic_has_its_name() -> None:
    topics = [import_module(path.stem) for path in HERE.glob("bench_*.py")]
    found = {name: made for topic in topics for name, made in vars(topic).items() if name.startswith("bench_")}
    assert {f"bench_{name}": made for name, made in bench.BENCHES.items()} == {
        name: made for name, made in found.items() if callable(made)
    }


def test_commands_that_are_cited_exist() -> None:
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md"), HERE / "bench.py"]
    names = cited("\n".join(page.read_text(encoding="utf-8") for page in pages))
    assert {"share", "workers", "curriculum"} <= names <= set(bench.BENCHES)
    assert cited("`python tests/bench/bench.py trace gone`, x") == {"trace", "gone"}


def test_an_unknown_name_is_refused_before_anything_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="no bench 'hlep': there are help, network"):
        bench.main(["help", "hlep"])
    assert capsys.readouterr().out == ""


def test_a_bench_says_what_it_measured_and_what_is_aimed_at(capsys: pytest.CaptureFixture[str]) -> None:
    bench.main(["help"])
    assert re.fullmatch(r"hedgerow --help: \d+\.\d\d s \(aim: below 0.5 s\)\n", capsys.readouterr().out)


def test_a_mosaic_is_the_tile_and_its_mirror_images(tmp_path: Path) -> None:
    with rasterio.open(ROOT / "sample_tiles" / "aerial_1m_b.tif") as dataset:
        tile = dataset.read()
    height, width = tile.shape[1:]
    with rasterio.open(bench_worlds.mosaic(tmp_path / "m.tif", 2 * height + 100)) as dataset:
        found = dataset.read()
    np.testing.assert_array_equal(found[:, :height, :width], tile)
    np.testing.assert_array_equal(found[:, height : 2 * height, :width], tile[:, ::-1])
    np.testing.assert_array_equal(found[:, 2 * height :, :width], tile[:, :100])

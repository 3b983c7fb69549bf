"""`hedgerow.compare` from Python: what it adds, what it tells, and that large scenes and clusters change nothing."""

import json
import shutil
from collections import defaultdict
from pathlib import Path

import distributed
import geopandas
import pytest

import hedgerow
from hedgerow.config import RunConfig
from hedgerow.errors import ConfigError, GeometryError, SourceError
from hedgerow.jobs import making
from hedgerow.jobs.comparing import Compared
from hedgerow.jobs.mapping import MapArm
from hedgerow.jobs.measuring import MeasureItem, shared_out


@pytest.fixture(scope="module")
def config(scenes_folder: Path, tiny_model: Path) -> RunConfig:
    return RunConfig(
        inputs=(str(scenes_folder),), arms=("w4a4-minmax",), truth="auto", model=str(tiny_model), tile_px=96,
        halo_px=32, threads=1, workers=1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def heard() -> dict[str, list[tuple[int, int]]]:
    return defaultdict(list)


@pytest.fixture(scope="module")
def compared(config: RunConfig, heard: dict, tmp_path_factory: pytest.TempPathFactory) -> Compared:
    out = tmp_path_factory.mktemp("compared") / "out"
    return hedgerow.compare(config, out, progress=lambda stage, done, total: heard[stage].append((done, total)))


def test_fp32_is_added_where_it_is_not_named(compared: Compared) -> None:
    run = json.loads((compared.out / "run.json").read_text())
    assert [arm["name"] for arm in run["arms"]] == ["fp32", "w4a4-minmax"]
    assert run["config"]["arms"] == ["fp32", "w4a4-minmax"]


def test_a_caller_gets_files_and_scores(compared: Compared) -> None:
    assert all(path.is_file() for path in compared.files)
    assert len(compared.files) == 4
    assert compared.failures == compared.skipped == ()
    assert compared.report == compared.out / "report.html"
    written = json.loads((compared.out / "scores.json").read_text())["scores"]
    assert [row.metric for row in compared.scores] == [row["metric"] for row in written]


def test_differences_to_fp32_stand_beside_the_scores(compared: Compared) -> None:
    written = json.loads((compared.out / "scores.json").read_text())
    assert written.keys() == {"scores", "differences", "intervals"}
    assert set(written["scores"][0]) == {
        "metric", "arm", "against", "layer", "input", "value", "unit", "n", "low", "high", "flag", "parameters",
        "terms_used",
    }  # fmt: skip
    assert set(written["differences"][0]) == {
        "metric", "arm", "minus", "against", "layer", "input", "value", "unit", "n", "low", "high", "flag", "verdict",
    }  # fmt: skip
    assert [d.as_row() for d in compared.differences] == written["differences"]
    pooled = {(row["arm"], row["metric"]): row for row in written["scores"]
              if (row["input"], row["layer"], row["against"]) == (None, "all", "truth")}  # fmt: skip
    (found,) = (row for row in written["differences"] if (row["metric"], row["layer"]) == ("boundary_f1", "all"))
    ours, theirs = pooled["w4a4-minmax", "boundary_f1"], pooled["fp32", "boundary_f1"]
    assert found["value"] == ours["value"] - theirs["value"]
    assert found["n"] == 8  # tiles of two scenes
    assert found["low"] <= found["high"]
    assert ours["low"] < ours["high"]


def test_every_tile_says_how_much_border_fp32_has_there(compared: Compared) -> None:
    tiles = geopandas.read_parquet(compared.out / "tiles.parquet")
    address = ("boundary_f1", "all", "fp32", "w4a4-minmax")
    rows = [row for row in compared.scores if (row.metric, row.layer, row.against, row.arm) == address]
    assert len(rows) == 3
    for row in rows:
        here = tiles[(tiles["arm"] == row.arm) & ((tiles["input"] == row.input) | (row.input is None))]
        assert here["border_px__fp32"].sum() == row.n


def test_every_stage_is_announced_and_counted_to_its_end(compared: Compared, heard: dict) -> None:
    # nine tiles would be 64 px; of 96 px there are 2 x 2 per scene
    # two arms, each against fp32 and against truth, have intervals
    totals = {"scale": 2, "quantize": 2, "predict": 8, "map": 4, "measure": 2, "intervals": 4}
    assert heard.keys() == totals.keys()
    for stage, total in totals.items():
        steps = heard[stage]
        assert steps[-1] == (total, total)
        assert [done for done, _ in steps][-total:] == list(range(1, total + 1))


def same_results(one: Path, other: Path) -> None:
    assert (one / "scores.json").read_bytes() == (other / "scores.json").read_bytes()
    assert (one / "tiles.parquet").read_bytes() == (other / "tiles.parquet").read_bytes()
    maps = sorted(path.relative_to(one) for path in one.rglob("borders.gpkg"))
    assert maps == sorted(path.relative_to(other) for path in other.rglob("borders.gpkg"))


def test_large_scenes_are_spread_over_the_workers_with_the_same_results(
    monkeypatch: pytest.MonkeyPatch, config: RunConfig, compared: Compared, tmp_path: Path
) -> None:
    monkeypatch.setattr(making, "_LARGE_PX", 0)
    hedgerow.compare(config.model_copy(update={"workers": 2}), tmp_path / "out")
    same_results(tmp_path / "out", compared.out)


def test_a_cluster_gives_the_same_results(config: RunConfig, compared: Compared, tmp_path: Path) -> None:
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None, protocol="tcp", host="127.0.0.1"
    ) as cluster:
        hedgerow.compare(config.model_copy(update={"scheduler": cluster.scheduler_address}), tmp_path / "out")
    same_results(tmp_path / "out", compared.out)


def test_scenes_in_folders_keep_their_place_and_equal_stems_apart(
    config: RunConfig, scenes_folder: Path, tmp_path: Path
) -> None:
    for folder in ("2023", "2024"):
        (tmp_path / "inputs" / folder).mkdir(parents=True)
        for name in ("woods.tif", "woods.gpkg"):
            shutil.copy(scenes_folder / name, tmp_path / "inputs" / folder / name)
    inputs = (str(tmp_path / "inputs"), str(scenes_folder / "woods.tif"), str(tmp_path / "inputs/2024/woods.tif"))
    once = config.model_copy(update={"inputs": inputs, "arms": ("fp32",)})
    result = hedgerow.compare(once, tmp_path / "out")
    run = json.loads((tmp_path / "out/run.json").read_text())
    assert [i["name"] for i in run["inputs"]] == ["2023/woods", "2024/woods", "woods"]
    for name in ("2023/woods", "2024/woods", "woods"):
        assert (tmp_path / "out" / name / "fp32/borders.gpkg").is_file()
    assert {row.input for row in result.scores} == {"2023/woods", "2024/woods", "woods", None}
    pooled = {row.input: row.n for row in result.scores
              if (row.metric, row.layer, row.against) == ("boundary_f1", "all", "truth")}  # fmt: skip
    assert pooled[None] == 3 * pooled["woods"]


def test_a_scene_whose_map_fails_is_recorded_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, config: RunConfig, tmp_path: Path
) -> None:
    whole = MapArm.run

    def run(self, item, each):
        if item.scene == "strips" and item.arm == "w4a4-minmax":
            raise GeometryError("strips: no valid coverage")
        return whole(self, item, each)

    monkeypatch.setattr(MapArm, "run", run)
    result = hedgerow.compare(config, tmp_path / "out")
    assert [(f.input, f.error) for f in result.failures] == [("strips", "strips: no valid coverage")]
    assert {row.input for row in result.scores} == {"woods", None}
    statuses = {i["name"]: i["status"] for i in json.loads((tmp_path / "out/run.json").read_text())["inputs"]}
    assert statuses == {"strips": "failed", "woods": "done"}


def test_when_everything_fails_the_first_reason_is_told_and_no_manifest_is_written(
    monkeypatch: pytest.MonkeyPatch, config: RunConfig, tmp_path: Path
) -> None:
    def run(self, item, each):
        raise GeometryError("no valid coverage")

    monkeypatch.setattr(MapArm, "run", run)
    with pytest.raises(SourceError, match="no input could be finished; strips: no valid coverage"):
        hedgerow.compare(config, tmp_path / "out")
    assert not (tmp_path / "out/run.json").exists()


def test_two_arms_of_one_name_are_refused(config: RunConfig, tmp_path: Path) -> None:
    (tmp_path / "int8.yaml").write_text("quantizer: {kind: none}\n")
    twice = config.model_copy(update={"arms": ("int8", str(tmp_path / "int8.yaml"))})
    with pytest.raises(ConfigError, match="'int8' is given twice"):
        hedgerow.compare(twice, tmp_path / "out")


def test_the_work_is_shared_out_by_arms_only_where_scenes_are_few() -> None:
    def items(count: int) -> list[MeasureItem]:
        return [MeasureItem(f"s{k}", ("a", "b", "c"), "a", None) for k in range(count)]

    assert shared_out(items(4), 2) == items(4)
    assert shared_out(items(2), 2) == items(2)
    assert [item.arms for item in shared_out(items(1), 2)] == [("a", "c"), ("b",)]
    assert [item.arms for item in shared_out(items(1), 16)] == [("a",), ("b",), ("c",)]
    assert shared_out([], 2) == []

"""OUT: refused when it is there, gone on with when interrupted, and overwritten without touching what others left."""

from pathlib import Path

import pytest

from hedgerow.config import Recipe, RunConfig
from hedgerow.errors import ConfigError
from hedgerow.jobs.outfolder import WORK, out_folder
from hedgerow.jobs.planning import Plan
from hedgerow.models.store import locate, read_card

RECIPES = {"fp32": Recipe(), "int8": Recipe(quantizer={"kind": "minmax"})}


@pytest.fixture
def plan(tiny_model: Path) -> Plan:
    model = locate(str(tiny_model))
    return Plan(RunConfig(arms=("fp32", "int8")), read_card(model), model, (), (), ())


def begin(out: Path, plan: Plan, recipes=RECIPES, *, overwrite: bool = False, resume: bool = False):
    return out_folder(out, plan, recipes, overwrite=overwrite, resume=resume)


def interrupt(out: Path, plan: Plan) -> None:
    def work() -> None:
        with begin(out, plan) as folder:
            (folder / "models").mkdir()
            for arm in ("fp32", "int8"):
                (out / "scene" / arm).mkdir(parents=True)
                (out / "scene" / arm / "probability.tif").touch()
            (out / "scene/fp32/.borders-x1y2.part").mkdir()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()


def files(out: Path) -> set[str]:
    return {path.relative_to(out).as_posix() for path in out.rglob("*")}


def test_the_work_folder_is_gone_after_a_run_that_ends_well(plan: Plan, tmp_path: Path) -> None:
    with begin(tmp_path / "new/out", plan) as work:
        assert work == tmp_path / "new/out" / WORK
        (work / "big.npy").touch()
    assert files(tmp_path / "new/out") == set()


def test_an_interrupted_run_is_refused_with_both_ways_on(plan: Plan, tmp_path: Path) -> None:
    interrupt(tmp_path / "out", plan)
    before = files(tmp_path / "out")
    with pytest.raises(ConfigError, match="--resume to go on with it, or --overwrite"), begin(tmp_path / "out", plan):
        pass
    assert files(tmp_path / "out") == before


def test_a_resumed_run_finds_everything_as_it_was(plan: Plan, tmp_path: Path) -> None:
    interrupt(tmp_path / "out", plan)
    before = files(tmp_path / "out")
    with begin(tmp_path / "out", plan, resume=True):
        assert files(tmp_path / "out") == before


@pytest.mark.parametrize("change", [{"seed": 1}, {"tile_px": 64}, {"inputs": ("other",)}])
def test_other_settings_cannot_be_resumed(plan: Plan, tmp_path: Path, change: dict) -> None:
    from dataclasses import replace

    interrupt(tmp_path / "out", plan)
    other = replace(plan, config=plan.config.model_copy(update=change))
    with pytest.raises(ConfigError, match="other settings"), begin(tmp_path / "out", other, resume=True):
        pass


def test_a_recipe_that_was_edited_cannot_be_resumed(plan: Plan, tmp_path: Path) -> None:
    interrupt(tmp_path / "out", plan)
    edited = RECIPES | {"int8": Recipe(quantizer={"kind": "percentile"})}
    with pytest.raises(ConfigError, match="other settings"), begin(tmp_path / "out", plan, edited, resume=True):
        pass


@pytest.mark.parametrize("change", [{"workers": 1}, {"scheduler": "sync"}])
def test_how_the_work_is_done_may_change(plan: Plan, tmp_path: Path, change: dict) -> None:
    from dataclasses import replace

    interrupt(tmp_path / "out", plan)
    other = replace(plan, config=plan.config.model_copy(update=change))
    with begin(tmp_path / "out", other, resume=True):
        assert (tmp_path / "out/scene/int8/probability.tif").exists()


def test_overwriting_removes_maps_and_leaves_what_others_put_there(plan: Plan, tmp_path: Path) -> None:
    out = tmp_path / "out"
    interrupt(out, plan)
    for name in ("notes.md", "scene/int8/mine.qgz", "photos/a.tif"):
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).touch()
    with begin(out, plan, overwrite=True):
        left = {name for name in files(out) if (out / name).is_file() and not name.startswith(WORK)}
        assert left == {"notes.md", "scene/int8/mine.qgz", "photos/a.tif"}
        assert not (out / "scene/fp32").exists()
        assert not (out / WORK / "models").exists()


def test_a_folder_behind_a_link_is_not_touched(plan: Plan, tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "archive/fp32"
    elsewhere.mkdir(parents=True)
    (elsewhere / "probability.tif").touch()
    interrupt(out, plan)
    (out / "linked").symlink_to(tmp_path / "archive", target_is_directory=True)
    with begin(out, plan, overwrite=True):
        assert (elsewhere / "probability.tif").exists()

"""Arms: every recipe that is shipped can be built, chance comes from the run, and calibration tiles are found."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from odc.geo.geobox import GeoBox

from hedgerow import registry
from hedgerow.config import load_recipe, preset_names
from hedgerow.errors import ConfigError
from hedgerow.geo.windows import Window
from hedgerow.jobs.arms import _seeded, calibration_images, load_recipes
from hedgerow.records import Patch, Tile
from hedgerow.scaling import Scaling
from hedgerow.stages.zoom import Zoom


@pytest.mark.parametrize("arm", preset_names("arms"))
def test_every_shipped_recipe_can_be_built_and_says_if_it_is_simulated(arm: str) -> None:
    recipe = load_recipe(arm)
    quantizer = registry.build("quantizers", recipe.quantizer)
    assert quantizer.simulated == ("simulated" in recipe.description)


def test_the_arms_of_the_demo_are_there() -> None:
    demo = {"fp32", "int8", "w4a4-minmax", "w4a4-percentile", "w4a4-spatial"}
    assert demo <= set(preset_names("arms"))
    assert set(load_recipes(sorted(demo))) == demo


def test_two_arms_of_one_name_and_unknown_arms_are_refused(tmp_path: Path) -> None:
    (tmp_path / "int8.yaml").write_text("quantizer: {kind: minmax, weight_bits: 5}\n")
    assert load_recipes([str(tmp_path / "int8.yaml")])["int8"].quantizer["weight_bits"] == 5
    with pytest.raises(ConfigError, match="'int8' is given twice"):
        load_recipes(["int8", str(tmp_path / "int8.yaml")])
    with pytest.raises(ConfigError, match="did you mean 'int8'"):
        load_recipes(["int9"])


def test_a_bad_option_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "odd.yaml").write_text("quantizer: {kind: minmax, weight_bits: 40}\n")
    with pytest.raises(ConfigError, match="weight_bits"):
        load_recipes([str(tmp_path / "odd.yaml")])


def test_the_seed_is_the_recipe_s_own_or_that_of_the_run() -> None:
    assert _seeded({"kind": "spatial"}, 7)["seed"] == 7
    assert _seeded({"kind": "spatial", "seed": 3}, 7)["seed"] == 3
    assert "seed" not in _seeded({"kind": "minmax"}, 7)


@dataclass(frozen=True)
class FlatSource:
    """Tiles of one row, 16 px each, whose pixels are their number plus one; `shares` says how much of each is valid."""

    shares: tuple[float, ...]

    def read(self, window: Window) -> Patch:
        number = window.x0 // 16
        valid = np.arange(256).reshape(16, 16) < 256 * self.shares[number]
        return Patch(np.full((3, 16, 16), number + 1, np.uint8), valid)


def plan_of(*shares: tuple[float, ...]) -> Any:
    geobox = GeoBox((16, 16), None, None)

    def tiles(count: int) -> tuple[Tile, ...]:
        windows = [Window(0, 16 * i, 16, 16 * (i + 1)) for i in range(count)]
        return tuple(Tile((0, i), window, window, geobox) for i, window in enumerate(windows))

    scenes = [
        SimpleNamespace(name=f"s{k}", source=FlatSource(s), filled=tiles(len(s)), zoom=Zoom())
        for k, s in enumerate(shares)
    ]
    return SimpleNamespace(scenes=scenes, config=SimpleNamespace(seed=0, halo_px=0))


def drawn(plan: Any, count: int) -> list[int]:
    scaling = {scene.name: Scaling((0.0,) * 3, (100.0,) * 3) for scene in plan.scenes}
    return [round(100 * float(image.mean())) - 1 for image in calibration_images(plan, scaling, count)]


def test_calibration_tiles_are_distinct_and_mostly_valid() -> None:
    numbers = drawn(plan_of((1.0, 0.2, 0.9, 0.0, 0.6)), 9)
    assert sorted(numbers) == [0, 2, 4]
    assert drawn(plan_of((1.0, 0.2, 0.9, 0.0, 0.6)), 2) == numbers[:2]


def test_where_no_tile_is_mostly_valid_any_valid_pixel_will_do() -> None:
    assert sorted(drawn(plan_of((0.0, 0.2, 0.4)), 9)) == [1, 2]
    assert drawn(plan_of((0.0, 0.0)), 9) == []


def test_calibration_tiles_come_from_every_scene_in_turn() -> None:
    plan = plan_of((1.0,) * 6, (1.0,) * 6)
    scaling = {"s0": Scaling((0.0,) * 3, (100.0,) * 3), "s1": Scaling((0.0,) * 3, (1000.0,) * 3)}
    images = calibration_images(plan, scaling, 6)
    assert [float(image.max()) < 0.008 for image in images] == [
        False,
        True,
    ] * 3  # the second scene is scaled to 0..0.006

"""Settings: merged in order, checked at once, refused in one line, and a manifest can be run again."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from hedgerow.config import (
    Recipe,
    RunConfig,
    arm_name,
    configs_folder,
    find_config,
    load_recipe,
    preset_names,
    resolve,
)
from hedgerow.errors import ConfigError


def refusal(sets: list[str] | None = None, *, file: Any = None, **changes: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        resolve(RunConfig, file=file, changes=changes, sets=sets or [])
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_file_then_flags_then_assignments(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("tile_px: 64\nhalo_px: 8\nseed: 1\ntracer: {kind: watershed, min_seed_px: 9}\n")
    made = resolve(
        RunConfig,
        file=file,
        changes={"halo_px": 16, "seed": None},
        sets=["tracer.min_seed_px=4", "truth_rule.default=forest"],
    )
    assert (made.tile_px, made.halo_px, made.seed) == (64, 16, 1)
    assert made.tracer == {"kind": "watershed", "min_seed_px": 4}
    assert made.truth_rule.default == "forest"


def test_assignments_hold_any_yaml() -> None:
    made = resolve(RunConfig, file=None, changes={}, sets=["nodata=0", "to=[shp, parquet]", "gsd_m=null", "truth=a=b"])
    assert (made.nodata, made.to, made.gsd_m, made.truth) == (0, ("shp", "parquet"), None, "a=b")


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        RunConfig().seed = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        (["tile_pix=64"], ["tile_pix", "Extra inputs are not permitted"]),
        (["truth_rule.clases={a: field}"], ["truth_rule.clases"]),
        (["tile_px=8"], ["tile_px", "greater than or equal to 32"]),
        (["tile_px=big"], ["tile_px", "integer"]),
        (["seed=-1"], ["seed", "greater than or equal to 0"]),
        (["workers=0"], ["workers"]),
        (["gsd_m=0"], ["gsd_m", "greater than 0"]),
        (["tile_px"], ["--set tile_px", "a.b=value"]),
        (["=3"], ["a.b=value"]),
        (["to=[shp"], ["--set to=[shp", "no YAML"]),
        (["tile_px=8", "halo_px=-1"], ["tile_px", "halo_px"]),  # all problems at once
    ],
)
def test_what_is_wrong_is_named_in_one_line(sets: list[str], words: list[str]) -> None:
    text = refusal(sets)
    assert all(word in text for word in words), text


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"a: [1", "is no YAML"),
        (b"- 1\n- 2\n", "holds no settings"),
        (b"", "holds no settings"),
        (b"\xff\xfe\x00", "is no YAML"),
    ],
)
def test_files_that_hold_no_settings_are_refused_by_name(tmp_path: Path, content: bytes, what: str) -> None:
    file = tmp_path / "broken.yaml"
    file.write_bytes(content)
    text = refusal(file=file)
    assert text.startswith(str(file))
    assert what in text


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "No such file" in refusal(file=tmp_path / "none.yaml")


def test_presets_are_those_of_the_checkout_and_each_is_understood(checkout: Path) -> None:
    assert configs_folder().samefile(checkout / "configs")
    assert {"aerial", "drone", "sentinel2-bgr"} <= set(preset_names())
    assert {"fp32", "int8", "w4a4-minmax", "w4a4-percentile", "w4a4-spatial"} <= set(preset_names("arms"))
    for preset in preset_names():
        assert resolve(RunConfig, file=find_config(preset), changes={}).tile_px >= 32
    for arm in preset_names("arms"):
        assert load_recipe(arm).description


def test_unknown_presets_and_arms_are_answered_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match=r"unknown preset 'arial'; did you mean 'aerial'\? Known: .*drone"):
        find_config("arial")
    with pytest.raises(ConfigError, match=r"unknown arm 'w4a4-minmaks'; did you mean 'w4a4-minmax'\? Known: .*int8"):
        load_recipe("w4a4-minmaks")
    with pytest.raises(ConfigError, match=r"unknown arm '#'\. Known: .*int8"):
        load_recipe("#")


def test_an_arm_can_be_a_file_and_is_called_after_it(tmp_path: Path) -> None:
    file = tmp_path / "mine.v2.yaml"
    file.write_text("quantizer: {kind: minmax, weight_bits: 5}\n")
    assert load_recipe(str(file)) == Recipe(quantizer={"kind": "minmax", "weight_bits": 5})
    assert arm_name(str(file)) == "mine.v2"
    assert arm_name("w4a4-minmax") == "w4a4-minmax"


CHANGED = {
    "inputs": ("a b.tif", "c"), "arms": ("fp32", "int8"), "truth": "auto", "bands": {"red": "*B04*"}, "nodata": -9999.0,
    "truth_rule": {"attribute": "code", "classes": {"1": "field"}}, "gsd_m": 2.5, "to": ("shp",), "workers": 2,
    "scaling": {"low": (0.0, 1.0, 1e-7), "high": (1.0, 2.0, 3e20)}, "metrics": ({"kind": "erqa"},), "seed": 2**40,
}  # fmt: skip


def test_a_manifest_s_config_can_be_run_again(tmp_path: Path) -> None:
    config = RunConfig.model_validate(CHANGED)
    again = RunConfig.model_validate(json.loads(json.dumps(config.model_dump(mode="json"))))
    assert again == config
    manifest = tmp_path / "run.json"
    manifest.write_text(json.dumps({"hedgerow": "0.1.0", "config": config.model_dump(mode="json")}))
    assert resolve(RunConfig, file=find_config(manifest), changes={}) == config
    assert resolve(RunConfig, file=manifest, changes={"seed": 3}).seed == 3


def test_a_manifest_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    manifest = tmp_path / "run.json"
    manifest.write_text('{"config": {"seed"')
    assert "is no JSON" in refusal(file=manifest)

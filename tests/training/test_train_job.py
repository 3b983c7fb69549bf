"""The whole of `hedgerow train` at smoke size: the loss falls, and what is left behind is a model."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from hedgerow import registry
from hedgerow.config import find_config, preset_names, resolve
from hedgerow.errors import ConfigError
from hedgerow.jobs.training import train
from hedgerow.models.store import CARD, WEIGHTS, ModelCard, load, read_card
from hedgerow.training.batches import held_out_batches
from hedgerow.training.judge import judge
from hedgerow.training.plan import TrainConfig
from hedgerow.training.start import fresh


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ModelCard]:
    out = tmp_path_factory.mktemp("trained") / "smoke"
    card = train("smoke", out)
    return out, card


def settings() -> TrainConfig:
    return resolve(TrainConfig, file=find_config("smoke", "train"), changes={})


def judged(model: torch.nn.Module) -> float:
    config = settings()
    losses = [(registry.build("losses", term.loss), term.weight) for term in config.losses]
    return judge(model, held_out_batches(config), losses)["synthetic_loss"]


def test_the_held_out_loss_falls_below_that_of_the_fresh_network(smoke: tuple[Path, ModelCard]) -> None:
    before = judged(fresh(settings()))
    rows = list(csv.DictReader((smoke[0] / "curve.csv").read_text().splitlines()))
    assert [float(row["step"]) for row in rows] == [4, 8, 12]
    assert float(rows[-1]["synthetic_loss"]) < 0.95 * before


def test_the_folder_holds_the_model_that_was_judged(smoke: tuple[Path, ModelCard]) -> None:
    """Folded and in float16, it is judged as the network in training was, to the rounding."""
    out, card = smoke
    assert {path.name for path in out.iterdir()} == {WEIGHTS, CARD, "curve.csv", "curve.png"}
    model = load(str(out))
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in model.modules())
    assert judged(model) == pytest.approx(card.scores["held_out_crops"]["synthetic_loss"], rel=0.01)


def test_the_card_says_how_it_was_made(smoke: tuple[Path, ModelCard]) -> None:
    out, card = smoke
    assert read_card(str(out)) == ModelCard.model_validate_json((out / CARD).read_text())
    assert card.name == "smoke"
    assert card.bands == ("red", "green", "blue")
    assert 1 <= card.gsd_m[0] < card.gsd_m[1] <= 4
    assert card.licence == "Apache-2.0"
    assert card.training["steps"] == 12
    assert card.training["config"]["seed"] == 1
    assert card.training["config"]["data"][0]["kind"] == "synthetic"
    assert card.training["scenes"] == ["synthetic-0", "synthetic-1"]
    assert np.isfinite(card.scores["held_out_crops"]["synthetic_loss"])


def test_the_card_leaves_no_setting_of_the_backbone_to_later_defaults(smoke: tuple[Path, ModelCard]) -> None:
    told = smoke[1].backbone
    assert told == {"kind": "vit", **registry.configure("backbones", told).model_dump(mode="json")}
    assert told["normalize"] is False


def test_a_folder_that_exists_is_kept_unless_told(smoke: tuple[Path, ModelCard], tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    with pytest.raises(ConfigError, match="exists already"):
        train("smoke", tmp_path)
    sets = ("steps=1", "batch=1", "crop_px=32")
    assert train("smoke", tmp_path, sets=sets, overwrite=True).training["steps"] == 1
    assert load(str(tmp_path))


@pytest.mark.parametrize(
    ("sets", "reason"),
    [
        (("data=[{kind: synthetic, gsd_m: [1, 12]}]",), "0.05 to 10 m"),
        (("data=[{kind: synthetic, gsd_m: [4, 1]}]",), "the smallest and the largest"),
        (("data=[{kind: folder, path: x, unlabelled: [wood]}]",), "wood"),
        (("stepz=3",), "stepz"),
        (("steps=0",), "steps"),
        (("crop_px=40",), "multiple of 16"),
        (("losses=[]",), "losses"),
        (
            ("data=[{kind: folder, path: x, zom: [1, 1]}]",),
            r"yaml: data\.0\.folder\.zom: Extra inputs are not permitted$",
        ),
        (("data=[{kind: foler, path: x}]",), r"yaml: data\.0: kind must be synthetic or folder$"),
        (("data=[{kind: folder, path: x, zoom: [0.5, 100]}]",), "0.01 to 16"),
        (("data=[{kind: folder, path: x, rows: [0.6, 0.4]}]",), "share of the height"),
        (("data=[{path: x, weight: 0}]",), "every weight is 0"),
        (("threads=0",), "threads"),
        (("optimizer.trunk_lr=-1",), "trunk_lr"),
        (("data=[{path: x, scaling: {low: [0], high: [1]}}]",), "3 values each, for red, green, blue"),
        (("held_out=[{path: x, scaling: {low: [0, 0, 0], high: [1, 1, 0]}}]",), "high > low"),
    ],
)
def test_impossible_settings_are_refused_before_the_work(sets: tuple[str, ...], reason: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=reason):
        train("smoke", tmp_path / "out", sets=sets)
    assert not (tmp_path / "out").exists()


def test_an_unknown_preset_is_answered_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'smoke'"):
        train("smoak", tmp_path / "out")


@pytest.mark.parametrize("name", preset_names("train"))
def test_every_preset_is_understood(name: str) -> None:
    config = resolve(TrainConfig, file=find_config(name, "train"), changes={})
    assert config.name == name
    for term in config.losses:
        registry.configure("losses", term.loss)
    registry.configure("backbones", config.backbone)

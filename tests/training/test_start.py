"""Weights to begin with: a finished model, unfolded, answers as before and can learn on."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from torch import nn

from hedgerow.config import configs_folder, load_yaml
from hedgerow.errors import ModelError
from hedgerow.jobs.training import train
from hedgerow.models.store import WEIGHTS, ModelCard, load, read_card, save
from hedgerow.training.plan import TrainConfig
from hedgerow.training.start import fresh, start_from

FEW = ("steps=1", "batch=1", "crop_px=32", "held_out=[]")
SMOKE = load_yaml(configs_folder() / "train" / "smoke.yaml")


def settings(**changes: Any) -> TrainConfig:
    return TrainConfig.model_validate(SMOKE | changes)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("finished") / "model"
    train("smoke", out)
    return out


def test_an_unfolded_network_answers_as_the_finished_one(finished: Path) -> None:
    images = torch.rand(4, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    model = fresh(settings())
    before = model(images)
    start_from(model, str(finished), images)
    assert any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    other = torch.rand(2, 3, 32, 64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(model(other), load(str(finished))(other), atol=1e-4, rtol=1e-4)
    assert not torch.allclose(model(images), before, atol=1e-2)


def test_in_training_mode_it_answers_nearly_as_before(finished: Path) -> None:
    """The statistics of a batch like the measured one are those that were measured."""
    images = torch.rand(8, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    model = fresh(settings())
    start_from(model, str(finished), images)
    wanted = model.eval()(images)
    torch.testing.assert_close(model.train()(images), wanted, atol=1e-3, rtol=1e-3)


def test_a_training_starts_from_a_model_folder(finished: Path, tmp_path: Path) -> None:
    """At a rate of nearly nothing the result is the model it started from, to float16 and a running mean."""
    sets = ("steps=1", "optimizer={lr: 1.0e-12, warmup_steps: 0}", f"init={finished}")
    train("smoke", tmp_path / "on", sets=sets)
    for one, two in zip(load(str(finished)).parameters(), load(str(tmp_path / "on")).parameters(), strict=True):
        torch.testing.assert_close(one, two, atol=0.05, rtol=0.05)


def started_from(finished: Path, folder: Path, card: str) -> ModelCard:
    """What the card says of a training that starts from a model under CC-BY-4.0, itself made of one under Etalab."""
    start = read_card(str(finished))
    given = {"licence": "CC-BY-4.0", "attribution": "Field Survey", "training": {"init": {"licence": "etalab-2.0"}}}
    save(folder / "start", start.model_copy(update=given), load_file(finished / WEIGHTS))
    return train("smoke", folder / "on", sets=(*FEW, f"init={folder / 'start'}", f"card={card}"))


def test_licence_and_attribution_are_handed_on(
    finished: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    card = started_from(finished, tmp_path, "{description: mine}")
    assert (card.licence, card.attribution) == ("CC-BY-4.0", "Field Survey")
    assert not [record for record in caplog.records if "licence" in record.message]


def test_a_card_with_another_licence_names_both_and_says_so(
    finished: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    card = started_from(finished, tmp_path, "{licence: MIT, attribution: Me}")
    assert (card.licence, card.attribution) == ("MIT", "Me")
    start = {"licence": "CC-BY-4.0", "attribution": "Field Survey", "init": {"licence": "etalab-2.0"}}
    assert card.training["init"] == {"model": str(tmp_path / "start"), **start}
    (told,) = (record.message for record in caplog.records if "licence" in record.message)
    assert "has the licence CC-BY-4.0, and `card` says MIT" in told


def test_a_card_without_a_start_has_no_licence_but_its_own(tmp_path: Path) -> None:
    card = train("smoke", tmp_path / "model", sets=(*FEW, "card={}"))
    assert (card.licence, card.attribution, card.training.get("init")) == ("unknown", None, None)


def test_a_model_of_another_size_is_refused(finished: Path) -> None:
    model = fresh(settings(backbone={"kind": "vit", "width": 64, "depth": 1, "heads": 2}))
    with pytest.raises(ModelError, match="do not fit"):
        start_from(model, str(finished), torch.rand(1, 3, 32, 32))


def test_a_foreign_trunk_gives_settings_and_weights(tmp_path: Path) -> None:
    """A trunk saved under our own names: width 32, one block, two heads; the stem and the decoder stay random."""
    donor = fresh(settings(seed=5, backbone={"kind": "vit", "width": 32, "depth": 1, "heads": 2, "patch_px": 8}))
    trunk = {
        name: value
        for name, value in donor.state_dict().items()
        if name.split(".")[0] in ("blocks", "norm", "patch_embed")
    }
    save_file(trunk, tmp_path / "trunk.safetensors")
    small = {"kind": "vit", "heads": 2, "stem": [8, 8, 16], "decoder": [16, 8, 8], "positions": "rope"}
    model = fresh(settings(trunk=str(tmp_path / "trunk.safetensors"), backbone=small))
    state = model.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in trunk.items())
    assert model(torch.rand(1, 3, 32, 48)).shape == (1, 4, 32, 48)


def test_a_trunk_and_a_model_to_start_from_exclude_each_other() -> None:
    with pytest.raises(ValidationError, match="leave one out"):
        settings(trunk="a", init="b")
    with pytest.raises(ValidationError, match="leave one out"):
        settings(trunk="a", backbone={"kind": "unet"})

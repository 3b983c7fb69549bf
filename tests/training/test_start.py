"""Weights to begin with: a finished model, unfolded, answers as before and can learn on."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from hedgerow.config import configs_folder, load_yaml
from hedgerow.errors import ModelError
from hedgerow.jobs.training import train
from hedgerow.models.store import load
from hedgerow.training.plan import TrainConfig
from hedgerow.training.start import fresh, start_from

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


def test_a_model_of_another_size_is_refused(finished: Path) -> None:
    model = fresh(settings(backbone={"kind": "vit", "width": 64, "depth": 1, "heads": 2}))
    with pytest.raises(ModelError, match="do not fit"):
        start_from(model, str(finished), torch.rand(1, 3, 32, 32))

"""A trunk that learns slower, or not at all: which weights it is, by how much they move, and what stays as it is."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from hedgerow import registry
from hedgerow.config import configs_folder, load_yaml
from hedgerow.errors import ModelError
from hedgerow.jobs.training import train
from hedgerow.models.store import WEIGHTS
from hedgerow.training.fit import Fitted, fit
from hedgerow.training.plan import Optimizer, TrainConfig
from hedgerow.training.rates import adamw, freeze, learning
from hedgerow.training.start import fresh
from hedgerow.training.state import State

SMOKE = load_yaml(configs_folder() / "train" / "smoke.yaml")
FEW = {"steps": 1, "batch": 1, "crop_px": 32, "held_out": []}
LIGHT = {"stem": (8, 8, 16), "decoder": (16, 8, 8)}
TRUNK = ("patch_embed", "cls_token", "registers", "pos_embed", "blocks", "norm")


def settings(trunk_lr: float, **changes: Any) -> TrainConfig:
    rates = {"lr": 1e-3, "warmup_steps": 1, "weight_decay": 0, "trunk_lr": trunk_lr}
    return TrainConfig.model_validate(SMOKE | FEW | {"optimizer": rates} | changes)


def moved(config: TrainConfig) -> dict[str, float]:
    """By how much each weight moved in the first step, at most."""
    before = fresh(config).state_dict()
    after = dict(fit(config).state.model.named_parameters())
    return {name: float((after[name] - before[name]).detach().abs().max()) for name in after}


def frozen(model: nn.Module) -> dict[str, Tensor]:
    return {name: p for name, p in model.named_parameters() if not p.requires_grad}


@pytest.mark.parametrize("share", [1.0, 0.25, 0.0])
def test_the_first_step_moves_the_trunk_by_its_share_of_the_rate(share: float) -> None:
    """Adam's first step is the rate times the gradient's sign, whatever the gradient is (Kingma and Ba 2015)."""
    steps = moved(settings(share))
    rate = 1.001e-3  # rounding of weights near 1
    inside = [step for name, step in steps.items() if name.startswith("blocks.") and name.endswith("weight")]
    outside = [step for name, step in steps.items() if name.split(".")[0] in ("stem", "decoder", "head")]
    assert share * 0.99e-3 <= max(inside) <= share * rate
    assert 0.99e-3 <= max(outside) <= rate


def test_a_vit_s_trunk_is_all_of_the_transformer_and_no_more() -> None:
    more = {"patch_px": 8, "class_token": True, "registers": 2, "positions": "table", "table": (4, 4)}
    model = registry.build("backbones", {"kind": "vit", "width": 32, "depth": 2, "heads": 2, **more, **LIGHT})
    freeze(model, Optimizer(trunk_lr=0))
    assert {name.split(".")[0] for name in frozen(model)} == set(TRUNK)
    learned = {name.split(".")[0] for name, p in model.named_parameters() if p.requires_grad}
    assert learned == {"stem", "decoder", "head"}


@pytest.mark.parametrize("kind", ["Dinov2", "Segformer"])
def test_a_hub_s_trunk_is_the_network_of_transformers(kind: str) -> None:
    """Oracle: as many numbers are frozen as the network has that transformers builds of the same settings."""
    transformers = pytest.importorskip("transformers", reason="brings the trunks: pip install hedgerow[hub]")
    sizes: dict[str, dict[str, Any]] = {
        "Dinov2": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": 14},
        "Segformer": {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 1, 2, 2]},
    }
    asked = getattr(transformers, f"{kind}Config")(**sizes[kind])
    model = registry.build("backbones", {"kind": "hub", "architecture": asked.to_dict(), **LIGHT})
    freeze(model, Optimizer(trunk_lr=0))
    theirs = sum(p.numel() for p in getattr(transformers, f"{kind}Model")(asked).parameters())
    assert sum(p.numel() for p in frozen(model).values()) == theirs
    model.train()(torch.rand(2, 3, 64, 64)).sum().backward()
    assert all(p.grad is None for p in frozen(model).values())
    assert model.head.weight.grad is not None


def test_a_frozen_trunk_stays_to_the_bit_and_has_no_state() -> None:
    config = settings(0.0, steps=3, optimizer=SMOKE["optimizer"] | {"trunk_lr": 0.0}, average=0.9)
    before, after = fresh(config).state_dict(), fit(config)
    kept = frozen(after.state.model)
    assert {name.split(".")[0] for name in kept} == {"blocks", "norm"}
    for model in (after.model, after.state.model):
        assert all(torch.equal(model.state_dict()[name], before[name]) for name in kept)
    assert not torch.equal(after.model.state_dict()["head.weight"], before["head.weight"])
    assert not any(p in after.state.optimizer.state for p in kept.values())


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_it_resumes_to_the_same_bits(share: float, tmp_path: Path) -> None:
    sets = ("steps=4", "batch=1", "crop_px=32", "held_out=[]", "evaluate_every=2", f"optimizer.trunk_lr={share}")

    def stop(stage: str, done: int, _total: int) -> None:
        if (stage, done) == ("train", 3):
            raise InterruptedError

    train("smoke", tmp_path / "whole", sets=sets)
    with pytest.raises(InterruptedError):
        train("smoke", tmp_path / "stopped", sets=sets, progress=stop)
    train("smoke", tmp_path / "stopped", sets=sets, resume=True)
    one, two = (load_file(tmp_path / name / WEIGHTS) for name in ("whole", "stopped"))
    assert all(torch.equal(value, two[name]) for name, value in one.items())


def test_at_the_full_rate_groups_and_their_order_are_as_without_the_setting() -> None:
    """States of trainings count the optimiser's weights: those that decay come first, as the network lists them."""
    model = fresh(settings(1.0))
    decayed, plain = adamw(model, Optimizer(weight_decay=0.1)).param_groups
    assert [p.ndim > 1 for p in decayed["params"]].count(False) == 0
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.1, 0)
    wanted = [p for p in model.parameters() if p.ndim > 1] + [p for p in model.parameters() if p.ndim <= 1]
    assert all(a is b for a, b in zip([*decayed["params"], *plain["params"]], wanted, strict=True))


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_network_without_a_trunk_refuses_it_before_the_data_is_made(share: float) -> None:
    begun: list[State | Fitted] = []
    unet = {"kind": "unet", "widths": [4, 8]}
    with pytest.raises(ModelError, match=r"trunk_lr is 0(\.5)?, but UNet has no trunk") as caught:
        fit(settings(share, backbone=unet), begun=begun.append)
    assert "\n" not in str(caught.value)
    assert not begun
    assert fresh(settings(1.0, backbone=unet))


def test_what_is_frozen_drops_nothing_and_the_rest_does() -> None:
    frozen_part, rest = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5)), nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5))
    model = nn.Sequential(frozen_part, rest).eval()
    frozen_part[0].requires_grad_(False)
    learning(model)
    assert [frozen_part[1].training, rest[1].training, model.training] == [False, True, True]

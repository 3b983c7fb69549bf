"""Bring your own network: `module:factory` is imported and called, and what cannot be is refused in one line."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from hedgerow import registry
from hedgerow.errors import ModelError
from hedgerow.models.store import ModelCard, load, save
from hedgerow.quantization.calibrated import plan_of
from hedgerow.quantization.ledger import ledger_of

MODULE = """
from torch import nn

def network():
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4))

def no_network():
    return 7

def needs_a_size(size):
    return nn.Identity()

def binary(width, bands=1):
    # one channel, "is it a border?", of images whose sides are multiples of 8
    return nn.Sequential(nn.AvgPool2d(8), nn.Upsample(scale_factor=8.0), nn.Conv2d(bands, 1, width, padding=width // 2))

number = 3
"""


@pytest.fixture
def users_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "users_networks.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    return "users_networks"


def built(factory: str, **settings: Any) -> nn.Module:
    module: nn.Module = registry.build("backbones", {"kind": "factory", "factory": factory, **settings})
    return module


def test_a_factory_gives_its_network_in_eval_mode(users_module: str) -> None:
    module = built(f"{users_module}:network")
    assert not module.training
    assert module(torch.zeros(1, 3, 8, 9)).shape == (1, 4, 8, 9)


def test_a_factory_may_take_arguments_and_its_network_be_fitted_to_our_bands_and_classes(
    users_module: str, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {
        "arguments": {"width": 3, "bands": 2}, "order": [2, 0], "input_range": [0, 255], "multiple_px": 8,
        "classes": ["border"], "rest": "field", "output": "sigmoid",
    }  # fmt: skip
    module = built(f"{users_module}:binary", **settings)
    logits = module(torch.rand(2, 3, 13, 9))
    chances = logits.softmax(dim=1)
    assert logits.shape == (2, 4, 13, 9)
    assert not chances[:, [0, 2]].any()
    torch.testing.assert_close(chances[:, 1] + chances[:, 3], torch.ones(2, 13, 9))
    assert not module.training

    card = ModelCard(
        name="binary", bands=("red", "green", "blue"),
        backbone={"kind": "factory", "factory": f"{users_module}:binary", **settings},
    )  # fmt: skip
    save(tmp_path / "model", card, module.state_dict())
    x = torch.rand(1, 3, 16, 8)
    assert torch.equal(load(str(tmp_path / "model"))(x), module(x))
    quantized = registry.build("quantizers", "minmax").apply(module, [x[0]])
    assert list(plan_of(quantized).layers) == ["network.2"]
    assert ledger_of(module).total == 4 * (2 * 3 * 3 + 1)  # one kernel and its bias, 4 bytes each


@pytest.mark.parametrize(
    ("factory", "reason"),
    [
        ("no_such_module_anywhere:f", "No module named"),
        ("users_networks:missing", "missing"),
        ("users_networks", "users_networks"),
        (":network", "Empty module name"),
        ("users_networks:no_network", "returned int"),
        ("users_networks:needs_a_size", "given no argument"),
        ("users_networks:number", "not callable"),
    ],
)
def test_a_bad_factory_is_refused_with_its_name_and_reason(users_module: str, factory: str, reason: str) -> None:
    with pytest.raises(ModelError, match=reason) as caught:
        built(factory)
    assert factory in str(caught.value)
    assert "\n" not in str(caught.value)

"""Bring your own network: `module:factory` is imported and called, and what cannot be is refused in one line."""

from pathlib import Path

import pytest
import torch
from torch import nn

from hedgerow import registry
from hedgerow.errors import ModelError

MODULE = """
from torch import nn

def network():
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4))

def no_network():
    return 7

def needs_a_size(size):
    return nn.Identity()

number = 3
"""


@pytest.fixture
def users_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "users_networks.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    return "users_networks"


def built(factory: str) -> nn.Module:
    module: nn.Module = registry.build("backbones", {"kind": "factory", "factory": factory})
    return module


def test_a_factory_gives_its_network_in_eval_mode(users_module: str) -> None:
    module = built(f"{users_module}:network")
    assert not module.training
    assert module(torch.zeros(1, 3, 8, 9)).shape == (1, 4, 8, 9)


@pytest.mark.parametrize(
    ("factory", "reason"),
    [
        ("no_such_module_anywhere:f", "No module named"),
        ("users_networks:missing", "missing"),
        ("users_networks", "users_networks"),
        (":network", "Empty module name"),
        ("users_networks:no_network", "returned int"),
        ("users_networks:needs_a_size", "takes no argument"),
        ("users_networks:number", "not callable"),
    ],
)
def test_a_bad_factory_is_refused_with_its_name_and_reason(users_module: str, factory: str, reason: str) -> None:
    with pytest.raises(ModelError, match=reason) as caught:
        built(factory)
    assert factory in str(caught.value)
    assert "\n" not in str(caught.value)

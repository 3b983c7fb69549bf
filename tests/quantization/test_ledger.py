"""Bytes: derived by hand for a tiny network, and held against what a safetensors file really takes."""

import json
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from hedgerow.backbones import vit
from hedgerow.quantization.calibrated import calibrated
from hedgerow.quantization.ledger import Ledger, ledger_of
from hedgerow.quantization.observers import extremes
from hedgerow.quantization.sites import BitRule
from hedgerow.quantization.taps import Tap


def tiny() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 5, 3), Tap(), nn.BatchNorm2d(5)).eval()


def data_bytes(model: nn.Module, folder: Path) -> int:
    """Size of a safetensors file without its 8-byte length and its header."""
    path = folder / "model.safetensors"
    save_file(model.state_dict(), path)
    (header,) = struct.unpack("<Q", path.read_bytes()[:8])
    json.loads(path.read_bytes()[8 : 8 + header])
    return path.stat().st_size - 8 - header


def quantized(weight_bits: int, activation_bits: int, *, per_channel: bool = True) -> nn.Module:
    rule = BitRule(weight_bits=weight_bits, activation_bits=activation_bits, per_channel=per_channel)
    return calibrated(tiny(), rule, [torch.rand(3, 9, 9)], extremes)[0]


def test_a_float_network_by_hand() -> None:
    """Convolution 5 x 3 x 3 x 3 + 5; normalisation 5 weights, biases, means and variances and an 8-byte counter."""
    assert ledger_of(tiny()) == Ledger(codes=0, grids=0, floats=4 * (135 + 5) + 4 * 4 * 5 + 8)


@pytest.mark.parametrize(
    ("bits", "code_bytes"),
    [(8, 135), (4, 68), (3, 51), (2, 34)],  # 135 codes, packed; the last byte is begun
)
def test_a_quantized_network_by_hand(bits: int, code_bytes: int) -> None:
    """5 weight scales and 2 activation grids (scale 4 bytes, zero-point 1); bias and normalisation stay."""
    want = Ledger(codes=code_bytes, grids=5 * 4 + 2 * 5, floats=4 * 5 + 4 * 4 * 5 + 8)
    assert ledger_of(quantized(bits, 4)) == want
    assert want.total == code_bytes + 30 + 108


def test_one_scale_per_tensor_takes_4_bytes() -> None:
    assert ledger_of(quantized(8, 8, per_channel=False)).grids == 4 + 2 * 5


def test_fp32_takes_4_bytes_per_parameter_as_its_file_does(tmp_path: Path) -> None:
    model = vit.folded(vit.build(vit.Config(width=32, depth=1, heads=2, stem=(8, 8, 16), decoder=(16, 8, 8))))
    size = ledger_of(model)
    assert size == Ledger(0, 0, 4 * sum(p.numel() for p in model.parameters()))
    assert size.total == data_bytes(model, tmp_path)
    assert ledger_of(tiny()).total == data_bytes(tiny(), tmp_path)


def test_int8_takes_what_its_file_takes_but_for_zero_points_stored_as_floats(tmp_path: Path) -> None:
    model = quantized(8, 8)
    assert data_bytes(model, tmp_path) - ledger_of(model).total == 2 * 3

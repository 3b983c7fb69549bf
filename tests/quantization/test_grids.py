"""Uniform grids: codes are integers in range, zero is exact, and rounding is divide, half to even."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hedgerow.quantization.grids import FakeQuantize, QSpec, decode, encode, grid_over

A4, A8, W4 = QSpec(bits=4), QSpec(bits=8), QSpec(bits=4, symmetric=True)
specs = st.builds(QSpec, bits=st.integers(2, 8), symmetric=st.booleans())
finite = st.floats(-1e4, 1e4, width=32)


def grid(low: float, high: float, spec: QSpec) -> FakeQuantize:
    return FakeQuantize(spec, *grid_over(torch.tensor(low), torch.tensor(high), spec))


@pytest.mark.parametrize(
    ("spec", "low", "high"),
    [(A4, 0, 15), (A8, 0, 255), (W4, -8, 7), (QSpec(bits=8, symmetric=True), -128, 127), (QSpec(bits=2), 0, 3)],
)
def test_codes_span_the_declared_range(spec: QSpec, low: int, high: int) -> None:
    assert (spec.low, spec.high) == (low, high)


def test_a_grid_worked_out_by_hand() -> None:
    """-1..2 in 15 steps of 0.2: zero is the 5th code; 0.29 is 1.45 steps, 9 is clipped to the last code."""
    scale, zero_point = grid_over(torch.tensor(-1.0), torch.tensor(2.0), A4)
    assert float(scale) == pytest.approx(0.2)
    assert float(zero_point) == 5
    x = torch.tensor([-1.0, 0.0, 0.29, 0.31, 9.0, -9.0])
    assert encode(x, scale, zero_point, A4).tolist() == [0, 5, 6, 7, 15, 0]
    torch.testing.assert_close(FakeQuantize(A4, scale, zero_point)(x), torch.tensor([-1, 0, 0.2, 0.4, 2.0, -1]))


@given(low=finite, high=finite, spec=specs)
@settings(deadline=None, max_examples=60)
def test_zero_is_exact_and_zero_points_are_integers_in_range(low: float, high: float, spec: QSpec) -> None:
    low, high = min(low, high), max(low, high)
    fake = grid(low, high, spec)
    assert float(fake(torch.zeros(()))) == 0
    assert float(fake.zero_point) == round(float(fake.zero_point))
    assert spec.low <= float(fake.zero_point) <= spec.high
    assert float(fake.scale) > 0


@given(low=finite, high=finite, spec=specs, seed=st.integers(0, 99))
@settings(deadline=None, max_examples=60)
def test_rounding_is_idempotent_and_off_by_half_a_step_at_most(low: float, high: float, spec: QSpec, seed: int) -> None:
    low, high = min(low, high), max(low, high)
    fake = grid(low, high, spec)
    scale, zero_point = float(fake.scale), float(fake.zero_point)
    ends = scale * (spec.low - zero_point), scale * (spec.high - zero_point)
    x = torch.rand(200, generator=torch.Generator().manual_seed(seed)) * (ends[1] - ends[0]) + ends[0]
    once = fake(x)
    assert torch.equal(fake(once), once)
    assert float((once - x).abs().max()) <= scale / 2 * (1 + 1e-4)  # float32 knows x / s to 2^-24 of 255 steps
    codes = fake.codes(x)
    assert torch.equal(codes, codes.round())
    assert codes.unique().numel() <= 2**spec.bits


def test_ties_are_rounded_to_even_before_the_zero_point_is_added() -> None:
    """Steps of 1/2 are exact in binary; an odd zero-point would turn half-to-even round if it were added first."""
    x = torch.arange(-20, 21) * 0.25
    want = np.clip(np.rint(x.numpy() / 0.5) + 7, 0, 15)
    got = encode(x, torch.tensor(0.5), torch.tensor(7.0), A4)
    np.testing.assert_array_equal(got.numpy(), want)
    assert got[x == 0.25].item() == 7  # 0.5 steps: down to the even 0
    assert got[x == 0.75].item() == 9  # 1.5 steps: up to the even 2


@pytest.mark.parametrize("bits", [4, 8])
def test_between_ties_it_agrees_with_torch(bits: int) -> None:
    spec, generator = QSpec(bits=bits), torch.Generator().manual_seed(bits)
    x = torch.randn(20_000, generator=generator)
    fake = grid(-3.1, 2.7, spec)
    steps = x / fake.scale
    apart = (steps - steps.floor() - 0.5).abs() > 1e-4
    want = torch.fake_quantize_per_tensor_affine(x, float(fake.scale), int(fake.zero_point), spec.low, spec.high)
    assert apart.float().mean() > 0.99
    torch.testing.assert_close(fake(x)[apart], want[apart], rtol=1e-6, atol=1e-7)


def test_one_scale_per_channel_equals_one_grid_per_channel() -> None:
    spec = QSpec(bits=4, symmetric=True, axis=0)
    weight = torch.randn(5, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    weight *= torch.logspace(-2, 2, 5).reshape(5, 1, 1, 1)
    largest = weight.abs().amax(dim=(1, 2, 3))
    scale, zero = grid_over(-largest, largest, spec)
    torch.testing.assert_close(scale, largest / 7)
    got = decode(encode(weight, scale, zero, spec), scale, zero, spec)
    for channel in range(5):
        torch.testing.assert_close(got[channel], grid(-float(largest[channel]), 0.0, W4)(weight[channel]))


def test_a_tensor_of_zeros_still_has_a_grid() -> None:
    for spec in (A4, W4):
        fake = grid(0.0, 0.0, spec)
        assert torch.equal(fake(torch.zeros(3)), torch.zeros(3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shape_type_and_input_are_kept(dtype: torch.dtype) -> None:
    x = torch.randn(2, 3, 4, dtype=dtype, generator=torch.Generator().manual_seed(2))
    before: Tensor = x.clone()
    out = grid(-1.0, 1.0, A4)(x)
    assert (out.shape, out.dtype) == (x.shape, dtype)
    assert torch.equal(x, before)

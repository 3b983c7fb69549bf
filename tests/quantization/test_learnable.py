"""Learnable grids: straight-through gradients as LSQ+ derives them, and integers once they are snapped."""

import pytest
import torch
from torch import Tensor

from hedgerow.quantization.grids import FakeQuantize, QSpec
from hedgerow.quantization.learnable import LearnableGrid

SPEC = QSpec(bits=4)
SCALE, ZERO_POINT = 0.13, 6.0


def learnable(zero_point: float = ZERO_POINT) -> LearnableGrid:
    start = FakeQuantize(SPEC, torch.tensor(SCALE), torch.tensor(zero_point))
    return LearnableGrid(start).double()


def data() -> Tensor:
    x = torch.randn(400, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    assert (x < -ZERO_POINT * SCALE).any()
    assert (x > (15 - ZERO_POINT) * SCALE).any()  # both ends clip
    return x


def probe() -> Tensor:
    """A fixed direction: the loss is the inner product with it, so that every element counts."""
    return torch.randn(400, dtype=torch.float64, generator=torch.Generator().manual_seed(5))


def test_it_starts_as_the_plain_grid() -> None:
    x = data().float()
    start = FakeQuantize(SPEC, torch.tensor(SCALE), torch.tensor(ZERO_POINT))
    torch.testing.assert_close(LearnableGrid(start)(x), start(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("zero_point", [6.0, 6.3])
def test_gradients_are_the_analytic_ones_of_lsq_plus(zero_point: float) -> None:
    """With v = x / s + z: inside, d/ds = round(v) - v and d/dz = 0; clipped at code n, d/ds = n - z and d/dz = -s."""
    grid, x, g = learnable(zero_point), data(), probe()
    x.requires_grad_(True)
    (g * grid(x)).sum().backward()
    s = grid.log_scale.detach().exp()
    v = (x / s + zero_point).detach()
    inside = (v > SPEC.low) & (v < SPEC.high)
    end = v.clamp(SPEC.low, SPEC.high)
    d_scale = torch.where(inside, v.round() - v, end - zero_point)
    torch.testing.assert_close(grid.log_scale.grad, s * (g * d_scale).sum())
    torch.testing.assert_close(grid.zero_point.grad, -s * (g * ~inside).sum())
    torch.testing.assert_close(x.grad, g * inside)


@pytest.mark.parametrize("name", ["log_scale", "zero_point"])
def test_gradients_are_central_differences_of_the_surrogate(name: str) -> None:
    """The surrogate keeps each rounding residual as it is now; of the true staircase no derivative is asked."""
    grid, x, g = learnable(6.3), data(), probe()
    (g * grid(x)).sum().backward()
    log_scale, zero_point = grid.log_scale.detach(), grid.zero_point.detach()
    place = (x / log_scale.exp() + zero_point).clamp(SPEC.low, SPEC.high)
    residual = place.round() - place

    def surrogate(step: float) -> Tensor:
        log_s = log_scale + step * (name == "log_scale")
        z = zero_point + step * (name == "zero_point")
        moved = (x / log_s.exp() + z).clamp(SPEC.low, SPEC.high)
        return (g * (moved + residual - z) * log_s.exp()).sum()

    h = 1e-7  # no element lies so near an end that it starts or stops clipping
    want = (surrogate(h) - surrogate(-h)) / (2 * h)
    torch.testing.assert_close(getattr(grid, name).grad, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("learned", "integer"), [(6.4, 6), (6.6, 7), (-3.0, 0), (21.0, 15)])
def test_zero_points_are_integers_in_range_once_snapped(learned: float, integer: int) -> None:
    grid = learnable(learned)
    assert float(grid.frozen().zero_point) == integer
    grid.snap()
    assert float(grid.zero_point) == integer
    assert not grid.zero_point.requires_grad
    assert grid.log_scale.requires_grad


def test_what_was_learned_is_what_is_frozen() -> None:
    grid, x = learnable(6.4), data()
    grid.snap()
    torch.testing.assert_close(grid.frozen()(x), grid(x).detach(), rtol=1e-5, atol=1e-6)
    assert not list(grid.frozen().parameters())

"""The border-weighted pass: its weights, its loss and its tokens are as written down, and it learns what it should."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hedgerow.backbones import vit
from hedgerow.errors import ModelError
from hedgerow.quantization.calibrated import calibrated, plan_of
from hedgerow.quantization.observers import RangeObserver
from hedgerow.quantization.sites import BitRule, activation_grids
from hedgerow.quantizers import spatial
from hedgerow.quantizers.spatial import Config, Seen, border_tokens, build, relative_edges

PLAIN = Config(beta=0.0, lambda_corner=0.0, lambda_edge=0.0)
BARE_BORDER = torch.zeros(64, 64)


def tokens(seed: int, channels: int = 6, rows: int = 4, cols: int = 5, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(channels, rows, cols, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def square_border(side: int = 64, low: int = 16, high: int = 47) -> Tensor:
    """A border map with the 3 px outline of a square."""
    border = torch.zeros(side, side)
    border[low - 1 : high + 2, low - 1 : high + 2] = 1
    border[low + 2 : high - 1, low + 2 : high - 1] = 0
    return border


def test_edge_weights_average_to_one() -> None:
    for seed in range(5):
        weights = relative_edges(tokens(seed, rows=3 + seed))
        assert float(weights.mean()) == pytest.approx(1, abs=1e-9)
        assert (weights >= 0).all()


def test_edge_weights_are_central_differences() -> None:
    """Written out with loops over the grid; at the frame of the grid no difference is taken across it."""
    x = nn.functional.layer_norm(tokens(1).permute(1, 2, 0), (6,)).permute(2, 0, 1)
    _, rows, cols = x.shape
    want = torch.zeros(rows, cols, dtype=x.dtype)
    for r in range(rows):
        for c in range(cols):
            across = (x[:, r, c + 1] - x[:, r, c - 1]) / 2 if 0 < c < cols - 1 else torch.zeros(6)
            down = (x[:, r + 1, c] - x[:, r - 1, c]) / 2 if 0 < r < rows - 1 else torch.zeros(6)
            want[r, c] = math.sqrt(float((across**2).sum() + (down**2).sum()))
    torch.testing.assert_close(relative_edges(x), want / want.mean(), rtol=1e-4, atol=1e-4)


def test_edges_are_those_of_normalised_tokens(world: Any) -> None:
    seen = spatial._watched(world.model, world.test[0][None])
    for layer in seen.layers:
        normed = nn.functional.layer_norm(layer.permute(1, 2, 0), (layer.shape[0],)).permute(2, 0, 1)
        torch.testing.assert_close(relative_edges(layer), relative_edges(normed), rtol=1e-3, atol=1e-3)


def test_flat_tokens_have_no_edges() -> None:
    assert float(relative_edges(torch.ones(3, 4, 4)).abs().max()) == 0


def test_an_edge_weighs_only_the_tokens_beside_it() -> None:
    x = tokens(2, channels=8, rows=1, cols=1).expand(8, 6, 10).clone()
    x[:, :, 5:] = tokens(3, channels=8, rows=1, cols=1)
    weights = relative_edges(x)
    assert (weights[:, [4, 5]] == weights.max()).all()
    assert float(weights[:, [0, 1, 2, 3, 6, 7, 8, 9]].max()) == 0
    assert float(weights.max()) == pytest.approx(5)  # 2 of 10 columns bear it all, and the mean is 1


def test_without_weights_it_is_the_mean_squared_error() -> None:
    target, value = [tokens(1), tokens(2, rows=7)], [tokens(3), tokens(4, rows=7)]
    got = build(PLAIN).loss(Seen(target, square_border()), Seen(value, BARE_BORDER))
    want = sum(nn.functional.mse_loss(b, a) for a, b in zip(target, value, strict=True))
    torch.testing.assert_close(got, want, rtol=1e-7, atol=1e-7)


def test_the_gradient_of_each_token_is_weighted_as_specified() -> None:
    """d/dA_q of mean(w (A - A_q)^2) is 2 w (A_q - A) / (channels x tokens), with w = 1 + beta E / mean(E)."""
    target, value = tokens(1), tokens(2).requires_grad_(True)
    loss = build(Config(beta=1.7, lambda_corner=0, lambda_edge=0)).loss(
        Seen([target], BARE_BORDER), Seen([value], BARE_BORDER)
    )
    loss.backward()
    weight = 1 + 1.7 * relative_edges(target)
    assert float(weight.mean()) == pytest.approx(2.7)
    torch.testing.assert_close(value.grad, 2 * weight * (value.detach() - target) / value.numel())


@pytest.mark.parametrize(("term", "which"), [("lambda_corner", 0), ("lambda_edge", 1)])
def test_corner_and_edge_tokens_add_their_own_mean_error(term: str, which: int) -> None:
    target, value = tokens(1, rows=8, cols=8), tokens(2, rows=8, cols=8)
    strengths = {"beta": 0.0, "lambda_corner": 0.0, "lambda_edge": 0.0} | {term: 0.6}
    got = build(Config(**strengths)).loss(Seen([target], square_border()), Seen([value], BARE_BORDER))
    error = (target - value).square().mean(dim=0)
    inside = border_tokens(square_border())[which].reshape(8, 8, 8, 8).amax(dim=(1, 3)) > 0
    assert 0 < int(inside.sum()) < 64
    torch.testing.assert_close(got, error.mean() + 0.6 * error[inside].mean())


def test_a_teacher_without_borders_adds_nothing() -> None:
    target, value = tokens(1), tokens(2)
    for config in (Config(beta=0), PLAIN):
        got = build(config).loss(Seen([target], BARE_BORDER), Seen([value], square_border()))
        torch.testing.assert_close(got, nn.functional.mse_loss(value, target))


def test_border_tokens_are_the_corners_and_the_edges_of_a_square() -> None:
    border = square_border()
    corners, edges = border_tokens(border)
    assert torch.equal(edges, border)
    places = corners.nonzero().float()
    ideal = torch.tensor([[16.0, 16], [16, 47], [47, 16], [47, 47]])
    distance = torch.cdist(places, ideal)
    assert float(distance.min(dim=1).values.max()) <= 5  # nothing but the corners
    assert float(distance.min(dim=0).values.max()) <= 2  # all four of them


def test_a_faint_border_has_no_tokens() -> None:
    corners, edges = border_tokens(square_border() * 0.1)
    assert float(edges.max()) == 0
    assert float(corners.max()) == 0


def test_learned_zero_points_are_integers_in_range(world: Any) -> None:
    twin = build(Config(weight_bits=4, activation_bits=4, steps=8, crop_px=64)).apply(world.model, world.calibration)
    for grid in activation_grids(twin, plan_of(twin)).values():
        zero_point = float(grid.zero_point)
        assert zero_point == round(zero_point)
        assert grid.spec.low <= zero_point <= grid.spec.high
        assert float(grid.scale) > 0
        assert not list(grid.parameters())


def mimicking_loss(quantizer: spatial.Spatial, teacher: nn.Module, student: nn.Module, images: list[Tensor]) -> float:
    with torch.no_grad():
        losses = [quantizer.loss(*spatial._both(teacher, student, image[None])) for image in images]
    return float(torch.stack(losses).mean())


def started(model: nn.Module, images: list[Tensor]) -> nn.Module:
    """Return the W4A4 network as the pass finds it."""
    return calibrated(model, BitRule(weight_bits=4, activation_bits=4), images, RangeObserver.least_error)[0]


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_the_pass_lowers_its_loss_on_the_calibration_images(strength: float, worlds: tuple[Any, Any]) -> None:
    bits = {"weight_bits": 4, "activation_bits": 4}
    config = Config(**bits, beta=strength, lambda_corner=strength / 2, lambda_edge=strength / 2, crop_px=64)
    quantizer = build(config)
    for world in worlds:
        model, images = world.model, world.calibration
        before = mimicking_loss(quantizer, model, started(model, images), images)
        after = mimicking_loss(quantizer, model, quantizer.apply(model, images), images)
        assert after < before


def test_the_weights_stay_those_of_minmax(world: Any) -> None:
    model, images = world.model, world.calibration
    start = started(model, images).state_dict()
    learned = build(Config(weight_bits=4, activation_bits=4, steps=8, crop_px=64)).apply(model, images).state_dict()
    moved = {name for name, value in learned.items() if not torch.equal(value, start[name])}
    assert moved
    assert all(name.rpartition(".")[2] in ("scale", "zero_point") for name in moved)


def test_the_seed_chooses_the_crops(world: Any) -> None:
    def learned(seed: int) -> dict[str, Tensor]:
        config = Config(weight_bits=4, activation_bits=4, steps=4, crop_px=32, seed=seed)
        return build(config).apply(world.model, world.calibration).state_dict()

    first, again, other = learned(1), learned(1), learned(2)
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert any(not torch.equal(value, other[name]) for name, value in first.items())


@pytest.mark.parametrize("size", [(8, 8), (16, 70), (33, 90)])
def test_small_calibration_images_are_used_whole(size: tuple[int, int], world: Any) -> None:
    config = Config(weight_bits=4, activation_bits=4, steps=2, crop_px=64)
    images = [torch.rand(3, *size, generator=torch.Generator().manual_seed(0))]
    assert plan_of(build(config).apply(world.model, images)).layers


def test_registers_are_left_out_of_the_token_grid() -> None:
    model = vit.build(
        vit.Config(width=32, depth=2, heads=2, stem=(8, 8, 16), decoder=(16, 8, 8), normalize=False, registers=3)
    )
    seen = spatial._watched(model, torch.rand(1, 3, 48, 80))
    assert [tuple(layer.shape) for layer in seen.layers] == [
        (32, 3, 5), (32, 3, 5), (16, 6, 10), (8, 12, 20), (8, 24, 40),
    ]  # fmt: skip
    assert seen.border.shape == (48, 80)


def test_a_network_without_layers_to_mimic_is_refused() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1)).eval()
    with pytest.raises(ModelError, match="no list of layers"):
        build(Config(steps=1)).apply(model, [torch.rand(3, 64, 64)])

"""What every loss promises: the moment a file exists in the family, it is held to this."""

import math

import pytest
import torch
from torch import Tensor

from hedgerow import registry
from hedgerow.errors import ConfigError
from hedgerow.losses._partial import ANY, membership
from hedgerow.records import BORDER, CLASSES, FIELD, FOREST, OTHER
from hedgerow.training.judge import Loss

KINDS = registry.available("losses")
NOT_FIELD = ANY - (1 << FIELD)

# Shapes on which nothing is as usual: one pixel, one row, one column, smaller than any window.
SHAPES = [(1, 1), (1, 9), (9, 1), (2, 2), (5, 3)]


@pytest.fixture(params=KINDS)
def loss(request: pytest.FixtureRequest) -> Loss:
    made: Loss = registry.build("losses", request.param)
    return made


def noise(allowed: Tensor, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    n, height, width = allowed.shape
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(n, len(CLASSES), height, width, generator=generator, dtype=dtype)


def saying(allowed: Tensor, certainty: float = 40.0) -> Tensor:
    """Return logits that spread all probability over the allowed classes."""
    return certainty * membership(allowed).float()


def cost_and_gradient(loss: Loss, logits: Tensor, allowed: Tensor) -> tuple[float, Tensor]:
    x = logits.clone().requires_grad_(True)
    cost = loss(x, allowed)
    (gradient,) = torch.autograd.grad(cost, x)
    return float(cost.detach()), gradient


def corner_world() -> Tensor:
    """Return a 9 x 9 crop: an angle of borders in a field, some of it known in part only, one corner unknown."""
    sets = torch.full((1, 9, 9), 1 << FIELD, dtype=torch.uint8)
    sets[:, 3:6, 3:] = sets[:, 3:, 3:6] = 1 << BORDER
    sets[:, 7:, 7:] = NOT_FIELD
    sets[:, :2, :2] = ANY
    return sets


def test_gradients_are_true(loss: Loss) -> None:
    allowed = corner_world()
    x = noise(allowed, dtype=torch.float64).requires_grad_(True)
    assert float(loss(x, allowed).detach()) > 0.01
    assert torch.autograd.gradcheck(lambda values: loss(values, allowed), (x,))


def test_following_the_gradient_leads_to_the_target(loss: Loss, world: object) -> None:
    allowed = world(side=24)  # type: ignore[operator]
    x = noise(allowed).requires_grad_(True)
    optimizer, before = torch.optim.Adam([x], lr=0.3), float(loss(x, allowed).detach())
    for _ in range(60):
        optimizer.zero_grad()
        loss(x, allowed).backward()
        optimizer.step()
    assert float(loss(x, allowed).detach()) < 0.3 * before


@pytest.mark.parametrize("nothing", [0, ANY, 255])
def test_a_crop_of_which_nothing_is_known_costs_nothing_and_teaches_nothing(loss: Loss, nothing: int) -> None:
    allowed = torch.full((2, 12, 11), nothing, dtype=torch.uint8)
    cost, gradient = cost_and_gradient(loss, noise(allowed), allowed)
    assert cost == 0
    assert float(gradient.abs().max()) == 0


def test_an_unknown_pixel_never_teaches(loss: Loss, world: object) -> None:
    allowed = world(1, unknown=0.04)  # type: ignore[operator]
    unknown = (allowed == ANY)[:, None]
    cost, gradient = cost_and_gradient(loss, noise(allowed), allowed)
    elsewhere = torch.where(unknown, noise(allowed, 1) * 10, noise(allowed))
    assert cost > 0.01
    assert cost_and_gradient(loss, elsewhere, allowed)[0] == cost
    assert float((gradient * unknown).abs().max()) == 0


def test_which_of_its_possible_classes_a_pixel_gets_is_free(loss: Loss, world: object) -> None:
    """In pixels that are anything but field, what they say for other, forest and border is passed around."""
    allowed = world(2, partial=NOT_FIELD)  # type: ignore[operator]
    logits = noise(allowed)
    others = torch.tensor([OTHER, FOREST, BORDER])
    passed = logits.clone()
    passed[:, others] = torch.where((allowed == NOT_FIELD)[:, None], logits[:, others.roll(1)], logits[:, others])
    assert float((passed - logits).abs().max()) > 1
    torch.testing.assert_close(loss(passed, allowed), loss(logits, allowed))


def test_the_target_itself_costs_nothing_and_a_map_without_borders_does(loss: Loss, world: object) -> None:
    allowed = world(3)  # type: ignore[operator]
    assert 0 <= float(loss(saying(allowed), allowed)) < 1e-6
    for c in (OTHER, FIELD, FOREST):
        flat = saying(torch.full_like(allowed, 1 << c))
        assert float(loss(flat, allowed)) > 0.01, CLASSES[c]


def test_the_target_is_a_minimum_among_its_shifts(loss: Loss, world: object) -> None:
    """As little as half a border's width costs nothing in terms of topology, more costs always."""
    target, steps = world(4), (-5, -2, -1, 0, 1, 2, 5)  # type: ignore[operator]
    costs = {(y, x): float(loss(saying(world(4, dy=y, dx=x), 8.0), target)) for y in steps for x in steps}  # type: ignore[operator]
    least = costs.pop((0, 0))
    assert all(cost >= least - 1e-6 for cost in costs.values())
    assert all(cost > least + 0.01 for (y, x), cost in costs.items() if max(abs(y), abs(x)) > 2)


def test_a_class_that_is_absent_or_alone_is_no_trouble(loss: Loss, world: object) -> None:
    parcels = world(5)  # type: ignore[operator]
    crops = [torch.full_like(parcels, 1 << c) for c in range(len(CLASSES))]
    crops += [torch.where(parcels == 1 << c, torch.tensor(1 << OTHER, dtype=torch.uint8), parcels) for c in (1, 2, 3)]
    for allowed in crops:
        cost, gradient = cost_and_gradient(loss, noise(allowed), allowed)
        assert math.isfinite(cost)
        assert cost >= 0
        assert bool(gradient.isfinite().all())
        assert 0 <= float(loss(saying(allowed), allowed)) < 1e-6


@pytest.mark.parametrize("shape", SHAPES)
def test_no_crop_is_too_small(loss: Loss, shape: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(6)
    for _ in range(8):
        allowed = torch.randint(0, ANY + 1, (2, *shape), generator=generator).to(torch.uint8)
        cost, gradient = cost_and_gradient(loss, noise(allowed), allowed)
        assert math.isfinite(cost)
        assert cost >= -1e-6
        assert bool(gradient.isfinite().all())


@pytest.mark.parametrize("size", [1e2, 1e4])
def test_certain_networks_break_nothing(loss: Loss, world: object, size: float) -> None:
    allowed = world(7, partial=NOT_FIELD, unknown=0.02)  # type: ignore[operator]
    for logits in (size * noise(allowed), saying(allowed, -size), torch.zeros_like(noise(allowed))):
        cost, gradient = cost_and_gradient(loss, logits, allowed)
        assert math.isfinite(cost)
        assert bool(gradient.isfinite().all())


def test_turning_and_flipping_change_nothing(loss: Loss, world: object) -> None:
    allowed = world(8, partial=NOT_FIELD, unknown=0.002)  # type: ignore[operator]
    logits, cost = noise(allowed), loss(noise(allowed), allowed)
    for turns in range(4):
        turned, sets = logits.rot90(turns, (2, 3)), allowed.rot90(turns, (1, 2))
        torch.testing.assert_close(loss(turned, sets), cost)
        torch.testing.assert_close(loss(turned.flip(3), sets.flip(2)), cost)


def test_the_order_of_crops_changes_nothing(loss: Loss, world: object) -> None:
    allowed = torch.cat([world(seed) for seed in (9, 10, 11)])  # type: ignore[operator]
    order = torch.tensor([2, 0, 1])
    torch.testing.assert_close(loss(noise(allowed)[order], allowed[order]), loss(noise(allowed), allowed))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrow_logits_are_summed_in_single_precision(loss: Loss, world: object, dtype: torch.dtype) -> None:
    allowed = world(12)  # type: ignore[operator]
    logits = noise(allowed).to(dtype)
    expected = loss(logits.float(), allowed)
    with torch.autocast("cpu", torch.bfloat16):
        cost = loss(logits, allowed)
    assert (cost.dtype, cost.shape) == (torch.float32, ())
    torch.testing.assert_close(cost, expected, rtol=1e-6, atol=0)


def test_two_calls_agree_to_the_bit_and_leave_their_inputs_alone(loss: Loss, world: object) -> None:
    allowed = world(13, unknown=0.05)  # type: ignore[operator]
    logits, sets = noise(allowed), allowed.clone()
    first, second = cost_and_gradient(loss, logits, sets), cost_and_gradient(loss, logits, sets)
    assert first[0] == second[0]
    assert torch.equal(first[1], second[1])
    assert torch.equal(logits, noise(allowed))
    assert torch.equal(sets, allowed)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_agrees_with_the_cpu(loss: Loss, world: object) -> None:
    allowed = world(14, partial=NOT_FIELD, unknown=0.01)  # type: ignore[operator]
    cost, gradient = cost_and_gradient(loss, noise(allowed), allowed)
    there, gradient_there = cost_and_gradient(loss, noise(allowed).cuda(), allowed.cuda())
    assert there == pytest.approx(cost, rel=1e-4)
    torch.testing.assert_close(gradient_there.cpu(), gradient, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_option_is_refused(kind: str) -> None:
    with pytest.raises(ConfigError, match="colour"):
        registry.build("losses", {"kind": kind, "colour": 1})

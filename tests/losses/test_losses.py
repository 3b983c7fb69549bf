"""Losses on partial labels: a set of one class is plain learning, what a pixel may be instead costs nothing."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hedgerow import registry
from hedgerow.errors import ConfigError
from hedgerow.losses import cross_entropy, dice
from hedgerow.losses._partial import ANY, membership
from hedgerow.records import BORDER, CLASSES, FIELD, FOREST, OTHER


def logits(seed: int, shape: tuple[int, int, int] = (2, 6, 5), dtype: torch.dtype = torch.float32) -> Tensor:
    n, height, width = shape
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(n, len(CLASSES), height, width, generator=generator, dtype=dtype)


def sets(seed: int, shape: tuple[int, int, int] = (2, 6, 5), *, single: bool = False) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    if single:
        return (1 << torch.randint(len(CLASSES), shape, generator=generator)).to(torch.uint8)
    return torch.randint(1, ANY + 1, shape, generator=generator).to(torch.uint8)


def test_sets_are_read_bit_by_bit() -> None:
    got = membership(torch.tensor([[[1 << OTHER, 1 << FIELD | 1 << BORDER]]], dtype=torch.uint8))
    assert got[0, :, 0].T.tolist() == [[True, False, False, False], [False, True, False, True]]


def test_the_empty_set_says_as_little_as_the_full_one() -> None:
    assert bool(membership(torch.tensor([[[0, ANY, 255]]], dtype=torch.uint8)).all())


@given(seed=st.integers(0, 10_000), weight=st.sampled_from([1.0, 2.0, 3.5]))
@settings(deadline=None, max_examples=25)
def test_with_one_class_per_pixel_it_is_cross_entropy(seed: int, weight: float) -> None:
    x, allowed = logits(seed), sets(seed + 1, single=True)
    classes = torch.log2(allowed.float()).long()
    weights = torch.ones(len(CLASSES))
    weights[BORDER] = weight
    got = cross_entropy.build(cross_entropy.Config(border_weight=weight))(x, allowed)
    torch.testing.assert_close(got, F.cross_entropy(x, classes, weight=weights))


def test_classes_are_weighted_by_name() -> None:
    x, allowed = logits(5), sets(6, single=True)
    weights = torch.tensor([1.0, 0.5, 4.0, 2.0])  # other, field, forest, border
    config = cross_entropy.Config(class_weights={"field": 0.5, "forest": 4.0, "border": 2.0})
    expected = F.cross_entropy(x, torch.log2(allowed.float()).long(), weight=weights)
    torch.testing.assert_close(cross_entropy.build(config)(x, allowed), expected)


def test_a_pixel_of_uncertain_class_weighs_1() -> None:
    """-log(1/4) of a field pixel at weight 3 and -log(1/2) of one that is other or forest."""
    allowed = torch.tensor([[[1 << FIELD, 1 << OTHER | 1 << FOREST]]], dtype=torch.uint8)
    config = cross_entropy.Config(class_weights={"field": 3.0, "forest": 9.0})
    got = float(cross_entropy.build(config)(torch.zeros(1, 4, 1, 2), allowed))
    assert got == pytest.approx((3 * math.log(4) + math.log(2)) / 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_weights": {"feild": 2}}, "did you mean 'field'"),
        ({"class_weights": {"field": 0}}, "greater than 0"),
        ({"class_weights": {"border": 2}, "border_weight": 3}, "give one of them"),
    ],
)
def test_weights_that_make_no_sense_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        registry.build("losses", {"kind": "cross_entropy", **options})


def test_a_set_costs_minus_the_log_of_its_probability() -> None:
    """Probabilities 1/2, 1/4, 1/8, 1/8; the set {field, forest} has 3/8; the unknown second pixel does not count."""
    x = torch.tensor([0.5, 0.25, 0.125, 0.125]).log().reshape(1, 4, 1, 1).repeat(1, 1, 1, 2)
    allowed = torch.tensor([[[1 << FIELD | 1 << FOREST, ANY]]], dtype=torch.uint8)
    assert float(cross_entropy.build(cross_entropy.Config())(x, allowed)) == pytest.approx(-math.log(3 / 8))


def test_however_wrong_a_pixel_is_it_is_pulled_back_in_full() -> None:
    x = torch.zeros(1, 4, 1, 1)
    x[:, FOREST] = 10_000.0
    x.requires_grad_(True)
    cost = cross_entropy.build(cross_entropy.Config())(x, torch.tensor([[[1 << FIELD]]], dtype=torch.uint8))
    (gradient,) = torch.autograd.grad(cost, x)
    assert float(cost.detach()) == 10_000
    assert gradient.flatten().tolist() == [0, -1, 1, 0]


def test_a_pixel_outside_drawn_fields_is_free_to_be_anything_but_field() -> None:
    allowed = torch.full((1, 1, 1), ANY - (1 << FIELD), dtype=torch.uint8)
    loss = cross_entropy.build(cross_entropy.Config())
    costs = [float(loss(20.0 * F.one_hot(torch.tensor(c), 4).reshape(1, 4, 1, 1), allowed)) for c in range(4)]
    assert costs[FIELD] > 10
    assert max(costs[c] for c in (OTHER, FOREST, BORDER)) < 1e-6


@given(seed=st.integers(0, 10_000), classes=st.sets(st.sampled_from(CLASSES), min_size=1))
@settings(deadline=None, max_examples=40)
def test_dice_lies_between_0_and_1(seed: int, classes: set[str]) -> None:
    loss = dice.build(dice.Config(classes=tuple(sorted(classes))))
    assert 0 <= float(loss(logits(seed), sets(seed + 1))) < 1


def test_dice_by_hand() -> None:
    """Four pixels, p(field) = 1/2: field, other, 'field or other' (left out) and 'border or other' (not field).

    Dice = (2 x 1/2 + 1) / (3 x 1/4 + 1 + 1) = 8 / 11.
    """
    x = torch.zeros(1, 4, 1, 4)
    x[:, (FOREST, BORDER)] = -40.0
    allowed = torch.tensor(
        [[[1 << FIELD, 1 << OTHER, 1 << FIELD | 1 << OTHER, 1 << BORDER | 1 << OTHER]]], dtype=torch.uint8
    )
    assert float(dice.build(dice.Config(classes=("field",)))(x, allowed)) == pytest.approx(3 / 11)


def test_a_class_that_is_none_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match="did you mean 'forest'"):
        registry.build("losses", {"kind": "dice", "classes": ["forrest"]})

"""A tiny network that has learned something: parcels of plain colours, with their borders."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hedgerow.backbones import vit
from hedgerow.records import BORDER

SIDE = 64
_COLOURS = torch.tensor([[0.55, 0.5, 0.45], [0.5, 0.65, 0.3], [0.15, 0.35, 0.2]])
"""Of other, field and forest."""


def parcels(rng: np.random.Generator, side: int = SIDE) -> tuple[Tensor, Tensor]:
    """Return an image (3, side, side) of parcels and their classes (side, side) with 3 px borders."""
    seeds = rng.uniform(0, side, (int(rng.integers(4, 10)), 2))
    y, x = np.indices((side, side))
    nearest = torch.from_numpy(((y[..., None] - seeds[:, 0]) ** 2 + (x[..., None] - seeds[:, 1]) ** 2).argmin(-1))
    classes = torch.from_numpy(rng.integers(0, 3, len(seeds)))
    tint = torch.from_numpy(rng.normal(0, 0.08, (len(seeds), 3))).float()
    image = (_COLOURS[classes] + tint)[nearest].permute(2, 0, 1)
    image = image + torch.from_numpy(rng.normal(0, 0.02, image.shape)).float()
    labels, lines = classes[nearest], torch.zeros(side, side)
    lines[:, 1:] += nearest[:, 1:] != nearest[:, :-1]
    lines[1:] += nearest[1:] != nearest[:-1]
    labels[F.max_pool2d((lines > 0).float()[None], 3, 1, 1)[0] > 0] = BORDER
    return image.clamp(0, 1), labels


@dataclass(frozen=True)
class World:
    """A fitted network, images to calibrate on and other images to test on."""

    model: nn.Module
    calibration: list[Tensor]
    test: list[Tensor]


def fitted(seed: int, steps: int = 150) -> World:
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = vit.build(vit.Config(width=32, depth=2, heads=2, stem=(8, 8, 16), decoder=(16, 8, 8)))
    optimizer = torch.optim.AdamW(model.train().parameters(), lr=8e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 8e-3, total_steps=steps, pct_start=0.2)
    weight = torch.tensor([1.0, 1.0, 1.0, 2.0])
    for _ in range(steps):
        images, labels = zip(*(parcels(rng) for _ in range(8)), strict=True)
        loss = F.cross_entropy(model(torch.stack(images)), torch.stack(labels), weight=weight)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    plain = vit.folded(model).requires_grad_(False)
    return World(plain, [parcels(rng)[0] for _ in range(6)], [parcels(rng)[0] for _ in range(12)])


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """The same sums in the same order on every machine, and no quarrel over cores: the networks are tiny."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def worlds(one_thread: None) -> tuple[World, World]:
    """Two seeds."""
    return fitted(0), fitted(1)


@pytest.fixture(scope="session")
def world(worlds: tuple[World, World]) -> World:
    return worlds[0]

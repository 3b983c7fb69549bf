"""Hedgerow's own idea in its smallest form: learn the activation grids so that the borders of the map stay.

The weights are quantized as in `minmax` and frozen. Starting from the ranges of least squared error, one short pass
over seeded crops learns every activation's scale and zero-point by gradient descent on a mimicking loss over layers,

    sum over layers of  mean(w_hw (A_fp32 - A_q)^2) + lambda_corner err(corner tokens) + lambda_edge err(edge tokens)
    w_hw = 1 + beta (E / mean(E)),   E = sqrt(sum_c (dx A_c)^2 + (dy A_c)^2)

where A are LayerNorm-ed tokens on their grid (so that layers of large and small values count alike), E is taken from
the FP32 ones, and corner and edge tokens are those that hold a Harris corner or a border pixel of the teacher's border
map. With beta = lambda = 0 it is plain mimicking: the control. Layers are the transformer blocks and, because borders
are drawn there, the decoder's steps. (simulated)
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from hedgerow.errors import ModelError
from hedgerow.quantization.calibrated import calibrated
from hedgerow.quantization.learnable import LearnableGrid
from hedgerow.quantization.observers import RangeObserver
from hedgerow.quantization.sites import BitRule, activation_grids, set_activation_grids
from hedgerow.randomness import rng_for
from hedgerow.records import BORDER

# An ideal corner of a 0/255 image has this response at block 2, aperture 3, k 0.04; 1 % of it counts as a corner.
_IDEAL_CORNER = 0.1083984375
_CORNER_SHARE = 0.01
_SNAP_SHARE = 0.75  # from here on zero-points are integers and only the scales follow


class Config(BitRule):
    """Bits as in minmax; how the pass is run; how much borders weigh."""

    beta: float = Field(1.0, ge=0)
    lambda_corner: float = Field(0.5, ge=0)
    lambda_edge: float = Field(0.5, ge=0)
    steps: int = Field(96, ge=1)
    batch: int = Field(1, ge=1)
    """Crops per step."""
    crop_px: int = Field(192, ge=32)
    lr: float = Field(2e-2, gt=0)
    """Of the logarithm of scales."""
    zero_point_rate: float = Field(0.2, ge=0)
    """Learning rate of zero-points, in codes, over `lr`: only what is clipped moves them, so they drift fast."""
    seed: int = 0


class Spatial:
    """Learns activation grids by border-weighted mimicking."""

    simulated = True

    def __init__(self, config: Config) -> None:
        self.config = config

    def apply(self, model: nn.Module, calibration: Sequence[Tensor]) -> nn.Module:
        """Return a quantized copy whose grids were learned on images (bands, height, width)."""
        rule = BitRule(**self.config.model_dump(include=set(BitRule.model_fields)))
        teacher = copy.deepcopy(model).eval()
        with torch.inference_mode(mode=False), torch.enable_grad():
            twin, plan = calibrated(teacher, rule, calibration, RangeObserver.least_error)
            grids = {name: LearnableGrid(grid) for name, grid in activation_grids(twin, plan).items()}
            set_activation_grids(twin, plan, grids)
            self._learn(teacher, twin, list(grids.values()), calibration)
        set_activation_grids(twin, plan, {name: grid.frozen() for name, grid in grids.items()})
        return twin.requires_grad_(False)

    def _learn(
        self, teacher: nn.Module, student: nn.Module, grids: Sequence[LearnableGrid], images: Sequence[Tensor]
    ) -> None:
        optimizer = torch.optim.Adam(self._groups(grids))
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.config.steps)
        rng = rng_for(self.config.seed, "spatial")
        for step in range(self.config.steps):
            if step == round(_SNAP_SHARE * self.config.steps):
                for grid in grids:
                    grid.snap()
            optimizer.zero_grad(set_to_none=True)
            for number in rng.integers(len(images), size=self.config.batch):
                crop = _crop(images[int(number)], self.config.crop_px, rng)
                loss = self.loss(*_both(teacher, student, crop[None])) / self.config.batch
                loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()

    def _groups(self, grids: Sequence[LearnableGrid]) -> list[dict[str, object]]:
        scales = {"params": [grid.log_scale for grid in grids], "lr": self.config.lr}
        return [scales] + [
            {"params": [grid.zero_point], "lr": self.config.lr * self.config.zero_point_rate} for grid in grids
        ]

    def loss(self, teacher: "Seen", student: "Seen") -> Tensor:
        """Return the mimicking loss of one crop (see the top of this file)."""
        corners, edges = border_tokens(teacher.border)
        terms = [self._layer_loss(a, b, corners, edges) for a, b in zip(teacher.layers, student.layers, strict=True)]
        return torch.stack(terms).sum()

    def _layer_loss(self, target: Tensor, value: Tensor, corners: Tensor, edges: Tensor) -> Tensor:
        error = (target - value).square().mean(dim=0)
        weight = 1 + self.config.beta * relative_edges(target)
        loss = (weight * error).mean()
        for strength, tokens in ((self.config.lambda_corner, corners), (self.config.lambda_edge, edges)):
            inside = F.adaptive_max_pool2d(tokens[None], error.shape)[0]
            loss = loss + strength * (inside * error).sum() / inside.sum().clamp(min=1.0)
        return loss


@dataclass(frozen=True)
class Seen:
    """What one pass through a network showed: layer outputs (channels, rows, cols), border probability (h, w)."""

    layers: list[Tensor]
    """LayerNorm-ed over channels."""
    border: Tensor


def relative_edges(tokens: Tensor) -> Tensor:
    """Return the edge magnitude (rows, cols) of tokens (channels, rows, cols) over its mean."""
    across = F.pad((tokens[..., 2:] - tokens[..., :-2]) / 2, (1, 1))
    down = F.pad((tokens[:, 2:] - tokens[:, :-2]) / 2, (0, 0, 1, 1))
    magnitude = (across.square() + down.square()).sum(dim=0).sqrt()
    return magnitude / magnitude.mean().clamp(min=1e-12)


def border_tokens(border: Tensor) -> tuple[Tensor, Tensor]:
    """Return where (height, width) the teacher's border map has Harris corners, and where it has borders."""
    image = (border * 255).round().to(torch.uint8).cpu().numpy()
    response = cv2.cornerHarris(image, 2, 3, 0.04)
    corners = torch.from_numpy((response > _CORNER_SHARE * _IDEAL_CORNER).astype(np.float32))
    return corners, (border >= 0.5).float().cpu()


def _both(teacher: nn.Module, student: nn.Module, image: Tensor) -> tuple[Seen, Seen]:
    with torch.no_grad():
        target = _watched(teacher, image)
    return target, _watched(student, image)


def _watched(model: nn.Module, image: Tensor) -> Seen:
    layers: list[Tensor] = []
    hooks = [m.register_forward_hook(lambda _m, _i, out: layers.append(out)) for m in _mimicked(model)]
    try:
        logits = model(image)
    finally:
        for hook in hooks:
            hook.remove()
    patch_px = int(getattr(model, "patch_px", 16))
    return Seen([_as_grid(x, image.shape[-2:], patch_px) for x in layers], torch.softmax(logits[0], dim=0)[BORDER])


def _mimicked(model: nn.Module) -> list[nn.Module]:
    """Return the layers whose outputs are compared: those in lists named `blocks` and `fuse`."""
    found = [
        layer
        for name, group in model.named_modules()
        if isinstance(group, nn.ModuleList) and name.split(".")[-1] in ("blocks", "fuse")
        for layer in group
    ]
    if not found:
        raise ModelError("spatial: the network has no list of layers named `blocks` or `fuse` whose outputs to mimic")
    return found


def _as_grid(x: Tensor, image_shape: torch.Size, patch_px: int) -> Tensor:
    """Return a feature map, or tokens (1, tokens, channels) without registers, LayerNorm-ed: (channels, rows, cols)."""
    rows, cols = -(-image_shape[0] // patch_px), -(-image_shape[1] // patch_px)
    if x.ndim == 4:
        rows, cols = x.shape[2], x.shape[3]
        x = x.flatten(2).transpose(1, 2)
    normed = F.layer_norm(x[0, x.shape[1] - rows * cols :], (x.shape[2],))
    return normed.T.reshape(-1, rows, cols)


def _crop(image: Tensor, side: int, rng: np.random.Generator) -> Tensor:
    height, width = image.shape[-2:]
    y, x = int(rng.integers(max(1, height - side + 1))), int(rng.integers(max(1, width - side + 1)))
    return image[:, y : y + side, x : x + side]


def build(config: Config) -> Spatial:
    """Return the quantizer."""
    return Spatial(config)

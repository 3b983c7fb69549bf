"""What is to be trained, on what, for how long? The settings of `hedgerow train`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from hedgerow.config import Settings, TruthRule


class SyntheticData(Settings):
    """Scenes made on the fly by sources/synthetic."""

    kind: Literal["synthetic"] = "synthetic"
    weight: float = Field(1.0, ge=0)
    scenes: int = Field(64, ge=1)
    scene_px: int = Field(512, ge=64)
    gsd_m: tuple[float, float] = (0.1, 10.0)
    """Scenes are spread evenly over the logarithm of this range."""
    unlabelled: tuple[str, ...] = ("other",)


class FolderData(Settings):
    """Rasters with vector truth beside them."""

    kind: Literal["folder"] = "folder"
    weight: float = Field(1.0, ge=0)
    path: Path
    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    """Patterns of stems."""
    rows: tuple[float, float] = (0.0, 1.0)
    """Which part of each raster, as shares of its height: a fixed split inside one scene."""
    bands: Mapping[str, str] | None = None
    stored_bands: tuple[str, ...] | None = None
    truth: str = "auto"
    truth_rule: TruthRule = TruthRule()
    unlabelled: tuple[str, ...] = ("other", "forest", "border")
    """What a pixel outside the drawn polygons may be: with only fields drawn, anything but field."""
    zoom: tuple[float, float] = (1.0, 1.0)
    """Network pixels per stored pixel, drawn from this range: 0.5 looks at half the resolution."""


class Optimizer(Settings):
    """AdamW with warm-up and a cosine to zero."""

    lr: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.05, ge=0)
    warmup_steps: int = Field(200, ge=0)
    clip_norm: float = Field(1.0, gt=0)


class WeightedLoss(Settings):
    """One term of the sum."""

    loss: Mapping[str, Any]
    weight: float = Field(1.0, ge=0)


class TrainConfig(Settings):
    """Settings of one training."""

    name: str
    backbone: Mapping[str, Any] = Field(default_factory=lambda: {"kind": "vit"})
    bands: tuple[str, ...] = ("red", "green", "blue")
    data: tuple[SyntheticData | FolderData, ...] = Field(min_length=1)
    held_out: tuple[SyntheticData | FolderData, ...] = ()
    losses: tuple[WeightedLoss, ...] = Field(min_length=1)
    optimizer: Optimizer = Optimizer()
    steps: int = Field(ge=1)
    batch: int = Field(8, ge=1)
    crop_px: int = Field(256, ge=32, multiple_of=16)
    evaluate_every: int = Field(500, ge=1)
    average: float = Field(0.999, ge=0, lt=1)
    """Decay of the running mean of the weights that is kept (0: the last weights)."""
    seed: int = 0
    threads: int | None = None
    precision: Literal["fp32", "bf16"] = "fp32"
    """Arithmetic of the forward pass; weights, losses and steps stay in FP32."""
    card: Mapping[str, Any] = Field(default_factory=dict)
    """Free entries of the model card: licence, description, attribution."""

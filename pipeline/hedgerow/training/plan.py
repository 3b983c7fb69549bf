"""What is to be trained, on what, for how long? The settings of `hedgerow train`."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from hedgerow.config import Settings
from hedgerow.errors import ConfigError
from hedgerow.scaling import constant_scaling
from hedgerow.training.data import Data, FolderData


def _some(items: tuple[Any, ...]) -> tuple[Any, ...]:
    if not items:
        raise ValueError("at least 1 item is needed")
    if not sum(item.weight for item in items):
        raise ValueError("every weight is 0: give one of the items more")
    return items


class Optimizer(Settings):
    """AdamW with warm-up and a cosine to zero."""

    lr: float = Field(1e-3, gt=0)
    trunk_lr: float = Field(1.0, ge=0)
    """Learning rate of the transformer of `vit` (patches, tokens, positions, blocks, last norm) or `hub`, as a share of
    `lr`; 0 freezes it. For weights that were trained before (`trunk`, `init`, `hub`): stem, decoder and head learn at
    `lr`, whatever this says."""
    weight_decay: float = Field(0.05, ge=0)
    warmup_steps: int = Field(200, ge=0)
    clip_norm: float = Field(1.0, gt=0)


class Curriculum(Settings):
    """Coarse first, fine last: most steps on shrunk crops, the rest at full resolution with noise patches.

    Source: FastDINOv2 (arXiv 2507.03779), there for self-supervised training: low frequencies first, then Gaussian
    noise patching. At the switch the optimiser starts afresh with a warm-up.
    """

    share: float = Field(0.75, ge=0, lt=1)
    """Share of the steps that see shrunk crops; the switch comes after round(share x steps) of them."""
    shrink: int = Field(2, ge=2, le=4)
    """How many times fewer pixels a shrunk crop has on a side (bicubic)."""
    fine_lr: float = Field(0.5, gt=0)
    """Highest learning rate after the switch, as a share of the optimiser's."""
    noise_std: float = Field(0.1, ge=0)
    """After the switch: largest standard deviation of the noise patch, one per image, in units of the [0, 1] range."""


class Augment(Settings):
    """How much a crop is changed before the network sees it; 0 leaves it as it is."""

    light: float = Field(1.0, ge=0, le=3)
    """Strength of gain, offset, gamma and colour balance; 1 suits imagery of other days and sensors."""
    grey: float = Field(0.15, ge=0, le=1)
    """Chance of a crop that loses part of its colour."""
    haze: float = Field(0.15, ge=0, le=1)
    """Chance of haze: an even veil, thicker to one side."""
    blur: float = Field(0.3, ge=0, le=1)
    """Chance of a Gaussian blur of 0.3 to 1.2 px."""
    noise: float = Field(0.4, ge=0, le=1)
    """Chance of Gaussian noise, 0.005 to 0.03 of the range."""


class WeightedLoss(Settings):
    """One term of the sum."""

    loss: Mapping[str, Any]
    weight: float = Field(1.0, ge=0)


class TrainConfig(Settings):
    """Settings of one training."""

    name: str
    backbone: Mapping[str, Any] = Field(default_factory=lambda: {"kind": "vit"})
    bands: tuple[str, ...] = ("red", "green", "blue")
    data: Annotated[tuple[Data, ...], AfterValidator(_some)]
    held_out: tuple[Data, ...] = ()
    losses: Annotated[tuple[WeightedLoss, ...], AfterValidator(_some)]
    optimizer: Optimizer = Optimizer()
    curriculum: Curriculum | None = None
    augment: Augment = Augment()
    init: str | None = None
    """Model whose weights the training starts from: a shipped name or a model folder; None: random weights."""
    trunk: str | None = None
    """Weights of a foreign vision transformer (a safetensors file, or a folder with one) for the trunk of `vit`, whose
    settings are read off them; stem and decoder start at random."""
    steps: int = Field(ge=1)
    batch: int = Field(8, ge=1)
    crop_px: int = Field(256, ge=32, multiple_of=16)
    border_share: float = Field(0.5, ge=0, le=1)
    """Share of the crops that are laid round a point of a border, the others lie anywhere: borders are rare."""
    evaluate_every: int = Field(500, ge=1)
    """Steps between two looks at the held-out crops, each of which also saves the state to resume from."""
    average: float = Field(0.999, ge=0, lt=1)
    """Decay of the running mean of the weights that is kept (0: the weights themselves)."""
    keep: Literal["best", "last"] = "best"
    """Weights of which evaluation are kept: of the best held-out border F1, or of the last. The last, where what is
    held out is easier than what the model is for (synthetic scenes): there the best is a matter of chance."""
    seed: int = 0
    device: str = "auto"
    """auto, cpu or cuda."""
    readers: int = Field(1, ge=0)
    """Threads that make crops while the network works; 0: none. The result does not depend on it."""
    threads: int | None = Field(None, ge=1)
    precision: Literal["fp32", "bf16"] = "fp32"
    """Arithmetic of the forward pass; weights, losses and steps stay in FP32."""
    card: Mapping[str, Any] = Field(default_factory=dict)
    """Free entries of the model card: licence, description, attribution."""

    @model_validator(mode="after")
    def _one_start(self) -> "TrainConfig":
        if self.trunk is not None and (self.init is not None or self.backbone.get("kind", "vit") != "vit"):
            raise ValueError("`trunk` is for the backbone `vit` and goes without `init`: leave one out")
        return self

    @model_validator(mode="after")
    def _scalings_fit(self) -> "TrainConfig":
        for entry in (*self.data, *self.held_out):
            if isinstance(entry, FolderData) and entry.scaling is not None:
                constant_scaling(entry.scaling, self.bands)
        return self

    @property
    def scaling(self) -> Mapping[str, tuple[float, ...]] | None:
        """Constants with which everything that is learned from was scaled; None: there are none, or several."""
        first, *others = [getattr(entry, "scaling", None) for entry in self.data if entry.weight]
        return first if all(other == first for other in others) else None


def completed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return stored settings of a training with what has come since at its defaults; others as they are."""
    try:
        return TrainConfig.model_validate(settings).model_dump(mode="json")
    except (ValidationError, ConfigError):
        return dict(settings)

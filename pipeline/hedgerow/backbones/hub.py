"""How does a pretrained trunk of the transformers package become a segmentation network? Our decoder sits on top.

Dinov2, Dinov2WithRegisters and DINOv3ViT give tokens of one stride; our convolutions add the detail that they lack.
Segformer has strides 4, 8, 16 and 32 of its own: only the detail at stride 2 is ours.

A new one takes its weights from a local `folder` (or `repo`, which is downloaded only if that is allowed); in a model
card stands its `architecture` alone, so that the folder is not needed again.
"""

from collections.abc import Mapping
from itertools import accumulate
from operator import mul
from pathlib import Path
from typing import Any, ClassVar

import torch.nn.functional as F
from pydantic import model_validator
from torch import Tensor, nn

from hedgerow.backbones._pixels import (
    COARSE_PX,
    ConvUnit,
    Decoder,
    Detail,
    PixelConfig,
    Standardize,
    at_stride_16,
    head,
    padded,
    to_pixels,
)
from hedgerow.backbones._transformers import (
    architecture_in,
    attentions,
    checked,
    fetched,
    new_trunk,
    pretrained_trunk,
    standard_in,
)
from hedgerow.errors import ModelError
from hedgerow.quantization.taps import TapPoint

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
_STRIDES = [4, 8, 16, 32]


class Config(PixelConfig, frozen=True, extra="forbid"):
    """Where the trunk comes from; exactly one of `folder`, `repo` and `architecture`.

    `mean` and `std` are those of the folder's preprocessor_config.json, else ImageNet's, unless they are set.
    """

    folder: Path | None = None
    """Local folder with config.json and model.safetensors."""
    repo: str | None = None
    """Name on the hub, such as facebook/dinov2-small."""
    allow_download: bool = False
    """Whether `repo` may be downloaded; else it must be in the local cache."""
    architecture: Mapping[str, Any] | None = None
    """What config.json says, for a network whose weights come from elsewhere (or are random)."""

    @model_validator(mode="after")
    def _one_origin(self) -> "Config":
        if sum(origin is not None for origin in (self.folder, self.repo, self.architecture)) != 1:
            raise ValueError("name the trunk by one of `folder`, `repo` and `architecture`")
        return self


def build(config: Config) -> "HubTokens | HubPyramid":
    """Return a network with the trunk's weights, or random ones; decoder and detail are random.

    Raises:
        ModelError: no known trunk there, pickled or damaged weights, or a trunk of another number of bands.
        ConfigError: transformers is missing.
    """
    if config.architecture is not None:
        trunk = new_trunk(checked(config.architecture, "architecture"))
        settled = _settled(config, {}, config.architecture)
    else:
        folder = config.folder or fetched(str(config.repo), allow_download=config.allow_download)
        trunk = pretrained_trunk(folder, architecture_in(folder))
        settled = _settled(config, standard_in(folder), architecture_in(folder))
    if trunk.config.num_channels != config.bands:
        raise ModelError(f"the trunk takes {trunk.config.num_channels} bands, not {config.bands}: set `bands`")
    network = HubPyramid if trunk.config.model_type == "segformer" else HubTokens
    return network(settled, trunk).eval()


def _settled(config: Config, told: Mapping[str, Any], architecture: Mapping[str, Any]) -> Config:
    """Return settings that need no folder."""
    standard = {**(IMAGENET if config.bands == 3 else {}), **told}
    standard = {name: value for name, value in standard.items() if name not in config.model_fields_set}
    origin = {"folder": None, "repo": None, "allow_download": False, "architecture": dict(architecture)}
    return config.model_copy(update={**standard, **origin})


class _Hub(nn.Module):
    """What both kinds share: the first convolution lies where quantizers look for it, and settings can be stored."""

    trunk_parts: ClassVar = ("patch_embed.", "trunk.")
    """How the names of the transformers weights begin."""

    def __init__(self, config: Config, trunk: Any) -> None:
        super().__init__()
        self.config = config
        self.standardize = Standardize(config)
        name, first = next((name, m) for name, m in trunk.named_modules() if isinstance(m, nn.Conv2d))
        self.patch_embed = nn.Sequential(first)  # a top-level part that keeps more bits
        parent, _, last = name.rpartition(".")
        setattr(trunk.get_submodule(parent), last, _Elsewhere(self.patch_embed))
        self.trunk = trunk

    def stored_settings(self) -> dict[str, Any]:
        """Return the settings with which this network is built again, no folder needed."""
        settings = self.config.model_dump(mode="json", exclude={"folder", "repo", "allow_download"})
        return {"kind": "hub", **settings}

    def tap_points(self) -> Mapping[str, TapPoint]:
        """Name what can be looked at inside (see quantization/taps.py)."""
        names = (("q", "q_tap"), ("k", "k_tap"), ("v", "v_tap"), ("attention", "softmax_tap"))
        places = list(attentions(self.trunk))
        inner = {f"{n}.{i}": TapPoint(f"trunk.{place}.{tap}") for n, tap in names for i, place in enumerate(places)}
        return inner | {f"decoder.{k}": TapPoint(f"decoder.fuse.{k}") for k in range(len(self.config.decoder))}


class HubTokens(_Hub):
    """A plain transformer's tokens under our detail and decoder: (n, bands, height, width) to logits."""

    def __init__(self, config: Config, trunk: Any) -> None:
        super().__init__(config, trunk)
        self.patch_px = int(trunk.config.patch_size)
        self.registers = int(getattr(trunk.config, "num_register_tokens", 0))
        self.stem = Detail(config)
        self.decoder = Decoder(config, trunk.config.hidden_size)
        self.head = head(config)

    def forward(self, image: Tensor) -> Tensor:
        scaled = self.standardize(image)
        detail = self.stem(padded(scaled, COARSE_PX))
        whole = padded(scaled, self.patch_px)
        rows, cols = whole.shape[-2] // self.patch_px, whole.shape[-1] // self.patch_px
        tokens = self.trunk(whole).last_hidden_state[:, 1 + self.registers :]
        features = tokens.transpose(1, 2).reshape(len(image), -1, rows, cols)
        coarse = at_stride_16(features, self.patch_px, detail[2])
        return to_pixels(self.head(self.decoder(coarse, detail)), image)

    def tap_points(self) -> Mapping[str, TapPoint]:
        """Name what can be looked at inside (see quantization/taps.py)."""
        first = 1 + self.registers
        points: dict[str, TapPoint] = {}
        for k, place in {**_layers(self.trunk), "last": _last_norm(self.trunk)}.items():
            points |= {f"tokens.{k}": TapPoint(place, first), f"class.{k}": TapPoint(place, 0, 1)}
            points |= {f"registers.{k}": TapPoint(place, 1, first)} if self.registers else {}
        return {**points, **super().tap_points()}


class HubPyramid(_Hub):
    """A Segformer's four levels under our decoder; its coarsest is added to the one at stride 16."""

    def __init__(self, config: Config, trunk: Any) -> None:
        super().__init__(config, trunk)
        strides = list(accumulate(trunk.config.strides, mul))
        if strides != _STRIDES:
            raise ModelError(f"the trunk has strides {strides}; our decoder needs {_STRIDES}")
        four, eight, sixteen, coarsest = trunk.config.hidden_sizes
        two = config.stem[0]
        self.stem = nn.Sequential(
            ConvUnit(config.bands, two, stride=2, normalize=config.normalize),
            ConvUnit(two, two, stride=1, normalize=config.normalize),
        )
        self.lateral = nn.Conv2d(coarsest, sixteen, 1)
        self.decoder = Decoder(config.model_copy(update={"stem": (two, four, eight)}), sixteen)
        self.head = head(config)

    def forward(self, image: Tensor) -> Tensor:
        whole = padded(self.standardize(image), _STRIDES[-1])
        four, eight, sixteen, coarsest = self.trunk(whole, output_hidden_states=True).hidden_states
        coarsest = F.interpolate(self.lateral(coarsest), scale_factor=2.0, mode="bilinear", align_corners=False)
        return to_pixels(self.head(self.decoder(sixteen + coarsest, [self.stem(whole), four, eight])), image)


class _Elsewhere(nn.Module):
    """Stands where a layer was that now lies in another part of the network."""

    def __init__(self, part: nn.Sequential) -> None:
        super().__init__()
        self.part = (part,)  # in a tuple: known, but no second time a part

    @property
    def weight(self) -> Any:
        """What transformers asks for its type; the bias has the same, and is there when the weights are codes."""
        return self.part[0][0].bias

    def forward(self, image: Tensor) -> Any:
        return self.part[0](image)


def _layers(trunk: Any) -> dict[str, str]:
    """Return the blocks of a plain transformer by number."""
    depth = trunk.config.num_hidden_layers
    blocks = {name: m for name, m in trunk.named_modules() if isinstance(m, nn.ModuleList) and len(m) == depth}
    name = next(iter(blocks))
    return {str(k): f"trunk.{name}.{k}" for k in range(depth)}


def _last_norm(trunk: Any) -> str:
    *_, name = (name for name, m in trunk.named_children() if isinstance(m, nn.LayerNorm))
    return f"trunk.{name}"

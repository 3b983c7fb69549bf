"""How does a network made elsewhere fit in? Its bands, range, size and classes are brought to ours, and back.

feed = as_fed(image, fit)                  # (n, channels of the network, height, width) in the network's range
out = at_size(network(feed), feed.shape)   # its own classes, on the image's pixels
logits = as_ours(out, fit)                 # (n, 4, height, width): other, field, forest, border
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import BaseModel, Field, model_validator
from torch import Tensor, nn

from hedgerow.backbones._pixels import padded
from hedgerow.errors import ModelError
from hedgerow.records import CLASSES

_NEVER = -1e4  # logit of a class that the network does not know: finite, and its probability is exactly 0
_ROUNDING = 1e-3


class Fit(BaseModel, frozen=True, extra="forbid"):
    """What a network takes and gives. The defaults say: [0, 1] in, the logits of our four classes out."""

    order: tuple[int, ...] | None = None
    """Which band, counted from 0 in the card's list, each channel of the network takes; one may serve twice, or not at
    all. None: all of them as the card lists them."""
    input_range: tuple[float, float] = (0.0, 1.0)
    """What the network calls the ends of our [0, 1], before `mean` and `std`: (0, 255) where it wants bytes."""
    mean: tuple[float, ...] = (0.0,)
    """What is then taken away: one number, or one per channel."""
    std: tuple[float, ...] = (1.0,)
    """What the rest is divided by: one number, or one per channel."""
    classes: tuple[str, ...] = CLASSES
    """Class of each output channel: other, field, forest or border; several may be one class, whose chances add up."""
    rest: str | None = None
    """Class that has what independent channels leave of 1; only with `sigmoid` and `probabilities`."""
    output: Literal["logits", "sigmoid", "probabilities"] = "logits"
    """Logits of classes that exclude each other, logits of independent ones, or probabilities."""
    multiple_px: int = Field(1, ge=1)
    """Height and width must be multiples of this: the last pixels are repeated up to it, and cut off again."""

    @model_validator(mode="after")
    def _classes_fit(self) -> "Fit":
        named = {*self.classes, *([self.rest] if self.rest else [])}
        if unknown := sorted(named - set(CLASSES)):
            raise ValueError(f"classes {', '.join(unknown)}: choose among {', '.join(CLASSES)} for every channel")
        if self.rest and (self.output == "logits" or self.rest in self.classes):
            raise ValueError("`rest` is a class of no channel, beside `output: sigmoid` or `output: probabilities`")
        if len(named) < 2:
            raise ValueError(f"every pixel would be {self.classes[0] if self.classes else 'nothing'}: name `rest`, too")
        return self

    @model_validator(mode="after")
    def _numbers_fit(self) -> "Fit":
        if min(self.std, default=0) <= 0 or not self.mean or self.input_range[0] >= self.input_range[1]:
            raise ValueError("`mean` and `std` need a number or more, `std` above 0, and `input_range` low < high")
        return self


class Adapted(nn.Module):
    """A network of any bands, range, size and classes as one that maps [0, 1] to the logits of our four classes.

    Its weights keep the names that they have in the network.
    """

    def __init__(self, network: nn.Module, fit: Fit) -> None:
        super().__init__()
        self.network, self.fit = network, fit

    def forward(self, image: Tensor) -> Tensor:
        feed = padded(as_fed(image, self.fit), self.fit.multiple_px)
        height, width = image.shape[-2:]
        return as_ours(at_size(self.network(feed), feed), self.fit)[..., :height, :width]

    def state_dict(self, *args: Any, **options: Any) -> Any:
        """Return the network's own weights."""
        return self.network.state_dict(*args, **options)

    def load_state_dict(self, *args: Any, **options: Any) -> Any:
        """Load the network's own weights."""
        return self.network.load_state_dict(*args, **options)


def as_fed(image: Tensor, fit: Fit) -> Tensor:
    """Return the channels that a network takes, in its range, of an image (n, bands, height, width) in [0, 1].

    Raises:
        ModelError: a band that the image has not, or another number of means than of channels.
    """
    if fit.order is not None:
        if not all(0 <= band < image.shape[1] for band in fit.order):
            raise ModelError(
                f"order {list(fit.order)} names a band beyond the card's {image.shape[1]} (0 is the first)"
            )
        image = image[:, list(fit.order)]
    if {len(fit.mean), len(fit.std)} - {1, image.shape[1]}:
        raise ModelError(
            f"{len(fit.mean)} mean(s) and {len(fit.std)} std(s) for {image.shape[1]} channels: give one, or one each"
        )
    low, high = fit.input_range
    mean, std = (image.new_tensor(values).reshape(1, -1, 1, 1) for values in (fit.mean, fit.std))
    return (image * (high - low) + (low - mean)) / std


def at_size(out: Tensor, feed: Tensor) -> Tensor:
    """Return what a network gave, bilinearly on the pixels of what it was fed.

    Raises:
        ModelError: it gave no map (n, classes, height, width) of all that it saw.
    """
    if out.ndim != 4 or len(out) != len(feed):
        raise ModelError(
            f"the network gave {tuple(out.shape)} for {tuple(feed.shape)}: a map (n, classes, height, width) is needed"
        )
    (rows, cols), (height, width) = out.shape[-2:], feed.shape[-2:]
    if (rows, cols) == (height, width):
        return out
    if rows > height or cols > width or abs(rows * width - cols * height) > max(height, width):
        raise ModelError(
            f"the network gave {rows} x {cols} pixels for {height} x {width}: the same shape is needed, no finer"
        )
    return F.interpolate(out, (height, width), mode="bilinear", align_corners=False)


def as_ours(out: Tensor, fit: Fit) -> Tensor:
    """Return logits (n, 4, height, width) of our classes from a network's output (n, its channels, height, width).

    Raises:
        ModelError: another number of channels than of classes, or probabilities that are none.
    """
    if out.shape[1] != len(fit.classes):
        raise ModelError(
            f"the network gives {out.shape[1]} channels, but `classes` names {len(fit.classes)}: one each is needed"
        )
    if fit.output == "logits":
        return _by_class(out, fit, lambda part: part.logsumexp(dim=1))
    chances = out.sigmoid() if fit.output == "sigmoid" else out
    if fit.output == "probabilities" and not _are_chances(out):
        low, high = float(out.min()), float(out.max())
        raise ModelError(f"output from {low:.3g} to {high:.3g} is no probability: say `output: logits` or `sigmoid`")
    return _by_class(chances, fit, lambda part: _log(part.sum(dim=1)))


def _by_class(out: Tensor, fit: Fit, joined: Callable[[Tensor], Tensor]) -> Tensor:
    """Join the channels of each class; the class that has the rest comes of all channels."""
    layers = []
    for name in CLASSES:
        channels = [i for i, said in enumerate(fit.classes) if said == name]
        if channels:
            layers.append(joined(out[:, channels]))
        elif name == fit.rest:
            layers.append(_log(1 - out.sum(dim=1)))
        else:
            layers.append(torch.full_like(out[:, 0], _NEVER))
    return torch.stack(layers, dim=1)


def _log(chances: Tensor) -> Tensor:
    return chances.clamp_min(torch.finfo(chances.dtype).tiny).log()


def _are_chances(out: Tensor) -> bool:
    return bool(((out >= -_ROUNDING) & (out <= 1 + _ROUNDING)).all())

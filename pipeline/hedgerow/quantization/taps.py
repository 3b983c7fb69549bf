"""Where can a tensor be seen or quantized that is no layer's input? At a tap: an identity that bears a name.

And how is the inside of a network looked at? By names that stay the same whether it is float or quantized:

    tokens.3             patch tokens after block 3 (n, rows x cols, width); tokens.last: after the final norm
    class.3, registers.3 the class token (n, 1, width) and the registers (n, registers, width); also `.last`
    q.3, k.3, v.3        facets of block 3's attention (n, heads, tokens, head_width), turned by their positions
    attention.3          its map (n, heads, tokens, tokens); rows sum to 1 in a float network
    decoder.0            features of the decoder, coarse to fine (n, channels, height, width)
    logits               what the network returns

Tokens of q, k, v and attention are in the order class token, registers, patches row by row. A network says which of
them it has by `tap_points()`; one that says nothing is asked by the names of its submodules. Not all of them show
something: a list of modules is never run itself, another part returns a tuple. Only a run tells.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from hedgerow.errors import ModelError

LOGITS = "logits"
_WHOLE = ""  # the name of the network among its own modules


class Tap(nn.Identity):
    """A named place in a network. It passes its tensor on; a quantizer may put a fake quantizer in its stead."""

    @property
    def watched(self) -> bool:
        """Whether a hook wants to see the tensor; if not, the network need not make it."""
        return bool(self._forward_hooks or self._forward_pre_hooks)


@dataclass(frozen=True)
class TapPoint:
    """The output of a submodule, or some of its tokens: those from `first` up to (and without) `end` on axis 1."""

    module: str
    first: int = 0
    end: int | None = None

    def of(self, output: Tensor) -> Tensor:
        """Return the part that is meant."""
        return output if self.first == 0 and self.end is None else output[:, self.first : self.end]


@runtime_checkable
class Tapped(Protocol):
    """A network that names what can be looked at inside."""

    def tap_points(self) -> Mapping[str, TapPoint]:
        """Return the places by the names above; `logits` needs none."""


def tap_names(model: nn.Module, images: Tensor | None = None) -> tuple[str, ...]:
    """Return the names that `features` answers for this network, and no other.

    Args:
        model: float or quantized.
        images: (n, bands, height, width) in [0, 1], small ones will do. Only a network that does not name its inside
            needs them: it is run once, and those of its submodules count that ran and returned one tensor.

    Raises:
        ModelError: images are needed.
    """
    if isinstance(model, Tapped):
        return (*model.tap_points(), LOGITS)
    if images is None:
        raise ModelError(f"{type(model).__name__} does not name what it shows: call tap_names(model, images) to run it")
    with torch.no_grad():
        outputs = _outputs(model, images, _points(model))
    shown = {name for name, output in outputs.items() if isinstance(output, Tensor)}
    return (*(name for name in _points(model) if name in shown), *((LOGITS,) if _WHOLE in shown else ()))


def features(model: nn.Module, images: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
    """Run a network once and return what was asked for, by name; gradients flow unless the caller forbids them.

    Args:
        model: float or quantized; it is left as it was.
        images: (n, bands, height, width) in [0, 1].
        names: see `tap_names`; of a part that runs more than once, the last output counts.

    Raises:
        ModelError: the network has no such name, or the part did not run or returned no tensor.
    """
    points = {**_points(model), LOGITS: TapPoint(_WHOLE)}
    unknown = [name for name in names if name not in points]
    if unknown:
        known = tap_names(model, images)
        told = ", ".join((*known[:8], "...") if len(known) > 9 else known)
        raise ModelError(f"the network shows no {unknown[0]!r}. It has: {told} (see tap_names)")
    outputs = _outputs(model, images, {points[name].module for name in names})
    return {name: _shown(name, points[name], outputs) for name in names}


def transformer_taps(depth: int, *, class_token: bool, registers: int, prefix: str = "") -> dict[str, TapPoint]:
    """Return the points of a transformer with `blocks` and a final `norm` in the common layout.

    Args:
        depth: number of blocks.
        class_token: whether a class token comes first.
        registers: how many registers come next.
        prefix: where both lie in the network, such as 'trunk.'.
    """
    first, end = int(class_token), int(class_token) + registers
    places = {str(k): f"{prefix}blocks.{k}" for k in range(depth)} | {"last": f"{prefix}norm"}
    points = {f"tokens.{k}": TapPoint(place, end) for k, place in places.items()}
    if class_token:
        points |= {f"class.{k}": TapPoint(place, 0, 1) for k, place in places.items()}
    if registers:
        points |= {f"registers.{k}": TapPoint(place, first, end) for k, place in places.items()}
    for name, tap in (("q", "q_tap"), ("k", "k_tap"), ("v", "v_tap"), ("attention", "softmax_tap")):
        points |= {f"{name}.{k}": TapPoint(f"{prefix}blocks.{k}.attn.{tap}") for k in range(depth)}
    return points


def _points(model: nn.Module) -> Mapping[str, TapPoint]:
    """Return what may be asked for beside the logits."""
    if isinstance(model, Tapped):
        return model.tap_points()
    return {name: TapPoint(name) for name, _ in model.named_modules() if name not in (_WHOLE, LOGITS)}


def _outputs(model: nn.Module, images: Tensor, modules: Iterable[str]) -> dict[str, Any]:
    """Return the output of every named submodule that ran (the last one, if it ran twice), and the network's own."""
    seen: dict[str, Any] = {}

    def keep(name: str, output: Any) -> None:
        seen[name] = output

    hooks = [
        model.get_submodule(name).register_forward_hook(lambda _m, _i, output, name=name: keep(name, output))
        for name in modules
    ]
    try:
        seen[_WHOLE] = model(images)
    finally:
        for hook in hooks:
            hook.remove()
    return seen


def _shown(name: str, point: TapPoint, outputs: Mapping[str, Any]) -> Tensor:
    if point.module not in outputs:
        raise ModelError(f"{name!r} was not passed when the network ran: ask for a part that takes part")
    output = outputs[point.module]
    if not isinstance(output, Tensor):
        raise ModelError(f"{name!r} returned a {type(output).__name__}, not one tensor: ask for a part inside it")
    return point.of(output)

"""How is a network quantized after training? Weights by their magnitude, activations by the ranges that were seen."""

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from hedgerow.errors import ModelError
from hedgerow.quantization.grids import FakeQuantize, QSpec, grid_over
from hedgerow.quantization.observers import RangeObserver, observe
from hedgerow.quantization.sites import (
    BitRule,
    QuantizedLayer,
    SitePlan,
    activation_grids,
    plan_sites,
    quantized_copy,
)


def calibrated(
    model: nn.Module,
    rule: BitRule,
    images: Sequence[Tensor],
    range_of: Callable[[RangeObserver, QSpec], tuple[float, float]],
) -> tuple[nn.Module, SitePlan]:
    """Return a quantized copy of a network and what was quantized in it.

    Args:
        model: the FP32 network; it is not changed.
        rule: bits per part.
        images: calibration images (bands, height, width) in [0, 1].
        range_of: turns what was seen of a site, and its grid, into the range that the grid spans.

    A site that no image reached (say a head used only in training) stays in float and out of the plan.

    Raises:
        ModelError: there is no calibration image, an activation that is not finite, or nothing to quantize.
    """
    plan = plan_sites(model, rule)
    if not plan.layers:
        raise ModelError("nothing to quantize: the network has no Linear or Conv2d layer")
    if not images:
        raise ModelError("no calibration image: static activation ranges need at least one tile with valid pixels")
    observers = observe(copy.deepcopy(model).eval(), plan, images)  # a copy: no counter of the input model may move
    plan = plan.only({name for name, observer in observers.items() if not observer.empty})
    twin = quantized_copy(model, plan)
    for name, grid in activation_grids(twin, plan).items():
        low, high = range_of(observers[name], grid.spec)
        grid.scale, grid.zero_point = grid_over(torch.tensor(low), torch.tensor(high), grid.spec)
    return twin, plan


def plan_of(model: nn.Module) -> SitePlan:
    """Read back what was quantized in a network."""
    modules = dict(model.named_modules())
    layers = {name: m.plan for name, m in modules.items() if isinstance(m, QuantizedLayer)}
    inside = {f"{name}.input_grid" for name in layers}
    taps = {name: m.spec for name, m in modules.items() if isinstance(m, FakeQuantize) and name not in inside}
    return SitePlan(layers=layers, taps=taps)

"""Where does a training begin? At random weights, or at those of a finished model, whatever was folded away in it."""

import logging
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from hedgerow import registry
from hedgerow.backbones._pixels import ConvUnit
from hedgerow.errors import ConfigError, ModelError
from hedgerow.models.store import fit_weights, load, locate, weights_file
from hedgerow.models.trunks import load_trunk, trunk_settings
from hedgerow.randomness import integer_seed
from hedgerow.training.plan import TrainConfig
from hedgerow.training.rates import freeze

log = logging.getLogger(__name__)


def fresh(config: TrainConfig) -> nn.Module:
    """Return the network before its first step, in eval mode: random weights, and a foreign trunk if one is told.

    A frozen trunk requires no gradients.

    The caller's own random stream stays where it is.

    Raises:
        ModelError: there is nothing to train, no such `init`, no trunk where `trunk_lr` asks for one, or the trunk's
            weights cannot be used.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(integer_seed(config.seed, "weights"))
        model: nn.Module = registry.build("backbones", backbone_of(config, aloud=True))
    if not any(p.requires_grad for p in model.parameters()):
        raise ModelError(f"backbone {config.backbone.get('kind')}: has no weights to train (a graph runs as it is)")
    freeze(model, config.optimizer)
    if config.init is not None:
        locate(config.init)
    if config.trunk is not None:
        for note in load_trunk(model, config.trunk).notes:
            log.info("%s: %s", config.trunk, note)
    return model.eval()


def backbone_of(config: TrainConfig, *, aloud: bool = False) -> dict[str, Any]:
    """Return the backbone's settings, completed by what weights of a trunk tell and by the number of bands.

    Raises:
        ConfigError: they say another number of bands.
        ModelError: the trunk's weights cannot be used.
    """
    count, backbone = len(config.bands), dict(config.backbone)
    if config.trunk is not None:
        found = trunk_settings(config.trunk, **{key: value for key, value in backbone.items() if key != "kind"})
        if aloud:
            log.info("%s: guessed %s", config.trunk, ", ".join(found.guessed) or "nothing")
        backbone = dict(found.backbone)
    if not hasattr(registry.configure("backbones", backbone), "bands"):
        return backbone
    told = backbone.get("bands", count)
    if told != count:
        raise ConfigError(
            f"backbone.bands is {told}, but there are {count} bands ({', '.join(config.bands)}): leave it out"
        )
    return {**backbone, "bands": count}


def start_from(model: nn.Module, init: str, images: Tensor) -> None:
    """Give a network the weights of a finished model, so that in eval mode it answers as that model does.

    A finished model has no batch normalisation left. Here it comes back as one that changes nothing: what it takes
    from its convolution's output (mean, variance on `images`) it gives back as bias and gain, and learns from there.

    Args:
        model: of the same backbone, with or without batch normalisation.
        init: a shipped name or a model folder.
        images: (n, bands, height, width) in [0, 1].

    Raises:
        ModelError: there is no such model, or its weights do not fit.
    """
    folder = locate(init)
    finished = load(folder)
    state = dict(finished.state_dict())
    taken_away = {
        name: unit.norm
        for name, unit in model.named_modules()
        if isinstance(unit, ConvUnit) and isinstance(unit.norm, nn.BatchNorm2d) and f"{name}.norm.weight" not in state
    }
    for name, (mean, variance) in _seen(finished, taken_away, images).items():
        norm = taken_away[name]
        state |= {
            f"{name}.norm.running_mean": mean,
            f"{name}.norm.running_var": variance,
            f"{name}.norm.weight": (variance + norm.eps).sqrt(),
            f"{name}.norm.bias": mean,
            f"{name}.norm.num_batches_tracked": torch.zeros((), dtype=torch.long),
        }
    fit_weights(model, state, weights_file(folder))


@torch.inference_mode()
def _seen(finished: nn.Module, units: Mapping[str, nn.Module], images: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Return mean and variance of each channel of the units' convolutions."""
    seen: dict[str, tuple[Tensor, Tensor]] = {}

    def watch(name: str) -> torch.utils.hooks.RemovableHandle:
        def note(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            variance, mean = torch.var_mean(output.float(), dim=(0, 2, 3))
            seen[name] = mean, variance

        return finished.get_submodule(f"{name}.conv").register_forward_hook(note)

    watching = [watch(name) for name in units if _has(finished, f"{name}.conv")]
    if watching:
        finished(images)
    for handle in watching:
        handle.remove()
    return seen


def _has(module: nn.Module, name: str) -> bool:
    return any(name == known for known, _ in module.named_modules())

"""How is the FP32 network fitted? A plain loop: draw crops, step, average the weights, look at held-out crops."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hedgerow import registry
from hedgerow.contracts import Progress, silent
from hedgerow.errors import ModelError
from hedgerow.randomness import integer_seed, rng_for
from hedgerow.training.crops import draw_crop
from hedgerow.training.judge import Loss, judge
from hedgerow.training.plan import FolderData, SyntheticData, TrainConfig
from hedgerow.training.scenes import LabelledScene, load_scenes

log = logging.getLogger(__name__)

Batch = tuple[Tensor, Tensor]
_HELD_OUT_BATCHES = 6


@dataclass
class Fitted:
    """The network (averaged weights, eval mode) and how it came about."""

    model: nn.Module
    history: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    scenes: tuple[str, ...] = ()


def fit(
    config: TrainConfig, *, checkpoint: Callable[[Fitted], None] | None = None, progress: Progress = silent
) -> Fitted:
    """Fit a network.

    Args:
        config: what to train.
        checkpoint: is given the state of things at every evaluation.
        progress: hears of loading and of steps.

    Raises:
        ModelError: the loss is no longer finite.
    """
    started = time.monotonic()
    model = _fresh(config)
    scenes = _load_all(config.data, config, progress)
    held_out = _held_out_batches(config)
    losses = [(registry.build("losses", term.loss), term.weight) for term in config.losses]
    average = WeightAverage(model, config.average)
    optimizer = _optimizer(model, config)
    result = Fitted(average.model, scenes=tuple(dict.fromkeys(s.name for group in scenes for s in group)))
    for step, batch in enumerate(batches(config, scenes), start=1):
        loss = _step(model.train(), batch, losses, optimizer, _rate(config, step), config)
        if not np.isfinite(loss):
            raise ModelError(f"step {step}: the loss is {loss}: lower optimizer.lr (now {config.optimizer.lr})")
        average.update(model)
        progress("train", step, config.steps)
        if step % config.evaluate_every == 0 or step == config.steps:
            result.seconds = time.monotonic() - started
            row = {"step": float(step), "loss": loss, "seconds": result.seconds}
            result.history.append(row | judge(average.model, held_out, losses))
            log.info("step %d: %s", step, result.history[-1])
            if checkpoint is not None:
                checkpoint(result)
    return result


def batches(config: TrainConfig, scenes: Sequence[Sequence[LabelledScene]]) -> Iterator[Batch]:
    """Yield one batch per step; entry by weight, scene and crop by chance."""
    rng = rng_for(config.seed, "crops")
    weights = np.asarray([entry.weight for entry in config.data])
    for _ in range(config.steps):
        groups = rng.choice(len(scenes), config.batch, p=weights / weights.sum()).tolist()
        yield _stacked([draw_crop(scenes[g][int(rng.integers(len(scenes[g])))], config.crop_px, rng) for g in groups])


class WeightAverage:
    """Running mean of the weights (Polyak averaging), with a warm-up so that early weights are soon forgotten."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = torch.optim.swa_utils.AveragedModel(model).module.eval()
        self.decay, self.count = decay, 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take one step's weights in; counters and other integers are copied."""
        self.count += 1
        decay = min(self.decay, self.count / (self.count + 10))
        for mean, value in zip(self.model.state_dict().values(), model.state_dict().values(), strict=True):
            if mean.dtype.is_floating_point:
                mean.lerp_(value, 1 - decay)
            else:
                mean.copy_(value)


def _fresh(config: TrainConfig) -> nn.Module:
    with torch.random.fork_rng(devices=[]):  # the caller's own stream stays where it is
        torch.manual_seed(integer_seed(config.seed, "weights"))
        model: nn.Module = registry.build("backbones", config.backbone)
    return model


def _step(
    model: nn.Module,
    batch: Batch,
    losses: Sequence[tuple[Loss, float]],
    optimizer: torch.optim.Optimizer,
    rate: float,
    config: TrainConfig,
) -> float:
    for group in optimizer.param_groups:
        group["lr"] = rate
    with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bf16"):
        logits = model(batch[0])
    logits = logits.float()
    loss = torch.stack([weight * term(logits, batch[1]) for term, weight in losses]).sum()
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(model.parameters(), config.optimizer.clip_norm)
    optimizer.step()
    return float(loss.detach())


def _optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": config.optimizer.weight_decay}, {"params": plain, "weight_decay": 0}]
    return torch.optim.AdamW(groups, lr=config.optimizer.lr)


def _rate(config: TrainConfig, step: int) -> float:
    """Learning rate of a step: linear warm-up, then half a cosine to zero."""
    warmup = min(config.optimizer.warmup_steps, config.steps)
    if step <= warmup:
        return config.optimizer.lr * step / warmup
    share = (step - warmup) / max(1, config.steps - warmup)
    return float(config.optimizer.lr * 0.5 * (1 + np.cos(np.pi * share)))


def _load_all(
    entries: Sequence[SyntheticData | FolderData], config: TrainConfig, progress: Progress
) -> list[list[LabelledScene]]:
    groups: list[list[LabelledScene]] = []
    for i, entry in enumerate(entries):
        groups.append(list(load_scenes(entry, config.bands, integer_seed(config.seed, "data", i))))
        progress("load", i + 1, len(entries))
    return groups


def _held_out_batches(config: TrainConfig) -> Mapping[str, list[Batch]]:
    """Draw the crops on which every evaluation is made, the same ones each time."""
    out: dict[str, list[Batch]] = {}
    for i, entry in enumerate(config.held_out):
        rng = rng_for(config.seed, "held out", i)
        scenes = list(load_scenes(entry, config.bands, integer_seed(config.seed, "held out data", i)))
        crops = [
            draw_crop(scenes[k % len(scenes)], config.crop_px, rng) for k in range(_HELD_OUT_BATCHES * config.batch)
        ]
        name = entry.kind if isinstance(entry, SyntheticData) else entry.path.name
        name = f"{name}_{i}" if name in out else name
        out[name] = [_stacked(crops[k : k + config.batch]) for k in range(0, len(crops), config.batch)]
    return out


def _stacked(crops: Sequence[tuple[NDArray[np.float32], NDArray[np.uint8]]]) -> Batch:
    images = torch.from_numpy(np.stack([image for image, _ in crops]))
    return images, torch.from_numpy(np.stack([allowed for _, allowed in crops]))

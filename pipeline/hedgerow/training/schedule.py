"""What is done at which step? One phase, or two with a curriculum: shrunk crops first, then full resolution."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hedgerow.training.crops import Cut
from hedgerow.training.plan import TrainConfig


@dataclass(frozen=True, slots=True)
class Phase:
    """Steps `first..last` (from 1, both included) that share one way of cutting and one optimiser."""

    first: int
    last: int
    peak: float
    """Highest learning rate."""
    warmup: int
    cut: Cut

    def rate(self, step: int) -> float:
        """Learning rate of a step: linear warm-up, then half a cosine to zero."""
        done, steps = step - self.first + 1, self.last - self.first + 1
        warmup = min(self.warmup, steps)
        if done <= warmup:
            return self.peak * done / warmup
        share = (done - warmup) / max(1, steps - warmup)
        return float(self.peak * 0.5 * (1 + np.cos(np.pi * share)))


def work(phases: Sequence[Phase], after: int, until: int) -> float:
    """Return how much the steps `after + 1..until` are, counted in steps at full resolution: by the pixels they see."""
    spans = ((max(after, phase.first - 1), min(until, phase.last), phase.cut.shrink) for phase in phases)
    return sum(max(0, last - before) / shrink**2 for before, last, shrink in spans)


def phases(config: TrainConfig) -> tuple[Phase, ...]:
    """Return the phases of a training in order; together they cover the steps 1..config.steps."""
    lr, warmup, curriculum = config.optimizer.lr, config.optimizer.warmup_steps, config.curriculum
    fine = Cut(config.crop_px, border_share=config.border_share, augment=config.augment)
    if curriculum is None:
        return (Phase(1, config.steps, lr, warmup, fine),)
    coarse = Cut(config.crop_px, curriculum.shrink, config.border_share, augment=config.augment)
    noisy = Cut(config.crop_px, 1, config.border_share, curriculum.noise_std, config.augment)
    switch = round(curriculum.share * config.steps)
    both = (
        Phase(1, switch, lr, warmup, coarse),
        Phase(switch + 1, config.steps, curriculum.fine_lr * lr, warmup, noisy),
    )
    return tuple(phase for phase in both if phase.first <= phase.last)

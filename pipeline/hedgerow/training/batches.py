"""How do crops reach the network in time? Batch number k is a function of (seed, k), made by readers ahead of need."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hedgerow.randomness import integer_seed, rng_for
from hedgerow.training.crops import Crop, Cut, draw_crop
from hedgerow.training.data import SyntheticData
from hedgerow.training.plan import TrainConfig
from hedgerow.training.scenes import LabelledScene, load_scenes

_AHEAD = 3
_HELD_OUT_BATCHES = 6


@dataclass(frozen=True, slots=True)
class Batch:
    """`images` (n, bands, side, side) in [0, 1], `allowed` (n, side, side) sets of classes, where each was cut."""

    images: Tensor
    allowed: Tensor
    places: tuple[str, ...] = ()

    def on(self, device: torch.device) -> "Batch":
        """Return the batch on a device, pixels with channels last: convolutions are faster so."""
        images = self.images.to(device, non_blocking=True, memory_format=torch.channels_last)
        return Batch(images, self.allowed.to(device, non_blocking=True), self.places)


@dataclass(frozen=True)
class Crops:
    """Where the batches of a training come from: entry by weight, scene and crop by chance."""

    config: TrainConfig
    scenes: Sequence[Sequence[LabelledScene]]
    """By entry of `config.data`."""

    def batch(self, step: int, cut: Cut) -> Batch:
        """Return the batch of a step; every step has a random stream of its own."""
        rng = rng_for(self.config.seed, "crops", step)
        weights = np.asarray([entry.weight for entry in self.config.data])
        groups = rng.choice(len(self.scenes), self.config.batch, p=weights / weights.sum()).tolist()
        return stacked([draw_crop(_one_of(self.scenes[g], rng), cut, rng) for g in groups])


def ahead(make: Callable[[int], Batch], steps: range, readers: int) -> Iterator[Batch]:
    """Yield make(step) in order, a few of them made before they are asked for by `readers` threads (0: none)."""
    if readers == 0:
        yield from map(make, steps)
        return
    with ThreadPoolExecutor(readers, thread_name_prefix="crops") as pool:
        waiting: deque[Future[Batch]] = deque()
        try:
            for step in steps:
                waiting.append(pool.submit(make, step))
                if len(waiting) > readers * _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def held_out_batches(config: TrainConfig) -> Mapping[str, list[Batch]]:
    """Draw the crops on which every evaluation is made, the same ones each time, by name of the set."""
    out: dict[str, list[Batch]] = {}
    cut = Cut(config.crop_px, augment=config.augment)
    for i, entry in enumerate(config.held_out):
        rng = rng_for(config.seed, "held out", i)
        scenes = list(load_scenes(entry, config.bands, integer_seed(config.seed, "held out data", i)))
        crops = [draw_crop(scenes[k % len(scenes)], cut, rng) for k in range(_HELD_OUT_BATCHES * config.batch)]
        name = entry.kind if isinstance(entry, SyntheticData) else entry.path.name
        name = f"{name}_{i}" if name in out else name
        out[name] = [stacked(crops[k : k + config.batch]) for k in range(0, len(crops), config.batch)]
    return out


def stacked(crops: Sequence[Crop]) -> Batch:
    """Return crops of one size as a batch."""
    images = torch.from_numpy(np.stack([crop.image for crop in crops]))
    return Batch(images, torch.from_numpy(np.stack([c.allowed for c in crops])), tuple(c.place for c in crops))


def _one_of(scenes: Sequence[LabelledScene], rng: np.random.Generator) -> LabelledScene:
    return scenes[int(rng.integers(len(scenes)))]

"""How is the FP32 network fitted? A plain loop: take a batch, step, average the weights, look at held-out crops."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from hedgerow import registry
from hedgerow.contracts import Progress, silent
from hedgerow.errors import ModelError
from hedgerow.randomness import integer_seed
from hedgerow.training.batches import Batch, Crops, ahead, held_out_batches
from hedgerow.training.clock import Clock
from hedgerow.training.folders import scene_count, trained_and_held_out
from hedgerow.training.judge import Loss, judge
from hedgerow.training.plan import TrainConfig
from hedgerow.training.rates import adamw, learning, set_rate
from hedgerow.training.scenes import LabelledScene, load_scenes, unseen_classes
from hedgerow.training.schedule import Phase, phases, work
from hedgerow.training.start import fresh, start_from
from hedgerow.training.state import State

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fitted:
    """The network (averaged weights, eval mode) at the last evaluation, and how it came about."""

    model: nn.Module
    history: Sequence[Mapping[str, float]]
    """A row per evaluation: step, loss (mean since the last one), seconds, data_share, and what `judge` says."""
    kept: Mapping[str, float]
    """The row of the weights to keep."""
    scenes: tuple[str, ...]
    gsd_m: tuple[float, float]
    """Finest and coarsest ground sampling distance of the crops."""
    seconds: float
    state: State

    @property
    def is_kept(self) -> bool:
        """Whether the weights of the last evaluation are, so far, those to keep."""
        return self.history[-1] is self.kept


def best(history: Sequence[Mapping[str, float]]) -> Mapping[str, float]:
    """Return the evaluation of the highest held-out border F1, the last of equals; with nothing held out, the last.

    With a curriculum only the evaluations at full resolution count, since the earlier weights know other pixels.
    """
    fine = [row for row in history if row["shrink"] == 1] or history
    return max(fine, key=lambda row: (row["border_f1"], row["step"])) if "border_f1" in fine[-1] else fine[-1]


def fit(
    config: TrainConfig,
    *,
    device: str = "cpu",
    resume: Path | None = None,
    begun: Callable[[State], None] | None = None,
    checkpoint: Callable[[Fitted], None] | None = None,
    progress: Progress = silent,
) -> Fitted:
    """Fit a network.

    Args:
        config: what to train.
        device: as torch calls it.
        resume: state of a training of the same settings that was stopped.
        begun: is given the state before the first step, so that there is something to resume from the beginning.
        checkpoint: is given the state of things at every evaluation.
        progress: hears of loading and of steps.

    Raises:
        ModelError: loss, gradient or weights are no longer finite (the crops of that step are named), there is nothing
            to train, or `resume` does not fit.
    """
    where = torch.device(device)
    losses = [(registry.build("losses", term.loss), term.weight) for term in config.losses]
    model = fresh(config)  # before the data, which takes longest: what is wrong with it is told at once
    crops = Crops(config, _scenes(config, progress))
    state = _state(model, config, crops, where)
    loop = _Loop(config, state, where, losses, held_out_batches(config))  # before `begun`: it may be refused, too
    if resume is not None:
        state.restore(resume, config.model_dump(mode="json"))
    elif begun is not None:
        begun(state)
    for phase in phases(config):
        for _ in loop.steps(phase, crops, progress):
            if checkpoint is not None:
                checkpoint(_fitted(config, state, crops))
    return _fitted(config, state, crops)


def _fitted(config: TrainConfig, state: State, crops: Crops) -> Fitted:
    scenes = [scene for group in crops.scenes for scene in group]
    names = tuple(dict.fromkeys(scene.name for scene in scenes))
    gsd_m = min(s.gsd_m / s.zoom[1] for s in scenes), max(s.gsd_m / s.zoom[0] for s in scenes)
    gsd_m = round(gsd_m[0], 3), round(gsd_m[1], 3)
    kept = best(state.history) if config.keep == "best" else state.history[-1]
    return Fitted(state.average, state.history, kept, names, gsd_m, state.seconds, state)


class _Loop:
    """Steps of a training, and what they need."""

    def __init__(
        self,
        config: TrainConfig,
        state: State,
        device: torch.device,
        losses: Sequence[tuple[Loss, float]],
        held_out: Mapping[str, list[Batch]],
    ) -> None:
        self.config, self.state, self.device, self.losses = config, state, device, losses
        self.held_out = {name: [batch.on(device) for batch in batches] for name, batches in held_out.items()}

    def steps(self, phase: Phase, crops: Crops, progress: Progress) -> Iterator[None]:
        """Do what is left of a phase; yield after every evaluation."""
        state, config = self.state, self.config
        left = range(max(state.step + 1, phase.first), phase.last + 1)
        if state.step + 1 == phase.first:
            self._enter(phase)
        clock, since, begun = Clock(state.seconds), list[float](), state.step
        for batch in clock.waiting(ahead(lambda step: crops.batch(step, phase.cut), left, config.readers)):
            state.step += 1
            since.append(clock.working(self._step, batch.on(self.device), phase.rate(state.step)))
            progress("train", state.step, config.steps)
            if state.step % config.evaluate_every == 0 or state.step in (config.steps, phase.last):
                row = {"step": float(state.step), "loss": float(np.mean(since)), "shrink": float(phase.cut.shrink)}
                since.clear()
                row |= {"rate": phase.rate(state.step), "data_share": clock.data_share}
                row |= self._judged(batch)
                state.seconds = clock.seconds
                state.history.append(row | {"seconds": round(state.seconds, 1)})
                self._tell(clock, begun)
                yield

    def _tell(self, clock: Clock, begun: int) -> None:
        """Log the last evaluation, and how long the rest takes at the pace since the step `begun`."""
        state, steps, plan = self.state, self.config.steps, phases(self.config)
        share = work(plan, state.step, steps) / work(plan, begun, state.step)
        left = f", {clock.left(share)}" if share else ""
        log.info("step %d of %d%s: %s", state.step, steps, left, _told(state.history[-1]))

    def _enter(self, phase: Phase) -> None:
        """Begin a phase: a fresh optimiser, and a running mean that forgets what came before."""
        self.state.optimizer = adamw(self.state.model, self.config.optimizer)
        self.state.averaged = 0
        log.info("from step %d: crops of %d px", phase.first, phase.cut.crop_px // phase.cut.shrink)

    def _judged(self, batch: Batch) -> dict[str, float]:
        """Judge the averaged network; one that diverged in the step of this batch is not to be kept."""
        weights = torch.stack([p.detach().abs().amax() for p in self.state.average.parameters()]).amax()
        self._refuse_unless_finite("largest weight, as stored in half precision,", float(weights.half()), batch)
        row = judge(self.state.average, self.held_out, self.losses)
        for name in self.held_out:
            self._refuse_unless_finite(f"loss on {name}", row[f"{name}_loss"], batch)
        return row

    def _step(self, batch: Batch, rate: float) -> float:
        state, config = self.state, self.config
        set_rate(state.optimizer, rate)
        logits = self._logits(batch.images)
        loss = torch.stack([weight * term(logits.float(), batch.allowed) for term, weight in self.losses]).sum()
        value = float(loss.detach())
        self._refuse_unless_finite("loss", value, batch)
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(state.model.parameters(), config.optimizer.clip_norm)
        self._refuse_unless_finite("gradient", float(norm), batch)
        state.optimizer.step()
        state.averaged += 1
        average(state.average, state.model, min(config.average, state.averaged / (state.averaged + 10)))
        return value

    def _logits(self, images: Tensor) -> Tensor:
        """Run the network; what it draws by chance (dropout) comes of seed and step, so that a step can be redone."""
        cards = [torch.cuda.current_device()] if self.device.type == "cuda" else []
        half = torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16")
        with torch.random.fork_rng(cards), half:
            torch.manual_seed(integer_seed(self.config.seed, "step", self.state.step))
            logits: Tensor = learning(self.state.model)(images)
        return logits

    def _refuse_unless_finite(self, what: str, value: float, batch: Batch) -> None:
        if not np.isfinite(value):
            raise ModelError(
                f"step {self.state.step}: the {what} is {value}: lower optimizer.lr (now {self.config.optimizer.lr}) "
                f"or look at the crops of this step: {'; '.join(batch.places)}"
            )


@torch.no_grad()
def average(mean: nn.Module, model: nn.Module, decay: float) -> None:
    """Move `mean` towards the weights of `model`: mean x decay + weights x (1 - decay); integers are copied.

    Source: Polyak averaging; with decay k / (k + 10) at the k-th call the first weights are soon forgotten.
    """
    for kept, value in zip(mean.state_dict().values(), model.state_dict().values(), strict=True):
        if kept.dtype.is_floating_point:
            kept.lerp_(value, 1 - decay)
        else:
            kept.copy_(value)


def _state(model: nn.Module, config: TrainConfig, crops: Crops, device: torch.device) -> State:
    if config.init is not None:
        start_from(model, config.init, crops.batch(0, phases(config)[0].cut).images)
    model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    mean = torch.optim.swa_utils.AveragedModel(model).module.eval()
    return State(model, mean, adamw(model, config.optimizer))


def _scenes(config: TrainConfig, progress: Progress) -> list[list[LabelledScene]]:
    for name in trained_and_held_out(config.data, config.held_out):
        log.warning(
            "%s is trained on and held out: its scores say nothing of new places; use `exclude` or `rows`", name
        )
    groups: list[list[LabelledScene]] = []
    total = sum(map(scene_count, config.data))
    for i, entry in enumerate(config.data):
        groups.append([])
        for scene in load_scenes(entry, config.bands, integer_seed(config.seed, "data", i)):
            groups[-1].append(scene)
            progress("load", sum(map(len, groups)), total)
    scenes = [scene for group in groups for scene in group]
    for scene in scenes:
        if not scene.known(scene.finest).any():
            log.warning("%s: teaches nothing: it is too small, or its zoom (%g) is", scene.name, scene.zoom[1])
    for name in unseen_classes(scenes):
        log.warning("no training scene shows %s for certain: the network cannot learn it", name)
    return groups


def _told(row: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in row.items() if name != "step")

"""From a plan to maps on disk: scale, quantize, predict, map. What `run` and `compare` have in common."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from hedgerow.config import Recipe
from hedgerow.contracts import Progress
from hedgerow.errors import ConfigError, HedgerowError, SourceError
from hedgerow.graph import Graph
from hedgerow.jobs.arms import Arm, prepare
from hedgerow.jobs.mapping import MapArm, MapItem, Mapped, TileTimes, predict_scene, probability_path
from hedgerow.jobs.planning import Failure, Plan, PlannedScene
from hedgerow.scaling import Scaling, scaling_of

_LARGE_PX = 4 << 20  # from here on one map is spread over the workers, below it each worker makes whole maps


@dataclass
class Made:
    """What has been made so far, and what went wrong."""

    plan: Plan
    out: Path
    work: Path
    arms: tuple[Arm, ...] = ()
    scalings: dict[str, Scaling] = field(default_factory=dict)
    mapped: list[Mapped] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    times: TileTimes = field(default_factory=TileTimes)
    seconds: dict[str, float] = field(default_factory=dict)

    def scenes(self) -> list[PlannedScene]:
        """Return the scenes that have pixels and have not failed."""
        failed = {failure.input for failure in self.failures}
        return [s for s in self.plan.scenes if s.name in self.scalings and s.name not in failed]

    def fail(self, scene: str, error: HedgerowError) -> None:
        """Note that a scene could not be finished; the others go on."""
        if all(failure.input != scene for failure in self.failures):
            self.failures.append(Failure(scene, str(error)))


def make_maps(
    plan: Plan, recipes: Mapping[str, Recipe], out: Path, work: Path, graph: Graph, progress: Progress
) -> Made:
    """Make every map of the plan; an input that fails is recorded and the others go on."""
    made = Made(plan, out, work, failures=list(plan.failures))
    with _timed(made, "scale"):
        _scale(made, progress)
    with _timed(made, "quantize"):
        device = _device(plan.config.device)
        threads = plan.config.threads or max(1, (os.cpu_count() or 1) // graph.workers)
        made.arms = prepare(
            plan, recipes, made.scalings, work / "models", device=device, threads=threads, progress=progress
        )
    with _timed(made, "predict"):
        _predict(made, graph, progress)
    with _timed(made, "map"):
        _map(made, graph, progress)
    return made


def _scale(made: Made, progress: Progress) -> None:
    fixed = made.plan.config.scaling
    for done, planned in enumerate(made.plan.scenes, start=1):
        try:
            measured = scaling_of(planned.source, made.plan.config.seed)
            if measured is not None:
                made.scalings[planned.name] = Scaling(**fixed) if fixed else measured
        except (HedgerowError, TypeError) as error:
            made.fail(planned.name, error if isinstance(error, HedgerowError) else SourceError(f"scaling: {error}"))
        progress("scale", done, len(made.plan.scenes))


def _predict(made: Made, graph: Graph, progress: Progress) -> None:
    done, total = 0, sum(len(scene.tiles) for scene in made.scenes())

    def tick() -> None:
        nonlocal done
        done += 1
        progress("predict", done, total)

    for planned in made.scenes():
        missing = [a.spec for a in made.arms if not probability_path(made.out, planned.name, a.name).is_file()]
        try:
            if missing:
                predict_scene(
                    planned, made.scalings[planned.name], missing, made.out,
                    halo_px=made.plan.config.halo_px, graph=graph, times=made.times, tick=tick,
                )  # fmt: skip
        except HedgerowError as error:
            made.fail(planned.name, error)


def _map(made: Made, graph: Graph, progress: Progress) -> None:
    task = MapArm(made.plan.config, made.out, made.work)
    scenes = made.scenes()
    done, total = 0, len(scenes) * len(made.arms)
    small = [(s, item) for s in scenes if not _large(s) for item in _items(s, made.arms)]
    outcomes = zip(small, graph.outcomes(task, [item for _, item in small]), strict=True)
    for (planned, _), outcome in outcomes:
        if outcome.error is not None:
            made.fail(planned.name, outcome.error)
        else:
            assert outcome.result is not None
            made.mapped.append(outcome.result)
        done += 1
        progress("map", done, total)
    for planned in filter(_large, scenes):
        for item in _items(planned, made.arms):
            try:
                made.mapped.append(task.run(item, graph.each))
            except HedgerowError as error:
                made.fail(planned.name, error)
            done += 1
            progress("map", done, total)


def _items(planned: PlannedScene, arms: Sequence[Arm]) -> list[MapItem]:
    return [MapItem(planned.name, arm.name, str(planned.scene.first_path)) for arm in arms]


def _large(planned: PlannedScene) -> bool:
    rows, cols = planned.source.geobox.shape
    return bool(rows * cols > _LARGE_PX)


def _device(asked: str) -> str:
    if asked == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if asked.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"device {asked} was asked for, but torch sees none: use --device cpu")
    return asked


class _timed:  # noqa: N801  (reads as a statement)
    """Note the wall time of a block in `made.seconds`."""

    def __init__(self, made: Made, name: str) -> None:
        self.made, self.name = made, name

    def __enter__(self) -> None:
        self.started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.made.seconds[self.name] = time.perf_counter() - self.started


timed = _timed

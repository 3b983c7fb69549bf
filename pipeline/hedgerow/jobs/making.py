"""From a plan to maps on disk: scale, quantize, predict, map. What `run` and `compare` have in common."""

import itertools
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from hedgerow import registry
from hedgerow.config import Recipe, RunConfig
from hedgerow.contracts import Progress
from hedgerow.errors import HedgerowError
from hedgerow.graph import Graph
from hedgerow.jobs.arms import Arm, load_recipes, prepare, refuse_unchangeable
from hedgerow.jobs.devices import device_name
from hedgerow.jobs.mapping import MapArm, MapItem, Mapped, TileTimes, predict_scene, probability_path
from hedgerow.jobs.planning import Failure, Plan, PlannedScene
from hedgerow.jobs.planning import plan as plan_of_inputs
from hedgerow.records import ModelSpec
from hedgerow.scaling import Scaling, constant_scaling, scaling_of
from hedgerow.sources._collars import mosaic_collar_warning

_log = logging.getLogger(__name__)
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

    def warn(self, scene: str, text: str) -> None:
        """Note what a person should look at: in the log and, with the plan, in the manifest."""
        _log.warning("%s: %s", scene, text)
        noted = [replace(s, warnings=(*s.warnings, text)) if s.name == scene else s for s in self.plan.scenes]
        self.plan = replace(self.plan, scenes=tuple(noted))


def checked(config: RunConfig) -> tuple[dict[str, Recipe], Plan]:
    """Return the recipes and the plan of a run whose every choice exists; nothing is computed yet.

    Raises:
        ConfigError: an unknown arm or kind, or wrong settings of one.
        SourceError: no input that can be worked on.
    """
    _refuse_unknown_kinds(config)
    recipes, planned = load_recipes(config.arms), plan_of_inputs(config)
    refuse_unchangeable(planned.card, recipes)
    return recipes, planned


def _refuse_unknown_kinds(config: RunConfig) -> None:
    """Look up every format, tracer and metric before any work, not when it is first needed."""
    for family, settings in (("writers", config.to), ("tracers", (config.tracer,)), ("metrics", config.metrics or ())):
        for one in settings:
            registry.configure(family, one)


def counted(progress: Progress, stage: str, total: int) -> Callable[[], None]:
    """Announce a stage and return what is to be called after each of its steps."""
    done = itertools.count(1)
    progress(stage, 0, total)
    return lambda: progress(stage, next(done), total)


def make_maps(
    plan: Plan, recipes: Mapping[str, Recipe], out: Path, work: Path, graph: Graph, progress: Progress
) -> Made:
    """Make every map of the plan; an input that fails is recorded and the others go on."""
    made = Made(plan, out, work, failures=list(plan.failures))
    _log_warnings(plan)
    with _timed(made, "scale"):
        _scale(made, progress)
    if not made.scenes():
        return made
    with _timed(made, "quantize"):
        device = device_name(plan.config.device)
        threads = plan.config.threads or max(1, (os.cpu_count() or 1) // graph.workers)
        made.arms = prepare(
            plan, recipes, made.scalings, work / "models", device=device, threads=threads, progress=progress
        )
    with _timed(made, "predict"):
        _predict(made, graph, progress)
    with _timed(made, "map"):
        _map(made, graph, progress)
    return made


def _log_warnings(plan: Plan) -> None:
    """Say once what planning noted, however many inputs it is about."""
    inputs: dict[str, list[str]] = {}
    for scene in plan.scenes:
        for text in scene.warnings:
            inputs.setdefault(text, []).append(scene.name)
    for text, (first, *others) in inputs.items():
        _log.warning("%s%s: %s", first, f" and {len(others)} more" if others else "", text)


def _scale(made: Made, progress: Progress) -> None:
    config = made.plan.config
    constants = made.plan.constants
    fixed = constant_scaling(constants, made.plan.card.bands) if constants else None
    tick = counted(progress, "scale", len(made.plan.scenes))
    for planned in made.plan.scenes:
        try:
            measured = scaling_of(planned.source, config.seed)
            collar = mosaic_collar_warning(planned.source)
        except HedgerowError as error:
            made.fail(planned.name, error)
        else:
            if measured is not None:
                made.scalings[planned.name] = fixed or measured
            if collar is not None:
                made.warn(planned.name, collar)
        tick()


def _predict(made: Made, graph: Graph, progress: Progress) -> None:
    todo = [(scene, models) for scene in made.scenes() if (models := _missing(made, scene))]
    tick = counted(progress, "predict", sum(len(scene.filled) for scene, _ in todo))
    for planned, models in todo:
        try:
            predict_scene(
                planned, made.scalings[planned.name], models, made.out,
                halo_px=made.plan.config.halo_px, graph=graph, times=made.times, tick=tick,
            )  # fmt: skip
        except HedgerowError as error:
            made.fail(planned.name, error)


def _missing(made: Made, planned: PlannedScene) -> list[ModelSpec]:
    """Return the models whose probabilities an interrupted run has not left behind."""
    return [arm.spec for arm in made.arms if not probability_path(made.out, planned.name, arm.name).is_file()]


def _map(made: Made, graph: Graph, progress: Progress) -> None:
    task = MapArm(made.plan.config, made.out, made.work)
    scenes = made.scenes()
    tick = counted(progress, "map", len(scenes) * len(made.arms))
    small = [(s, item) for s in scenes if not _large(s) for item in _items(s, made.arms)]
    outcomes = zip(small, graph.outcomes(task, [item for _, item in small], tick=tick), strict=True)
    for (planned, _), outcome in outcomes:
        if outcome.error is not None:
            made.fail(planned.name, outcome.error)
        else:
            assert outcome.result is not None
            made.mapped.append(outcome.result)
    for planned in filter(_large, scenes):
        for item in _items(planned, made.arms):
            try:
                made.mapped.append(task.run(item, graph.each))
            except HedgerowError as error:
                made.fail(planned.name, error)
            tick()


def _items(planned: PlannedScene, arms: Sequence[Arm]) -> list[MapItem]:
    return [MapItem(planned.name, arm.name, str(planned.scene.first_path)) for arm in arms]


def _large(planned: PlannedScene) -> bool:
    rows, cols = planned.source.geobox.shape
    return bool(rows * cols > _LARGE_PX)


class _timed:  # noqa: N801  (reads as a statement)
    """Note the wall time of a block in `made.seconds`."""

    def __init__(self, made: Made, name: str) -> None:
        self.made, self.name = made, name

    def __enter__(self) -> None:
        self.started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.made.seconds[self.name] = time.perf_counter() - self.started


timed = _timed

"""What do the sums of all inputs say of each arm? Its scores, how sure they are, and whether it is worse than FP32."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hedgerow.config import RunConfig
from hedgerow.contracts import Progress
from hedgerow.graph import Graph
from hedgerow.jobs.making import counted
from hedgerow.jobs.measuring import FP32, TRUTH, Key, chosen_scorers
from hedgerow.records import Score
from hedgerow.stages.bootstrap import LEVEL, MIN_TILES, RESAMPLES, Resampled, resample, with_intervals
from hedgerow.stages.differences import Difference, differences
from hedgerow.stages.measure import Measured, scores


@dataclass(frozen=True)
class ResampleScores:
    """A task: every pooled score of one arm against one reference, in resampled tiles."""

    config: RunConfig

    def __call__(self, inputs: tuple[Measured, ...]) -> Resampled:
        """Return the scores of all resamples, from what was measured in each input."""
        return resample(inputs, chosen_scorers(self.config), seed=self.config.seed)


@dataclass(frozen=True)
class Judged:
    """Every score, and what each arm has more or less than FP32."""

    scores: tuple[Score, ...]
    differences: tuple[Difference, ...]


def judged(
    config: RunConfig,
    arms: Sequence[str],
    measured: Mapping[str, Mapping[Key, Measured]],
    graph: Graph,
    progress: Progress,
) -> Judged:
    """Conclude scores with intervals, and paired differences to FP32 against truth.

    Args:
        config: of the run.
        arms: names, FP32 among them, in the order of the run.
        measured: by input, then by arm and reference; inputs in the order of the plan.
        graph: where the resamples are made, one task per arm and reference.
        progress: hears of them.
    """
    chosen = chosen_scorers(config)
    inputs = {
        (arm, against): there
        for arm in arms
        for against in (FP32, TRUTH)
        if (there := {name: scene[arm, against] for name, scene in measured.items() if (arm, against) in scene})
    }
    keys = list(inputs)
    tick = counted(progress, "intervals", len(keys))
    sampled = graph.each(ResampleScores(config), [tuple(inputs[key].values()) for key in keys], tick=tick)
    samples = dict(zip(keys, sampled, strict=True))
    rows = {key: with_intervals(scores(inputs[key], chosen, arm=key[0], against=key[1]), samples[key]) for key in keys}
    found = [
        difference
        for arm, against in keys
        if against == TRUTH and arm != FP32
        for difference in differences(rows[arm, TRUTH], rows[FP32, TRUTH], samples[arm, TRUTH], samples[FP32, TRUTH])
    ]
    return Judged(tuple(row for key in keys for row in rows[key]), tuple(found))


def interval_settings(config: RunConfig) -> dict[str, Any]:
    """Say how the intervals were made."""
    return {
        "method": "percentile bootstrap over tiles of all inputs (continuity and its composites: over inputs), paired "
        "where arms are compared",
        "level": LEVEL,
        "resamples": RESAMPLES,
        "fewest_tiles": MIN_TILES,
        "tile_px": config.tile_px,
        "seed": config.seed,
    }

"""The curriculum: what is seen at which step, and at which rate it is learned."""

from typing import Any

import pytest

from hedgerow.config import configs_folder, load_yaml
from hedgerow.training.plan import TrainConfig
from hedgerow.training.schedule import phases, work

SMOKE = load_yaml(configs_folder() / "train" / "smoke.yaml")


def config(**changes: Any) -> TrainConfig:
    return TrainConfig.model_validate(SMOKE | {"curriculum": {}} | changes)


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 10, 101, 1000])
def test_the_switch_comes_after_exactly_three_quarters_of_the_steps(steps: int) -> None:
    got = phases(config(steps=steps))
    seen = {step: phase.cut.shrink for phase in got for step in range(phase.first, phase.last + 1)}
    assert seen == {step: 2 if step <= round(0.75 * steps) else 1 for step in range(1, steps + 1)}


def test_without_a_curriculum_there_is_one_phase_at_full_resolution() -> None:
    (phase,) = phases(config(curriculum=None, steps=10))
    assert (phase.first, phase.last, phase.cut.shrink, phase.cut.noise_std) == (1, 10, 1, 0)


def test_noise_patches_come_with_full_resolution() -> None:
    coarse, fine = phases(config(steps=8, curriculum={"noise_std": 0.2}))
    assert (coarse.cut.noise_std, fine.cut.noise_std) == (0, 0.2)


def test_a_step_on_shrunk_crops_is_as_much_work_as_it_has_pixels() -> None:
    """Of 40 steps 30 see a quarter of the pixels: 7.5 and 10; from step 20 to 34 it is 10 quarters and 4."""
    both = phases(config(steps=40, curriculum={"share": 0.75, "shrink": 2}))
    assert work(both, 0, 40) == 17.5
    assert work(both, 20, 34) == 6.5
    assert work(both, 40, 40) == 0


def test_the_rate_begins_anew_at_the_switch() -> None:
    settings = config(steps=40, optimizer={"lr": 0.4, "warmup_steps": 2}, curriculum={"share": 0.5, "fine_lr": 0.25})
    coarse, fine = phases(settings)
    assert coarse.rate(2) == pytest.approx(0.4)
    assert coarse.rate(20) == pytest.approx(0, abs=1e-12)
    assert [fine.rate(21), fine.rate(22)] == pytest.approx([0.05, 0.1])
    assert fine.rate(40) == pytest.approx(0, abs=1e-12)

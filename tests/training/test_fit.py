"""The training loop: its schedule, its running mean, its judge and its promises about chance and failure."""

import logging
import re
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from hedgerow.config import configs_folder, load_yaml
from hedgerow.errors import ConfigError, ModelError
from hedgerow.randomness import integer_seed
from hedgerow.records import BORDER, CLASSES, FIELD
from hedgerow.training import fit as fitting
from hedgerow.training.batches import Batch, held_out_batches
from hedgerow.training.clock import Clock
from hedgerow.training.fit import Fitted, average, fit
from hedgerow.training.judge import judge
from hedgerow.training.plan import TrainConfig
from hedgerow.training.scenes import ANY, load_scenes
from hedgerow.training.schedule import phases

SMOKE = load_yaml(configs_folder() / "train" / "smoke.yaml")


def config(**changes: Any) -> TrainConfig:
    return TrainConfig.model_validate(SMOKE | changes)


def brief(**changes: Any) -> TrainConfig:
    few = {"steps": 2, "batch": 1, "evaluate_every": 2, "crop_px": 32}
    return config(**(few | changes))


def test_the_rate_climbs_linearly_and_falls_by_half_a_cosine_to_zero() -> None:
    (phase,) = phases(config(steps=40, optimizer={"lr": 0.4, "warmup_steps": 8}))
    rates = [phase.rate(step) for step in range(1, 41)]
    assert rates[0] == pytest.approx(0.4 / 8)
    assert rates[3] == pytest.approx(0.2)
    assert rates[7] == pytest.approx(0.4)
    assert rates[8 + 16 - 1] == pytest.approx(0.2)  # half of the 32 steps after the warm-up
    assert rates[-1] == pytest.approx(0, abs=1e-12)
    assert rates[:8] == sorted(rates[:8])
    assert rates[7:] == sorted(rates[7:], reverse=True)


@pytest.mark.parametrize("warmup", [0, 3, 100])
def test_any_warm_up_gives_a_rate(warmup: int) -> None:
    (phase,) = phases(config(steps=5, optimizer={"lr": 0.1, "warmup_steps": warmup}))
    rates = [phase.rate(step) for step in range(1, 6)]
    assert all(0 <= rate <= 0.1 + 1e-12 for rate in rates)
    assert rates[-1] == pytest.approx(0.1 if warmup >= 5 else 0, abs=1e-12)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9])
def test_the_running_mean_follows_its_formula(decay: float) -> None:
    """mean <- decay x mean + (1 - decay) x weights."""
    model, mean = nn.BatchNorm1d(1), nn.BatchNorm1d(1)
    want = mean.weight.item()
    for t in range(1, 20):
        with torch.no_grad():
            model.weight.fill_(t * t)
            model.num_batches_tracked.fill_(t)
        average(mean, model, decay)
        want = decay * want + (1 - decay) * t * t
        assert mean.weight.item() == pytest.approx(want, rel=1e-5)
        assert int(mean.num_batches_tracked) == t
    if decay == 0:
        assert torch.equal(mean.weight, model.weight)


def test_the_running_mean_begins_as_the_mean_of_what_it_saw() -> None:
    """With decay t / (t + 10) at step t and no bound, the first steps weigh little: it lies between first and last."""
    result = fit(brief(steps=3, average=0.9))
    drawn = list(result.state.model.parameters())
    kept = list(result.model.parameters())
    assert any(not torch.equal(a, b) for a, b in zip(drawn, kept, strict=True))
    assert result.model is not result.state.model
    assert not result.model.training


def test_the_same_seed_gives_the_same_weights_whatever_the_global_stream_is() -> None:
    torch.manual_seed(1)
    first = fit(brief()).model.state_dict()
    torch.manual_seed(2)
    before = torch.random.get_rng_state()
    again = fit(brief()).model.state_dict()
    assert torch.equal(torch.random.get_rng_state(), before)
    other = fit(brief(seed=9)).model.state_dict()
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert any(not torch.equal(value, other[name]) for name, value in first.items())


def test_a_loss_that_is_no_number_stops_the_training() -> None:
    told = (
        r"step \d+: the loss is (nan|inf): lower optimizer\.lr \(now 1e\+30\).* synthetic-\d rows \d+\.\.\d+, columns"
    )
    with pytest.raises(ModelError, match=told):
        fit(brief(steps=6, optimizer={"lr": 1e30, "warmup_steps": 0, "weight_decay": 0}))


def test_it_is_judged_at_every_so_many_steps_and_at_the_last() -> None:
    heard: list[tuple[str, int, int]] = []
    steps: list[float] = []

    def checkpoint(state: Fitted) -> None:
        assert not state.model.training
        steps.append(state.history[-1]["step"])

    result = fit(brief(steps=5), checkpoint=checkpoint, progress=lambda *event: heard.append(event))
    assert steps == [2, 4, 5]
    assert [row["step"] for row in result.history] == steps
    assert {"loss", "seconds", "synthetic_loss", "synthetic_field_iou", "synthetic_border_f1"} < set(result.history[0])
    assert [event for event in heard if event[0] == "train"] == [("train", i, 5) for i in range(1, 6)]
    assert result.scenes == ("synthetic-0", "synthetic-1")


@pytest.mark.parametrize(("keep", "kept"), [("best", [1, 2, 2]), ("last", [1, 2, 3])])
def test_the_weights_kept_are_those_of_the_best_or_of_the_last_evaluation(
    keep: str, kept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    f1 = iter([0.5, 0.9, 0.7])
    monkeypatch.setattr(fitting, "judge", lambda *_: {"synthetic_loss": 1.0, "border_f1": next(f1)})
    seen: list[tuple[float, bool]] = []
    last = fit(
        brief(steps=3, evaluate_every=1, keep=keep),
        checkpoint=lambda fitted: seen.append((fitted.kept["step"], fitted.is_kept)),
    )
    assert seen == [(step, step == i) for i, step in enumerate(kept, 1)]
    assert last.kept["step"] == kept[-1]


def test_every_evaluation_says_how_long_the_rest_takes(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        fit(brief(steps=4, held_out=[]))
    first, last = (record.message for record in caplog.records if record.message.startswith("step"))
    assert re.match(r"step 2 of 4, \d+ s left: loss \d", first)
    assert re.match(r"step 4 of 4: loss \d", last)


@pytest.mark.parametrize(
    ("passed_s", "share", "told"), [(10, 2, "20 s left"), (30, 24, "12 min left"), (3600, 3.4, "3.4 h left")]
)
def test_time_left_is_a_multiple_of_the_time_since_the_clock_began(
    passed_s: float, share: float, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a training took before it was stopped says nothing of the pace now."""
    now = [1000.0]
    monkeypatch.setattr("hedgerow.training.clock.time.monotonic", lambda: now[0])
    clock = Clock(before=500)
    now[0] += passed_s
    assert clock.left(share) == told
    assert clock.seconds == 500 + passed_s


def test_half_precision_arithmetic_trains_full_precision_weights() -> None:
    model = fit(brief(precision="bf16")).model
    assert all(p.dtype == torch.float32 and p.isfinite().all() for p in model.parameters())


def test_two_held_out_sets_of_one_name_are_both_judged() -> None:
    result = fit(brief(steps=1, held_out=[SMOKE["held_out"][0]] * 2))
    assert {"synthetic_loss", "synthetic_1_loss"} <= set(result.history[-1])


def test_held_out_scenes_are_not_those_of_the_training() -> None:
    settings = brief()
    (held,) = held_out_batches(settings).values()
    again = held_out_batches(settings)["synthetic"]
    for a, b in zip(held, again, strict=True):
        assert torch.equal(a.images, b.images)
        assert torch.equal(a.allowed, b.allowed)
    trained = [scene.image for group in fitting._scenes(settings, lambda *_: None) for scene in group]
    seed = integer_seed(settings.seed, "held out data", 0)
    unseen = list(load_scenes(settings.held_out[0], settings.bands, seed))
    assert not any(np.array_equal(a, scene.image) for a in trained for scene in unseen)


@pytest.mark.parametrize("name", ["data", "losses"])
def test_a_training_without_data_or_loss_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="at least 1 item"):
        config(**{name: []})


class Says(nn.Module):
    """A network that always answers the same logits."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, images: Tensor) -> Tensor:
        return self.logits


def certain(classes: Tensor) -> Tensor:
    return 20.0 * nn.functional.one_hot(classes, len(CLASSES)).permute(0, 3, 1, 2).float()


def judged(guess: Tensor, allowed: Tensor) -> dict[str, float]:
    batch = Batch(torch.zeros(len(guess), 3, *guess.shape[1:]), allowed)
    return judge(Says(certain(guess)), {"set": [batch]}, [(lambda _x, y: y.sum() * 0 + 2.0, 0.5)])


def world() -> Tensor:
    """Other on the left, field on the right, a 3 px border between, at column 10."""
    classes = torch.zeros(1, 12, 24, dtype=torch.long)
    classes[..., 11:] = FIELD
    classes[..., 9:12] = BORDER
    return classes


def test_a_perfect_map_is_judged_perfect() -> None:
    got = judged(world(), (1 << world()).to(torch.uint8))
    assert got == {"set_loss": 1.0, "set_field_iou": 1.0, "set_border_f1": 1.0, "border_f1": 1.0}


def test_a_border_2_px_beside_is_found_and_one_8_px_beside_is_not() -> None:
    allowed = (1 << world()).to(torch.uint8)
    assert judged(world().roll(2, dims=-1), allowed)["set_border_f1"] == 1.0
    assert judged(world().roll(8, dims=-1), allowed)["set_border_f1"] == 0.0


def test_field_iou_by_hand() -> None:
    """12 rows; truth has field in columns 12..23, the map says field in 18..23 and other before: 6 / 12."""
    guess = world()
    guess[..., 12:18] = 0
    assert judged(guess, (1 << world()).to(torch.uint8))["set_field_iou"] == pytest.approx(0.5)


def test_what_is_not_known_is_not_judged() -> None:
    allowed = (1 << world()).to(torch.uint8)
    allowed[:, :, 18:] = ANY
    wrong = world()
    wrong[..., 18:] = 0
    wrong[..., 20] = BORDER
    assert judged(wrong, allowed) == judged(world(), allowed)


def test_the_loss_of_a_row_is_the_mean_of_the_steps_since_the_row_before() -> None:
    """Looking at it at every step or at every third changes nothing of the training."""
    singles = [row["loss"] for row in fit(brief(steps=6, evaluate_every=1)).history]
    triples = [row["loss"] for row in fit(brief(steps=6, evaluate_every=3)).history]
    assert triples == pytest.approx([sum(singles[:3]) / 3, sum(singles[3:]) / 3])


class _Steep(nn.Module):
    """A loss that is finite and whose gradient is not: the root of 0."""

    def forward(self, logits: Tensor, _allowed: Tensor) -> Tensor:
        return (logits * 0).sum().sqrt()


def test_a_gradient_that_is_no_number_stops_the_training_before_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hedgerow.losses.dice.build", lambda _config: _Steep())
    kept: list[Fitted] = []
    with pytest.raises(ModelError, match=r"step 1: the gradient is nan.* synthetic-\d rows"):
        fit(brief(evaluate_every=1), checkpoint=kept.append)
    assert not kept


@pytest.mark.parametrize("held_out", [[], SMOKE["held_out"]])
def test_weights_that_grew_without_bound_are_not_kept(held_out: list[Any]) -> None:
    """The first step is finite and leads to weights of 1e6: no number in half precision, in which models are stored."""
    kept: list[Fitted] = []
    wild = {"lr": 1e7, "warmup_steps": 0, "weight_decay": 0}
    with pytest.raises(ModelError, match=r"step 1: the largest weight.* is inf.* synthetic-\d rows"):
        fit(brief(optimizer=wild, evaluate_every=1, held_out=held_out), checkpoint=kept.append)
    assert not kept


def test_a_network_with_nothing_to_train_is_refused_before_the_data_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "_scenes", lambda *_: pytest.fail("the data came first"))
    with pytest.raises(ModelError, match="has no weights to train"):
        fit(brief(backbone={"kind": "factory", "factory": "torch.nn:Identity"}))
    with pytest.raises(ConfigError, match="did you mean 'dice'"):
        fit(brief(losses=[{"loss": {"kind": "dise"}}]))

"""A training that was stopped and goes on ends where it would have ended: bit for bit, on the CPU."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from hedgerow.errors import ConfigError, ModelError
from hedgerow.jobs.training import train
from hedgerow.models.store import WEIGHTS, load
from hedgerow.training.state import STATE

SETS = ("evaluate_every=3", "crop_px=32", "batch=2", "curriculum={share: 0.5}")  # 12 steps, the switch after 6


class StoppedError(Exception):
    """The power went off."""


def stopped_at(step: int, out: Path, sets: tuple[str, ...] = SETS) -> None:
    def progress(stage: str, done: int, total: int) -> None:
        if stage == "train" and done == step:
            raise StoppedError

    with pytest.raises(StoppedError):
        train("smoke", out, sets=sets, progress=progress)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "model"
    train("smoke", out, sets=SETS)
    return out


@pytest.mark.parametrize("step", [4, 6, 7, 12])
def test_stopped_at_any_step_it_goes_on_to_the_same_result(step: int, uninterrupted: Path, tmp_path: Path) -> None:
    """Before, at and after the switch, and in the last step; a training that lost steps does them again."""
    out = tmp_path / "model"
    stopped_at(step, out)
    assert (out / STATE).is_file()
    card = train("smoke", out, sets=SETS, resume=True)
    whole, resumed = load_file(uninterrupted / WEIGHTS), load_file(out / WEIGHTS)
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
    assert card.training["steps"] == 12
    rows = [(folder / "curve.csv").read_text().splitlines() for folder in (uninterrupted, out)]
    timed = {"data_share", "seconds"}
    names = rows[0][0].split(",")
    for one, two in zip(*rows, strict=True):
        pairs = zip(names, one.split(","), two.split(","), strict=True)
        assert all(a == b for name, a, b in pairs if name not in timed)


def test_readers_do_not_change_the_result(uninterrupted: Path, tmp_path: Path) -> None:
    train("smoke", tmp_path / "model", sets=(*SETS, "readers=0"))
    one, two = load_file(uninterrupted / WEIGHTS), load_file(tmp_path / "model" / WEIGHTS)
    assert all(torch.equal(value, two[name]) for name, value in one.items())


def test_a_stopped_training_leaves_a_model_that_works(tmp_path: Path) -> None:
    stopped_at(5, tmp_path / "model")
    assert load(str(tmp_path / "model"))(torch.zeros(1, 3, 40, 24)).shape == (1, 4, 40, 24)


def test_the_state_goes_when_the_training_is_done(uninterrupted: Path) -> None:
    assert not (uninterrupted / STATE).exists()
    with pytest.raises(ModelError, match="nothing to resume"):
        train("smoke", uninterrupted, sets=SETS, resume=True)


def test_other_settings_are_refused_and_named(tmp_path: Path) -> None:
    out = tmp_path / "model"
    stopped_at(4, out)
    with pytest.raises(ModelError, match=r"another `seed` \(1, now 2\)"):
        train("smoke", out, sets=(*SETS, "seed=2"), resume=True)
    assert train("smoke", out, sets=(*SETS, "readers=0"), resume=True)


def test_a_state_that_knows_nothing_of_later_settings_goes_on(uninterrupted: Path, tmp_path: Path) -> None:
    """As versions without `optimizer.trunk_lr` and `data.land` wrote it; a value other than the default counts."""
    out = tmp_path / "model"
    stopped_at(4, out)
    with safe_open(out / STATE, framework="pt") as file:
        told = dict(file.metadata())
    old = json.loads(told["settings"])
    del old["optimizer"]["trunk_lr"], old["data"][0]["land"]
    save_file(load_file(out / STATE), out / STATE, told | {"settings": json.dumps(old)})
    with pytest.raises(ModelError, match="another `optimizer`"):
        train("smoke", out, sets=(*SETS, "optimizer.trunk_lr=0.5"), resume=True)
    train("smoke", out, sets=SETS, resume=True)
    one, two = load_file(uninterrupted / WEIGHTS), load_file(out / WEIGHTS)
    assert all(torch.equal(value, two[name]) for name, value in one.items())


def test_a_damaged_state_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "model"
    stopped_at(4, out)
    (out / STATE).write_bytes((out / STATE).read_bytes()[:100])
    with pytest.raises(ModelError, match="is damaged"):
        train("smoke", out, sets=SETS, resume=True)


def test_without_resume_a_stopped_training_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "model"
    stopped_at(4, out)
    with pytest.raises(ConfigError, match="--resume or --overwrite"):
        train("smoke", out, sets=SETS)


def test_a_training_stopped_before_its_first_evaluation_can_go_on(uninterrupted: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    stopped_at(1, out)
    train("smoke", out, sets=SETS, resume=True)
    one, two = load_file(uninterrupted / WEIGHTS), load_file(out / WEIGHTS)
    assert all(torch.equal(value, two[name]) for name, value in one.items())


def test_to_resume_what_was_never_begun_is_to_begin(tmp_path: Path) -> None:
    assert train("smoke", tmp_path / "model", sets=(*SETS, "steps=1"), resume=True).training["steps"] == 1


def test_a_file_in_the_way_is_told_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "model").touch()
    with pytest.raises(ConfigError, match="is a file"):
        train("smoke", tmp_path / "model", sets=SETS, overwrite=True)


def with_dropout() -> nn.Module:
    """A network that draws by chance while it is trained."""
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Dropout(0.5), nn.Conv2d(8, 4, 1))


def test_a_network_with_dropout_is_seeded_and_resumes_to_the_same_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    few = ("steps=4", "evaluate_every=2", "held_out=[]")
    sets = (*SETS, *few, "backbone={kind: factory, factory: 'test_resume:with_dropout'}")
    torch.manual_seed(1)
    train("smoke", tmp_path / "whole", sets=sets)
    torch.manual_seed(2)  # the caller's stream must not matter
    stopped_at(3, tmp_path / "stopped", sets)
    train("smoke", tmp_path / "stopped", sets=sets, resume=True)
    one, two = (load_file(tmp_path / name / WEIGHTS) for name in ("whole", "stopped"))
    assert all(torch.equal(value, two[name]) for name, value in one.items())

"""Trunks of transformers under our decoder: their own numbers, nothing opened but safetensors, no network asked."""

import json
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from typer.testing import CliRunner

from hedgerow import registry
from hedgerow.backbones._pixels import folded
from hedgerow.errors import ConfigError, HedgerowError, ModelError
from hedgerow.jobs.training import train
from hedgerow.models.store import ModelCard, load, read_card, save
from hedgerow.quantization.calibrated import plan_of
from hedgerow.quantization.sites import QuantizedLayer
from hedgerow.quantization.taps import features
from hedgerow_cli.app import app

transformers = pytest.importorskip("transformers", reason="brings the trunks: pip install hedgerow[hub]")

SIZES: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "Dinov2": SIZES | {"patch_size": 14, "image_size": 56},
    "Dinov2WithRegisters": SIZES | {"patch_size": 14, "image_size": 56, "num_register_tokens": 3},
    "DINOv3ViT": SIZES | {"patch_size": 16, "intermediate_size": 64, "num_register_tokens": 3},
    "Segformer": {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 1, 2, 2]},
}
PLAIN = [name for name in ARCHITECTURES if name != "Segformer"]
SMALL: dict[str, Any] = {"kind": "hub", "stem": [8, 8, 16], "decoder": [16, 8, 8]}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def original(name: str, **changes: Any) -> Any:
    """A network of transformers with random weights, none of which is zero."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        settings = getattr(transformers, f"{name}Config")(**(ARCHITECTURES[name] | changes))
        model = getattr(transformers, f"{name}Model")(settings).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
    return model


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A folder as transformers saves it."""
    top = tmp_path_factory.mktemp("hub")

    def saved(name: str) -> Path:
        if not (top / name).is_dir():
            original(name).save_pretrained(top / name)
        return top / name

    return saved


def built(**settings: Any) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return registry.build("backbones", SMALL | {k: str(v) if k == "folder" else v for k, v in settings.items()})


def image(*size: int) -> Tensor:
    return torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(sum(size)))


def standardized(x: Tensor, multiple: int) -> Tensor:
    mean, std = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (MEAN, STD))
    pads = [(-length) % multiple for length in x.shape[-2:]]
    return F.pad((x - mean) / std, (0, pads[1], 0, pads[0]), mode="replicate")


# --- their own numbers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(56, 56), (50, 71)])
@pytest.mark.parametrize("name", PLAIN)
@torch.inference_mode()
def test_tokens_from_a_folder_equal_those_of_transformers(
    name: str, size: tuple[int, int], folder_of: Callable[[str], Path]
) -> None:
    network, model, x = built(folder=folder_of(name)), original(name), image(*size)
    parts = ["class.last", "registers.last", "tokens.last"] if "num_register_tokens" in ARCHITECTURES[name] else []
    parts = parts or ["class.last", "tokens.last"]
    seen = features(network, x, [*parts, "tokens.1", "logits"])
    want = model(standardized(x, ARCHITECTURES[name]["patch_size"]), output_hidden_states=True)
    got = torch.cat([seen[part] for part in parts], dim=1)
    torch.testing.assert_close(got, want.last_hidden_state, rtol=0, atol=1e-4)
    patches = seen["tokens.1"].shape[1]
    torch.testing.assert_close(seen["tokens.1"], want.hidden_states[2][:, -patches:], rtol=0, atol=1e-4)
    assert seen["logits"].shape == (2, 4, *size)


@pytest.mark.parametrize("size", [(64, 64), (50, 71)])
@torch.inference_mode()
def test_levels_of_a_segformer_equal_those_of_transformers(
    size: tuple[int, int], folder_of: Callable[[str], Path]
) -> None:
    network, x = built(folder=folder_of("Segformer")), image(*size)
    levels: list[Tensor] = []
    network.trunk.register_forward_hook(lambda _m, _i, out: levels.extend(out.hidden_states))
    assert network(x).shape == (2, 4, *size)
    want = original("Segformer")(standardized(x, 32), output_hidden_states=True).hidden_states
    assert len(levels) == len(want) == 4
    for got, level in zip(levels, want, strict=True):
        torch.testing.assert_close(got, level, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ARCHITECTURES)
@torch.inference_mode()
def test_watched_attention_sums_to_one_and_changes_nothing(name: str, folder_of: Callable[[str], Path]) -> None:
    network, x = built(folder=folder_of(name)), image(50, 71)
    want = network(x)
    seen = features(network, x, ["attention.1", "q.1", "k.1", "logits"])
    torch.testing.assert_close(seen["logits"], want, rtol=0, atol=1e-4)
    rows = seen["attention.1"]
    assert rows.shape == (*seen["q.1"].shape[:3], seen["k.1"].shape[2])
    torch.testing.assert_close(rows.sum(dim=-1), torch.ones(rows.shape[:-1]))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_part_that_runs_learns(name: str, folder_of: Callable[[str], Path]) -> None:
    network = built(folder=folder_of(name)).train()
    network(image(50, 71)).square().mean().backward()
    without = {part for part, p in network.named_parameters() if p.grad is None}
    assert without <= {"trunk.embeddings.mask_token"}


def test_mean_and_deviation_come_from_the_folder_unless_they_are_set(
    folder_of: Callable[[str], Path], tmp_path: Path
) -> None:
    shutil.copytree(folder_of("Dinov2"), tmp_path / "m")
    assert (built(folder=tmp_path / "m").config.mean, built(folder=tmp_path / "m").config.std) == (MEAN, STD)
    told = {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.1, 0.2, 0.3]}
    (tmp_path / "m/preprocessor_config.json").write_text(json.dumps(told))
    config = built(folder=tmp_path / "m", std=0.25).config
    assert (config.mean, config.std) == ((0.4, 0.5, 0.6), 0.25)


def test_other_bands_need_a_trunk_of_as_many() -> None:
    architecture = {"model_type": "dinov3_vit", **ARCHITECTURES["DINOv3ViT"]}
    text = refusal(ModelError, built, architecture=architecture, bands=4)
    assert "takes 3 bands, not 4" in text
    network = built(architecture=architecture | {"num_channels": 4}, bands=4)
    assert (network.config.mean, network.config.std) == (0.5, 0.25)
    assert network(torch.rand(1, 4, 33, 40)).shape == (1, 4, 33, 40)


# --- quantized, stored, trained ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Dinov2", "Segformer"])
@torch.inference_mode()
def test_a_quantized_trunk_has_no_float_layer_and_comes_back_byte_by_byte(
    name: str, folder_of: Callable[[str], Path], tmp_path: Path
) -> None:
    network, x = folded(built(folder=folder_of(name))), image(50, 71)
    quantized = registry.build("quantizers", {"kind": "minmax", "weight_bits": 4, "activation_bits": 4}).apply(
        network, list(x)
    )
    assert not [m for m in quantized.modules() if isinstance(m, torch.nn.Linear | torch.nn.Conv2d)]
    sites = plan_of(quantized)
    assert {"softmax_tap", "q_tap", "k_tap", "v_tap"} == {tap.rpartition(".")[2] for tap in sites.taps}
    assert sites.layers["patch_embed.0"].weight.bits == 8
    assert isinstance(quantized.patch_embed[0], QuantizedLayer)
    before = quantized(x)
    quantized.patch_embed[0].codes.zero_()  # the trunk sees through this very layer
    assert not torch.equal(quantized(x), before)

    quantized = registry.build("quantizers", "minmax").apply(network, list(x))
    card = ModelCard(
        name="q", backbone=network.stored_settings(), bands=("red", "green", "blue"),
        quantization=plan_of(quantized).model_dump(),
    )  # fmt: skip
    save(tmp_path / "q", card, quantized.state_dict())
    assert torch.equal(load(str(tmp_path / "q"))(x), quantized(x))


TRAINING = """
name: tuned
data: [{kind: synthetic, scenes: 1, scene_px: 64, gsd_m: [2, 4]}]
losses: [{loss: {kind: cross_entropy}}]
steps: 1
batch: 1
crop_px: 32
threads: 1
card: {licence: CC-BY-4.0}
"""


@torch.inference_mode()
def test_a_trained_folder_needs_its_source_no_more(folder_of: Callable[[str], Path], tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(folder_of("DINOv3ViT"), source)
    backbone = json.dumps(SMALL | {"folder": str(source)})
    (tmp_path / "tuned.yaml").write_text(TRAINING + f"backbone: {backbone}\n")
    with torch.inference_mode(mode=False):
        train(tmp_path / "tuned.yaml", tmp_path / "out")
    start = original("DINOv3ViT").state_dict()
    shutil.rmtree(source)
    card = read_card(str(tmp_path / "out"))
    assert card.licence == "CC-BY-4.0"
    assert card.backbone["architecture"]["model_type"] == "dinov3_vit"
    assert {"folder", "repo", "allow_download"}.isdisjoint(card.backbone)
    model = load(str(tmp_path / "out"))
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in model.modules())
    assert model(image(33, 40)).shape == (2, 4, 33, 40)
    # One step of a small rate from the folder's own weights: it did begin there.
    moved = model.state_dict()["trunk.norm.weight"] - start["norm.weight"]
    assert moved.abs().max() < 0.01


# --- what is refused --------------------------------------------------------------------------------------------------


def refusal(kind: type[HedgerowError], action: Callable[..., Any], *args: Any, **options: Any) -> str:
    with pytest.raises(kind) as caught:
        action(*args, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def folder(folder_of: Callable[[str], Path], tmp_path: Path) -> Path:
    shutil.copytree(folder_of("Dinov2"), tmp_path / "m")
    return tmp_path / "m"


def test_a_pickle_is_refused_and_never_opened(folder: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "exploded",)

    torch.save({"w": Bomb()}, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert "pytorch_model.bin: is a pickle" in refusal(ModelError, built, folder=folder)
    (folder / "pytorch_model.bin").rename(folder / "model.safetensors")
    assert "cannot be loaded" in refusal(ModelError, built, folder=folder)
    assert not (tmp_path / "exploded").exists()


def test_a_folder_that_lacks_something_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    assert "holds no model.safetensors" in refusal(ModelError, built, folder=folder)
    (folder / "config.json").unlink()
    assert "config.json: cannot be read: No such file" in refusal(ModelError, built, folder=folder)


def test_other_networks_are_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    assert "weights are missing: encoder.layer.2" in refusal(ModelError, built, folder=folder)
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "swin"}))
    assert "model_type is 'swin'; known are dinov2" in refusal(ModelError, built, folder=folder)
    strides = {"model_type": "segformer", **ARCHITECTURES["Segformer"], "strides": [2, 2, 2, 2]}
    assert "strides [2, 4, 8, 16]; our decoder needs [4, 8, 16, 32]" in refusal(ModelError, built, architecture=strides)


@pytest.mark.parametrize("origins", [{}, {"folder": "a", "repo": "b/c"}])
def test_a_trunk_has_one_origin(origins: dict[str, str]) -> None:
    assert "one of `folder`, `repo` and `architecture`" in refusal(ConfigError, built, **origins)


def test_no_network_is_asked_without_leave(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert built(folder=folder)(image(28, 28)).shape == (2, 4, 28, 28)
    assert "is not on this machine: pass --allow-download" in refusal(ModelError, built, repo="nobody/no-such-model")


def test_leave_to_download_is_passed_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def answer(repo: str, **options: Any) -> str:
        asked.append({"repo": repo, **options})
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", answer)
    built(repo="a/b", allow_download=True)
    built(repo="a/b")
    assert [call["local_files_only"] for call in asked] == [False, True]
    assert all(not pattern.endswith((".bin", ".py", "*")) for call in asked for pattern in call["allow_patterns"])


def test_the_command_gives_leave_only_by_its_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[list[str]] = []

    def job(*_: Any, sets: list[str], **__: Any) -> ModelCard:
        heard.append(sets)
        return ModelCard(name="m", backbone={"kind": "hub"}, bands=("red",))

    monkeypatch.setattr("hedgerow.jobs.training.train", job)
    for words in ([], ["--allow-download"]):
        assert CliRunner().invoke(app, ["train", "a.yaml", "-o", "out", *words]).exit_code == 0
    assert heard == [[], ["backbone.allow_download=true"]]


def test_a_card_that_asks_for_a_download_is_refused(tmp_path: Path) -> None:
    backbone = {"kind": "hub", "repo": "a/b", "allow_download": True}
    save(tmp_path, ModelCard(name="m", backbone=backbone, bands=("red", "green", "blue")), {})
    assert "asks for a download" in refusal(ModelError, load, str(tmp_path))


def test_a_missing_package_is_told_with_its_extra(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert "pip install 'hedgerow[hub]'" in refusal(ConfigError, built, folder=folder)

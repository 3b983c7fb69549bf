"""Model folders: safetensors only, what does not fit is refused by name, and what was saved comes back byte by byte."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from hedgerow import registry
from hedgerow.backbones import vit
from hedgerow.errors import ConfigError, ModelError
from hedgerow.models.store import CARD, WEIGHTS, ModelCard, digest, half, load, locate, read_card, save, shipped
from hedgerow.quantization.calibrated import plan_of
from hedgerow.quantization.sites import QuantizedLayer
from hedgerow.records import CLASSES

SIZES: dict[str, Any] = {
    "width": 32, "depth": 2, "heads": 2, "stem": (8, 8, 16), "decoder": (16, 8, 8), "normalize": False,
}  # fmt: skip


def network(seed: int = 0, **changes: Any) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return vit.build(vit.Config(**(SIZES | changes)))


def card(**changes: Any) -> ModelCard:
    return ModelCard(name="test", backbone={"kind": "vit", **SIZES}, bands=("red", "green", "blue"), **changes)


@torch.inference_mode()
def logits_of(model: nn.Module) -> Tensor:
    out: Tensor = model(torch.rand(1, 3, 48, 80, generator=torch.Generator().manual_seed(3)))
    return out


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(tmp_path / "model", card(gsd_m=(0.5, 10.0)), network().state_dict())
    return tmp_path / "model"


def test_a_float_model_comes_back_byte_by_byte(folder: Path) -> None:
    model = load(str(folder))
    assert not model.training
    assert torch.equal(logits_of(model), logits_of(network()))
    assert read_card(str(folder)).gsd_m == (0.5, 10.0)
    assert read_card(str(folder)).classes == CLASSES


@pytest.mark.parametrize("kind", registry.available("quantizers"))
def test_a_quantized_model_comes_back_byte_by_byte(kind: str, tmp_path: Path) -> None:
    module = registry.module_of("quantizers", kind)
    few = {name: value for name, value in {"steps": 3, "crop_px": 32}.items() if name in module.Config.model_fields}
    images = [torch.rand(3, 48, 48, generator=torch.Generator().manual_seed(i)) for i in range(2)]
    quantized = registry.build("quantizers", {"kind": kind, **few}).apply(network(), images)
    sites = plan_of(quantized)
    save(tmp_path, card(quantization=sites.model_dump() if sites.layers else None), quantized.state_dict())
    again = load(str(tmp_path))
    assert torch.equal(logits_of(again), logits_of(quantized))
    assert plan_of(again) == sites
    state = quantized.state_dict()
    assert all(value.dtype == state[name].dtype for name, value in again.state_dict().items())
    layers = [module for module in again.modules() if isinstance(module, QuantizedLayer)]
    assert len(layers) == len(sites.layers)
    assert all(layer.codes.dtype == torch.int8 for layer in layers)


def test_weights_shipped_in_float16_run_in_float32(tmp_path: Path) -> None:
    """11 bits of mantissa: no weight moves by more than 2^-11 of itself."""
    state = network().state_dict()
    save(tmp_path, card(), half(state))
    for name, value in load(str(tmp_path)).state_dict().items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, state[name], rtol=2**-11, atol=1e-7)


def test_half_leaves_integers_alone() -> None:
    got = half({"codes": torch.ones(3, dtype=torch.int8), "weight": torch.ones(3)})
    assert (got["codes"].dtype, got["weight"].dtype) == (torch.int8, torch.float16)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_is_refused_and_never_opened(folder: Path, tmp_path: Path, legacy: bool) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "exploded",)

    torch.save({"w": Bomb()}, folder / WEIGHTS, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(ModelError, match=r"pickle.*safetensors"):
        load(str(folder))
    assert not (tmp_path / "exploded").exists()


def test_a_good_file_whose_header_length_starts_like_a_pickle_is_opened(tmp_path: Path) -> None:
    """The first byte of a safetensors file is its header's length modulo 256: one in 32 begins with 0x80."""
    for rows in range(1, 400):
        state = {f"w{i}": torch.zeros(1) for i in range(rows)}
        save_file(state, tmp_path / WEIGHTS)
        if (tmp_path / WEIGHTS).read_bytes()[0] == 0x80:
            break
    else:
        pytest.fail("no header of such a length was found")
    (tmp_path / CARD).write_text(card().model_dump_json())
    with pytest.raises(ModelError, match="do not fit the card's backbone"):  # opened, and found to be another network
        load(str(tmp_path))


@pytest.mark.parametrize("damage", ["cut", "garbled", "empty"])
def test_a_damaged_file_is_refused(folder: Path, damage: str) -> None:
    content = (folder / WEIGHTS).read_bytes()
    new = {"cut": content[: len(content) // 2], "garbled": b"x" * 8 + content[8:], "empty": b""}[damage]
    (folder / WEIGHTS).write_bytes(new)
    with pytest.raises(ModelError, match=r"model\.safetensors: is no safetensors file.*Copy it again"):
        load(str(folder))


def test_weights_of_another_network_are_refused_by_name_and_shape(folder: Path) -> None:
    save(folder, card(), network(width=48).state_dict())
    with pytest.raises(ModelError, match=r"blocks\.0\.attn\.proj\.bias \(48,\) instead of \(32,\)"):
        load(str(folder))


def test_missing_and_superfluous_weights_are_named(folder: Path) -> None:
    state = network().state_dict()
    state["aaa.extra"] = state.pop("blocks.0.attn.proj.bias")
    save(folder, card(), state)
    with pytest.raises(ModelError) as caught:
        load(str(folder))
    assert "2 weights" in str(caught.value)
    assert "aaa.extra (not in the network)" in str(caught.value)
    assert "blocks.0.attn.proj.bias (missing)" in str(caught.value)


def quantized_folder(folder: Path) -> dict[str, Any]:
    quantized = registry.build("quantizers", "minmax").apply(network(), [torch.rand(3, 32, 32)])
    plan: dict[str, Any] = plan_of(quantized).model_dump(mode="json")
    save(folder, card(quantization=plan), quantized.state_dict())
    return plan


def test_quantized_weights_of_another_network_are_refused_by_name(folder: Path) -> None:
    plan = quantized_folder(folder)
    wide = registry.build("quantizers", "minmax").apply(network(width=48), [torch.rand(3, 32, 32)])
    save(folder, card(quantization=plan), wide.state_dict())
    with pytest.raises(ModelError, match=r"blocks\.0\.attn\.proj\.bias \(48,\) instead of \(32,\)"):
        load(str(folder))


@pytest.mark.parametrize("change", ["unknown site", "no layer", "bits"])
def test_a_quantization_that_does_not_fit_the_backbone_is_refused(folder: Path, change: str) -> None:
    plan = quantized_folder(folder)
    if change == "unknown site":
        plan["layers"]["blocks.9.attn.qkv"] = plan["layers"]["head"]
    elif change == "no layer":
        plan["layers"]["norm"] = plan["layers"]["head"]
    else:
        plan["layers"]["head"]["weight"]["bits"] = 40
    content = json.loads((folder / CARD).read_text()) | {"quantization": plan}
    (folder / CARD).write_text(json.dumps(content))
    with pytest.raises(ModelError, match="quantization does not fit its backbone") as caught:
        load(str(folder))
    assert "\n" not in str(caught.value)


def test_an_unknown_model_is_answered_with_the_nearest_name() -> None:
    name = shipped()[0]
    with pytest.raises(ModelError, match=f"did you mean '{name}'"):
        locate(name[:-1])
    assert Path(locate(name), CARD).is_file()


def test_a_folder_without_weights_is_no_model(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    with pytest.raises(ModelError, match="unknown model"):
        locate(str(folder))
    with pytest.raises(ModelError, match=WEIGHTS):
        load(str(folder))


@pytest.mark.parametrize("text", ["", "[]", "{", '{"name": "a"}', '{"name": "a", "surprise": 1}'])
def test_a_card_that_is_none_is_refused_in_one_line(folder: Path, text: str) -> None:
    (folder / CARD).write_text(text)
    with pytest.raises(ModelError, match="is no model card") as caught:
        load(str(folder))
    assert "\n" not in str(caught.value)


def test_other_classes_are_refused(folder: Path) -> None:
    (folder / CARD).write_text(card(classes=("sea", "land")).model_dump_json())
    with pytest.raises(ModelError, match="maps are made of"):
        load(str(folder))


def test_an_unknown_backbone_is_refused(folder: Path) -> None:
    content = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps(content | {"backbone": {"kind": "vitt"}}))
    with pytest.raises(ConfigError, match="did you mean 'vit'"):
        load(str(folder))


@pytest.mark.parametrize(
    ("name", "factory"),
    [("a:b", True), ("pkg.mod:make", True), ("folder/model", False), ("hedgerow-tiny", False), ("a:", False)],
)
def test_a_factory_is_told_by_its_colon(name: str, factory: bool) -> None:
    if factory:
        assert locate(name) == name
        assert read_card(name).backbone == {"kind": "factory", "factory": name}
        assert digest(name) != digest(name + "x")
    elif name not in shipped():
        with pytest.raises(ModelError):
            locate(name)


def test_the_digest_is_that_of_the_weights(folder: Path) -> None:
    before = digest(str(folder))
    (folder / CARD).write_text(card(description="another text").model_dump_json())
    assert digest(str(folder)) == before
    save(folder, card(), network(seed=1).state_dict())
    assert digest(str(folder)) != before


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_model_loads_and_is_small(name: str) -> None:
    folder = locate(name)
    assert (Path(folder) / WEIGHTS).stat().st_size <= 12_000_000
    model = load(folder)
    assert sum(p.numel() for p in model.parameters()) <= 6_000_000
    assert logits_of(model).shape == (1, len(CLASSES), 48, 80)
    told = read_card(folder).backbone
    assert told == {"kind": told["kind"], **registry.configure("backbones", told).model_dump(mode="json")}


def test_the_shipped_weights_mean_what_their_names_say() -> None:
    """The oracle: the network written once more, in plain functions of the stored tensors, each used."""
    folder = locate("hedgerow-tiny")
    model = load(folder)
    heads, each = model.config.heads, model.config.width // model.config.heads
    stored = {name: value.float() for name, value in load_file(Path(folder) / WEIGHTS).items()}
    used: set[str] = set()

    def layer(apply: Any, name: str, x: Tensor, **options: Any) -> Tensor:
        used.update((f"{name}.weight", f"{name}.bias"))
        out: Tensor = apply(x, weight=stored[f"{name}.weight"], bias=stored[f"{name}.bias"], **options)
        return out

    def norm(name: str, x: Tensor) -> Tensor:
        return layer(F.layer_norm, name, x, normalized_shape=(x.shape[-1],))

    def unit(name: str, x: Tensor, stride: int = 1) -> Tensor:
        return F.gelu(layer(F.conv2d, f"{name}.conv", x, stride=stride, padding=1))

    def turned(x: Tensor, rows: int, cols: int) -> Tensor:
        place = torch.stack(torch.meshgrid(torch.arange(rows), torch.arange(cols), indexing="ij")).reshape(2, -1, 1)
        turn = torch.polar(torch.ones(()), place * 100.0 ** -torch.linspace(0, 1, each // 4))
        parts = x.reshape(*x.shape[:-1], 2, 2, each // 4)  # axis, (real, imaginary), frequency
        number = torch.complex(parts[..., 0, :], parts[..., 1, :]) * turn.transpose(
            0, 1
        )  # turn: (token, axis, frequency)
        return torch.stack([number.real, number.imag], dim=-2).reshape(x.shape)

    image = torch.rand(1, 3, 48, 80, generator=torch.Generator().manual_seed(3))
    two = unit("stem.detail2.1", unit("stem.detail2.0", image * 4 - 2, stride=2))
    four = unit("stem.detail4", two, stride=2)
    eight = unit("stem.detail8", four, stride=2)
    cells = layer(F.conv2d, "stem.proj", eight, stride=2, padding=1)
    rows, cols = cells.shape[-2:]
    x = cells.flatten(2).transpose(1, 2)
    for k in range(model.config.depth):
        qkv = layer(F.linear, f"blocks.{k}.attn.qkv", norm(f"blocks.{k}.norm1", x)).reshape(1, -1, 3, heads, each)
        q, key, v = qkv.permute(2, 0, 3, 1, 4)
        q, key = turned(q, rows, cols), turned(key, rows, cols)
        mixed = (q @ key.transpose(-2, -1) / each**0.5).softmax(-1) @ v
        x = x + layer(F.linear, f"blocks.{k}.attn.proj", mixed.transpose(1, 2).flatten(2))
        hidden = layer(F.linear, f"blocks.{k}.mlp.fc1", norm(f"blocks.{k}.norm2", x))
        x = x + layer(F.linear, f"blocks.{k}.mlp.fc2", F.gelu(hidden))
    x = norm("norm", x).transpose(1, 2).reshape(cells.shape)
    for k, finer in enumerate((eight, four, two)):
        raised = F.interpolate(layer(F.conv2d, f"decoder.lift.{k}", x), scale_factor=2, mode="bilinear")
        x = unit(f"decoder.fuse.{k}", raised + layer(F.conv2d, f"decoder.skip.{k}", finer))
    want = F.pixel_shuffle(layer(F.conv2d, "head", x, padding=1), 2)
    torch.testing.assert_close(logits_of(model), want, rtol=0, atol=1e-4 * float(want.abs().max()))
    assert used == set(stored)

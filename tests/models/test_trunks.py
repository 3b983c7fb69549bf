"""Trunks that others trained: what comes out equals what transformers computes, whatever the weights are called."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from hedgerow import registry
from hedgerow.backbones import vit
from hedgerow.errors import ConfigError, ModelError
from hedgerow.models.store import ModelCard, load, save
from hedgerow.models.trunks import TrunkReport, load_trunk, trunk_settings

LIGHT: dict[str, Any] = {"stem": (8, 8, 16), "decoder": (16, 8, 8), "normalize": False}
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
DINOV2 = {"image_size": 56, "patch_size": 14}
KINDS: dict[str, tuple[str, dict[str, Any], int]] = {
    "dinov2": ("Dinov2", DINOV2, 14),
    "dinov2-gated": ("Dinov2", DINOV2 | {"use_swiglu_ffn": True}, 14),
    "dinov2-registers": ("Dinov2WithRegisters", DINOV2 | {"num_register_tokens": 4}, 14),
    "dinov3": ("DINOv3ViT", {"num_register_tokens": 4}, 16),
    "dinov3-gated": ("DINOv3ViT", {"num_register_tokens": 4, "use_gated_mlp": True, "hidden_act": "silu"}, 16),
    "vit": ("ViT", {"image_size": 64}, 16),
    "deit": ("DeiT", {"image_size": 64, "patch_size": 8}, 8),
}


@pytest.fixture(scope="module")
def transformers() -> Any:
    return pytest.importorskip(
        "transformers", minversion="4.56", reason="pip install hedgerow[hub] brings transformers"
    )


Stored = Callable[[str], tuple[Path, nn.Module]]


@pytest.fixture(scope="module")
def stored(transformers: Any, tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """Return a folder as transformers writes it and the network in it, with random weights, biases and gains."""
    made: dict[str, tuple[Path, nn.Module]] = {}

    def one(kind: str) -> tuple[Path, nn.Module]:
        if kind not in made:
            name, options, _ = KINDS[kind]
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                model = getattr(transformers, f"{name}Model")(
                    getattr(transformers, f"{name}Config")(**SIZES, **options)
                )
                for parameter in model.parameters():
                    parameter.data += 0.1 * torch.randn(parameter.shape)
            folder = tmp_path_factory.mktemp(kind)
            model.eval().save_pretrained(folder)
            made[kind] = folder, model
        return made[kind]

    return one


def loaded(path: Path, **changes: Any) -> tuple[vit.SegmentationViT, TrunkReport]:
    model = registry.build("backbones", trunk_settings(path, **LIGHT, **changes).backbone)
    return model, load_trunk(model, path)


@torch.inference_mode()
def assert_equal(ours: vit.SegmentationViT, theirs: nn.Module, patch_px: int) -> None:
    flexible = type(theirs).__name__ in ("ViTModel", "DeiTModel")
    options = {"interpolate_pos_encoding": True} if flexible else {}
    for rows, cols in ((4, 4), (3, 7)):
        image = torch.rand(2, 3, rows * patch_px, cols * patch_px, generator=torch.Generator().manual_seed(1))
        want = theirs(pixel_values=ours.standardize(image), **options).last_hidden_state
        torch.testing.assert_close(ours.hidden(image), want, rtol=0, atol=1e-4)
        assert want.abs().max() > 1
        assert ours(image).shape == (2, 4, *image.shape[-2:])


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_equal_those_of_transformers(kind: str, stored: Stored) -> None:
    folder, theirs = stored(kind)
    model, report = loaded(folder)
    assert_equal(model, theirs, KINDS[kind][2])
    assert report.loaded == sum(name.startswith(("blocks.", "norm.", "patch_", "cls_", "reg", "pos_"))
                                for name in model.state_dict())  # fmt: skip
    assert all("mask_token" in name or "pooler" in name for name in report.ignored)


@pytest.mark.parametrize("kind", KINDS)
def test_names_in_memory_serve_as_well_as_names_on_disk(kind: str, stored: Stored, tmp_path: Path) -> None:
    folder, theirs = stored(kind)
    save_file(
        {f"backbone.{name}": value for name, value in theirs.state_dict().items()}, tmp_path / "memory.safetensors"
    )
    model = registry.build("backbones", trunk_settings(folder, **LIGHT).backbone)
    load_trunk(model, tmp_path / "memory.safetensors")
    assert_equal(model, theirs, KINDS[kind][2])


FACEBOOK = {
    r"embeddings\.cls_token": "cls_token",
    r"embeddings\.mask_token": "mask_token",
    r"embeddings\.position_embeddings": "pos_embed",
    r"embeddings\.patch_embeddings(?:\.projection)?\.": "patch_embed.proj.",
    r"(?:encoder\.)?layer\.(\d+)\.(.+)": r"blocks.\1.\2",
    r"(.+)\.attention\.(?:output\.dense|o_proj)\.": r"\1.attn.proj.",
    r"(.+)\.layer_scale(\d)\.lambda1": r"\1.ls\2.gamma",
    r"layernorm\.": "norm.",
}


def as_facebook(state: Mapping[str, Tensor], *, registers: str, gates: Mapping[str, str]) -> dict[str, Tensor]:
    """Rename what transformers stored to the names of facebookresearch, with q, k and v in one."""
    rules = FACEBOOK | {r"embeddings\.register_tokens": registers}
    rules |= {rf"(.+)\.mlp\.{old}\.": rf"\1.mlp.{new}." for old, new in gates.items()}
    named = {}
    for name, value in state.items():
        for pattern, new in rules.items():
            name = re.sub(f"^{pattern}", new, name)
        named[name] = value
    for block in (0, 1):
        for kind in ("weight", "bias"):
            names = [f"blocks.{block}.attention.attention.{part}.{kind}" for part in ("query", "key", "value")]
            if names[0] not in named:
                names = [f"blocks.{block}.attention.{part}_proj.{kind}" for part in "qkv"]
            parts = [named.pop(name, None) for name in names]
            nothing = torch.full_like(parts[0], 7.0)  # what a mask of keys hides
            named[f"blocks.{block}.attn.qkv.{kind}"] = torch.cat([nothing if part is None else part for part in parts])
            if parts[1] is None:
                mask = torch.cat([torch.ones(32), torch.zeros(32), torch.ones(32)])
                named[f"blocks.{block}.attn.qkv.bias_mask"] = mask
    return named


@pytest.mark.parametrize(
    ("kind", "registers", "gates"),
    [
        ("dinov2", "", {}),
        ("dinov2-gated", "", {"weights_in": "w12", "weights_out": "w3"}),
        ("dinov2-registers", "register_tokens", {}),
        ("dinov3", "storage_tokens", {"up_proj": "fc1", "down_proj": "fc2"}),
        ("dinov3-gated", "storage_tokens", {"gate_proj": "w1", "up_proj": "w2", "down_proj": "w3"}),
    ],
)
def test_names_of_facebookresearch_are_known(
    kind: str, registers: str, gates: dict[str, str], stored: Stored, tmp_path: Path
) -> None:
    folder, theirs = stored(kind)
    state = as_facebook(load_file(folder / "model.safetensors"), registers=registers, gates=gates)
    if kind.startswith("dinov3"):
        state["rope_embed.periods"] = 100.0 ** (torch.arange(4) / 4).bfloat16()
    save_file(state, tmp_path / "facebook.safetensors")
    settings, guessed = trunk_settings(
        tmp_path / "facebook.safetensors", **LIGHT, **({} if registers == "storage_tokens" else {"heads": 2})
    )
    assert settings == trunk_settings(folder, **LIGHT).backbone  # config.json told the same as the weights
    assert "heads" not in guessed
    model = registry.build("backbones", settings)
    load_trunk(model, tmp_path / "facebook.safetensors")
    assert_equal(model, theirs, KINDS[kind][2])
    chunked = {re.sub(r"blocks\.(\d)", r"blocks.0.\1", f"teacher.backbone.{k}"): v for k, v in state.items()}
    save_file(chunked | {"teacher.dino_head.mlp.0.weight": torch.zeros(1)}, tmp_path / "training.safetensors")
    report = load_trunk(model, tmp_path / "training.safetensors")
    assert "teacher.dino_head.mlp.0.weight" in report.ignored
    assert_equal(model, theirs, KINDS[kind][2])


def as_timm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename facebookresearch's names to those of timm's EVA, which DINOv3 has there."""
    renamed = {}
    for name, value in state.items():
        name = re.sub(r"ls(\d)\.gamma", r"gamma_\1", name).replace("storage_tokens", "reg_token")
        name = name.replace("mlp.w1.", "mlp.fc1_g.").replace("mlp.w2.", "mlp.fc1_x.").replace("mlp.w3.", "mlp.fc2.")
        if name.endswith("attn.qkv.bias"):
            renamed[name.replace("qkv.bias", "q_bias")] = value[:32]
            renamed[name.replace("qkv.bias", "v_bias")] = value[64:]
        elif "bias_mask" not in name:
            renamed[name] = value
    return renamed


@pytest.mark.parametrize("kind", ["dinov3", "dinov3-gated"])
def test_names_of_timm_are_known(kind: str, stored: Stored, tmp_path: Path) -> None:
    folder, theirs = stored(kind)
    gates = (
        {"gate_proj": "w1", "up_proj": "w2", "down_proj": "w3"}
        if "gated" in kind
        else {"up_proj": "fc1", "down_proj": "fc2"}
    )
    state = as_timm(as_facebook(load_file(folder / "model.safetensors"), registers="storage_tokens", gates=gates))
    save_file({**state, "head.weight": torch.zeros(2, 32)}, tmp_path / "timm.safetensors")
    model, report = loaded(tmp_path / "timm.safetensors", heads=2)
    assert model.config.key_bias is False
    assert "head.weight" in report.ignored
    assert_equal(model, theirs, 16)


@pytest.mark.parametrize("prefix_rows", [0, 1, 5])
def test_position_rows_of_prefix_tokens_go_to_these_tokens(prefix_rows: int, tmp_path: Path) -> None:
    """timm's three ways: no row for prefix tokens, one for the class token, one for it and each of four registers."""
    plain = plain_state(class_token=True, registers=4)
    rows = torch.randn(1, prefix_rows, 32, generator=torch.Generator().manual_seed(2))
    table = torch.cat([rows, plain["pos_embed.table"]], dim=1)
    names = {"registers": "reg_token", "pos_embed.table": "pos_embed"}
    state = {names.get(name, name): value for name, value in (plain | {"pos_embed.table": table}).items()}
    save_file(state, tmp_path / "timm.safetensors")
    model, _ = loaded(tmp_path / "timm.safetensors", heads=2)
    found = model.state_dict()
    want = torch.cat([plain["cls_token"], plain["registers"]], dim=1)
    want[:, :prefix_rows] += rows
    torch.testing.assert_close(torch.cat([found["cls_token"], found["registers"]], dim=1), want)
    assert torch.equal(found["pos_embed.table"], plain["pos_embed.table"])
    assert trunk_settings(tmp_path / "timm.safetensors").guessed[:2] == ("heads", "norm_eps")


def plain_state(*, table: tuple[int, int] = (4, 4), **changes: Any) -> dict[str, Tensor]:
    """Weights of a random trunk of ours, without stem, decoder and head."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        config = {"width": 32, "depth": 2, "heads": 2, "patch_px": 8, "positions": "table", "table": table, **LIGHT}
        model = vit.build(vit.Config.model_validate(config | changes))
    return {
        name: value for name, value in model.state_dict().items() if not name.startswith(("stem", "decoder", "head"))
    }


def test_a_trunk_of_ours_comes_back_bit_by_bit(tmp_path: Path) -> None:
    state = plain_state(class_token=True, registers=2, layer_scale=0.1, mlp="swiglu", hidden=24, qkv_bias=False)
    save_file(state, tmp_path / "ours.safetensors")
    model, report = loaded(tmp_path / "ours.safetensors", heads=2)
    assert report == TrunkReport(len(state), (), ())
    assert all(torch.equal(model.state_dict()[name], value) for name, value in state.items())


def test_the_rest_of_the_network_stays_and_the_file_is_not_needed_again(tmp_path: Path) -> None:
    state = {name: value + 1 for name, value in plain_state().items()}
    save_file(state, tmp_path / "trunk.safetensors")
    settings = trunk_settings(tmp_path / "trunk.safetensors", heads=2, **LIGHT).backbone
    model = registry.build("backbones", settings)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    load_trunk(model, tmp_path / "trunk.safetensors")
    for name, value in model.state_dict().items():
        assert torch.equal(value, state.get(name, before[name])), name
        assert (name in state) != name.startswith(("stem", "decoder", "head"))
    save(tmp_path / "model", ModelCard(name="t", backbone=settings, bands=("red", "green", "blue")), model.state_dict())
    (tmp_path / "trunk.safetensors").unlink()
    image = torch.rand(1, 3, 40, 56)
    assert torch.equal(load(str(tmp_path / "model"))(image), model(image))


def test_a_table_is_resampled_to_the_grid_of_the_network(tmp_path: Path) -> None:
    save_file(plain_state(), tmp_path / "trunk.safetensors")
    model, report = loaded(tmp_path / "trunk.safetensors", heads=2, positions="table")
    wide = registry.build(
        "backbones", trunk_settings(tmp_path / "trunk.safetensors", heads=2, **LIGHT).backbone | {"table": (4, 8)}
    )
    notes = load_trunk(wide, tmp_path / "trunk.safetensors").notes
    assert notes == ("position table resampled from 4 x 4 to 4 x 8",)
    assert report.notes == ()
    zero = torch.zeros(1, 32, 32)
    torch.testing.assert_close(wide.pos_embed.add(zero, (4, 8)), model.pos_embed.add(zero, (4, 8)))


def test_a_table_that_is_not_square_is_told_by_its_sides(tmp_path: Path) -> None:
    save_file(plain_state(table=(3, 5)), tmp_path / "trunk.safetensors")
    with pytest.raises(ModelError, match=r"15 rows.*table: \[rows, cols\]"):
        trunk_settings(tmp_path / "trunk.safetensors")
    model, _ = loaded(tmp_path / "trunk.safetensors", heads=2, table=(3, 5))
    assert model.config.table == (3, 5)


def test_what_transformers_writes_beside_the_weights_is_read(tmp_path: Path) -> None:
    save_file(plain_state(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"num_attention_heads": 4, "layer_norm_eps": 1e-3}))
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps({"image_mean": [0.1, 0.2, 0.3], "image_std": [1, 1, 1]})
    )
    settings, guessed = trunk_settings(tmp_path)
    assert (settings["heads"], settings["norm_eps"], settings["mean"]) == (4, 1e-3, (0.1, 0.2, 0.3))
    assert guessed == ("table_antialias",)
    assert trunk_settings(tmp_path, heads=8).backbone["heads"] == 8  # who knows better, says so


def broken(changes: Mapping[str, Tensor | None]) -> dict[str, Tensor]:
    return {name: value for name, value in (plain_state() | changes).items() if value is not None}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"blocks.0.attn.rel_pos": torch.zeros(1)}, "1 weights are no part.*blocks.0.attn.rel_pos"),
        ({"blocks.1.norm2.bias": None}, r"1 weights do not fit.*blocks.1.norm2.bias \(missing\)"),
        ({"registers": torch.zeros(1, 2, 32)}, r"registers \(not in the network\)"),
        ({"blocks.0.mlp.fc2.bias": torch.zeros(9)}, r"blocks.0.mlp.fc2.bias \(9,\) instead of \(32,\)"),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, Tensor | None], reason: str, tmp_path: Path) -> None:
    save_file(plain_state(), tmp_path / "good.safetensors")
    save_file(broken(changes), tmp_path / "bad.safetensors")
    model = registry.build("backbones", trunk_settings(tmp_path / "good.safetensors", heads=2, **LIGHT).backbone)
    with pytest.raises(ModelError, match=reason) as caught:
        load_trunk(model, tmp_path / "bad.safetensors")
    assert "bad.safetensors" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_key_bias_that_would_be_lost_is_refused(tmp_path: Path) -> None:
    save_file(plain_state(), tmp_path / "trunk.safetensors")
    settings = trunk_settings(tmp_path / "trunk.safetensors", heads=2, key_bias=False, **LIGHT).backbone
    with pytest.raises(ModelError, match="key_bias: true"):
        load_trunk(registry.build("backbones", settings), tmp_path / "trunk.safetensors")


def test_only_safetensors_of_a_transformer_are_read(tmp_path: Path) -> None:
    torch.save(plain_state(), tmp_path / "trunk.pth")
    with pytest.raises(ModelError, match="is a pickle"):
        trunk_settings(tmp_path / "trunk.pth")
    save_file({"layer1.0.conv1.weight": torch.zeros(1)}, tmp_path / "resnet.safetensors")
    with pytest.raises(ModelError, match=r"no part of a plain ViT.*layer1\.0\.conv1\.weight"):
        trunk_settings(tmp_path / "resnet.safetensors")
    save_file({"norm.weight": torch.zeros(1)}, tmp_path / "little.safetensors")
    with pytest.raises(ModelError, match=r"no patch_embed\.proj\.weight"):
        trunk_settings(tmp_path / "little.safetensors")
    with pytest.raises(ModelError, match="no such file"):
        trunk_settings(tmp_path / "nowhere")
    (tmp_path / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(ModelError, match="several parts"):
        trunk_settings(tmp_path)


def test_other_activations_and_other_wavelengths_are_refused(tmp_path: Path) -> None:
    save_file(plain_state(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text('{"hidden_act": "quick_gelu"}')
    with pytest.raises(ModelError, match="quick_gelu"):
        trunk_settings(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelError, match="is no JSON"):
        trunk_settings(tmp_path)
    save_file(
        broken({"pos_embed.table": None, "rope_embed.periods": torch.tensor([0.5, 1, 7, 9])}),
        tmp_path / "odd.safetensors",
    )
    (tmp_path / "config.json").unlink()
    with pytest.raises(ModelError, match="wavelengths"):
        trunk_settings(tmp_path / "odd.safetensors")


def test_a_network_that_is_no_vit_takes_no_trunk(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"Conv2d.*`vit` only"):
        load_trunk(nn.Conv2d(3, 4, 1), tmp_path)
    with pytest.raises(ConfigError, match="patch"):
        registry.build("backbones", {"kind": "vit", "patch": 8})

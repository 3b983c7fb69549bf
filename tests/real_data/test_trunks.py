"""A pretrained Sentinel-2 transformer is a trunk of ours: what it says of a Danish tile equals torch's own layers."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from hedgerow import registry
from hedgerow.models.store import ModelCard, load, save
from hedgerow.models.trunks import load_trunk, trunk_settings
from hedgerow.quantization.taps import features
from hedgerow.stages.predict import probabilities_of
from hedgerow.stages.zoom import Zoom

pytestmark = pytest.mark.real_data

BGR = ("blue", "green", "red")


@pytest.fixture(scope="module")
def galileo(real_data: Path) -> Path:
    path = real_data.parent / "weights" / "galileo_nano_vit_rgb.safetensors"
    if not path.is_file():
        pytest.skip(f"{path.name} is not beside this checkout (../shared/weights)")
    return path


@pytest.fixture(scope="module")
def tile(real_data: Path) -> Tensor:
    """The tile in its own band order, blue, green, red: (3, 413, 226) in [0, 1]."""
    with rasterio.open(real_data / "s2_dk_lpis" / "s2_l1c_20160508_bgr.tif") as dataset:
        pixels = dataset.read().astype(np.float32)
    low, high = np.percentile(pixels, (0.5, 99.5), axis=(1, 2))[..., None, None]
    return torch.from_numpy(np.clip((pixels - low) / (high - low), 0, 1).astype(np.float32))


def oracle(weights: Path, image: Tensor) -> Tensor:
    """Run torch's own encoder layers with these weights: patches of 8 x 8, eight heads, exact GELU, no positions."""
    state = load_file(weights)
    tokens = F.conv2d(image, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=8)
    tokens = tokens.flatten(2).transpose(1, 2)
    names = {"self_attn.in_proj_": "attn.qkv.", "self_attn.out_proj.": "attn.proj.", "linear1.": "mlp.fc1.",
             "linear2.": "mlp.fc2.", "norm1.": "norm1.", "norm2.": "norm2."}  # fmt: skip
    for block in range(4):
        layer = nn.TransformerEncoderLayer(128, 8, 512, 0, F.gelu, norm_first=True, batch_first=True)
        layer.load_state_dict(
            {ours + kind: state[f"blocks.{block}.{theirs}{kind}"] for ours, theirs in names.items()
             for kind in ("weight", "bias")}
        )  # fmt: skip
        tokens = layer.eval()(tokens)
    return F.layer_norm(tokens, (128,), state["norm.weight"], state["norm.bias"])


def test_galileo_is_a_trunk_and_runs_on_a_danish_tile(galileo: Path, tile: Tensor, tmp_path: Path) -> None:
    # Reflectance is standardised for it; the percentiles of the tile do that well enough.
    settings, guessed = trunk_settings(galileo, heads=8, norm_eps=1e-5, mean=0.5, std=0.25)
    assert {name: settings[name] for name in ("width", "depth", "patch_px", "class_token", "positions")} == {
        "width": 128, "depth": 4, "patch_px": 8, "class_token": False, "positions": "none",
    }  # fmt: skip
    assert guessed == ("positions",)
    model = registry.build("backbones", settings)
    assert load_trunk(model, galileo).loaded == len(load_file(galileo)) == 52

    x = tile[None, :, :224, :160]
    with torch.inference_mode():
        torch.testing.assert_close(model.hidden(x), oracle(galileo, (x - 0.5) / 0.25), rtol=1e-3, atol=1e-3)
        heads = features(model, x, ["attention.3"])["attention.3"]
    assert heads.shape == (1, 8, 28 * 20, 28 * 20)
    torch.testing.assert_close(heads.sum(dim=-1), torch.ones(heads.shape[:-1]))

    card = ModelCard(name="galileo", backbone=settings, bands=BGR, licence="MIT")
    save(tmp_path, card, model.state_dict())
    probabilities = probabilities_of(load(str(tmp_path)), tile.numpy(), Zoom())
    assert probabilities.shape == (4, 413, 226)
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, atol=1e-5)

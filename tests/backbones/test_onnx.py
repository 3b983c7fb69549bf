"""An ONNX graph as a network: the same numbers as torch's, for any size, and a whole run from a model folder."""

import copy
import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
import torch.nn.functional as F
from affine import Affine
from torch import Tensor
from typer.testing import CliRunner

from hedgerow import RunConfig, registry
from hedgerow.errors import ConfigError, HedgerowError, ModelError
from hedgerow.jobs.making import checked
from hedgerow.models.store import digest, load, locate, read_card
from hedgerow_cli.app import app

onnx = pytest.importorskip("onnx", reason="makes the graphs: pip install onnx")
pytest.importorskip("onnxruntime", reason="runs the graphs: pip install onnxruntime")


class Convolution:
    """A graph of one convolution, and what torch says of it."""

    def __init__(self, channels: int, classes: int, *, side: int, stride: int) -> None:
        rng = np.random.default_rng(channels + 10 * classes)
        self.weight = rng.normal(size=(classes, channels, side, side)).astype(np.float32)
        self.bias = rng.normal(size=classes).astype(np.float32)
        self.pad, self.stride = side // 2, stride

    def __call__(self, image: Tensor) -> Tensor:
        weight, bias = torch.from_numpy(self.weight), torch.from_numpy(self.bias)
        return F.conv2d(image, weight, bias, padding=self.pad, stride=self.stride)

    def write(
        self, path: Path, sizes: tuple[Any, Any, Any] = ("n", "h", "w"), *, nhwc: bool = False, half: bool = False,
        softmax: bool = False,
    ) -> Path:  # fmt: skip
        helper, kind = onnx.helper, onnx.TensorProto.FLOAT16 if half else onnx.TensorProto.FLOAT
        n, h, w = sizes
        axes = [n, h, w, self.weight.shape[1]] if nhwc else [n, self.weight.shape[1], h, w]
        steps = [("Conv", {"pads": [self.pad] * 4, "strides": [self.stride] * 2}, ["weight", "bias"])]
        steps = [("Transpose", {"perm": [0, 3, 1, 2]}, []), *steps, ("Transpose", {"perm": [0, 2, 3, 1]}, [])][
            0 if nhwc else 1 : 3 if nhwc else 2
        ]
        steps += [("Softmax", {"axis": 1}, [])] if softmax else []
        nodes = [
            helper.make_node(operator, [f"t{i}", *extra], [f"t{i + 1}"], **options)
            for i, (operator, options, extra) in enumerate(steps)
        ]
        dtype = np.float16 if half else np.float32
        graph = helper.make_graph(
            nodes, "g", [helper.make_tensor_value_info("t0", kind, axes)],
            [helper.make_tensor_value_info(f"t{len(nodes)}", kind, None)],
            [onnx.numpy_helper.from_array(a.astype(dtype), name)
             for name, a in (("weight", self.weight), ("bias", self.bias))],
        )  # fmt: skip
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
        return path


def built(path: Path, **settings: Any) -> Any:
    return registry.build("backbones", {"kind": "onnx", "file": str(path), **settings})


def image(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def inside(map_: Tensor) -> Tensor:
    """Without the outermost pixels, which differ where an image was padded first."""
    return map_[..., 1:-1, 1:-1]


# --- the same numbers as torch ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("nhwc", [False, True])
def test_a_graph_gives_what_torch_gives(tmp_path: Path, nhwc: bool, half: bool) -> None:
    network = Convolution(3, 4, side=3, stride=1)
    module = built(network.write(tmp_path / "a.onnx", nhwc=nhwc, half=half), layout="nhwc" if nhwc else "nchw")
    x = image(2, 3, 21, 34)
    assert not module.training
    # 27 products of about 1 in float16, with 11 bits of mantissa: some thousandths.
    torch.testing.assert_close(module(x), network(x), rtol=0, atol=2e-2 if half else 1e-5)


@pytest.mark.parametrize("size", [(32, 32), (37, 70), (100, 33), (9, 40)])
def test_a_graph_of_fixed_size_sees_any_image_in_windows(tmp_path: Path, size: tuple[int, int]) -> None:
    """A 3 x 3 convolution needs one neighbour; the margins of a window are wider: no seam can be seen."""
    network = Convolution(3, 4, side=3, stride=1)
    module = built(network.write(tmp_path / "a.onnx", (1, 32, 32)))
    x = image(3, 3, *size)
    torch.testing.assert_close(inside(module(x)), inside(network(x)), rtol=0, atol=1e-5)


def test_a_fixed_batch_larger_than_the_images_is_filled(tmp_path: Path) -> None:
    network = Convolution(3, 4, side=3, stride=1)
    module = built(network.write(tmp_path / "a.onnx", (2, "h", "w")))
    for count in (1, 2, 3):
        x = image(count, 3, 8, 8)
        torch.testing.assert_close(module(x), network(x), rtol=0, atol=1e-5)


def test_a_coarse_graph_is_padded_to_its_multiple_and_raised(tmp_path: Path) -> None:
    network = Convolution(3, 4, side=1, stride=4)
    module = built(network.write(tmp_path / "a.onnx"), multiple_px=4)
    x = image(1, 3, 14, 9)
    padded = F.pad(x, (0, 3, 0, 2), mode="replicate")
    want = F.interpolate(network(padded), (16, 12), mode="bilinear", align_corners=False)[..., :14, :9]
    torch.testing.assert_close(module(x), want, rtol=0, atol=1e-5)


def test_probabilities_of_three_classes_become_ours(tmp_path: Path) -> None:
    network = Convolution(3, 3, side=1, stride=1)
    path = network.write(tmp_path / "a.onnx", softmax=True)
    module = built(path, classes=("other", "field", "border"), output="probabilities")
    x = image(1, 3, 5, 6)
    got, want = F.softmax(module(x), dim=1), F.softmax(network(x), dim=1)
    torch.testing.assert_close(got[:, [0, 1, 3]], want, rtol=0, atol=1e-6)
    assert not got[:, 2].any()


def test_a_network_travels_between_processes_and_is_copied(tmp_path: Path) -> None:
    module = built(Convolution(3, 4, side=1, stride=1).write(tmp_path / "a.onnx"))
    x = image(1, 3, 4, 4)
    want = module(x)
    (tmp_path / "a.onnx").unlink()  # it holds the graph itself
    for other in (pickle.loads(pickle.dumps(module)), copy.deepcopy(module)):
        assert torch.equal(other(x), want)


# --- what is refused --------------------------------------------------------------------------------------------------


def refusal(kind: type[HedgerowError], action: Callable[..., Any], *args: Any, **options: Any) -> str:
    with pytest.raises(kind) as caught:
        action(*args, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_weights_in_another_file_are_refused_with_the_cure_and_the_cure_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Convolution(3, 4, side=3, stride=1).write(tmp_path / "a.onnx")
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="a.data", size_threshold=0)
    text = refusal(ModelError, built, path)
    assert "keeps its weights in another file" in text
    monkeypatch.chdir(tmp_path)
    exec(text.split("`")[1], {"onnx": onnx})
    assert built(path)(image(1, 3, 4, 4)).shape == (1, 4, 4, 4)


@pytest.mark.parametrize("content", [b"no graph", pickle.dumps({"a": 1})])
def test_a_file_that_is_no_graph_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.onnx").write_bytes(content)
    assert "a.onnx: is no ONNX graph that can be run" in refusal(ModelError, built, tmp_path / "a.onnx")


def test_an_empty_file_and_none_are_refused(tmp_path: Path) -> None:
    assert "a.onnx: cannot be read: No such file" in refusal(ModelError, built, tmp_path / "a.onnx")
    (tmp_path / "a.onnx").touch()
    assert "a.onnx: is empty" in refusal(ModelError, built, tmp_path / "a.onnx")


def test_other_channels_outputs_and_inputs_are_refused(tmp_path: Path) -> None:
    path = Convolution(8, 4, side=1, stride=1).write(tmp_path / "a.onnx")
    assert "the graph takes 8 channels, not 3" in refusal(ModelError, built(path), image(1, 3, 4, 4))
    assert "has no output 'mask', but t1" in refusal(ModelError, built, path, output_name="mask")
    flat = onnx.load(path)
    del flat.graph.input[0].type.tensor_type.shape.dim[0]
    onnx.save(flat, tmp_path / "flat.onnx")
    assert refusal(ModelError, built, tmp_path / "flat.onnx")


def test_a_missing_runtime_is_told_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Convolution(3, 4, side=1, stride=1).write(tmp_path / "a.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert "pip install 'hedgerow[onnx]'" in refusal(ConfigError, built, path)


# --- a model folder, from imagery to maps -----------------------------------------------------------------------------

BANDS = ("red_b", "green_b", "blue_b", "nir_b", "red_a", "green_a", "blue_a", "nir_a")


@pytest.fixture
def two_dates(tmp_path: Path) -> tuple[Path, Path, Convolution]:
    """A raster of two dates of four bands, and the folder of a graph for it: three classes, reflectance / 3000."""
    network = Convolution(8, 3, side=1, stride=1)
    folder = tmp_path / "unet"
    folder.mkdir()
    network.write(folder / "unet.onnx")
    card = {
        "name": "unet",
        "backbone": {
            "kind": "onnx", "file": "unet.onnx", "classes": ["other", "field", "border"],
            "input_range": [0, 10000 / 3000],
        },
        "bands": BANDS,
        "scaling": {"low": [0] * 8, "high": [10000] * 8},
        "gsd_m": [10, 10],
        "licence": "CC-BY-4.0",
    }  # fmt: skip
    (folder / "model.json").write_text(json.dumps(card))
    pixels = np.random.default_rng(0).integers(1, 9000, (8, 50, 60)).astype(np.uint16)
    profile = {"crs": "EPSG:32632", "transform": Affine(10, 0, 500000, 0, -10, 6000000), "dtype": "uint16"}
    with rasterio.open(tmp_path / "a.tif", "w", "GTiff", 60, 50, 8, **profile) as file:
        file.write(pixels)
    return tmp_path / "a.tif", folder, network


def config(path: Path, folder: Path, **settings: Any) -> RunConfig:
    settings = {"tile_px": 32, "halo_px": 8, "workers": 1, "threads": 1, "stored_bands": BANDS} | settings
    return RunConfig(inputs=(str(path),), model=str(folder), **settings)


def test_the_command_gives_the_graph_s_own_probabilities(
    two_dates: tuple[Path, Path, Convolution], tmp_path: Path
) -> None:
    path, folder, network = two_dates
    words = (path, "-o", tmp_path / "out", "--model", folder, "--bands", ",".join(BANDS), "--tile-size", 32, "-j", 2)
    done = CliRunner().invoke(app, ["run", *map(str, words), "--halo", "8", "--scheduler", "processes"])
    assert done.exit_code == 0, done.stderr
    assert (tmp_path / "out/a/fp32/borders.gpkg").is_file()
    with rasterio.open(path) as file:
        pixels = torch.from_numpy(file.read().astype(np.float32))
    want = F.softmax(network(pixels[None] / 3000), dim=1)[0].numpy() * 255
    with rasterio.open(tmp_path / "out/a/fp32/probability.tif") as file:
        got = file.read().astype(float)
    np.testing.assert_allclose(got[[0, 1, 3]], want, rtol=0, atol=0.51)  # rounded to whole 255ths
    assert not got[2].any()
    manifest = json.loads((tmp_path / "out/run.json").read_text())
    assert manifest["model"]["licence"] == "CC-BY-4.0"
    assert manifest["inputs"][0]["scaling_from"] == "model card"
    assert manifest["arms"][0]["size_bytes"] == (folder / "unet.onnx").stat().st_size


def test_arms_that_would_change_the_graph_are_refused_before_the_work(
    two_dates: tuple[Path, Path, Convolution],
) -> None:
    path, folder, _ = two_dates
    text = refusal(ConfigError, checked, config(path, folder, arms=("fp32", "int8")))
    assert "model unet is an ONNX graph, which no quantizer can change: leave out int8" in text
    assert checked(config(path, folder))[1].card.name == "unet"


def test_a_folder_needs_the_file_that_its_card_names(two_dates: tuple[Path, Path, Convolution], tmp_path: Path) -> None:
    _, folder, _ = two_dates
    assert locate(str(folder)) == str(folder)
    before = digest(str(folder))
    Convolution(8, 3, side=3, stride=1).write(folder / "unet.onnx")
    assert digest(str(folder)) != before
    assert load(str(folder))(image(1, 8, 6, 6)).shape == (1, 4, 6, 6)
    (folder / "unet.onnx").rename(tmp_path / "unet.onnx")
    assert "unknown model" in refusal(ModelError, locate, str(folder))
    card = json.loads((folder / "model.json").read_text())
    card["backbone"]["file"] = "../unet.onnx"
    (folder / "model.json").write_text(json.dumps(card))
    assert "must lie beside the card" in refusal(ModelError, read_card, str(folder))

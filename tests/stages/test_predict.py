"""What a tile is told by every arm: full context, each network loaded once, nothing that is not finite."""

import math
import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from torch import Tensor, nn

from hedgerow.errors import ConfigError, ModelError
from hedgerow.geo.tiling import tile_geobox
from hedgerow.geo.windows import Window
from hedgerow.records import CLASSES, FIELD, ModelSpec, Patch
from hedgerow.scaling import Scaling
from hedgerow.stages import predict
from hedgerow.stages.predict import PredictTile, framed, model_for, probabilities_of
from hedgerow.stages.zoom import Zoom, zoom_for

BYTES = Scaling((0.0,) * 3, (255.0,) * 3)


def geobox(height: int, width: int) -> GeoBox:
    return GeoBox((height, width), Affine(1, 0, 500000, 0, -1, 5000000), "EPSG:32633")


@dataclass(frozen=True)
class Array:
    """A source in memory."""

    data: np.ndarray
    valid: np.ndarray
    name: str = "array"
    bands: tuple[str, ...] = ("red", "green", "blue")

    @property
    def geobox(self) -> GeoBox:
        return geobox(*self.valid.shape)

    def read(self, window: Window) -> Patch:
        return Patch(self.data[:, *window.slices], self.valid[window.slices])


def noise(height: int, width: int) -> Array:
    pixels = np.random.default_rng(0).integers(0, 256, (3, height, width)).astype(np.uint8)
    return Array(pixels, np.ones((height, width), bool))


class Blur(nn.Module):
    """Logits that depend on the neighbours within 4 px, and on nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, image: Tensor) -> Tensor:
        self.calls += 1
        mean = nn.functional.avg_pool2d(image, 9, stride=1, padding=4).mean(1, keepdim=True)
        return torch.cat([mean * k for k in (1.0, 6.0, -3.0, 2.0)], dim=1)


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Blur:
    """A network that stands for every spec."""
    made = Blur()
    monkeypatch.setattr(predict, "model_for", lambda spec: made)
    return made


def spec(arm: str = "fp32") -> ModelSpec:
    return ModelSpec(arm, "nowhere", "digest")


# --- zoom -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zoom", [Zoom(), Zoom(shrink=2), Zoom(shrink=3), Zoom(grow=2), Zoom(grow=4)])
@settings(deadline=None, max_examples=20)
@given(height=st.integers(1, 40), width=st.integers(1, 40))
def test_the_way_back_gives_the_stored_grid(zoom: Zoom, height: int, width: int) -> None:
    image = torch.rand(1, 3, height, width)
    seen = zoom.into(image)
    assert seen.shape[-2:] == tuple(math.ceil(n / zoom.shrink) * zoom.grow for n in (height, width))
    assert zoom.back(seen, (height, width)).shape == image.shape


@pytest.mark.parametrize("zoom", [Zoom(), Zoom(shrink=2), Zoom(shrink=5), Zoom(grow=2), Zoom(grow=3)])
def test_a_constant_image_stays_constant(zoom: Zoom) -> None:
    image = torch.full((1, 3, 17, 23), 0.25)
    seen = zoom.into(image)
    assert torch.allclose(seen, torch.tensor(0.25))
    assert torch.allclose(zoom.back(seen, (17, 23)), torch.tensor(0.25))


def test_no_zoom_changes_nothing() -> None:
    image = torch.rand(1, 3, 17, 23)
    assert torch.equal(Zoom().back(Zoom().into(image), (17, 23)), image)


def test_shrinking_takes_the_mean_of_blocks() -> None:
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert Zoom(shrink=2).into(image).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]


def test_the_frame_is_repeated_where_a_block_reaches_beyond_it() -> None:
    image = torch.tensor([[1.0, 2.0, 3.0]]).reshape(1, 1, 1, 3)
    assert Zoom(shrink=2).into(image).flatten().tolist() == [1.5, 3.0]


@pytest.mark.parametrize("factor", [2, 3, 8])
def test_a_map_on_the_finer_grid_comes_back_as_the_mean_of_each_stored_pixel(factor: int) -> None:
    small = torch.rand(1, 4, 5, 7)
    large = small.repeat_interleave(factor, -1).repeat_interleave(factor, -2)
    assert torch.allclose(Zoom(grow=factor).back(large, (5, 7)), small, atol=1e-6)


def test_growing_keeps_a_ramp_and_its_middle() -> None:
    # half-pixel centres: a linear ramp stays linear away from the frame, so nothing is displaced
    ramp = torch.arange(8.0).reshape(1, 1, 1, 8).expand(1, 1, 8, 8)
    grown = Zoom(grow=2).into(ramp)[0, 0, 8]
    assert torch.allclose(grown[1:-1], torch.arange(0.25, 7.0, 0.5))
    shrunk = Zoom(shrink=2)
    back = shrunk.back(shrunk.into(ramp), (8, 8))[0, 0, 4]
    assert torch.allclose(back[1:-1], torch.arange(1.0, 7.0))


@pytest.mark.parametrize(
    ("stored", "wanted", "expected"),
    [
        (1.0, None, Zoom()), (1.0, 1.0, Zoom()), (1.0, 1.4, Zoom()), (1.0, 2.0, Zoom(shrink=2)),
        (0.1, 1.0, Zoom(shrink=10)), (10.0, 5.0, Zoom(grow=2)), (10.0, 2.5, Zoom(grow=4)), (0.6, 1.0, Zoom(shrink=2)),
    ],
)  # fmt: skip
def test_the_nearest_whole_factor_is_taken(stored: float, wanted: float | None, expected: Zoom) -> None:
    assert zoom_for(stored, wanted) == expected


@pytest.mark.parametrize(("stored", "wanted"), [(0.05, 1.0), (20.0, 1.0)])
def test_a_factor_beyond_16_is_refused(stored: float, wanted: float) -> None:
    with pytest.raises(ConfigError, match="at most 16"):
        zoom_for(stored, wanted)


@pytest.mark.parametrize("factors", [(2, 2), (0, 1), (17, 1)])
def test_a_zoom_has_one_factor(factors: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match="one factor"):
        Zoom(*factors)


# --- context --------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(height=st.integers(1, 70), width=st.integers(1, 70), halo=st.integers(0, 48))
def test_every_tile_is_seen_with_its_full_context(height: int, width: int, halo: int) -> None:
    source = noise(height, width)
    whole_image = np.pad(source.data, ((0, 0), (halo, halo), (halo, halo)), mode="symmetric")
    for tile in tile_geobox(source.geobox, 32, halo):
        image = framed(source.read(tile.padded).data.astype(np.float32), tile, halo)
        assert image.shape[1:] == tuple(n + 2 * halo for n in tile.core.shape)
        inner = tile.padded.inside(tile.core.padded(halo))
        assert (image[:, *inner.slices] == source.read(tile.padded).data).all()
    if height > 32 + halo and width > 32 + halo and halo <= 32:  # mirrored at the raster's frame, not at the tile's
        first = tile_geobox(source.geobox, 32, halo)[0]
        image = framed(source.read(first.padded).data.astype(np.float32), first, halo)
        assert (image == whole_image[:, : 32 + 2 * halo, : 32 + 2 * halo]).all()


def predicted(source: Array, tile_px: int, halo_px: int, zoom: Zoom) -> np.ndarray:
    task = PredictTile(source, BYTES, zoom, halo_px, (spec(),))
    out = np.full((len(CLASSES), *source.valid.shape), np.nan, np.float32)
    for tile in tile_geobox(source.geobox, tile_px, halo_px):
        (prediction,) = task(tile)
        out[:, *tile.core.slices] = prediction.probabilities
    return out


@pytest.mark.parametrize(("zoom", "halo_px"), [(Zoom(), 4), (Zoom(grow=2), 8), (Zoom(shrink=2), 12)])
def test_tiles_leave_no_trace_when_the_halo_covers_the_reach(network: Blur, zoom: Zoom, halo_px: int) -> None:
    # Blur sees 4 px: 4 stored ones, 2 + 1 when each is seen as 2 x 2, 8 + 3 when 2 x 2 are seen as one
    source = noise(96, 80)
    one = predicted(source, 96, halo_px, zoom)
    assert np.isfinite(one).all()
    assert np.abs(predicted(source, 32, halo_px, zoom) - one).max() < 1e-6
    assert one.std() > 0.01


def test_probabilities_add_up_to_one_and_lie_between(network: Blur) -> None:
    for zoom in (Zoom(), Zoom(shrink=3), Zoom(grow=2)):
        out = probabilities_of(network, np.random.default_rng(1).random((3, 21, 34), np.float32), zoom)
        assert out.shape == (4, 21, 34)
        assert out.dtype == np.float32
        assert out.min() >= 0
        assert out.max() <= 1
        assert np.abs(out.sum(axis=0) - 1).max() < 1e-5


# --- validity -------------------------------------------------------------------------------------------------------


def test_a_tile_without_a_valid_pixel_costs_no_network_call(network: Blur) -> None:
    source = noise(64, 64)
    source = Array(source.data, np.pad(np.ones((64, 32), bool), ((0, 0), (0, 32))))
    left, right = tile_geobox(source.geobox, 32, 8)[:2]
    task = PredictTile(source, BYTES, Zoom(), 8, (spec("fp32"), spec("int8")))
    nothing = task(right)
    assert network.calls == 0
    assert [p.arm for p in nothing] == ["fp32", "int8"]
    assert not any(p.probabilities.any() or p.valid.any() or p.seconds for p in nothing)
    assert all(p.seconds > 0 for p in task(left))
    assert network.calls == 2


def test_invalid_pixels_are_written_as_nothing(network: Blur) -> None:
    source = noise(32, 32)
    valid = np.ones((32, 32), bool)
    valid[:5] = False
    (tile,) = tile_geobox(source.geobox, 32, 8)
    (prediction,) = PredictTile(Array(source.data, valid), BYTES, Zoom(), 8, (spec(),))(tile)
    assert (prediction.valid == valid).all()
    assert not prediction.as_bytes()[:, :5].any()
    assert prediction.as_bytes()[FIELD, 5:].all()


# --- networks that fail ---------------------------------------------------------------------------------------------


class Broken(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def forward(self, image: Tensor) -> Tensor:
        shape = (1, len(CLASSES), *image.shape[-2:])
        if self.how == "raises":
            raise RuntimeError("out of memory")
        if self.how == "small":
            return torch.zeros(1, len(CLASSES), 2, 2)
        return torch.full(shape, {"nan": math.nan, "infinite": math.inf}[self.how])


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ("nan", "not finite"), ("infinite", "not finite"), ("raises", "RuntimeError: out of memory"),
        ("small", r"returned \(1, 4, 2, 2\)"),
    ],
)  # fmt: skip
def test_a_network_that_fails_is_told_with_tile_and_arm(monkeypatch: pytest.MonkeyPatch, how: str, text: str) -> None:
    monkeypatch.setattr(predict, "model_for", lambda spec: Broken(how))
    source = noise(40, 40)
    tile = tile_geobox(source.geobox, 32, 8)[3]
    with pytest.raises(ModelError, match=text) as caught:
        PredictTile(source, BYTES, Zoom(), 8, (spec("int8"),))(tile)
    assert str(caught.value).startswith("tile r0001c0001, arm int8: ")


# --- loading --------------------------------------------------------------------------------------------------------


def test_a_model_is_loaded_once_per_process(monkeypatch: pytest.MonkeyPatch, tiny_model: Path) -> None:
    loads: list[str] = []

    def load(path: str) -> nn.Module:
        loads.append(path)
        return Blur()

    monkeypatch.setattr(predict, "load", load)
    monkeypatch.setattr(predict, "_loaded", {})
    one, other = ModelSpec("fp32", "a", "1"), ModelSpec("int8", "b", "2")
    assert model_for(one) is model_for(ModelSpec("fp32", "a", "1"))
    assert model_for(other) is model_for(other)
    assert model_for(one) is not model_for(other)
    assert loads == ["a", "b"]


def test_new_weights_in_the_same_folder_are_another_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict, "load", lambda path: Blur())
    monkeypatch.setattr(predict, "_loaded", {})
    assert model_for(ModelSpec("fp32", "a", "1")) is not model_for(ModelSpec("fp32", "a", "2"))


def test_a_task_carries_no_model(tiny_model: Path) -> None:
    source = noise(32, 32)
    task = PredictTile(source, BYTES, Zoom(), 8, (ModelSpec("fp32", str(tiny_model), "1"),))
    model_for(ModelSpec("fp32", str(tiny_model), "1"))
    weights = (tiny_model / "model.safetensors").stat().st_size
    assert len(pickle.dumps(task)) < source.data.nbytes + source.valid.nbytes + 2000 < weights
    (tile,) = tile_geobox(source.geobox, 32, 8)
    assert (pickle.loads(pickle.dumps(task))(tile)[0].as_bytes() == task(tile)[0].as_bytes()).all()

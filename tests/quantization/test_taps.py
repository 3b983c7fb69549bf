"""Looking inside: stable names, float or quantized, and a network that does not notice that it was looked at."""

import pytest
import torch
from torch import Tensor, nn

from hedgerow.backbones import vit
from hedgerow.errors import ModelError
from hedgerow.quantization.calibrated import calibrated
from hedgerow.quantization.observers import extremes
from hedgerow.quantization.sites import BitRule
from hedgerow.quantization.taps import features, tap_names

WIDTH, HEADS, REGISTERS = 32, 2, 3
SIZE, GRID = (40, 64), (3, 4)


def network() -> vit.SegmentationViT:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return vit.build(
            vit.Config(
                width=WIDTH, depth=2, heads=HEADS, stem=(8, 8, 16), decoder=(16, 8, 8), normalize=False,
                class_token=True, registers=REGISTERS,
            )
        )  # fmt: skip


def images(count: int = 2) -> Tensor:
    return torch.rand(count, 3, *SIZE, generator=torch.Generator().manual_seed(8))


def quantized() -> nn.Module:
    return calibrated(network(), BitRule(weight_bits=8, activation_bits=8), list(images()), extremes)[0]


def test_every_name_is_answered_with_its_shape() -> None:
    cells = GRID[0] * GRID[1]
    tokens = 1 + REGISTERS + cells
    shapes = {
        "tokens": (2, cells, WIDTH), "class": (2, 1, WIDTH), "registers": (2, REGISTERS, WIDTH),
        "q": (2, HEADS, tokens, WIDTH // HEADS), "k": (2, HEADS, tokens, WIDTH // HEADS),
        "v": (2, HEADS, tokens, WIDTH // HEADS), "attention": (2, HEADS, tokens, tokens),
    }  # fmt: skip
    model = network()
    seen = features(model, images(), tap_names(model))
    assert tuple(seen) == tap_names(model)
    for name, value in seen.items():
        kind = name.partition(".")[0]
        if kind in shapes:
            assert tuple(value.shape) == shapes[kind], name
    assert {name for name in seen if name.startswith("tokens.")} == {"tokens.0", "tokens.1", "tokens.last"}
    assert [tuple(seen[f"decoder.{k}"].shape) for k in range(3)] == [(2, 16, 6, 8), (2, 8, 12, 16), (2, 8, 24, 32)]
    assert tuple(seen["logits"].shape) == (2, 4, *SIZE)


@pytest.mark.parametrize("make", [network, quantized])
def test_a_quantized_network_has_the_same_names_and_no_hook_stays(make: object) -> None:
    model = make()  # type: ignore[operator]
    assert tap_names(model) == tap_names(network())
    with torch.inference_mode():
        before = model(images())
        seen = features(model, images(), tap_names(model))
        after = model(images())
    assert torch.equal(before, after)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    torch.testing.assert_close(seen["logits"], before, rtol=0, atol=1e-5 * float(before.abs().max()))


def test_names_that_are_not_the_map_do_not_change_a_bit() -> None:
    model = network()
    with torch.inference_mode():
        seen = features(model, images(), ["tokens.1", "q.0", "decoder.2", "logits"])
        assert torch.equal(seen["logits"], model(images()))


def test_rows_of_the_map_sum_to_one_and_are_the_softmax_of_the_facets() -> None:
    with torch.inference_mode():
        seen = features(network(), images(), ["q.1", "k.1", "attention.1"])
    assert (seen["attention.1"] >= 0).all()
    torch.testing.assert_close(seen["attention.1"].sum(dim=-1), torch.ones(seen["attention.1"].shape[:-1]))
    scores = seen["q.1"] @ seen["k.1"].transpose(-2, -1) / (WIDTH // HEADS) ** 0.5
    torch.testing.assert_close(seen["attention.1"], scores.softmax(dim=-1))


def test_rows_of_a_quantized_map_sum_to_one_within_its_steps() -> None:
    model = quantized()
    step = float(model.get_submodule("blocks.0.attn.softmax_tap").scale)
    with torch.inference_mode():
        rows = features(model, images(), ["attention.0"])["attention.0"]
    assert len(rows.unique()) <= 256
    assert (rows.sum(dim=-1) - 1).abs().max() <= rows.shape[-1] * step / 2


def test_tokens_are_cut_where_prefix_and_patches_meet() -> None:
    model, x = network(), images()
    with torch.inference_mode():
        seen, whole = features(model, x, ["class.last", "registers.last", "tokens.last"]), model.hidden(x)
    together = torch.cat([seen["class.last"], seen["registers.last"], seen["tokens.last"]], dim=1)
    assert torch.equal(together, whole)


def test_gradients_flow_through_what_was_asked() -> None:
    model = network()
    features(model, images(), ["tokens.0"])["tokens.0"].square().mean().backward()
    assert model.blocks[0].mlp.fc2.weight.grad is not None
    assert model.blocks[1].mlp.fc2.weight.grad is None


class Plain(nn.Module):
    """A user's network: parts that give a tuple, a dict, nothing, and one that runs twice."""

    def __init__(self, *, whole: bool = True) -> None:
        super().__init__()
        self.levels = nn.ModuleList([Halves(), Halves()])  # itself never called
        self.named = Named()
        self.act = nn.ReLU()
        self.spare = nn.Conv2d(3, 4, 1)
        self.logits = nn.Identity()  # bears the name of the network's own output
        self.whole = whole

    def forward(self, x: Tensor) -> object:
        left, right = self.levels[1](self.levels[0](x)[0])
        out = self.act(self.named(self.act(left - right))["out"] - 0.5)
        return 2 * self.logits(out) if self.whole else {"out": out}


class Halves(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return self.conv(x).chunk(2, dim=1)  # type: ignore[no-any-return]


class Named(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"out": self.conv(x)}


def test_a_network_that_names_nothing_is_asked_by_its_submodules() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU())
    x = images()
    seen = features(model, x, ["0", "logits"])
    assert tap_names(model, x) == ("0", "1", "logits")
    assert torch.equal(seen["0"].relu(), seen["logits"])


def test_of_a_network_that_names_nothing_what_can_be_had_is_listed_and_nothing_else() -> None:
    model, x = Plain(), images()
    names = tap_names(model, x[:1, :, :8, :8])
    assert names == ("levels.0.conv", "levels.1.conv", "named.conv", "act", "logits")
    assert all(isinstance(value, Tensor) for value in features(model, x, names).values())
    for name in {name for name, _ in model.named_modules()} - set(names):
        with pytest.raises(ModelError):
            features(model, x, [name])
    assert not any(m._forward_hooks for m in model.modules())
    assert all(p.grad is None for p in model.parameters())


def test_of_a_part_that_runs_twice_the_last_output_counts() -> None:
    seen = features(Plain(), images(), ["named.conv", "act", "logits"])
    assert torch.equal(seen["act"], (seen["named.conv"] - 0.5).relu())
    assert torch.equal(seen["logits"], 2 * seen["act"])


@pytest.mark.parametrize(
    ("name", "reason"),
    [("levels.0", "'levels.0' returned a tuple"), ("named", "'named' returned a dict"), ("spare", "was not passed"),
     ("levels", "was not passed"), ("gone", "It has: levels.0.conv, levels.1.conv, named.conv, act, logits ")],
)  # fmt: skip
def test_what_gives_no_tensor_is_refused_with_the_reason(name: str, reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        features(Plain(), images(), [name])


def test_a_network_that_returns_no_tensor_has_no_logits() -> None:
    model = Plain(whole=False)
    assert tap_names(model, images()) == ("levels.0.conv", "levels.1.conv", "named.conv", "act")
    with pytest.raises(ModelError, match="'logits' returned a dict"):
        features(model, images(), ["logits"])


def test_images_are_asked_for_where_only_a_run_tells() -> None:
    with pytest.raises(ModelError, match=r"Plain does not name what it shows.*tap_names\(model, images\)"):
        tap_names(Plain())


@pytest.mark.parametrize(
    ("names", "reason"), [(["tokens.9"], "'tokens.9'.*tap_names"), (["logits", "blocks"], "'blocks'")]
)
def test_a_name_that_is_not_there_is_refused_and_what_is_there_is_told(names: list[str], reason: str) -> None:
    with pytest.raises(ModelError, match=reason) as caught:
        features(network(), images(), names)
    assert "\n" not in str(caught.value)


def test_hooks_are_gone_after_a_failure() -> None:
    model = network()
    with pytest.raises(RuntimeError):
        features(model, torch.rand(1, 7, 16, 16), ["tokens.0"])
    assert not any(m._forward_hooks for m in model.modules())

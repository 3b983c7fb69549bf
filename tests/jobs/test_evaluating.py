"""`hedgerow.evaluate`: two modules on the same patches."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import hedgerow
from hedgerow import registry
from hedgerow.errors import ModelError, ScoreError
from hedgerow.models.store import load


class Lines(nn.Module):
    """Draws a border where the red band is bright; `weight` is how sure it is, `shift` moves it to the right."""

    def __init__(self, weight: float = 12.0, shift: int = 0) -> None:
        super().__init__()
        self.weight, self.shift = weight, shift

    def forward(self, image: Tensor) -> Tensor:
        bright = torch.roll(image[:, :1], self.shift, dims=-1)
        border = self.weight * (bright - 0.5)
        return torch.cat([-border, -border, -border, border], dim=1)


def patch(columns: tuple[int, ...] = (20, 40)) -> np.ndarray:
    image = np.zeros((3, 64, 64), np.float32)
    for column in columns:
        image[:, 8:56, column : column + 3] = 1.0
    return image


def test_a_module_is_perfect_against_itself() -> None:
    found = hedgerow.evaluate(Lines(), Lines(), [patch(), torch.from_numpy(patch((30,)))])
    assert (found.edge, found.corner, found.continuity, found.composite) == (1.0, 1.0, 1.0, 1.0)
    assert found.output_mse == 0.0
    assert found.sqnr is None  # no noise: the ratio has no finite value


def test_noise_is_measured_over_all_probabilities_of_all_patches() -> None:
    sure, unsure = 12.0, 6.0
    found = hedgerow.evaluate(Lines(sure), Lines(unsure), [patch(), patch((30, 50))])

    def outputs(weight: float) -> np.ndarray:
        with torch.no_grad():
            return torch.cat(
                [Lines(weight)(torch.from_numpy(p)[None]).softmax(1) for p in (patch(), patch((30, 50)))]
            ).numpy()

    noise = outputs(unsure).astype(float) - outputs(sure)
    assert found.output_mse == pytest.approx((noise**2).mean(), rel=1e-5)
    signal = (outputs(sure).astype(float) ** 2).mean()
    assert found.sqnr == pytest.approx(10 * np.log10(signal / (noise**2).mean()), rel=1e-5)


def test_borders_that_moved_or_faded_cost() -> None:
    moved = hedgerow.evaluate(Lines(), Lines(shift=5), [patch()])
    faded = hedgerow.evaluate(Lines(), Lines(weight=0.1), [patch()])
    for found in (moved, faded):
        assert found.edge < 0.5
        assert found.composite < 0.7
    assert faded.continuity == 0.0


def test_sums_are_pooled_over_patches_and_never_averaged() -> None:
    one, two = patch((20,)), patch((20, 30, 40, 50))
    both = hedgerow.evaluate(Lines(), Lines(shift=1), [one, two]).values["completeness"]
    apart = [hedgerow.evaluate(Lines(), Lines(shift=1), [p]).values["completeness"] for p in (one, two)]
    assert both.n == apart[0].n + apart[1].n
    assert both.value == pytest.approx(sum(a.value * a.n for a in apart) / both.n)


def test_a_quantized_network_is_evaluated_and_the_original_left_alone(tiny_model) -> None:
    original = load(str(tiny_model))
    before = {name: value.clone() for name, value in original.state_dict().items()}
    images = [torch.rand(3, 48, 48, generator=torch.Generator().manual_seed(k)) for k in range(2)]
    errors = []
    for bits in (8, 4):
        quantizer = registry.build("quantizers", {"kind": "minmax", "weight_bits": bits, "activation_bits": bits})
        errors.append(hedgerow.evaluate(original, quantizer.apply(original, images), images).output_mse)
    assert 0 < errors[0] < errors[1]
    assert all(torch.equal(before[name], value) for name, value in original.state_dict().items())


def test_what_cannot_be_evaluated_is_refused() -> None:
    with pytest.raises(ScoreError, match="no patch"):
        hedgerow.evaluate(Lines(), Lines(), [])
    with pytest.raises(ModelError, match="logits"):
        hedgerow.evaluate(nn.Identity(), Lines(), [patch()])
    with pytest.raises(ModelError, match="not finite"):
        hedgerow.evaluate(Lines(), Lines(weight=float("nan")), [patch()])

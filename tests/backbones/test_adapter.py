"""Networks made elsewhere: what they take and give is brought to our bands and classes, checked by hand."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor, nn

from hedgerow.backbones._adapter import Adapted, Fit, as_fed, as_ours, at_size
from hedgerow.errors import ModelError


def pixel(*values: float) -> Tensor:
    """One pixel with so many channels, (1, channels, 1, 1)."""
    return torch.tensor(values).reshape(1, -1, 1, 1)


def chances(out: Tensor, fit: Fit) -> list[float]:
    return F.softmax(as_ours(out, fit), dim=1).flatten().tolist()


# --- what it takes ----------------------------------------------------------------------------------------------------


def test_bands_are_reordered_repeated_and_left_out() -> None:
    fed = as_fed(pixel(0.1, 0.2, 0.3), Fit(order=(2, 0, 2)))
    assert fed.flatten().tolist() == pytest.approx([0.3, 0.1, 0.3])


def test_range_mean_and_deviation_act_in_this_order() -> None:
    # 0.5 of 0..200 is 100; (100 - 60) / 8 = 5, (100 - 100) / 2 = 0.
    fed = as_fed(pixel(0.5, 0.5), Fit(input_range=(0, 200), mean=(60, 100), std=(8, 2)))
    assert fed.flatten().tolist() == pytest.approx([5, 0])
    # -1..1: a quarter is -0.5; one mean and one deviation serve every channel.
    fed = as_fed(pixel(0.25, 1.0), Fit(input_range=(-1, 1), mean=(0.5,), std=(2,)))
    assert fed.flatten().tolist() == pytest.approx([-0.5, 0.25])


def test_constants_of_another_number_of_channels_are_refused() -> None:
    with pytest.raises(ModelError, match=r"2 mean\(s\) and 1 std\(s\) for 3 channels"):
        as_fed(pixel(0, 0, 0), Fit(mean=(1, 2)))
    with pytest.raises(ModelError, match="beyond the card's 2"):
        as_fed(pixel(0, 0), Fit(order=(0, 2)))


# --- what it gives ----------------------------------------------------------------------------------------------------


def test_channels_of_one_class_add_up_and_unknown_classes_have_no_chance() -> None:
    # Softmax of ln 1, ln 2, ln 3, ln 4 is 0.1, 0.2, 0.3, 0.4.
    out = pixel(*(math.log(n) for n in (1, 2, 3, 4)))
    got = chances(out, Fit(classes=("other", "field", "other", "border")))
    assert got == pytest.approx([0.4, 0.2, 0.0, 0.4])
    assert got[2] == 0.0


def test_probabilities_stay_as_they_are() -> None:
    fit = Fit(classes=("border", "other", "field"), output="probabilities")
    assert chances(pixel(0.7, 0.1, 0.2), fit) == pytest.approx([0.1, 0.2, 0.0, 0.7])
    assert chances(pixel(1.0, 0.0, 0.0), fit) == pytest.approx([0, 0, 0, 1])


def test_one_independent_channel_leaves_the_rest_to_another_class() -> None:
    fit = Fit(classes=("border",), rest="field", output="sigmoid")
    assert chances(pixel(math.log(0.3 / 0.7)), fit) == pytest.approx([0, 0.7, 0, 0.3])
    both = Fit(classes=("field", "border"), rest="other", output="probabilities")
    assert chances(pixel(0.5, 0.2), both) == pytest.approx([0.3, 0.5, 0, 0.2])
    assert chances(pixel(0.9, 0.6), both) == pytest.approx([0, 0.6, 0, 0.4])  # 1.5 in all: shared out


def test_logits_passed_off_as_probabilities_are_told() -> None:
    with pytest.raises(ModelError, match=r"from -2 to 3 is no probability: say `output: logits`"):
        as_ours(pixel(-2, 0, 1, 3), Fit(output="probabilities"))


def test_another_number_of_channels_is_refused() -> None:
    with pytest.raises(ModelError, match=r"gives 3 channels, but `classes` names 4"):
        as_ours(pixel(1, 2, 3), Fit())


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"classes": ("field", "road")}, "classes road: choose among other, field, forest, border"),
        ({"classes": ("field",)}, "every pixel would be field: name `rest`"),
        ({"classes": ()}, "every pixel would be nothing"),
        ({"classes": ("field", "other"), "rest": "border"}, "`rest` is a class of no channel"),
        ({"classes": ("field", "other"), "rest": "other", "output": "sigmoid"}, "`rest` is a class of no channel"),
        ({"std": (1.0, 0.0)}, "above 0"),
        ({"mean": ()}, "a number or more"),
        ({"input_range": (1, 1)}, "low < high"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Fit(**settings)
    assert reason in str(caught.value)


# --- on which pixels --------------------------------------------------------------------------------------------------


def test_a_coarser_map_is_raised_bilinearly() -> None:
    """Cells 2 px wide are centred on 0.5 and 2.5: pixels 0..3 lie at -0.25, 0.25, 0.75, 1.25 cells; ends stay flat."""
    out = torch.tensor([[0.0, 4.0]]).expand(1, 1, 2, 2)
    got = at_size(out, torch.zeros(1, 3, 4, 4))
    assert got[0, 0].tolist() == [pytest.approx([0, 1, 3, 4])] * 4


@pytest.mark.parametrize("shape", [(1, 4, 9, 8), (1, 4, 4, 8), (4, 8, 8), (2, 4, 8, 8)])
def test_a_map_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match="the network gave"):
        at_size(torch.zeros(shape), torch.zeros(1, 3, 8, 8))


class Picky(nn.Module):
    """Takes multiples of 8 px of one band and gives its own pixels as two channels."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(2.0))

    def forward(self, image: Tensor) -> Tensor:
        assert image.shape[1] == 1
        assert image.shape[2] % 8 == image.shape[3] % 8 == 0
        return torch.cat([self.gain * image, -self.gain * image], dim=1)


def test_a_whole_network_is_fitted_and_its_weights_keep_their_names() -> None:
    network = Adapted(Picky(), Fit(order=(1,), classes=("field", "border"), multiple_px=8))
    image = torch.rand(2, 3, 13, 9, generator=torch.Generator().manual_seed(0))
    got = F.softmax(network(image), dim=1)
    assert got.shape == (2, 4, 13, 9)
    torch.testing.assert_close(got[:, 1], torch.sigmoid(4 * image[:, 1]))  # two logits 2x and -2x
    assert set(network.state_dict()) == {"gain"}
    network.load_state_dict({"gain": torch.tensor(0.0)})
    torch.testing.assert_close(F.softmax(network(image), dim=1)[:, 3], torch.full((2, 13, 9), 0.5))


def test_a_fitted_network_can_be_trained() -> None:
    """The class that no channel knows sends no gradient, and none that is not finite."""
    network = Adapted(Picky(), Fit(order=(0,), classes=("field", "border"), multiple_px=8))
    F.cross_entropy(network(torch.rand(1, 3, 8, 8)), torch.ones(1, 8, 8, dtype=torch.long)).backward()
    (gain,) = network.parameters()
    assert gain.grad is not None
    assert gain.grad.isfinite()
    assert gain.grad != 0

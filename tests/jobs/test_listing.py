"""What can be chosen, without importing it; and what a file of settings means."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hedgerow import registry
from hedgerow.config import RunConfig, preset_names
from hedgerow.errors import ConfigError
from hedgerow.jobs.listing import listing, settings_of
from hedgerow.models.store import load, locate, read_card


def test_every_kind_of_every_family_is_listed_with_its_own_first_sentence() -> None:
    found = listing()
    for family in registry.FAMILIES:
        assert [kind["name"] for kind in found[family]] == list(registry.available(family))
        assert all(len(kind["about"]) > 10 for kind in found[family])
    assert [arm["name"] for arm in found["arms"]] == list(preset_names("arms"))
    assert "hedgerow-tiny" in {model["name"] for model in found["models"]}


def test_listing_imports_no_kind() -> None:
    code = (
        "import sys\nfrom hedgerow.jobs.listing import listing\nlisting()\n"
        "assert not [m for m in sys.modules if m.startswith(('hedgerow.metrics.', 'hedgerow.quantizers.', 'torch'))]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_backbones_come_with_the_models_made_of_them() -> None:
    found = listing("backbones")
    assert set(found) == {"backbones", "models"}
    made = {model["name"]: model for model in found["models"]}
    for kind in found["backbones"]:
        assert kind["models"] == [name for name, model in made.items() if model["backbone"] == kind["name"]]


def test_a_model_s_size_licence_bands_and_resolutions_are_those_of_its_folder() -> None:
    for model in listing("models")["models"]:
        folder, network = locate(model["name"]), load(locate(model["name"]))
        card = read_card(folder)
        assert model["parameters"] == sum(p.numel() for p in network.parameters())
        assert model["megabytes"] == round((Path(folder) / "model.safetensors").stat().st_size / 1e6, 2)
        assert (model["licence"], tuple(model["bands"]), tuple(model["gsd_m"])) == (
            card.licence,
            card.bands,
            card.gsd_m,
        )
        for word in (f"{model['parameters'] / 1e6:.2f} M parameters", card.licence, *card.bands, "m per pixel"):
            assert word in model["about"]


def test_simulated_arms_say_so() -> None:
    about = {arm["name"]: arm["about"] for arm in listing("arms")["arms"]}
    assert all("simulated" in text for name, text in about.items() if name != "fp32")
    assert "simulated" not in about["fp32"]


def test_settings_are_shown_in_full(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("tile_px: 256\n")
    kind, text = settings_of(str(tmp_path / "mine.yaml"))
    assert kind == "run"
    assert yaml.safe_load(text) == RunConfig(tile_px=256).model_dump(mode="json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("quantizer: {kind: minmax, bits: 4, weight_bits: 4}", "bits"),
        ("quantizer: {kind: mimax}", "did you mean 'minmax'"),
        ("steps: many\ndata: []", "steps"),
        ("tile: 3", "tile"),
    ],
)
def test_settings_that_mean_nothing_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        settings_of(str(tmp_path / "mine.yaml"))


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'aerial'"):
        settings_of("aeriel")

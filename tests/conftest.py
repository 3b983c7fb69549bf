"""What all tests share: the real imagery, a small network, small scenes and rasters, and the installed command."""

import os
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# Networks here are tiny: threads would wait for each other (fitting one took 98 s instead of 2 on a busy machine).
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parent.parent
REAL_DATA = ROOT.parent / "shared" / "data"
TINY = {"kind": "vit", "width": 32, "depth": 2, "heads": 2, "stem": (8, 8, 16), "decoder": (16, 8, 8)}


@pytest.fixture(scope="session")
def checkout() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def real_data() -> Path:
    if not REAL_DATA.is_dir():
        pytest.skip(f"real imagery is not beside this checkout ({REAL_DATA.name} missing in ../shared)")
    return REAL_DATA


@pytest.fixture(scope="session")
def hedgerow() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the installed command; stdout and stderr apart."""
    command = Path(sysconfig.get_path("scripts")) / "hedgerow"
    assert command.is_file(), "the project must be installed (make test does it)"

    def run(*words: Any, **options: Any) -> subprocess.CompletedProcess[str]:
        options = {"capture_output": True, "text": True, "timeout": 120} | options
        return subprocess.run([str(command), *map(str, words)], **options)

    return run


@pytest.fixture(scope="session")
def raster() -> Callable[..., Path]:
    """Write pixels (height, width) or (bands, height, width) to a GeoTIFF, of 1 m in UTM 33 N unless told otherwise."""
    import rasterio
    from affine import Affine

    def write(path: Path, pixels: Any, *, tags: Any = None, descriptions: tuple[str, ...] = (), **options: Any) -> Path:
        bands = pixels if pixels.ndim == 3 else pixels[None]
        place = {"crs": "EPSG:32633", "transform": Affine(1, 0, 500_000, 0, -1, 5_000_000)}
        count, height, width = bands.shape
        profile = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": bands.dtype}
        given = {key: value for key, value in (profile | place | options).items() if value is not None}
        path.parent.mkdir(parents=True, exist_ok=True)
        with rasterio.open(path, "w", **given) as dataset:
            dataset.write(bands)
            dataset.update_tags(**(tags or {}))
            if descriptions:
                dataset.descriptions = descriptions
        return path

    return write


@pytest.fixture(scope="session")
def scenes_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes of 1 m per pixel, STEM.tif and its exact truth STEM.gpkg: one in metres, one in degrees."""
    from hedgerow.sources.synthetic import Config, render, write

    folder = tmp_path_factory.mktemp("scenes")
    write(render(Config(seed=2, height_px=192, width_px=160, style="strips", epsg=32633)), folder, "strips")
    write(render(Config(seed=3, height_px=160, width_px=192, style="european", epsg=4326)), folder, "woods")
    return folder


@pytest.fixture(scope="session")
def tiny_model(scenes_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder of a small network, fitted on the two scenes for a moment: its maps show fields and borders."""
    import numpy as np
    import rasterio
    import torch
    import torch.nn.functional as F

    from hedgerow import registry
    from hedgerow.models.store import ModelCard, save

    images, targets = [], []
    for path in sorted(scenes_folder.glob("*.tif")):
        with rasterio.open(path) as dataset:
            pixels = dataset.read().astype(np.float32)[:, :160, :160]
        low, high = np.percentile(pixels, (0.5, 99.5), axis=(1, 2)).astype(np.float32)[..., None, None]
        images.append(np.clip((pixels - low) / (high - low), 0, 1))
        targets.append(_class_map(path)[:160, :160])
    image, target = torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(targets))
    card = ModelCard(name="tiny", backbone={**TINY, "normalize": False}, bands=("red", "green", "blue"))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = registry.build("backbones", card.backbone)
        optimizer = torch.optim.Adam(network.parameters(), 5e-3)
        for _ in range(60):
            loss = F.cross_entropy(network(image), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save(folder, card, network.state_dict())
    return folder


def _class_map(picture: Path) -> Any:
    """Burn the truth beside a picture: class codes (height, width), borders 3 px wide."""
    import numpy as np
    import rasterio
    from odc.geo.geobox import GeoBox
    from scipy.ndimage import binary_dilation

    from hedgerow.edges.burn import burned_line, burned_regions
    from hedgerow.records import BORDER
    from hedgerow.sources._truth import read_truth

    with rasterio.open(picture) as dataset:
        geobox = GeoBox(dataset.shape, dataset.transform, dataset.crs)
    truth = read_truth(picture.with_suffix(".gpkg"), geobox)
    regions = burned_regions(truth.geometries, [int(c) for c in truth.classes], geobox)
    line = binary_dilation(burned_line(truth.geometries, geobox), np.ones((3, 3), bool))
    return np.where(line, BORDER, regions.class_of[regions.labels]).astype(np.int64)

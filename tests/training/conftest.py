"""A hand-made scene: one square field, whose edges run through pixel centres so that nobody has to round."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import shapely
import torch
from affine import Affine

from hedgerow.records import FIELD, OTHER
from hedgerow.training.scenes import LabelledScene

SceneOf = Callable[..., LabelledScene]


def square_scene(side: int = 48, **changes: Any) -> LabelledScene:
    """A field from pixel centre 12 to pixel centre 30, in both axes; outside is `other`."""
    rows = np.linspace(0, 1, side, dtype=np.float32)
    settings: dict[str, Any] = {
        "name": "square",
        "image": np.stack([np.add.outer(rows, rows) / 2] * 3),
        "valid": np.ones((side, side), bool),
        "transform": Affine.identity(),
        "gsd_m": 1.0,
        "polygons": np.asarray([shapely.box(12.5, 12.5, 30.5, 30.5)], dtype=object),
        "classes": np.asarray([FIELD], np.uint8),
        "unlabelled": 1 << OTHER,
        "zoom": (1.0, 1.0),
    }
    return LabelledScene(**(settings | changes))


@pytest.fixture(scope="session")
def scene_of() -> SceneOf:
    return square_scene


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """No quarrel over cores: the networks are tiny."""
    torch.set_num_threads(1)

"""Draw docs/images/comparison.png from a finished comparison of sample_tiles.

make demo && .venv/bin/python docs/picture.py demo_out aerial_1m_b w4a4-minmax
"""

import sys
from pathlib import Path

import geopandas
import numpy as np
import shapely
from matplotlib.figure import Figure
from odc.geo.geobox import GeoBox

from hedgerow.geo.windows import whole
from hedgerow.report.leavings import read_leavings
from hedgerow.report.pictures import image_of, overlay
from hedgerow.writers._probability import ProbabilityFile

COLOURS = {"field": "#e8b64c", "forest": "#2f7d4f"}


def main(out: Path, name: str, arm: str) -> None:
    """Write the picture: image, FP32 fields, the arm's fields, and what happened to the lines."""
    record = next(dict(i) for i in read_leavings(out).inputs if i["name"] == name)
    files = {a: ProbabilityFile(out / name / a / "probability.tif") for a in ("fp32", arm)}
    window = whole(files["fp32"].shape)
    image = image_of(record, window)
    assert image is not None
    lines = overlay(files[arm].read(window), files["fp32"].read(window))
    figure = Figure(figsize=(12, 3.3), dpi=110)
    axes = figure.subplots(1, 4)
    axes[0].imshow(image)
    axes[0].set_title("image")
    for axis, one in zip(axes[1:3], files, strict=True):
        axis.imshow(image, alpha=0.45)
        _draw(axis, out / name / one / "borders.gpkg", files[one].geobox)
        axis.set_title(f"fields and forests, {one}")
    axes[3].imshow(lines.picture)
    axes[3].set_title("borders: kept, missing (blue), misplaced (red)")
    for axis in axes:
        axis.set_axis_off()
        axis.title.set_fontsize(8)
    figure.tight_layout()
    target = Path(__file__).parent / "images" / "comparison.png"
    target.parent.mkdir(exist_ok=True)
    figure.savefig(target)


def _draw(axis: object, path: Path, geobox: GeoBox) -> None:
    inverse = ~geobox.transform
    fields = geopandas.read_file(path, layer="fields").set_crs(None, allow_override=True)
    pixels = shapely.transform(fields.geometry.to_numpy(), lambda xy: np.column_stack(inverse @ tuple(xy.T)))
    fields = fields.set_geometry(pixels)
    for kind, colour in COLOURS.items():
        of_kind = fields[fields["class"] == kind]
        if len(of_kind):
            of_kind.plot(ax=axis, facecolor=colour, alpha=0.35)
            of_kind.boundary.plot(ax=axis, color="black", linewidth=0.7)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])

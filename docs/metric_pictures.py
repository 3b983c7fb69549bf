"""Draw docs/images/metrics/KIND.png: a reference, a damaged copy of it, and where each metric counts.

.venv/bin/python docs/metric_pictures.py
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hedgerow import registry
from hedgerow.edges.layers import boundary_of
from hedgerow.edges.views import Pair, View
from hedgerow.metrics._booking import totals
from hedgerow.records import FIELD, FOREST, OTHER, Regions

FOLDER = Path(__file__).parent / "images" / "metrics"
PIXEL_M = (1.0, 1.0)
SHAPE = (96, 128)

KEPT, MISSING, MISPLACED, COUNTED = "#ffffff", "#3b82f6", "#ef4444", "#facc15"
REGION_COLOURS = np.array([[58, 58, 58], [232, 182, 76], [47, 125, 79]], np.uint8)

POINT = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
"""How large a single pixel is drawn: an object's centre, a corner."""

World = tuple[NDArray[np.int32], NDArray[np.float32]]
"""Labels, and the border probability (0..1) before it is rounded to bytes."""


@dataclass(frozen=True)
class Picture:
    """What is done to the map for one metric, the scores to print, and the colour of each sum (see `book`)."""

    damage: Callable[[World], World]
    scores: tuple[str, ...]
    colours: Mapping[str, str]
    shows: str = "p"
    """`p` (line view) or `L` (region view)."""


CLASS_OF = np.array([OTHER, OTHER, FIELD, FIELD, FIELD, FOREST, FIELD, FIELD], np.uint8)


def reference() -> World:
    """Six parcels and a wood on open land."""
    labels = np.ones(SHAPE, np.int32)
    labels[10:46, 8:44], labels[10:46, 44:80] = 2, 3
    labels[46:86, 8:60] = 4
    labels[46:86, 60:80] = 6
    labels[10:60, 88:120] = 5
    labels[66:86, 88:120] = 7
    return labels, drawn(labels)


def drawn(labels: NDArray[np.int32]) -> NDArray[np.float32]:
    """Return the border probability of sharp borders, three pixels wide."""
    lines = cv2.dilate(boundary_of(labels).astype(np.float32), np.ones((3, 3)))
    return np.asarray(cv2.GaussianBlur(lines, (0, 0), 0.8), np.float32)


def shifted(rows: int, cols: int) -> Callable[[World], World]:
    """Move the whole map."""

    def move(world: World) -> World:
        labels, p = world
        return np.roll(labels, (rows, cols), (0, 1)), np.roll(p, (rows, cols), (0, 1))

    return move


def rounded(world: World) -> World:
    """Round every corner, by a majority vote in a disk of seven pixels."""
    votes = [cv2.GaussianBlur((world[0] == k).astype(np.float32), (0, 0), 4) for k in range(world[0].max() + 1)]
    labels = np.argmax(votes, axis=0).astype(np.int32)
    return labels, drawn(labels)


def torn(world: World) -> World:
    """Wipe out pieces of the borders; the regions stay."""
    p = world[1].copy()
    for window in ((slice(20, 32), slice(40, 48)), (slice(42, 50), slice(24, 30)), (slice(6, 14), slice(98, 112))):
        p[window] = 0
    return world[0], p


def fused(world: World) -> World:
    """Lose the border between two fields, and cut a third in two."""
    labels = world[0].copy()
    labels[labels == 3] = 2
    labels[66:86, 8:60] = np.where(labels[66:86, 8:60] == 4, 8, labels[66:86, 8:60])
    return labels, drawn(labels)


def grown(world: World) -> World:
    """Let parcels grow by two pixels into open land."""
    larger = cv2.dilate(world[0].astype(np.uint8), np.ones((5, 5))).astype(np.int32)
    labels = np.where(world[0] == 1, larger, world[0])
    return labels, drawn(labels)


def faded(world: World) -> World:
    """Make the borders soft and faint."""
    return world[0], np.asarray(0.85 * cv2.GaussianBlur(world[1], (0, 0), 1.6), np.float32)


def noisy(world: World) -> World:
    """Add grain to the border probability."""
    noise = np.random.default_rng(0).normal(0, 0.12, SHAPE)
    return world[0], np.clip(world[1] + noise, 0, 1).astype(np.float32)


def skewed(world: World) -> World:
    """Turn the map by four degrees about its middle."""
    matrix = cv2.getRotationMatrix2D((SHAPE[1] / 2, SHAPE[0] / 2), 4, 1)
    size, flags = (SHAPE[1], SHAPE[0]), cv2.INTER_NEAREST
    labels = cv2.warpAffine(world[0].astype(np.uint8), matrix, size, flags=flags, borderValue=1).astype(np.int32)
    return labels, drawn(labels)


def melted(world: World) -> World:
    """Lose the wood and one field altogether."""
    labels = np.where(np.isin(world[0], (5, 7)), 1, world[0]).astype(np.int32)
    return labels, drawn(labels)


EDGE_COLOURS = {"tp": KEPT, "fn": MISSING, "fp": MISPLACED}

PICTURES: dict[str, Picture] = {
    "erqa": Picture(rounded, ("erqa", "erqa_jaccard", "erqa_precision", "erqa_recall"), EDGE_COLOURS),
    "corners": Picture(
        rounded, ("corner_retention", "corner_retention_raw", "corner_precision"), {"kept": COUNTED, "missed": MISSING}
    ),
    "continuity": Picture(
        torn, ("continuity", "longest_fraction", "completeness", "gaps"), {"n_ref": MISSING, "linked": COUNTED}
    ),
    "sharpness": Picture(faded, ("sharpness", "sharpness_raw"), {"was": MISSING, "kept": COUNTED}),
    "ssim": Picture(noisy, ("ssim",), {"similarity": COUNTED}),
    "output_noise": Picture(noisy, ("output_mse", "sqnr"), {"noise": COUNTED}),
    "angle_consistency": Picture(skewed, ("angle_consistency",), {"n_ref": MISSING, "matched": COUNTED}),
    "scale_consistency": Picture(
        skewed, ("scale_consistency", "boundary_f1@1/2", "boundary_f1@1/4"), {"n_ref@1/4": MISSING, "hit_ref@1/4": KEPT}
    ),
    "cldice": Picture(skewed, ("cldice",), {"n_ref": MISSING, "n_test": MISPLACED, "hit_ref": KEPT, "hit_test": KEPT}),
    "betti_error": Picture(torn, ("betti_error", "betti_0", "betti_1", "betti_1_reference"), {"betti_1": COUNTED}),
    "boundary_iou": Picture(shifted(1, 1), ("boundary_iou",), {"either": MISPLACED, "shared": KEPT}, "L"),
    "boundary_f1": Picture(
        skewed, ("boundary_f1",), {"n_ref": MISSING, "n_test": MISPLACED, "hit_test": KEPT, "hit_ref": KEPT}, "L"
    ),
    "displacement": Picture(grown, ("assd", "hd95", "border_shift"), {"n_ref": MISSING, "border_shift": COUNTED}, "L"),
    "pixels": Picture(
        melted,
        ("pixel_iou", "pixel_agreement"),
        {"other>other": "#555555", "field>field": KEPT, "field>other": MISSING, "forest>other": MISSING},
        "L",
    ),
    "objects": Picture(fused, ("object_precision", "object_recall", "object_f1"), EDGE_COLOURS, "L"),
    "panoptic": Picture(
        fused,
        ("panoptic_quality", "segmentation_quality", "recognition_quality"),
        {"iou_field": KEPT, "iou_forest": KEPT, "fn_field": MISSING, "fp_field": MISPLACED},
        "L",
    ),
    "segmentation": Picture(
        fused, ("over_segmentation", "under_segmentation", "gtc"), {"under": MISPLACED, "over": MISSING}, "L"
    ),
    "areas": Picture(grown, ("area_error", "area_bias", "area_bias_ha"), {"apart_m2": COUNTED}, "L"),
    "average_precision": Picture(
        fused,
        ("object_ap", "object_ap50"),
        {"n_ref": MISSING, "passed_field_0.95": KEPT, "alone_field": MISPLACED},
        "L",
    ),
    "c_iou": Picture(rounded, ("c_iou", "vertex_ratio"), {"c_iou": COUNTED}, "L"),
    "polis": Picture(skewed, ("polis",), {"polis_m": COUNTED}, "L"),
    "outline_angles": Picture(
        skewed, ("max_tangent_angle", "corner_angle_difference"), {"tangent": COUNTED, "corner": MISPLACED}, "L"
    ),
}


def view(world: World) -> View:
    """Return a world as a map."""
    labels, p = world
    class_of = np.append(CLASS_OF, FIELD).astype(np.uint8)
    border = np.rint(255 * np.clip(p, 0, 1)).astype(np.uint8)
    return View(border, Regions(labels, class_of), np.ones(SHAPE, bool), PIXEL_M)


def counted(kind: str, pair: Pair, colours: Mapping[str, str]) -> NDArray[np.uint8]:
    """Paint what a metric booked, later sums over earlier ones, brighter where more was booked."""
    picture = np.zeros((*SHAPE, 3), np.uint8)
    bookings = registry.build("metrics", kind).book(pair)
    for name, colour in colours.items():
        rgb = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)])
        for booking in bookings:
            values = booking.values.get(name, np.ones_like(booking.levels.get(name, ())))
            if len(values):
                strength = np.sqrt(np.clip(values / max(values.max(), 1e-9), 0, 1))
                here = values > 0
                painted = np.zeros_like(picture)
                painted[booking.rows[here], booking.cols[here]] = (strength[here, None] * rgb).astype(np.uint8)
                painted = cv2.dilate(painted, POINT) if here.sum() < 60 else painted
                picture[painted.any(axis=-1)] = painted[painted.any(axis=-1)]
    return picture


def shown(one: View, which: str) -> NDArray[np.uint8]:
    """Return a map as a picture: its line view, or its regions with their boundaries."""
    if which == "p":
        return np.repeat(one.p[..., None], 3, axis=-1)
    picture = REGION_COLOURS[one.classes]
    picture[one.boundary] = 255
    return picture


def draw(kind: str, picture: Picture) -> None:
    """Write the picture of one metric."""
    pair = Pair(view(picture.damage(reference())), view(reference()))
    metric = registry.build("metrics", kind)
    values = {value.name: value for value in metric.conclude(totals(metric.book(pair)))}
    caption = ", ".join(f"{name} {values[name].value:.2f}" for name in picture.scores)
    panels = {
        "reference": shown(pair.reference, picture.shows),
        "candidate": shown(pair.candidate, picture.shows),
        "what is counted": counted(kind, pair, picture.colours),
    }
    figure = Figure(figsize=(9, 2.7), dpi=80)
    figure.suptitle(caption, fontsize=9, y=0.03, va="bottom")
    for axis, (title, image) in zip(figure.subplots(1, 3), panels.items(), strict=True):
        axis.imshow(image, interpolation="nearest")
        axis.set_title(title, fontsize=8)
        axis.set_axis_off()
    figure.subplots_adjust(left=0.005, right=0.995, top=0.92, bottom=0.12, wspace=0.02)
    FOLDER.mkdir(parents=True, exist_ok=True)
    figure.savefig(FOLDER / f"{kind}.png")


if __name__ == "__main__":
    for chosen in sys.argv[1:] or PICTURES:
        draw(chosen, PICTURES[chosen])

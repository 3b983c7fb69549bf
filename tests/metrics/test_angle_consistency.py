import numpy as np
import pytest
from scipy import ndimage
from skimage.morphology import skeletonize

from hedgerow.edges.views import Pair, View
from hedgerow.errors import ScoreError
from hedgerow.metrics._booking import totals
from hedgerow.metrics.angle_consistency import Config, angle_consistency, build
from hedgerow.records import FIELD, OTHER, Regions

BIN_DEG = 1 / 16
SIGMA_PX = 1.5


def soft_line(angle_deg: float, *, offset: float = 0.0, size: int = 101) -> np.ndarray:
    """A line of Gaussian profile through the middle, turned from the vertical by an angle."""
    y, x = np.indices((size, size)) - size // 2
    angle = np.radians(angle_deg)
    away = x * np.cos(angle) + y * np.sin(angle) - offset
    return np.rint(255 * np.exp(-(away**2) / (2 * SIGMA_PX**2))).astype(np.uint8)


def worst_direction_error_deg() -> float:
    """By how much a 3 x 3 Scharr gradient can misjudge the direction of a soft line.

    A wave (kx, ky) keeps its form under the operator: dx = sin kx (10 + 6 cos ky), dy = sin ky (10 + 6 cos kx). The
    gradient of the profile has an energy of k^2 exp(-(k sigma)^2): beyond k = 1.5 less than a hundredth of its peak.
    """
    k, angle = np.meshgrid(np.linspace(0.05, 1.5, 60), np.linspace(0, np.pi / 2, 181))
    kx, ky = k * np.cos(angle), k * np.sin(angle)
    seen = np.arctan2(np.sin(ky) * (10 + 6 * np.cos(kx)), np.sin(kx) * (10 + 6 * np.cos(ky)))
    return float(np.degrees(np.abs(seen - angle)).max())


@pytest.mark.parametrize("start", [0.0, 20.0, 45.0, 117.0])
@pytest.mark.parametrize("turn", [-7.0, 2.0, 5.0, 11.0])
def test_a_turned_line_is_off_by_the_angle_it_was_turned(start: float, turn: float) -> None:
    found = angle_consistency(soft_line(start + turn), soft_line(start))
    tolerance = 2 * worst_direction_error_deg() + BIN_DEG / 2
    assert tolerance < 1
    assert found.median_deg == pytest.approx(abs(turn), abs=tolerance)


@pytest.mark.parametrize("angle", [0.0, 90.0])
def test_a_shift_within_the_tolerance_turns_nothing_and_beyond_it_nothing_matches(angle: float) -> None:
    shifted = angle_consistency(soft_line(angle, offset=2), soft_line(angle))
    assert (shifted.median_deg, shifted.matched) == (0.0, shifted.n_reference)
    beyond = angle_consistency(soft_line(angle, offset=3), soft_line(angle))
    assert (beyond.median_deg, beyond.matched) == (None, 0)
    assert beyond.flag == "no lines within 2 px of each other"


def by_eigenvectors(test: np.ndarray, reference: np.ndarray) -> float:
    """The definition pixel by pixel in float64: tensors of all nearest line pixels, and their minor axes."""
    kernel = np.outer([3, 10, 3], [-1, 0, 1]).astype(float)

    def tensors(p: np.ndarray) -> np.ndarray:
        dx, dy = (ndimage.correlate(p.astype(float), k, mode="nearest") for k in (kernel, kernel.T))
        smooth = [ndimage.gaussian_filter(a, 2.0, radius=6, mode="nearest") for a in (dx * dx, dx * dy, dy * dy)]
        return np.stack([smooth[0], smooth[1], smooth[1], smooth[2]], -1).reshape(*p.shape, 2, 2)

    lines = [np.argwhere(skeletonize(p >= 128)) for p in (test, reference)]
    fields = [tensors(p) for p in (test, reference)]
    differences = []
    for pixel in lines[1]:
        square = ((lines[0] - pixel) ** 2).sum(axis=1)
        if square.min() <= 4:
            nearest = lines[0][square == square.min()]
            there = np.linalg.eigh(fields[0][tuple(nearest.T)].sum(axis=0))[1][:, 0]
            here = np.linalg.eigh(fields[1][tuple(pixel)])[1][:, 0]
            differences.append(np.degrees(np.arccos(min(abs(there @ here), 1.0))))
    return float(np.median(differences))


def view(p: np.ndarray, line: np.ndarray | None = None) -> View:
    regions = Regions(np.ones(p.shape, np.int32), np.array([OTHER, FIELD], np.uint8))
    return View(p, regions, np.ones(p.shape, bool), burned_line=line)


def score(candidate: tuple[np.ndarray, ...], reference: tuple[np.ndarray, ...]) -> float:
    metric = build(Config())
    (value,) = metric.conclude(totals(metric.book(Pair(view(*candidate), view(*reference)))))
    assert value.value is not None
    return value.value


def maps(map_of: object, seed: int) -> tuple[np.ndarray, np.ndarray]:
    return map_of(seed, move=2.0).p, map_of(seed).p  # type: ignore[operator]


@pytest.mark.parametrize("seed", [0, 4])
def test_the_median_is_that_of_the_eigenvectors(seed: int, map_of: object) -> None:
    test, reference = maps(map_of, seed)
    found = angle_consistency(test, reference).median_deg
    assert found is not None
    assert found > 1
    # Counted levels are off by half a bin at most.
    assert found == pytest.approx(by_eigenvectors(test, reference), abs=BIN_DEG / 2 + 1e-3)


@pytest.mark.parametrize("turn", [np.rot90, lambda a: np.rot90(a, 2), lambda a: a[:, ::-1], lambda a: a.T])
@pytest.mark.parametrize("seed", [2, 5])
def test_turning_or_mirroring_both_maps_with_their_lines_changes_nothing(
    seed: int, turn: object, map_of: object
) -> None:
    # With their lines: thinning an even line keeps the pixels of a fixed side, so that new lines would be others.
    lines = [skeletonize(p >= 128) for p in maps(map_of, seed)]
    straight = list(zip(maps(map_of, seed), lines, strict=True))
    turned = [tuple(np.ascontiguousarray(turn(a)) for a in parts) for parts in straight]  # type: ignore[operator]
    assert score(*turned) == pytest.approx(score(*straight), abs=BIN_DEG)
    assert score(*straight) > 1


def test_identity_is_exactly_zero_everywhere(map_of: object) -> None:
    p = map_of(1).p  # type: ignore[operator]
    booking = build(Config()).book(Pair(view(p), view(p.copy())))[0]
    assert len(booking.rows) == np.count_nonzero(skeletonize(p >= 128))
    assert not booking.levels["difference"].any()


def test_only_pixels_whose_direction_sees_no_nodata_count() -> None:
    p, valid = soft_line(0.0), np.ones((101, 101), bool)
    valid[70:] = False  # a direction sees 7 px: rows 0..62 are left
    found = angle_consistency(p, p, valid=valid)
    assert (found.n_reference, found.n_test, found.matched) == (63, 63, 63)
    hidden = np.where(valid, p, np.random.default_rng(0).integers(0, 256, p.shape).astype(np.uint8))
    assert angle_consistency(hidden, p, valid=valid) == found


def test_a_plateau_has_no_direction() -> None:
    full, line = np.full((101, 101), 255, np.uint8), soft_line(0.0)
    assert angle_consistency(full, full).median_deg is None
    assert angle_consistency(full, line).matched == 0


def test_empty_images_follow_the_one_rule() -> None:
    nothing, line = np.zeros((101, 101), np.uint8), soft_line(0.0)
    assert angle_consistency(nothing, nothing).flag == "no lines in either map"
    assert angle_consistency(nothing, nothing).median_deg is None
    lost, invented = angle_consistency(nothing, line), angle_consistency(line, nothing)
    assert (lost.median_deg, lost.flag) == (90.0, "no lines in the candidate")
    assert (invented.median_deg, invented.flag) == (90.0, "no lines in the reference")


def test_crossing_lines_differ_by_a_right_angle_at_most() -> None:
    crossed = angle_consistency(soft_line(90.0), soft_line(0.0))
    assert crossed.median_deg == 90.0
    assert crossed.matched == 5  # the pixels within 2 px of the crossing


def test_other_images_are_refused() -> None:
    p = soft_line(0.0)
    for test, reference in ((p, p[1:]), (p.astype(float), p), (p[..., None], p[..., None])):
        with pytest.raises(ScoreError, match="uint8"):
            angle_consistency(test, reference)

import pytest

from hedgerow.metrics import erq_boundary, spatial_quality
from hedgerow.records import Value


def value(name: str, number: float | None, n: int = 100) -> Value:
    return Value(name, number, "1", n, None if number is not None else "none")


def named(**numbers: float | None) -> dict[str, Value]:
    return {name: value(name, number) for name, number in numbers.items()}


def test_erq_boundary_is_the_product() -> None:
    (found,) = erq_boundary.build(erq_boundary.Config()).compose(named(continuity=0.8, sharpness=0.5))
    assert (found.name, found.value, found.terms_used) == ("erq_boundary", 0.4, ("continuity", "sharpness"))


@pytest.mark.parametrize("missing", ["continuity", "sharpness"])
def test_erq_boundary_needs_both_terms(missing: str) -> None:
    terms = {"continuity": 0.8, "sharpness": 0.5, missing: None}
    (found,) = erq_boundary.build(erq_boundary.Config()).compose(named(**terms))
    assert found.value is None
    assert found.flag == f"no value for {missing}"


TERMS = {
    "erqa": 0.5, "erqa_jaccard": 0.25, "corner_retention": 0.6, "corner_retention_raw": 1.5, "continuity": 0.9,
    "erq_boundary": 0.3,
}  # fmt: skip


def composed(numbers: dict[str, float | None], **weights: float) -> dict[str, Value]:
    composite = spatial_quality.build(spatial_quality.Config(**weights))
    return {found.name: found for found in composite.compose(named(**numbers))}


def test_the_three_forms_by_hand() -> None:
    found = composed(dict(TERMS))
    assert found["spatial_quality"].value == pytest.approx(0.4 * 0.5 + 0.3 * 0.6 + 0.3 * 0.9)
    assert found["spatial_quality_sharp"].value == pytest.approx(0.4 * 0.5 + 0.3 * 0.6 + 0.3 * 0.3)
    assert found["spatial_quality_raw"].value == pytest.approx(0.4 * 0.25 + 0.3 * 1.5 + 0.3 * 0.9)


def test_perfect_terms_give_exactly_one() -> None:
    assert {v.value for v in composed(dict.fromkeys(TERMS, 1.0)).values()} == {1.0}


def test_a_missing_term_renormalises_the_weights_and_is_named() -> None:
    found = composed({**TERMS, "corner_retention": None})["spatial_quality"]
    assert found.value == pytest.approx((0.4 * 0.5 + 0.3 * 0.9) / 0.7)
    assert found.terms_used == ("erqa", "continuity")


def test_no_term_at_all_is_not_applicable() -> None:
    found = composed(dict.fromkeys(TERMS))["spatial_quality"]
    assert found.value is None
    assert found.flag
    assert composed({})["spatial_quality"].value is None


def test_other_weights_have_a_name_of_their_own() -> None:
    found = composed(dict(TERMS), edges=1, corners=0, continuity=0)
    assert found["spatial_quality@1,0,0"].value == 0.5

"""What the tests of the stages share: an `Each` that is as unkind as a process pool, and when two maps are the same."""

import pickle
import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
import shapely

from hedgerow.records import FieldMap


def shuffling(seed: int) -> Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]:
    """Return an `Each` that works in any order and sends everything through pickle."""

    def each(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        items = list(items)
        results = {}
        for i in random.Random(seed).sample(range(len(items)), len(items)):
            call, item = pickle.loads(pickle.dumps((function, items[i])))
            results[i] = pickle.loads(pickle.dumps(call(item)))
        return (results[i] for i in range(len(items)))

    return each


@pytest.fixture(scope="session")
def shuffled_and_pickled() -> Callable[[int], Any]:
    """`shuffling`, by seed."""
    return shuffling


@pytest.fixture(scope="session")
def all_of() -> Callable[[FieldMap], list[Any]]:
    """All that a map says, its coordinates to the last bit."""

    def told(found: FieldMap) -> list[Any]:
        frames = (found.fields, found.borders)
        columns = [frame.drop(columns="geometry").to_json() for frame in frames]
        return [*(shapely.to_wkb(frame.geometry.values).tolist() for frame in frames), *columns, dict(found.summary)]

    return told

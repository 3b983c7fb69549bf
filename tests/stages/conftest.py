"""What the tests of the stages share: an `Each` that is as unkind as a process pool."""

import pickle
import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest


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

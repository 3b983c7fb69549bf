"""Walking linked lists: open chains from their heads, rings from their smallest link."""

import numpy as np

from hedgerow.arcs.chains import walked


def test_open_chains_come_first_and_rings_from_their_smallest_link():
    # 2 -> 0 -> 4 is open; 1 -> 5 -> 3 -> 1 is a ring.
    chains = walked(np.array([4, 5, 0, 1, -1, 3]))
    assert chains.order.tolist() == [2, 0, 4, 1, 5, 3]
    assert chains.offsets.tolist() == [0, 3, 6]
    assert chains.first_ring == 1


def test_a_link_that_follows_itself_is_a_ring_of_one():
    chains = walked(np.array([0, -1]))
    assert chains.order.tolist() == [1, 0]
    assert chains.first_ring == 1


def test_nothing_to_walk():
    assert walked(np.zeros(0, np.int64)).offsets.tolist() == [0]

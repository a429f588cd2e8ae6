"""Numbers that mean one value though they are not written alike."""

from collections.abc import Sequence
from itertools import pairwise


def clusters(values: Sequence[float], tolerance: float) -> list[int]:
    """Number of the cluster of each value, from 0 for the lowest.

    Neighbours in order that differ by at most ``tolerance`` belong together; so values that all lie
    within it are one cluster wherever they lie: there is no edge as there is in rounding.
    """
    ordered = sorted(range(len(values)), key=values.__getitem__)
    numbers, number = [0] * len(values), 0
    for before, n in pairwise(ordered):
        number += values[n] - values[before] > tolerance
        numbers[n] = number
    return numbers

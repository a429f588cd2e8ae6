"""Smooth shapes by their distance: negative inside, in mm, in LPS coordinates."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Field: TypeAlias = NDArray[np.float32]
Point: TypeAlias = tuple[float, float, float]
Bounds: TypeAlias = tuple[Point, Point]
_FAR = 1e4


class Shape(Protocol):
    """Something with an inside."""

    def bounds(self) -> Bounds:
        """Lowest and highest corner of a box around it, LPS mm."""

    def distance(self, x: Field, y: Field, z: Field) -> Field:
        """Signed distance in mm (nearly, for ellipsoids) at broadcast coordinates."""


@dataclass(frozen=True, slots=True)
class Ellipsoid:
    """Ellipsoid along the axes."""

    centre: Point
    radii: Point

    def bounds(self) -> Bounds:
        """Box around it."""
        return _around([self.centre], self.radii)

    def distance(self, x: Field, y: Field, z: Field) -> Field:
        """First-order distance: exact on the surface, good near it."""
        (a, b, c), (ra, rb, rc) = self.centre, self.radii
        u, v, w = (x - a) / ra, (y - b) / rb, (z - c) / rc
        level = np.sqrt(u * u + v * v + w * w)
        u, v, w = u / ra, v / rb, w / rc
        slope = np.sqrt(u * u + v * v + w * w)
        result: Field = level * (level - 1.0) / np.maximum(slope, 1e-6)
        return result


@dataclass(frozen=True, slots=True)
class Tube:
    """Chain of round cones through points, with a radius at each."""

    points: tuple[Point, ...]
    radii: tuple[float, ...]

    def bounds(self) -> Bounds:
        """Box around it."""
        widest = max(self.radii)
        return _around(self.points, (widest, widest, widest))

    def distance(self, x: Field, y: Field, z: Field) -> Field:
        """Distance to the nearest link."""
        links = zip(pairwise(self.points), pairwise(self.radii), strict=True)
        return union(*[_link(ends, radii, x, y, z) for ends, radii in links])


@dataclass(frozen=True, slots=True)
class Box:
    """Box along the axes with rounded edges."""

    centre: Point
    half: Point
    rounding: float = 2.0

    def bounds(self) -> Bounds:
        """Box around it."""
        return _around([self.centre], self.half)

    def distance(self, x: Field, y: Field, z: Field) -> Field:
        """Distance to the rounded box."""
        r = self.rounding
        u, v, w = (
            np.abs(axis - middle) - (half - r)
            for axis, middle, half in zip((x, y, z), self.centre, self.half, strict=True)
        )
        out = np.sqrt(np.maximum(u, 0) ** 2 + np.maximum(v, 0) ** 2 + np.maximum(w, 0) ** 2)
        result: Field = out + np.minimum(np.maximum(np.maximum(u, v), w), 0) - r
        return result


@dataclass(frozen=True, slots=True)
class Mirrored:
    """A shape and its reflection from left to right."""

    shape: Shape

    def bounds(self) -> Bounds:
        """Box around both."""
        (_, b0, c0), (a1, b1, c1) = self.shape.bounds()
        return (-a1, b0, c0), (a1, b1, c1)

    def distance(self, x: Field, y: Field, z: Field) -> Field:
        """Distance to the nearer of both; the shape itself lies on the left, x > 0."""
        return self.shape.distance(np.abs(x), y, z)


@dataclass(frozen=True, slots=True)
class Blend:
    """Several shapes melted into one, with joints about ``soft`` mm wide."""

    shapes: tuple[Shape, ...]
    soft: float

    def bounds(self) -> Bounds:
        """Box around all."""
        boxes = [shape.bounds() for shape in self.shapes]
        low, high = np.min([b[0] for b in boxes], axis=0), np.max([b[1] for b in boxes], axis=0)
        return tuple(low - self.soft), tuple(high + self.soft)

    def distance(self, x: Field, y: Field, z: Field) -> Field:
        """Polynomial smooth minimum of the distances."""
        total = self.shapes[0].distance(x, y, z)
        for shape in self.shapes[1:]:
            total = soft_union(total, shape.distance(x, y, z), self.soft)
        return total


def union(*distances: Field) -> Field:
    """Distance to the nearest of several."""
    total = distances[0]
    for other in distances[1:]:
        total = np.minimum(total, other)
    return total


def soft_union(a: Field, b: Field, soft: float) -> Field:
    """Union whose joint is rounded over ``soft`` mm."""
    overlap = np.maximum(soft - np.abs(a - b), 0) / soft
    result: Field = np.minimum(a, b) - overlap * overlap * (soft / 4)
    return result


def soft_intersection(a: Field, b: Field, soft: float) -> Field:
    """Intersection whose edge is rounded over ``soft`` mm."""
    return -soft_union(-a, -b, soft)


def waves(x: Field, y: Field, z: Field, *, length_mm: float, count: int, seed: int) -> Field:
    """Smooth noise of one wavelength: plane waves in random directions, about unit variance."""
    random = np.random.default_rng(seed)
    total: Field = np.zeros(np.broadcast_shapes(x.shape, y.shape, z.shape), np.float32)
    for _ in range(count):
        direction = random.normal(size=3)
        direction *= 2 * np.pi / length_mm / np.linalg.norm(direction)
        a, b, c = direction.astype(np.float32)
        total += np.cos(a * x + b * y + c * z + np.float32(random.uniform(0, 2 * np.pi)))
    result: Field = total * np.float32(np.sqrt(2.0 / count))
    return result


def _link(
    ends: tuple[Point, Point], radii: tuple[float, float], x: Field, y: Field, z: Field
) -> Field:
    start, end = np.asarray(ends[0], np.float32), np.asarray(ends[1], np.float32)
    along = end - start
    u, v, w = x - start[0], y - start[1], z - start[2]
    t = (u * along[0] + v * along[1] + w * along[2]) / np.float32(along @ along)
    t = np.clip(t, 0, 1)
    u, v, w = u - t * along[0], v - t * along[1], w - t * along[2]
    result: Field = np.sqrt(u * u + v * v + w * w) - (radii[0] + t * (radii[1] - radii[0]))
    return result


def _around(points: Sequence[Point], reach: Point) -> Bounds:
    low, high = np.min(points, axis=0) - reach, np.max(points, axis=0) + reach
    return tuple(float(v) for v in low), tuple(float(v) for v in high)  # type: ignore[return-value]

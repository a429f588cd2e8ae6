"""What the headers of one sender's instances have in common, passed in one comparison each.

Nine tenths of a header are the same in every slice of a series. Where the bytes of several elements
are those of the instance before, they mean the same; only what changes from slice to slice is read
anew. Bytes that are not the same are read as ever, so that a wrong guess costs time and no more.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

Element = tuple[int, int, int]
"""Tag, and where the element begins and ends, its tag included."""

# After an instance that is unlike the one before: so many are read without a guess, then twice as
# many, so that a sender whose headers have no order is not made to wait for our learning.
_FIRST_PAUSE, _LONGEST_PAUSE = 1, 64


@dataclass(frozen=True, slots=True)
class _Run:
    """Elements that follow each other and were the same in two instances."""

    data: bytes
    values: dict[int, bytes]
    """What is wanted of them, by tag."""


class Alike:
    """Remembers the last header; for one thread."""

    def __init__(
        self,
        elements: Callable[[bytes], Iterable[Element]],
        values: Callable[[bytes, Sequence[Element]], dict[int, bytes]],
    ) -> None:
        """``elements`` are those a header begins with, ``values`` what is wanted of some."""
        self._elements = elements
        self._values = values
        self._before: list[tuple[int, bytes]] = []
        self._steps: list[_Run | int] = []
        self._waits, self._pause = 0, _FIRST_PAUSE
        self._once_more = False

    def skip(
        self,
        data: bytes,
        found: dict[int, bytes],
        one: Callable[[bytes, int, int, dict[int, bytes]], int],
    ) -> int:
        """Pass what is as it was; where to go on. ``found`` gets what is wanted of it.

        ``one`` passes the element of a tag at a position, or stays there when another follows.
        """
        position = 0
        for step in self._steps:
            if isinstance(step, int):
                after = one(data, position, step, found)
                if after == position:
                    break
                position = after
            elif data.startswith(step.data, position):
                found.update(step.values)
                position += len(step.data)
            else:
                break
        else:
            if self._steps:
                self._pause = _FIRST_PAUSE
                if self._once_more:  # within one series less changes than from one to the next
                    self._once_more = False
                    self._learn(data)
                return position
        if self._waits:
            self._waits -= 1
        else:
            self._once_more = True
            self._learn(data)
        return position

    def _learn(self, data: bytes) -> None:
        """Compare with the header before; what differs in two instances will again."""
        elements = list(self._elements(data))
        header = [(tag, data[start:end]) for tag, start, end in elements]
        tags = [tag for tag, _ in header]
        if header == self._before:  # the same instance read twice says nothing of a series
            self._once_more = True
            return
        before, self._before = self._before, header
        self._steps = []
        # A tag that comes twice would be taken the second time here, and the first elsewhere.
        if tags != [tag for tag, _ in before] or sorted(set(tags)) != tags:
            self._waits = self._pause if before else 0
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
            return
        same: list[Element] = []
        for element, now, then in zip(elements, header, before, strict=True):
            if now == then:
                same.append(element)
                continue
            self._end_run(data, same)
            same = []
            self._steps.append(element[0])
        self._end_run(data, same)

    def _end_run(self, data: bytes, same: Sequence[Element]) -> None:
        if same:
            run = data[same[0][1] : same[-1][2]]
            self._steps.append(_Run(run, self._values(data, same)))

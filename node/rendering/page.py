"""The report as one picture, for viewers that show nothing else."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from node.domain.qa_report import QaCheck, QaReport
from node.rendering.planes import Planes, grid_of, pictures
from node.rendering.texts import (
    COLOURS,
    COLUMNS,
    PICTURES,
    TITLE,
    Heading,
    cells,
    legend,
    lines,
    note,
)

WIDTH, HEIGHT = 1240, 1754  # A4 at 150 dpi
_MARGIN, _LINE = 50, 27
_INK, _FAINT, _PAPER = (20, 20, 20), (80, 80, 80), (255, 255, 255)
_LEFT = (0, 560, 740, 980)
"""Of the table's columns."""


def draw_page(heading: Heading, report: QaReport, planes: Planes) -> NDArray[np.uint8]:
    """Draw heading, pictures and the table of checks: (rows, columns, 3), black on white.

    What does not fit is counted in the last line: the report itself has every row.
    """
    image = Image.new("RGB", (WIDTH, HEIGHT), _PAPER)
    draw = ImageDraw.Draw(image)
    top = _heading(draw, heading, report)
    top = _pictures(image, draw, planes, top)
    _table(draw, report, top)
    return np.asarray(image)


def _heading(draw: ImageDraw.ImageDraw, heading: Heading, report: QaReport) -> int:
    draw.text((_MARGIN, 40), TITLE, _INK, _font(34))
    verdict = report.verdict.value
    draw.text((WIDTH - _MARGIN, 40), verdict.upper(), COLOURS[verdict], _font(34), anchor="ra")
    top = 96
    for line in lines(heading, report):
        draw.text((_MARGIN, top), line, _INK, _font(19))
        top += _LINE
    return top + 8


def _pictures(image: Image.Image, draw: ImageDraw.ImageDraw, planes: Planes, top: int) -> int:
    width = WIDTH - 2 * _MARGIN
    for n, name in enumerate(PICTURES):
        draw.text((_MARGIN + n * width // 3 + 6, top), name, _INK, _font(19))
    top += _LINE
    drawn = Image.fromarray(grid_of(pictures(planes)))
    scale = min(width / drawn.width, 960 / drawn.height)
    size = (round(drawn.width * scale), round(drawn.height * scale))
    black = Image.new("RGB", (width, size[1]))
    black.paste(drawn.resize(size, Image.Resampling.BICUBIC), ((width - size[0]) // 2, 0))
    image.paste(black, (_MARGIN, top))
    top += size[1] + 6
    names = [structure.name for structure, _ in planes.structures]
    draw.text((_MARGIN, top), legend(names), _INK, _font(17))
    left = _MARGIN + 740
    for structure, _ in planes.structures:
        draw.rectangle((left, top + 3, left + 26, top + 17), structure.colour, _INK)
        draw.text((left + 34, top), structure.name, _INK, _font(17))
        left += 130
    return top + _LINE + 10


def _table(draw: ImageDraw.ImageDraw, report: QaReport, top: int) -> None:
    for left, column in zip(_LEFT, COLUMNS, strict=True):
        draw.text((_MARGIN + left, top), column, _INK, _font(19))
    top += _LINE
    draw.line((_MARGIN, top - 3, WIDTH - _MARGIN, top - 3), _INK)
    for n, check in enumerate(report.checks):
        told = _told(draw, check)
        if top + (3 + len(told)) * _LINE > HEIGHT - _MARGIN:
            rest = len(report.checks) - n
            draw.text((_MARGIN, top), f"{rest} more in the report", _INK, _font(18))
            return
        colour = COLOURS[check.verdict.value]
        for left, text in zip(_LEFT, cells(check), strict=True):
            draw.text((_MARGIN + left, top), text, colour if left == _LEFT[-1] else _INK, _font(18))
        top += _LINE
        for line in told:
            draw.text((_MARGIN + 20, top), line, _FAINT, _font(16))
            top += _LINE - 6
    draw.text((_MARGIN, top + 4), note(report), _FAINT, _font(16))


def _told(draw: ImageDraw.ImageDraw, check: QaCheck) -> list[str]:
    """The sentence of a check, in lines that fit."""
    width = WIDTH - 2 * _MARGIN - 20
    found: list[str] = []
    for word in check.sentence.split():
        if found and draw.textlength(f"{found[-1]} {word}", _font(16)) <= width:
            found[-1] += f" {word}"
        else:
            found.append(word)
    return found


@cache
def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    """The face that Pillow brings: no font of the system is asked for."""
    return ImageFont.load_default(size)

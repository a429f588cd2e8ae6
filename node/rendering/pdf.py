"""The report as a PDF to print, with the faces every PDF reader has."""

import io
from collections.abc import Callable
from xml.sax.saxutils import escape

from PIL import Image as Picture
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, Image, Paragraph, SimpleDocTemplate, Spacer, Table

from node.domain.qa_report import QaReport
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
    printable,
)

_WIDTH = A4[0] - 36 * mm
_TALLEST = 150 * mm
_HEAD = ParagraphStyle("head", fontName="Helvetica-Bold", fontSize=15, leading=20)
_BODY = ParagraphStyle("body", fontName="Helvetica", fontSize=8.5, leading=11)
_COLUMN = ParagraphStyle("column", fontName="Helvetica-Bold", fontSize=8.5, leading=11)
_WIDTHS = [0.5 * _WIDTH, 0.15 * _WIDTH, 0.2 * _WIDTH, 0.15 * _WIDTH]


def draw_pdf(heading: Heading, report: QaReport, planes: Planes) -> bytes:
    """Lay the report out on A4; the same report gives the same bytes."""
    buffer = io.BytesIO()
    document = SimpleDocTemplate(
        buffer,
        pagesize=A4,
        invariant=1,  # no clock, no chance
        title=TITLE,
        author="pctnode",
        leftMargin=18 * mm,
        rightMargin=18 * mm,
        topMargin=16 * mm,
        bottomMargin=16 * mm,
    )
    story = [*_heading(heading, report), *_pictures(planes), _table(report)]
    story.append(Paragraph(note(report), _BODY))
    document.build(story, onFirstPage=_foot(heading), onLaterPages=_foot(heading))
    return buffer.getvalue()


def _heading(heading: Heading, report: QaReport) -> list[Flowable]:
    verdict = report.verdict.value
    title = f'{TITLE}: <font color="{_hex(verdict)}">{verdict}</font>'
    told = [Paragraph(escape(printable(line)), _BODY) for line in lines(heading, report)]
    return [Paragraph(title, _HEAD), *told, Spacer(0, 3 * mm)]


def _pictures(planes: Planes) -> list[Flowable]:
    drawn = Picture.fromarray(grid_of(pictures(planes)))
    png = io.BytesIO()
    drawn.save(png, "PNG")
    scale = min(_WIDTH / drawn.width, _TALLEST / drawn.height)
    above = Table(
        [[Paragraph(name, _COLUMN) for name in PICTURES]], colWidths=[drawn.width * scale / 3] * 3
    )
    names = [structure.name for structure, _ in planes.structures]
    return [
        above,
        Image(png, width=drawn.width * scale, height=drawn.height * scale),
        Paragraph(legend(names), _BODY),
        Spacer(0, 3 * mm),
    ]


def _table(report: QaReport) -> Table:
    rows = [[Paragraph(column, _COLUMN) for column in COLUMNS]]
    for check in report.checks:
        title, value, limit, verdict = (escape(printable(text)) for text in cells(check))
        if check.sentence:
            title += f"<br/>{escape(printable(check.sentence))}"
        coloured = f'<font color="{_hex(check.verdict.value)}">{verdict}</font>'
        rows.append([Paragraph(text, _BODY) for text in (title, value, limit, coloured)])
    lined = [("LINEBELOW", (0, 0), (-1, -1), 0.3, colors.grey), ("VALIGN", (0, 0), (-1, -1), "TOP")]
    return Table(rows, colWidths=_WIDTHS, repeatRows=1, style=lined)


def _foot(heading: Heading) -> Callable[[Canvas, SimpleDocTemplate], None]:
    def drawn(canvas: Canvas, document: SimpleDocTemplate) -> None:
        told = printable(f"{heading.patient_id}   {heading.series_instance_uid}")
        canvas.setFont("Helvetica", 7.5)
        canvas.drawString(18 * mm, 9 * mm, told)
        canvas.drawRightString(A4[0] - 18 * mm, 9 * mm, f"Page {document.page}")

    return drawn


def _hex(verdict: str) -> str:
    return "#{:02x}{:02x}{:02x}".format(*COLOURS[verdict])

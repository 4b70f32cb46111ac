"""A report as a PDF: ReportLab sets the text, Matplotlib draws the figures and brings the font (DejaVu, Unicode)."""

import io
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from core.reviews.flow import Flow
from core.reviews.flow_picture import draw_on_paper
from core.reviews.report_html import ACCENTS, FAINT_INK, INK, LINE
from core.reviews.report_sections import Block, Figures, Section, Table, band_of, legend

FONT, BOLD = "DejaVuSans", "DejaVuSans-Bold"
PAGE_MM, MARGIN_MM = (210, 297), 18
FRAME_PADDING = 6  # points that ReportLab keeps free on each side within the margins: of text, not of wide tables
DPI = 150
LONG_WORD, CHARACTER_MM, CELL_GAP_MM = 20, 1.65, 2.0  # of the bold head of a table, at its size
WIDE_CELL = 46  # characters; a table of facts gives its second column what is left


def draw_pdf(title: str, sections: Sequence[Section], result: Mapping[str, Any]) -> bytes:
    """The whole document as bytes."""
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.units import mm
    from reportlab.platypus import Paragraph, SimpleDocTemplate

    _register_fonts()
    styles = _styles()
    story: list[Any] = [Paragraph(escape(title), styles["title"])]
    for section in sections:
        story.append(Paragraph(escape(section.title), styles["heading"]))
        for block in section.blocks:
            story += _flow(block, result, styles)
    stream = io.BytesIO()
    margins = {f"{side}Margin": MARGIN_MM * mm for side in ("top", "bottom")}
    margins |= {f"{side}Margin": MARGIN_MM * mm - FRAME_PADDING for side in ("left", "right")}
    document = SimpleDocTemplate(stream, pagesize=A4, title=title, author="Readroom", **margins)

    def number_page(canvas: Any, _: Any) -> None:
        canvas.setFont(FONT, 7)
        canvas.drawString(MARGIN_MM * mm, 10 * mm, title[:110])
        canvas.drawRightString((PAGE_MM[0] - MARGIN_MM) * mm, 10 * mm, f"page {canvas.getPageNumber()}")

    document.build(story, onFirstPage=number_page, onLaterPages=number_page)
    return stream.getvalue()


def _register_fonts() -> None:
    import matplotlib
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    for name in (FONT, BOLD):
        pdfmetrics.registerFont(TTFont(name, str(folder / f"{name}.ttf")))


def _styles() -> dict[str, Any]:
    from reportlab.lib.styles import ParagraphStyle

    base: dict[str, Any] = {"fontName": FONT, "fontSize": 8.5, "leading": 12, "textColor": INK, "spaceAfter": 4}
    return {
        "title": ParagraphStyle("title", **{**base, "fontName": BOLD, "fontSize": 15, "leading": 20, "spaceAfter": 8}),
        "heading": ParagraphStyle(
            "heading", **{**base, "fontName": BOLD, "fontSize": 11, "leading": 15, "spaceBefore": 10, "keepWithNext": 1}
        ),
        "text": ParagraphStyle("text", **base),
        "cell": ParagraphStyle("cell", **{**base, "fontSize": 7.2, "leading": 9.4, "spaceAfter": 0}),
        "head": ParagraphStyle("head", **{**base, "fontName": BOLD, "fontSize": 7.2, "leading": 9.4, "spaceAfter": 0}),
    }


def _flow(block: Block, result: Mapping[str, Any], styles: Mapping[str, Any]) -> list[Any]:
    from reportlab.lib.units import mm
    from reportlab.platypus import Image, Paragraph, Spacer

    if isinstance(block, str):
        return [Paragraph(escape(block).replace("\n", "<br/>"), styles["text"])]
    if isinstance(block, Table):
        return [_table(block, styles), Spacer(1, 2 * mm)] if block.rows else []
    if isinstance(block, Flow):
        points = (PAGE_MM[0] - 2 * MARGIN_MM) * mm
        return [draw_on_paper(block, points, ink=INK, line=FAINT_INK, font=FONT, bold=BOLD), Spacer(1, 2 * mm)]
    if isinstance(block, Figures):
        width = PAGE_MM[0] - 2 * MARGIN_MM
        return [Image(io.BytesIO(png), width * mm, width * mm * share) for png, share in draw_figures(result)]
    return [Paragraph(f"• {escape(one)}", styles["text"]) for one in block]


def _table(table: Table, styles: Mapping[str, Any]) -> Any:
    from reportlab.lib.colors import HexColor
    from reportlab.lib.units import mm
    from reportlab.platypus import Paragraph
    from reportlab.platypus import Table as Grid

    rows = [[Paragraph(escape(cell), styles["cell"]) for cell in row] for row in table.rows]
    if table.head:
        rows.insert(0, [Paragraph(escape(cell), styles["head"]) for cell in table.head])
    widths = [width * mm for width in share_width(table)]
    # A dissent or an action may fill pages: a row that is higher than one is parted, where ReportLab would give up.
    grid = Grid(rows, colWidths=widths, repeatRows=1 if table.head else 0, splitInRow=1)
    grid.setStyle(
        [
            ("LINEBELOW", (0, 0), (-1, -1), 0.4, HexColor(LINE)),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("RIGHTPADDING", (0, 0), (-1, -1), 5),
            ("TOPPADDING", (0, 0), (-1, -1), 2),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
        ]
    )
    return grid


def share_width(table: Table) -> list[float]:
    """Widths of the columns in mm: room for each longest word, so that none is broken; the rest by length of cells."""
    columns = list(zip(*filter(None, (table.head, *table.rows)), strict=True))
    widest = [min(WIDE_CELL, max(10, *map(len, cells))) for cells in columns]
    words = [max(len(word) for cell in cells for word in [*cell.split(), ""]) for cells in columns]
    least = [CELL_GAP_MM + CHARACTER_MM * min(LONG_WORD, longest) for longest in words]
    room = PAGE_MM[0] - 2 * MARGIN_MM
    if sum(least) > room:
        return [room * one / sum(widest) for one in widest]
    return [width + (room - sum(least)) * one / sum(widest) for width, one in zip(least, widest, strict=True)]


def draw_figures(result: Mapping[str, Any]) -> list[tuple[bytes, float]]:
    """PNG bytes with height over width: the curves and the matrix of a classification; other tasks have tables only."""
    if "curves" not in result:
        return []
    from matplotlib import rc_context

    with rc_context({"text.parse_math": False}):  # a name with two dollar signs is no formula
        return [_draw_panels(result)]


def _draw_panels(result: Mapping[str, Any]) -> tuple[bytes, float]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 3)
    _curves(panels[0], result, "roc", "false_positive_rate", "true_positive_rate", "1 − specificity", "sensitivity")
    _curves(panels[1], result, "precision_recall", "recall", "precision", "recall", "precision")
    matrix = result["confusion_matrix"]
    if isinstance(matrix[0][0], list):  # several classes an image: a table of each, which the table of numbers tells
        panels[2].axis("off")
    else:
        _matrix(panels[2], matrix, list(result["classes"]))
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue(), 3.2 / 9


def _curves(panel: Any, result: Mapping[str, Any], kind: str, x: str, y: str, x_title: str, y_title: str) -> None:
    for at, (name, curve) in enumerate(result["curves"][kind].items()):
        if curve:
            colour = ACCENTS[at % len(ACCENTS)]
            if band := band_of(result, kind, name):
                panel.fill_between(*band, color=colour, alpha=0.18, linewidth=0)
            panel.plot(curve[x], curve[y], color=colour, label=legend(result, kind, name), linewidth=1.4)
    panel.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel=x_title, ylabel=y_title)
    panel.grid(color=LINE, linewidth=0.5)
    if panel.lines:
        panel.legend(fontsize=6)


def _matrix(panel: Any, counts: Sequence[Sequence[int]], names: Sequence[str]) -> None:
    panel.imshow(counts, cmap="Blues")
    most = max(max(row) for row in counts)
    for row, cells in enumerate(counts):
        for column, cell in enumerate(cells):
            panel.text(column, row, f"{cell:,}", ha="center", va="center", color="white" if cell > most / 2 else INK)
    panel.set_xticks(range(len(names)), names, fontsize=7, rotation=20)
    panel.set_yticks(range(len(names)), names, fontsize=7)
    panel.set(xlabel="predicted", ylabel="reference")

"""The flow of participants as a picture: one layout, drawn as SVG for pages and by ReportLab for paper."""

from dataclasses import dataclass
from html import escape
from textwrap import wrap
from typing import Any

from core.reviews.flow import Box, Flow, describe_box

WIDTH = 940.0
MAIN_X, MAIN_WIDTH = 40.0, 460.0
SIDE_X, SIDE_WIDTH = 580.0, 340.0
SPLIT_WIDTH, SPLIT_GAP = 300.0, 20.0
GAP, PADDING = 22.0, 8.0
FONT, LINE = 13.0, 17.0  # height of letters and of a line
CHARACTER = 7.1  # mean width of one in these letters, bold titles included
HEAD = 6.0  # of an arrow
FONTS = "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif"


@dataclass(frozen=True)
class Placed:
    """A box where it stands, from its upper left corner; the first of its lines is its title."""

    x: float
    y: float
    width: float
    height: float
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Arrow:
    """From one point to another; the head is at the second, but of a line that only leads on to others."""

    x1: float
    y1: float
    x2: float
    y2: float
    headed: bool = True


@dataclass(frozen=True)
class Layout:
    """`WIDTH` by `height`, y downwards."""

    height: float
    boxes: tuple[Placed, ...]
    arrows: tuple[Arrow, ...]


def lay_out(flow: Flow) -> Layout:
    """Files, cases and snapshot below each other, what leaves or joins beside them, then the splits in a row."""
    boxes: list[Placed] = []
    arrows: list[Arrow] = []
    y = 1.0
    above: Placed | None = None
    for main, beside, joins in (
        (flow.files, [flow.not_taken], False),
        (flow.cases, [flow.left_out], False),
        (flow.snapshot, [one for one in (flow.erased, flow.drawn) if one.n], bool(flow.drawn.n)),
    ):
        placed = _placed(main, MAIN_X, y, MAIN_WIDTH)
        boxes.append(placed)
        if above:
            arrows.append(_down(above, placed))
        side_y = y
        for at, one in enumerate(beside):
            side = _placed(one, SIDE_X, side_y, SIDE_WIDTH)
            boxes.append(side)
            arrows.append(_aside(placed, side, inwards=joins and at == len(beside) - 1))
            side_y += side.height + GAP / 2
        y = max(y + placed.height, side_y - GAP / 2) + GAP
        above = placed
    assert above is not None
    splits = [_placed(one, at * (SPLIT_WIDTH + SPLIT_GAP), y, SPLIT_WIDTH) for at, one in enumerate(flow.splits)]
    bar = y - GAP / 2
    arrows += [Arrow(_middle(one), bar, _middle(one), y) for one in splits]
    test = splits[-1]
    y += max(one.height for one in splits) + GAP
    answered = _placed(flow.answered, test.x, y, SPLIT_WIDTH)
    boxes += [*splits, answered]
    arrows.append(_down(test, answered))
    if flow.unanswered.n:
        lacking = _placed(flow.unanswered, splits[1].x, y, SPLIT_WIDTH)
        boxes.append(lacking)
        arrows.append(Arrow(_middle(test), y - GAP / 2, _middle(lacking), y))
    fork = (
        Arrow(_middle(above), above.y + above.height, _middle(above), bar, headed=False),
        Arrow(_middle(splits[0]), bar, _middle(test), bar, headed=False),
    )
    return Layout(y + answered.height + 1, tuple(boxes), (*fork, *arrows))


def draw_svg(flow: Flow, *, ink: str, line: str) -> str:
    """The picture as text of an `<svg>`, as wide as there is room."""
    layout = lay_out(flow)
    drawn = "".join(_box_svg(one, ink, line) for one in layout.boxes)
    arrows = "".join(_arrow_svg(one, ink) for one in layout.arrows)
    told = escape(describe_flow_in_words(flow))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-1 0 {WIDTH + 2:g} {layout.height:g}" role="img" '
        f'aria-label="{told}" font-family="{FONTS}" font-size="{FONT:g}" style="max-width:{WIDTH:g}px;width:100%">'
        f"<title>{told}</title>{arrows}{drawn}</svg>"
    )


def describe_flow_in_words(flow: Flow) -> str:
    """What the picture says, for whoever does not see it."""
    return " ".join("; ".join(describe_box(one)) + "." for one in flow.boxes)


def draw_on_paper(flow: Flow, width: float, *, ink: str, line: str, font: str, bold: str) -> Any:
    """The picture as a drawing of ReportLab, `width` points wide."""
    from reportlab.graphics.shapes import Drawing, Group, Line, Polygon, Rect, String
    from reportlab.lib.colors import HexColor, white

    layout = lay_out(flow)
    scale = width / WIDTH
    group = Group(transform=(scale, 0, 0, -scale, 0, layout.height * scale))  # as on a screen, y runs downwards
    for one in layout.arrows:
        group.add(Line(one.x1, one.y1, one.x2, one.y2, strokeColor=HexColor(ink), strokeWidth=1))
        if head := _head(one):
            group.add(Polygon([part for point in head for part in point], fillColor=HexColor(ink), strokeWidth=0))
    for box in layout.boxes:
        group.add(Rect(box.x, box.y, box.width, box.height, fillColor=white, strokeColor=HexColor(line), strokeWidth=1))
    drawing = Drawing(width, layout.height * scale)
    drawing.add(group)
    for box in layout.boxes:  # beside the group: letters would stand on their heads in it
        for at, text in enumerate(box.lines):
            x, y = box.x + PADDING, layout.height - box.y - PADDING - (at + 0.75) * LINE
            name, size = bold if at == 0 else font, FONT * 0.9 * scale  # letters of paper are wider than a screen's
            drawing.add(String(x * scale, y * scale, text, fontName=name, fontSize=size, fillColor=HexColor(ink)))
    return drawing


def _placed(box: Box, x: float, y: float, width: float) -> Placed:
    most = int((width - 2 * PADDING) / CHARACTER)
    lines = [part for text in describe_box(box) for part in wrap(text, most) or [""]]
    return Placed(x, y, width, len(lines) * LINE + 2 * PADDING, tuple(lines))


def _middle(box: Placed) -> float:
    return box.x + box.width / 2


def _down(above: Placed, below: Placed) -> Arrow:
    return Arrow(_middle(below), above.y + above.height, _middle(below), below.y)


def _aside(main: Placed, side: Placed, *, inwards: bool) -> Arrow:
    y = side.y + PADDING + LINE
    out, into = main.x + main.width, side.x
    return Arrow(into, y, out, y) if inwards else Arrow(out, y, into, y)


def _head(arrow: Arrow) -> list[tuple[float, float]]:
    """The three points of an arrow's head."""
    if not arrow.headed:
        return []
    x, y = arrow.x2, arrow.y2
    if arrow.y2 == arrow.y1:
        back = x - HEAD if arrow.x2 > arrow.x1 else x + HEAD
        return [(x, y), (back, y - HEAD / 2), (back, y + HEAD / 2)]
    return [(x, y), (x - HEAD / 2, y - HEAD), (x + HEAD / 2, y - HEAD)]


def _box_svg(box: Placed, ink: str, line: str) -> str:
    texts = "".join(
        f'<text x="{box.x + PADDING:g}" y="{box.y + PADDING + (at + 0.75) * LINE:g}" fill="{ink}"'
        f' font-weight="{600 if at == 0 else 400}">{escape(text)}</text>'
        for at, text in enumerate(box.lines)
    )
    return (
        f'<rect x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}" rx="3" fill="none" '
        f'stroke="{line}"/>{texts}'
    )


def _arrow_svg(arrow: Arrow, ink: str) -> str:
    points = " ".join(f"{x:g},{y:g}" for x, y in _head(arrow))
    return (
        f'<line x1="{arrow.x1:g}" y1="{arrow.y1:g}" x2="{arrow.x2:g}" y2="{arrow.y2:g}" stroke="{ink}"/>'
        f'<polygon points="{points}" fill="{ink}"/>'
    )

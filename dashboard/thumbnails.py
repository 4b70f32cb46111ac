"""A page of cases as one block of HTML: images by address, each a link. A hundred cost one element, not a hundred."""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from core.projects.schema import LabelSchema
from dashboard import wording
from dashboard.prefix import at


def grid_html(tiles: Iterable[Mapping[str, Any]], schema: LabelSchema) -> str:
    """Tiles with `address`, `pixel_hash`, `name`, `reference` (or None), and where there are any `source`, which is
    read under the pointer, `flagged`, `said`, `wrong`, `synthetic`."""
    return f'<div class="rr-grid">{"".join(_tile(tile, schema) for tile in tiles)}</div>'


def _tile(tile: Mapping[str, Any], schema: LabelSchema) -> str:
    name = escape(tile["name"])
    flag = '<span class="rr-flag" title="flagged">⚑</span>' if tile["flagged"] else ""
    reference = (
        wording.chips(tile["reference"], schema) if tile["reference"] else '<span class="rr-quiet">no reference</span>'
    )
    if tile.get("synthetic"):
        flag += '<span class="rr-synthetic">synthetic</span>'
        reference = '<span class="rr-quiet">drawn, not read</span>'
    words = escape(tile.get("said") or "")
    said = f'<span class="rr-name" title="{words}">{words}</span>' if words else ""
    picture = at(f"/api/v1/thumbnails/{tile['pixel_hash']}.webp")
    return (
        f'<a class="{"wrong" if tile.get("wrong") else ""}" href="{escape(tile["address"])}" target="_self" '
        f'title="{escape(tile.get("source") or tile["name"])}"><div class="rr-shot">'
        f'<img src="{picture}" alt="" loading="lazy">{flag}</div>'
        f'<div class="rr-caption"><span class="rr-name">{name}</span>{said}{reference}</div></a>'
    )

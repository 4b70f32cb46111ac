"""Pictures that are drawn for one look and kept nowhere: they stand in the page itself."""

import base64
from html import escape


def source_of(png: bytes) -> str:
    """What an `<img>` has as its `src`."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def picture_html(png: bytes, alt: str, *, highest: int, crisp: bool = False) -> str:
    """HTML: as large as there is room, at most `highest` hundredths of the screen high; `crisp`: pixels stay square."""
    pixels = ";image-rendering:pixelated" if crisp else ""
    return (
        f'<img alt="{escape(alt)}" style="width:100%;max-height:{highest}vh;object-fit:contain{pixels}" '
        f'src="{source_of(png)}">'
    )

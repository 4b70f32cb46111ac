"""A report as one page for a browser: its figures can be looked into, and nothing is fetched from anywhere."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from core.measures.terms import term
from core.reviews.flow import Flow
from core.reviews.flow_picture import draw_svg
from core.reviews.report_sections import Block, Figures, Section, Table, band_of, legend

STYLE = """
body { font: 15px/1.45 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; color: #17202b; background: #fff;
  max-width: 62rem; margin: 2rem auto; padding: 0 1.5rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; border-bottom: 1px solid #d5dbe2; }
table { border-collapse: collapse; width: 100%; font-size: 0.87rem; margin: 0.6rem 0; }
th { text-align: left; font-weight: 600; color: #55616f; }
th, td { padding: 0.25rem 0.8rem 0.25rem 0; border-bottom: 1px solid #e8ecf0; vertical-align: top;
  overflow-wrap: anywhere; }
th, td:first-child { overflow-wrap: break-word; }
.facts td:first-child { color: #55616f; white-space: nowrap; width: 1%; } .missing { color: #b3401a; }
.figures { display: flex; flex-wrap: wrap; gap: 1rem; }
@media print { h2 { break-after: avoid; } tr { break-inside: avoid; } }
"""
FAINT_INK = "#55616f"
INK, LINE, ACCENTS = "#17202b", "#d5dbe2", ("#0b66a8", "#b3401a", "#0b7a5c", "#7a4fa3", "#8a6d00", "#55616f")


def draw_html(title: str, sections: Sequence[Section], result: Mapping[str, Any]) -> str:
    """The whole page as text; every word from people is escaped."""
    body = "".join(
        f"<h2>{escape(one.title)}</h2>{''.join(_block(block, result) for block in one.blocks)}" for one in sections
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style></head><body><h1>{escape(title)}</h1>{body}</body></html>"
    )


def _block(block: Block, result: Mapping[str, Any]) -> str:
    if isinstance(block, str):
        return f"<p>{escape(block)}</p>"
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Figures):
        return _figures(result)
    if isinstance(block, Flow):
        return draw_svg(block, ink=INK, line=FAINT_INK)
    return f"<ul>{''.join(f'<li>{escape(one)}</li>' for one in block)}</ul>"


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(one)}</th>" for one in table.head)
    rows = "".join(f"<tr>{''.join(_cell(cell) for cell in row)}</tr>" for row in table.rows)
    facts = ' class="facts"' if not table.head else ""
    return f"<table{facts}>{f'<tr>{head}</tr>' if head else ''}{rows}</table>"


def _cell(text: str) -> str:
    missing = ' class="missing"' if text.startswith(("not reported", "not met", "undefined")) else ""
    return f"<td{missing}>{escape(text)}</td>"


def _figures(result: Mapping[str, Any]) -> str:
    """Figures of Plotly with its script inside the page, once."""
    import plotly.graph_objects as go
    from plotly.io import to_html

    figures = [_intervals(go, result)]
    if "curves" in result:
        figures += [
            _curves(
                go, result, "roc", "false_positive_rate", "true_positive_rate", "ROC: sensitivity, 1 − specificity"
            ),
            _curves(go, result, "precision_recall", "recall", "precision", "Precision over recall"),
        ]
    if "confusion_matrix" in result and not isinstance(result["confusion_matrix"][0][0], list):
        figures.append(_matrix(go, result))
    drawn = [to_html(one, include_plotlyjs=at == 0, full_html=False) for at, one in enumerate(figures)]
    return f'<div class="figures">{"".join(drawn)}</div>'


def _intervals(go: Any, result: Mapping[str, Any]) -> Any:
    """The overall metrics that lie between 0 and 1, as dots with whiskers."""
    shown = {
        term(name): one
        for name, one in result["metrics"].items()
        if one.get("value") is not None and one.get("low") is not None and one["low"] >= 0 and one["high"] <= 1
    }
    figure = go.Figure()
    figure.add_scatter(
        x=[one["value"] for one in shown.values()],
        y=list(shown),
        mode="markers",
        marker={"size": 9, "color": ACCENTS[0]},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [one["high"] - one["value"] for one in shown.values()],
            "arrayminus": [one["value"] - one["low"] for one in shown.values()],
        },
    )
    figure.update_xaxes(range=[0, 1])
    figure.update_yaxes(autorange="reversed", dtick=1)  # a name at every row: Plotly would leave out each second one
    return _finished(figure, f"Metrics with 95 % intervals, n = {result['n_cases']:,}")


def _curves(go: Any, result: Mapping[str, Any], kind: str, x: str, y: str, title: str) -> Any:
    figure = go.Figure()
    for at, (name, curve) in enumerate(result["curves"][kind].items()):
        if curve:
            colour = ACCENTS[at % len(ACCENTS)]
            if band := band_of(result, kind, name):
                places, low, high = band
                figure.add_scatter(
                    x=[*places, *places[::-1]], y=[*low, *high[::-1]], name=f"{name}: 95 % band", legendgroup=name,
                    mode="lines", fill="toself", opacity=0.2, line={"color": colour, "width": 0}, hoverinfo="skip",
                    showlegend=False,
                )  # fmt: skip
            figure.add_scatter(
                x=curve[x], y=curve[y], name=legend(result, kind, name), legendgroup=name, mode="lines",
                line={"color": colour, "width": 2}, showlegend=True,
            )  # fmt: skip
    figure.update_xaxes(range=[-0.02, 1.02])
    figure.update_yaxes(range=[-0.02, 1.02])
    return _finished(figure, title)


def _matrix(go: Any, result: Mapping[str, Any]) -> Any:
    names, counts = list(result["classes"]), result["confusion_matrix"]
    figure = go.Figure(go.Heatmap(z=counts, x=names, y=names, text=counts, texttemplate="%{text}", colorscale="Blues"))
    figure.update_traces(showscale=False)
    figure.update_xaxes(title="predicted", type="category")
    figure.update_yaxes(title="reference", type="category", autorange="reversed")
    return _finished(figure, "Confusion matrix, cases")


def _finished(figure: Any, title: str) -> Any:
    figure.update_layout(
        title={"text": title, "font": {"size": 14}}, width=460, height=360, template="plotly_white",
        font={"color": INK, "size": 12}, margin={"l": 60, "r": 20, "t": 44, "b": 40},
        legend={"orientation": "h", "y": -0.2}, modebar={"orientation": "v"},  # beside the figure, not over its title
    )  # fmt: skip
    return figure

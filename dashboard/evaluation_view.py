"""An evaluation on screen: numbers with n and interval, the matrix whose cells open their cases, curves."""

from collections.abc import Callable, Iterator, Mapping
from html import escape
from typing import Any

import streamlit as st

from core.evaluation.records import say_times
from core.measures.calibration import tell_rule
from core.measures.shares import WILSON, WILSON_OF_CLUSTERS
from dashboard import charts, numbers_view, wording

FEW_POSITIVES = 10  # below this a number is greyed, not hidden
ON_ONE_SCALE = (("mae", "rmse"), ("bias", "limit_low", "limit_high"))
MANY = 6  # tiles; more of them are narrower, to stand in one row
METRIC_WORDS = {
    "balanced_accuracy": "Balanced accuracy",
    "accuracy": "Accuracy",
    "accuracy_at_half": "Accuracy at 0.5",
    "auc": "AUC",
    "f1_macro": "F1, mean over classes",
    "average_precision": "Average precision",
    "dice": "Dice",
    "iou": "IoU",
    "surface_dice": "Surface Dice",
    "hd95_mm": "HD95, mm",
    "hd95_px": "HD95, pixels",
    "volume_bias_ml": "Volume bias, ml",
    "volume_error_percent": "Volume error, %",
}
CLASS_METRICS = {
    "precision": "precision",
    "recall": "recall",
    "specificity": "specificity",
    "f1": "F1",
    "auc": "AUC",
    "average_precision": "average precision",
}
Open = Callable[[str, str, str | None], None]
Say = Callable[[str, float | None], str]


def say_metric(name: str, value: float | None) -> str:
    """Shares to three places; millimetres, pixels, millilitres and per cent to three figures."""
    return wording.measured(value) if name in numbers_view.OF_MASKS else wording.number(value)


def draw_headline(result: Mapping[str, Any], *, words: Mapping[str, str] = METRIC_WORDS, say: Say = say_metric) -> None:
    """The overall numbers as tiles in the order of `words`, each with its interval; `say(name, value)` writes one."""
    shown = _ordered(result["metrics"], words)
    tiles = "".join(
        f"<div><small>{escape(words.get(name, name))}</small><b>{say(name, measure['value'])}</b>"
        f"<span>{say_ends(measure, name, say)}</span>{_line(name, result['metrics'])}</div>"
        for name, measure in shown
    )
    many = " rr-many" if len(shown) > MANY else ""
    st.html(f'<div class="rr-tiles{many}">{tiles}</div>')
    numbers_view.draw_notes(
        (words.get(name, name), measure.get("reason") or measure.get("note") or "") for name, measure in shown
    )


def _line(name: str, metrics: Mapping[str, Any]) -> str:
    """The whiskers of a tile; numbers in one unit that are of one kind share a scale."""
    group = next((some for some in ON_ONE_SCALE if name in some), (name,))
    ends = numbers_view.scale_of(name, [metrics[one] for one in group if one in metrics])
    return numbers_view.whiskers(metrics[name], *ends, thin=True)


def describe_sample(result: Mapping[str, Any], *, test_uses: int | None) -> str:
    """`160 cases of 120 patients. 95 % intervals: 1,000 resamples of patients, seed 0. ...` as one sentence line."""
    resamples = result.get("fid_like_resamples", result["resamples"])  # of drawn images fewer, each takes long
    parts = [
        f"{wording.count(result['n_cases'], 'case')} of {wording.count(result['n_patients'], 'patient')}.",
        f"{wording.percent(result['level'])} intervals by bootstrap over patients "
        f"({resamples:,} resamples, seed {result['seed']}){_wilsons(result)}.",
    ]
    if result.get("seen_in_training"):
        parts.append(
            f"{result['seen_in_training']:,} of them are of patients, or have pixels, that the model was made with."
        )
    if test_uses is not None:
        parts.append(
            f"These test cases have been used {say_times(test_uses)}: "
            "each further use makes a lucky result more likely."
        )
    return " ".join(parts)


def _wilsons(result: Mapping[str, Any]) -> str:
    """`; of shares Wilson's`, where there are any, and with which design."""
    used = {one.get("method") for one in result["metrics"].values()}
    if WILSON_OF_CLUSTERS in used:
        return "; of plain shares Wilson's, with the design effect of several images a patient"
    return "; of plain shares Wilson's" if WILSON in used else ""


def describe_thresholds(result: Mapping[str, Any]) -> str:
    """From which probability on the model decided for a class, and who chose that; "" where the highest one decides."""
    chosen = result.get("thresholds") or {}
    if not chosen:
        return ""
    said = {name: f"{name} from {_threshold(one['value'])} on" for name, one in chosen.items()}
    # Of painted structures the rule is the best Dice, which stands beside them.
    rules = {name: tell_rule(one) for name, one in chosen.items()}
    if len(set(rules.values())) > 1:  # somebody moved one of them
        return f"Threshold: {', '.join(f'{said[name]} ({rules[name]})' for name in said)}."
    rule = next(iter(rules.values()))
    return f"Threshold: {', '.join(said.values())}{f'; rule: {rule}' if rule else ''}."


def _threshold(value: float) -> str:
    """To three places, or to as many as tell it from 0.5: beside "Accuracy at 0.5" stands another number."""
    told = wording.number(value)
    return told if told != "0.500" or value == 0.5 else f"{value:.6g}"


def draw_matrix(result: Mapping[str, Any], *, multi_label: bool, open_cell: Open, key: str) -> None:
    """The confusion matrix; a click on a cell calls `open_cell(reference, predicted, of_class)`.

    Where images have several classes, each has a 2 x 2 matrix of its own with `absent` and `present`.
    """
    of_class = None
    share_of_row = (
        st.segmented_control(
            "Cells show",
            ("counts", "share of the row"),
            default="counts",
            required=True,
            format_func=str.capitalize,
            key=f"{key}_cells",
            label_visibility="collapsed",
        )
        != "counts"
    )
    matrix, classes = result["confusion_matrix"], list(result["classes"])
    if multi_label:
        of_class = st.pills("Class", classes, default=classes[0], required=True, key=f"{key}_class")
        matrix, classes = matrix[classes.index(of_class)], ["absent", "present"]
    event = st.plotly_chart(
        charts.draw_confusion_matrix(matrix, classes, share_of_row=share_of_row),
        on_select="rerun",
        selection_mode="points",
        config=charts.NO_TOOLBAR,
        key=f"{key}_matrix_{share_of_row}_{of_class}",
        alt="Confusion matrix: reference in rows, predicted in columns",
    )
    cell = charts.clicked_cell(event)
    if cell:
        open_cell(classes[cell[0]], classes[cell[1]], of_class)
    st.caption("Click a cell to open its cases, surest first.")


def draw_class_table(result: Mapping[str, Any]) -> None:
    """Per class: every number with its interval, and the n it stands on; classes with few cases are greyed."""
    head = "".join(f"<th>{escape(title)}</th>" for title in CLASS_METRICS.values())
    rows = []
    for name, measures in result["per_class"].items():
        support = int(measures["support"]["value"])
        few = ' class="few"' if support < FEW_POSITIVES else ""
        cells = "".join(f"<td>{_cell(measures[metric])}</td>" for metric in CLASS_METRICS)
        rows.append(f"<tr{few}><td>{escape(name)}</td><td>{support:,}</td>{cells}</tr>")
    st.html(
        '<div class="rr-scroll"><table class="rr-numbers"><tr><th>class</th><th>n</th>'
        f"{head}</tr>{''.join(rows)}</table></div>"
    )
    if any(int(measures["support"]["value"]) < FEW_POSITIVES for measures in result["per_class"].values()):
        st.caption(f"Greyed: fewer than {FEW_POSITIVES} cases of the class; read these numbers with care.")
    said = numbers_view.sentences_of(one.get("note", "") for one in result["metrics"].values())
    numbers_view.draw_notes(_class_notes(result), said=said)


def _class_notes(result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is to be minded of each number; by its name alone where the same goes for every class."""
    for metric, title in CLASS_METRICS.items():
        notes = {name: str(measures[metric].get("note", "")) for name, measures in result["per_class"].items()}
        if len(set(notes.values())) == 1:
            yield title, next(iter(notes.values()))
        else:
            yield from ((f"{title} of {name}", note) for name, note in notes.items())


def draw_class_intervals(result: Mapping[str, Any]) -> None:
    """How sure one number is for each class; short whiskers are sure ones."""
    metric = st.segmented_control(
        "Intervals of",
        list(CLASS_METRICS),
        default="recall",
        required=True,
        format_func=CLASS_METRICS.__getitem__,
        key="interval_metric",
        label_visibility="collapsed",
    )
    named = {
        f"{name} (n = {int(measures['support']['value']):,})": measures[metric]
        for name, measures in result["per_class"].items()
    }
    st.plotly_chart(
        charts.draw_intervals(named, f"{CLASS_METRICS[metric].capitalize()} with its interval"),
        config=charts.NO_TOOLBAR,
        key=f"intervals_{metric}",
        alt=f"{metric} of each class with its interval",
    )


def draw_curves(result: Mapping[str, Any], *, multi_label: bool) -> None:
    """ROC beside precision-recall, one curve per class; two exclusive classes share one ROC curve."""
    shown = list(result["classes"])
    if len(shown) == 2 and not multi_label:
        shown = shown[1:]
    roc = {name: result["curves"]["roc"][name] for name in shown if result["curves"]["roc"][name]}
    precision = {
        name: result["curves"]["precision_recall"][name] for name in shown if result["curves"]["precision_recall"][name]
    }
    left, right = st.columns(2)
    left.plotly_chart(
        charts.draw_roc(roc, {name: _legend(result, name, "AUC", "auc") for name in roc}, result.get("bands")),
        config=charts.NO_TOOLBAR,
        key="roc",
        alt="ROC curves",
    )
    right.plotly_chart(
        charts.draw_precision_recall(
            precision,
            {name: _legend(result, name, "AP", "average_precision") for name in precision},
            result.get("bands"),
        ),
        config=charts.NO_TOOLBAR,
        key="precision_recall",
        alt="Precision-recall curves",
    )


def describe_bands(result: Mapping[str, Any]) -> str:
    """What is shaded around the curves; of an evaluation of an earlier version how to come by it."""
    if "bands" not in result:
        return "Measured by an earlier version; evaluate again for the bands around the curves."
    return (
        f"Shaded: pointwise {wording.percent(result['bands']['level'])} band, bootstrap over patients "
        f"({result['bands']['resamples']:,} resamples, seed {result['seed']}); it holds at one place at a time."
    )


def _ordered(metrics: Mapping[str, Any], words: Mapping[str, str]) -> list[tuple[str, Any]]:
    if "kappa" in metrics:  # a classifier has too many numbers for tiles; the others are in a table of their own
        metrics = {name: measure for name, measure in metrics.items() if name in words}
    return sorted(metrics.items(), key=lambda item: list(words).index(item[0]) if item[0] in words else 99)


def _legend(result: Mapping[str, Any], name: str, short: str, metric: str) -> str:
    measures = result["per_class"][name]
    positive = int(measures["support"]["value"])
    return f"{name}: {short} {wording.interval(measures[metric])}, {positive:,} of {result['n_cases']:,} positive"


def say_ends(measure: Mapping[str, Any], name: str = "", say: Say = say_metric) -> str:
    """`0.880 to 0.944`, or that there is no interval."""
    if measure.get("low") is None or measure.get("high") is None:
        return "no interval"
    return f"{say(name, measure['low'])} to {say(name, measure['high'])}"


def _cell(measure: Mapping[str, Any]) -> str:
    if measure["value"] is None:
        return f'<span title="{escape(measure.get("reason", ""))}">–</span>'
    told = f"<b>{wording.number(measure['value'])}</b><br><small>{say_ends(measure)}</small>"
    told += numbers_view.whiskers(measure, 0, 1, thin=True)
    return f'<span title="{escape(measure["note"])}">{told}</span>' if measure.get("note") else told

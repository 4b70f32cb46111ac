"""A rule of abstention in lines for people."""

from core.cli.predicting import rule_lines


def test_a_rule_is_told_with_its_n_and_intervals() -> None:
    rule = {
        "limit": 0.8312, "aim": 0.95, "n": 40, "n_patients": 20, "n_answered": 30, "unlike": True,
        "coverage": {"value": 0.75, "low": 0.6, "high": 0.86}, "accuracy": {"value": 0.967, "low": 0.83, "high": 0.99},
    }  # fmt: skip
    assert rule_lines(rule) == [
        "answers where it is sure at 0.831 or more (aim: 95% right)",
        "answered 0.750 (0.600 to 0.860), n = 40 cases of 20 patients, validation",
        "right among the answered 0.967 (0.830 to 0.990), n = 30",
        "says nothing about cases unlike all that it was trained on",
    ]
    assert rule_lines({"most_half_width": 5.0, "unlike": False}) == ["answers while half its interval is at most 5"]

"""How several readers' answers become one: arrays of answers in, the reference out."""

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from core.labels.answers import value_text
from core.projects.records import ReferenceRule
from core.projects.schema import Classification, LabelSchema, Regression, numbers_of, value_of_numbers

ReferenceState = Literal["labelled", "tied", "unusable"]


class Answer(Protocol):
    """What counts of a label."""

    @property
    def id(self) -> int: ...
    @property
    def reader(self) -> str: ...
    @property
    def value(self) -> Mapping[str, Any] | None: ...
    @property
    def unusable(self) -> bool: ...


@dataclass(frozen=True)
class Reference:
    """The answer that training and evaluation use, and the labels it was made of.

    `value` is None where readers are tied or the image is unusable: such a case stays unlabelled.
    """

    state: ReferenceState
    value: dict[str, Any] | None
    label_ids: tuple[int, ...]


def resolve_reference(rule: ReferenceRule, schema: LabelSchema, answers: Sequence[Answer]) -> Reference | None:
    """The reference of one case from the current answers on it; None where nobody who counts has answered.

    Rule `reader`: what the named reader says. Rule `majority`: usable or not is decided first, then the answer
    that most readers gave; with several labels per image each class is decided by itself. A tie is never broken.
    Rule `median`: usable or not likewise, then the middle of the numbers, of an even count the mean of the middle
    two, of several quantities each by itself. Rule `only`: the only answer; several are a tie, since nobody but a
    person can choose among masks.
    """
    if rule.kind == "reader":
        answers = [answer for answer in answers if answer.reader == rule.reader]
    if not answers:
        return None
    ids = tuple(sorted(answer.id for answer in answers))
    usable = [dict(answer.value) for answer in answers if not answer.unusable and answer.value is not None]
    unusable = len(answers) - len(usable)
    if unusable > len(usable):
        return Reference("unusable", None, ids)
    if unusable == len(usable) or (rule.kind == "only" and len(answers) > 1):
        return Reference("tied", None, ids)
    if rule.kind == "median":
        assert isinstance(schema, Regression)
        said = zip(*(numbers_of(schema, one) for one in usable), strict=True)
        return Reference("labelled", value_of_numbers(schema, [statistics.median(numbers) for numbers in said]), ids)
    value = _most_say(schema, usable)
    return Reference("tied", None, ids) if value is None else Reference("labelled", value, ids)


def _most_say(schema: LabelSchema, values: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    if isinstance(schema, Classification) and schema.multi_label:
        return _most_say_of_each_class(schema, values)
    votes = Counter(value_text(value) for value in values).most_common(2)
    if len(votes) == 2 and votes[0][1] == votes[1][1]:
        return None
    return next(value for value in values if value_text(value) == votes[0][0])


def _most_say_of_each_class(schema: Classification, values: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    votes = Counter(name for value in values for name in value["classes"])
    if any(2 * count == len(values) for count in votes.values()):
        return None
    return {"classes": [name for name in schema.names if 2 * votes[name] > len(values)]}

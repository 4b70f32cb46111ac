"""What people say about a case."""

import sqlite3
from collections.abc import Callable

import pytest

from core.errors import InvalidInput, NotFound
from core.images.records import Case
from core.people.accounts import ensure_user
from core.reviews.comments import add_comment, list_comments
from core.store.audit import Actor


def test_comments_are_kept_in_order(
    connection: sqlite3.Connection, make_case: Callable[..., Case], actor: Actor
) -> None:
    ensure_user(connection, "anna")
    case, other = make_case("a.png"), make_case("b.png")
    first = add_comment(connection, case.id, " See the left base. ", actor=actor)
    second = add_comment(connection, case.id, "=1+1 <b>", actor=actor)
    add_comment(connection, other.id, "elsewhere", actor=actor)
    assert (first.author, first.text, first.model) == ("anna", "See the left base.", None)
    assert list_comments(connection, case.id) == [first, second]


@pytest.mark.parametrize("text", ["  ", "x" * 10_001, "\ud800"])
def test_what_is_no_comment_is_refused(
    connection: sqlite3.Connection, make_case: Callable[..., Case], actor: Actor, text: str
) -> None:
    ensure_user(connection, "anna")
    with pytest.raises(InvalidInput, match="Received"):
        add_comment(connection, make_case("a.png").id, text, actor=actor)


def test_a_comment_needs_its_case_model_and_author(
    connection: sqlite3.Connection, make_case: Callable[..., Case], actor: Actor
) -> None:
    case = make_case("a.png")
    with pytest.raises(NotFound, match="user nobody"):
        add_comment(connection, case.id, "hello", actor=Actor("nobody", "command line"))
    with pytest.raises(NotFound, match="case 99"):
        add_comment(connection, 99, "hello", actor=actor)
    with pytest.raises(NotFound, match="model 5"):
        add_comment(connection, case.id, "hello", actor=actor, model=5)

"""The table of roles and actions, written out once more: who changes it must mean it."""

import pytest

from core.people import roles
from core.people.roles import ACTIONS, ROLE_ACTIONS

TABLE = """
                       reader  scientist  reviewer  admin
see                    x       x          x         x
label                  x       x          x         x
edit others' labels                       x         x
import                         x                    x
freeze                         x                    x
train                          x                    x
open test results              x          x         x
sign                                      x         x
export                         x          x         x
administer                                          x
"""


def read_table() -> dict[str, set[str]]:
    head, *lines = [line for line in TABLE.splitlines() if line.strip()]
    columns = {role: head.index(role) for role in head.split()}
    return {
        line[: head.index("reader")].strip(): {role for role, at in columns.items() if line[at : at + 1] == "x"}
        for line in lines
    }


def test_the_table_is_the_one_written_here() -> None:
    there = {action: {role for role, held in ROLE_ACTIONS.items() if action in held} for action in ACTIONS}
    assert there == read_table()


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_is_explained_where_it_is_named(action: str) -> None:
    said = roles.__doc__ or ""
    assert any(line.startswith("- ") and action in line.split(":")[0] for line in said.splitlines())

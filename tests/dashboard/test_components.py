"""Buttons of our own components: drawn by HTML, brought to life by a script that may come late."""

import re

import pytest

from dashboard import full_screen, theme_switch, uploader

COMPONENTS = {
    "full screen": (full_screen._HTML, full_screen._JS),
    "theme": (theme_switch._HTML, theme_switch._JS),
    "uploader": tuple((uploader.ASSETS / f"uploader.{kind}").read_text("utf-8") for kind in ("html", "js")),
}


@pytest.mark.parametrize("name", COMPONENTS)
def test_no_button_can_be_pressed_before_its_script_is_there(name: str) -> None:
    html, script = COMPONENTS[name]
    buttons = re.findall("<button[^>]*>", html)
    assert buttons
    assert all(" disabled" in button for button in buttons)
    assert ".disabled = false" in script

from pathlib import Path

import pytest

from core.errors import InvalidInput
from core.settings import default_home, load_settings


def test_the_home_is_the_given_one_then_the_environments(tmp_path: Path) -> None:
    assert load_settings(tmp_path).home == tmp_path
    assert load_settings(environ={"READROOM_HOME": str(tmp_path)}).home == tmp_path
    assert default_home({}).name == "readroom"


def test_settings_toml_overrides_a_default(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("max_image_pixels = 1000\n")
    assert load_settings(tmp_path).max_image_pixels == 1000


def test_backups_have_a_folder_an_hour_and_numbers(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text('backup_folder = "/mnt/backups"\nbackup_hour = 0\nbackup_keep_months = 0\n')
    settings = load_settings(tmp_path)
    assert (settings.backup_folder, settings.backup_hour, settings.backup_keep_months) == ("/mnt/backups", 0, 0)


@pytest.mark.parametrize(
    "text",
    [
        "max_image_pixels = 'many'",
        "max_pixels = 3",
        "session_hours = 0",
        "= broken",
        "backup_folder = 3",
        "backup_folder = 'backups'",
        "backup_hour = 24",
        "backup_hour = 2.5",
        "backup_keep_days = 0",
        "backup_keep_weeks = -1",
        "home = '/elsewhere'",
    ],
)
def test_a_setting_that_cannot_be_used_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "settings.toml").write_text(text)
    with pytest.raises(InvalidInput, match=r"settings\.toml"):
        load_settings(tmp_path)

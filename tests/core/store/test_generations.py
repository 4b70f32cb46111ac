"""What is kept how long, whatever the clock says, and manifests that were damaged."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import utc_text
from core.errors import CoreError
from core.settings import Settings
from core.store.generations import (
    Generation,
    Manifest,
    StoredFile,
    choose_kept,
    generation_name,
    list_generations,
    manifest_text,
    read_manifest,
)

NOW = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
SETTINGS = Settings(home=Path("/home"))
SUM = "ab" * 32


def made(number: int, at: datetime, *, faults: tuple[str, ...] = ()) -> Generation:
    manifest = Manifest(
        number=number, made_at=utc_text(at), files=(StoredFile("pixels", SUM, SUM, 3),),
        home_files={"readroom.db": {"size": 1, "sha256": SUM}}, audit_head=SUM, rows={"cases": 1},
        steps=("m001",), versions={"readroom": "0"}, faults=faults,
    )  # fmt: skip
    return Generation(Path(generation_name(at)), manifest)


def nights(count: int, *, until: datetime = NOW) -> list[Generation]:
    return [made(count - back, until - timedelta(days=back)) for back in range(count)]


def kept_of(generations: list[Generation], now: datetime = NOW, settings: Settings = SETTINGS) -> list[Generation]:
    names = choose_kept(generations, now, settings)
    return [one for one in generations if one.name in names]


def test_a_year_of_nights_leaves_days_weeks_and_months() -> None:
    kept = [(NOW - one.at).days for one in kept_of(nights(500))]
    assert kept[:7] == [0, 1, 2, 3, 4, 5, 6]
    assert len([age for age in kept if 7 <= age < 28]) in (3, 4)  # the ends of weeks, and of a month
    older = [one.at for one in kept_of(nights(500)) if (NOW - one.at).days >= 28]
    assert len(older) in (11, 12)
    assert all((at + timedelta(days=1)).day == 1 for at in older)
    assert max(kept) <= 31 * 12


def test_night_after_night_the_same_are_kept_as_if_chosen_at_once() -> None:
    """What one night removes, no later night would have kept."""
    staying: list[Generation] = []
    for number in range(120):
        now = NOW + timedelta(days=number)
        staying = kept_of([made(number, now), *staying], now)
    at_once = kept_of([made(number, NOW + timedelta(days=number)) for number in reversed(range(120))], now)
    assert [one.name for one in staying] == [one.name for one in at_once]


def test_numbers_of_the_settings_count() -> None:
    few = Settings(home=Path("/home"), backup_keep_days=2, backup_keep_weeks=0, backup_keep_months=0)
    assert [(NOW - one.at).days for one in kept_of(nights(40), settings=few)] == [0, 1]


def test_the_newest_complete_one_always_stays() -> None:
    old = made(1, NOW - timedelta(days=800))
    bad = [made(number, NOW - timedelta(days=9 - number), faults=("pixels x is missing.",)) for number in (3, 2)]
    assert old in kept_of([*bad, old])


def test_a_complete_one_stands_for_its_week_before_an_incomplete_one() -> None:
    tuesday = datetime(2026, 11, 10, 2, tzinfo=UTC)
    broken = made(2, tuesday + timedelta(days=1), faults=("pixels x is missing.",))
    assert made(1, tuesday) in kept_of([made(3, NOW), broken, made(1, tuesday)])


@pytest.mark.parametrize("jump", [timedelta(days=365 * 4), timedelta(days=-365 * 50)], ids=["ahead", "behind"])
def test_a_clock_that_jumps_removes_nothing(jump: timedelta) -> None:
    before = nights(30)
    jumped = made(31, NOW + jump)
    assert kept_of([jumped, *before], NOW + jump) == [jumped, *before]
    # the clock is right again
    after = made(32, NOW + timedelta(days=1))
    assert kept_of([after, jumped, *before], NOW + timedelta(days=1)) == [after, jumped, *before]


def test_a_generation_from_the_future_goes_with_its_neighbours() -> None:
    future = made(31, NOW + timedelta(days=365 * 4))
    later = nights(200, until=NOW + timedelta(days=400))
    following = [made(31 + one.manifest.number, one.at) for one in later]
    kept = kept_of([*following, future, *nights(30)], NOW + timedelta(days=400))
    assert future not in kept


@given(st.lists(st.integers(-4000, 4000), min_size=1, max_size=40), st.integers(-4000, 4000))
def test_whatever_the_clocks_said_the_newest_stays(days: list[int], today: int) -> None:
    generations = [made(number, NOW + timedelta(days=day, seconds=number)) for number, day in enumerate(days)]
    assert generations[-1] in kept_of(generations, NOW + timedelta(days=today))


def test_a_manifest_comes_back_as_it_was(tmp_path: Path) -> None:
    one = made(3, NOW, faults=("pixels x is missing.",)).manifest
    (tmp_path / "manifest.json").write_text(manifest_text(one))
    assert read_manifest(tmp_path) == one


@given(st.data())
def test_a_damaged_manifest_is_told_in_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    text = manifest_text(made(1, NOW).manifest).encode()
    at = data.draw(st.integers(0, len(text.rstrip()) - 1))
    how = data.draw(st.sampled_from(["cut", "byte", "empty"]))
    byte = bytes([data.draw(st.integers(0, 255))])
    damaged = {"cut": text[:at], "byte": text[:at] + byte + text[at + 1 :], "empty": b""}[how]
    (folder / "manifest.json").write_bytes(damaged)
    if how == "byte":  # within a name or a number it may still be a manifest; a crash it must never be
        with suppress(CoreError):
            read_manifest(folder)
    else:
        with pytest.raises(CoreError, match="Received: "):
            read_manifest(folder)


def test_a_file_that_would_leave_the_folder_is_refused(tmp_path: Path) -> None:
    told = json.loads(manifest_text(made(1, NOW).manifest))
    told["files"][0]["name"] = "../../outside"
    (tmp_path / "manifest.json").write_text(json.dumps(told))
    with pytest.raises(CoreError, match="damaged"):
        read_manifest(tmp_path)


def test_a_generation_without_a_manifest_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "generations" / "2026").mkdir(parents=True)
    assert list_generations(tmp_path) == ([], [])

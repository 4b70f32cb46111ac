"""Reading ahead: the order of asking, no more on the way than there is room for, and what may have to be read alone."""

import threading
from collections.abc import Iterator

import pytest

from core.images import reading_ahead
from core.images.reading_ahead import ReadingAhead


class Desk:
    """Reads numbers, and remembers what was begun and how many were read at once."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()

    def read(self, number: int) -> str:
        with self.lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        threading.Event().wait(0.002)
        with self.lock:
            self.at_once -= 1
        if number == 13:
            raise ValueError("thirteen")
        return str(number)

    def ahead(
        self, numbers: Iterator[int], *, threads: int = 3, size: int = 1, alone: frozenset[int] = frozenset()
    ) -> ReadingAhead[int, str]:
        return ReadingAhead(
            numbers, read=self.read, size=lambda _: size, alone=lambda number: number in alone,
            begin=self.begun.extend, threads=threads,
        )  # fmt: skip


def test_it_works() -> None:
    desk, numbers = Desk(), [1000 + at for at in range(100)]
    with desk.ahead(iter(numbers)) as ahead:
        assert [ahead.take(number) for number in numbers] == [str(number) for number in numbers]
    assert desk.begun == numbers
    assert desk.most_at_once > 1


def test_an_error_is_raised_where_its_result_is_taken() -> None:
    desk, numbers = Desk(), [12, 13, 14]
    with desk.ahead(iter(numbers)) as ahead:
        assert ahead.take(12) == "12"
        with pytest.raises(ValueError, match="thirteen"):
            ahead.take(13)
        assert ahead.take(14) == "14"


def test_without_threads_nothing_is_begun_before_it_is_taken() -> None:
    desk = Desk()
    with desk.ahead(iter([1, 2, 3]), threads=0) as ahead:
        assert ahead.take(1) == "1"
        assert not ahead.is_there(2, after=0)
        assert desk.begun == [1]


def test_what_is_passed_over_is_let_go_of() -> None:
    numbers = [1000 + at for at in range(50)]
    with Desk().ahead(iter(numbers)) as ahead:
        assert ahead.take(numbers[40]) == "1040"
        assert ahead.take(numbers[41]) == "1041"


def test_no_more_is_on_its_way_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_ahead, "MOST_BYTES", 10)
    desk, numbers = Desk(), [1000 + at for at in range(20)]
    with desk.ahead(iter(numbers), size=4) as ahead:
        ahead.take(numbers[0])
        assert len(desk.begun) == 2
    huge = Desk()
    with huge.ahead(iter(numbers), size=4000) as ahead:  # larger than all the room: by itself
        assert [ahead.take(number) for number in numbers] == [str(number) for number in numbers]
    assert huge.most_at_once == 1


def test_what_may_end_the_process_is_read_alone() -> None:
    numbers = [1000 + at for at in range(12)]
    desk = Desk()
    with desk.ahead(iter(numbers), alone=frozenset(numbers)) as ahead:
        assert [ahead.take(number) for number in numbers] == [str(number) for number in numbers]
    assert desk.most_at_once == 1

"""Files are read while the ones before them are kept, so that every core has something to do."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Generic, TypeVar

MOST_FILES = 64
AT_ONCE = 16  # files that are begun together, where so many find room
MOST_BYTES = 32 << 20  # of files as they come in; what they unpack to waits in memory until it is kept

Asked = TypeVar("Asked")
Result = TypeVar("Result")


class ReadingAhead(Generic[Asked, Result]):
    """Results in the order in which they are asked for, begun before that by threads.

    Without threads nothing is begun ahead: a result is made when it is taken.

    Args:
        upcoming: what will be taken, in that order; it is asked on as far as there is room.
        read: makes a result, in one of the threads.
        size: bytes of the file.
        alone: whether nothing else may be on its way beside it.
        begin: told of what is about to be begun.
    """

    def __init__(
        self,
        upcoming: Iterator[Asked],
        *,
        read: Callable[[Asked], Result],
        size: Callable[[Asked], int],
        alone: Callable[[Asked], bool],
        begin: Callable[[Sequence[Asked]], object],
        threads: int,
    ) -> None:
        self._upcoming, self._read, self._size, self._alone, self._begin = upcoming, read, size, alone, begin
        self._pool = ThreadPoolExecutor(threads) if threads else None
        self._next: Asked | None = None
        self._on_the_way: deque[tuple[Asked, int, Future[Result]]] = deque()
        self._bytes = 0

    def __enter__(self) -> "ReadingAhead[Asked, Result]":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def take(self, asked: Asked) -> Result:
        """The result of a file; what its reading raised is raised here. Those announced before it are passed over."""
        if self._pool is None:
            self._begin([asked])
            return self._read(asked)
        while True:
            self._fill()
            here, size, future = self._on_the_way.popleft()
            self._bytes -= size
            if here is asked:
                return future.result()

    def wait_for(self, asked: Asked) -> None:
        """Until a file is read that is taken next."""
        if self._pool:
            self._fill()
            if self._on_the_way and self._on_the_way[0][0] is asked:
                wait([self._on_the_way[0][2]])

    def is_there(self, asked: Asked, *, after: int) -> bool:
        """Whether a file is read already, and would be taken so many files from now."""
        if len(self._on_the_way) <= after:
            return False
        here, _, future = self._on_the_way[after]
        return here is asked and future.done()

    def _fill(self) -> None:
        assert self._pool is not None
        if len(self._on_the_way) > MOST_FILES - AT_ONCE:
            return
        begun: list[tuple[Asked, int]] = []
        while len(self._on_the_way) + len(begun) < MOST_FILES:
            asked = self._next if self._next is not None else next(self._upcoming, None)
            self._next = asked
            if asked is None:
                break
            size = self._size(asked)
            last = begun[-1][0] if begun else self._on_the_way[-1][0] if self._on_the_way else None
            if last is not None and (self._bytes + size > MOST_BYTES or self._alone(asked) or self._alone(last)):
                break
            self._next = None
            self._bytes += size
            begun.append((asked, size))
        if begun:
            self._begin([asked for asked, _ in begun])
        self._on_the_way += [(asked, size, self._pool.submit(self._read, asked)) for asked, size in begun]

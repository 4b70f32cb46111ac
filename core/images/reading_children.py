"""Several children that read files side by side, one for each core."""

import os
import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from core.errors import InvalidInput
from core.images.decoded import DecodedImage
from core.images.dicom_start import Survey
from core.images.reading_child import SECONDS_TO_READ, FileRead, ReadingChild
from core.images.shown import Shown
from core.projects.deidentification import Deidentification
from core.settings import Settings

MOST_CHILDREN = 8
FILES_A_START = 8  # to start a child takes as long as reading so many files


class ReadingChildren:
    """Reads files as `ReadingChild` does, from any number of threads.

    A child is started when all others are busy, and a further one only once there were files enough to pay for it.
    """

    def __init__(
        self,
        settings: Settings,
        secret: bytes,
        options: Deidentification,
        *,
        count: int | None = None,
        seconds: float = SECONDS_TO_READ,
    ) -> None:
        self.count = count or min(os.cpu_count() or 1, MOST_CHILDREN)
        self._all = [ReadingChild(settings, secret, options, seconds=seconds) for _ in range(self.count)]
        self._free: queue.LifoQueue[ReadingChild] = queue.LifoQueue()
        self._free.put(self._all[0])
        self._kept_back = self._all[1:]
        self._files = 0
        self._counting = threading.Lock()

    def __enter__(self) -> "ReadingChildren":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in self._all:
            child.close()

    @property
    def ended(self) -> int:
        """How often a file ended its reader."""
        return sum(child.ended for child in self._all)

    def __call__(self, content: bytes, name: str) -> DecodedImage:
        """The image of a file; raises as `ReadingChild` does."""
        with self._child() as child:
            return child(content, name)

    def read(self, content: bytes, name: str, *, shown: bool = False) -> tuple[DecodedImage, Shown | None]:
        """The image of a file and what it looks like; raises as `ReadingChild` does."""
        with self._child() as child:
            return child.read(content, name, shown=shown)

    def read_file(self, location: Path, name: str, *, shown: bool = False, into: Path | None = None) -> FileRead:
        """The same of a file that a child reads from disk itself, and whose pixels it may write `into` a file."""
        with self._child() as child:
            return child.read_file(location, name, shown=shown, into=into)

    def survey(self, locations: Sequence[Path | str]) -> list[Survey]:
        """What headers say for the grouping of files; one that ends its reader says nothing, and costs itself."""
        with self._child(len(locations)) as child:
            try:
                return child.survey(locations)
            except InvalidInput:
                if len(locations) == 1:
                    return ["other"]
        return [self.survey([location])[0] for location in locations]

    def survey_start(self, content: bytes) -> Survey:
        """The same of a file of which the start is at hand."""
        with self._child() as child:
            try:
                return child.survey_start(content)
            except InvalidInput:
                return "other"

    @contextmanager
    def _child(self, files: int = 1) -> Iterator[ReadingChild]:
        with self._counting:
            self._files += files
            while self._kept_back and self._files >= FILES_A_START * (self.count - len(self._kept_back)):
                self._free.put(self._kept_back.pop(0))
        child = self._free.get()
        try:
            yield child
        finally:
            self._free.put(child)

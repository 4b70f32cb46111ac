"""Several children that read files side by side, one for each core."""

import os
import queue
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from core.errors import InvalidInput
from core.images.decoded import DecodedImage
from core.images.dicom_start import Survey
from core.images.reading_child import SECONDS_TO_READ, ReadingChild
from core.images.shown import Shown
from core.projects.deidentification import Deidentification
from core.settings import Settings

MOST_CHILDREN = 8


class ReadingChildren:
    """Reads files as `ReadingChild` does, from any number of threads. A child is started when all others are busy."""

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
        for child in reversed(self._all):
            self._free.put(child)

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

    def survey(self, locations: Sequence[Path]) -> list[Survey]:
        """What headers say for the grouping of files; one that ends its reader says nothing, and costs itself."""
        with self._child() as child:
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
    def _child(self) -> Iterator[ReadingChild]:
        child = self._free.get()
        try:
            yield child
        finally:
            self._free.put(child)

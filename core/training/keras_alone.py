"""Keras without the packages that it would bring along for plots and wrappers which Readroom never calls.

It imports Matplotlib, scikit-learn and pandas in `try: ... except ImportError`, and they take a third of the time
from the start of a child to its first step: 1.5 of 4.5 s of CPU. While Keras is imported they look as if they
were not installed; afterwards whoever wants them imports them as ever.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

NOT_NEEDED = ("matplotlib", "sklearn", "pandas")


class KerasAlone(MetaPathFinder):
    """Finds Keras where it lies, and hides the rest as long as it loads. Importing this module loads nothing."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target) if fullname == "keras" else None
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def load_alone(module: ModuleType) -> None:
            with hidden(NOT_NEEDED):
                load(module)

        spec.loader.exec_module = load_alone  # type: ignore[method-assign]
        return spec


@contextmanager
def hidden(names: Sequence[str]) -> Iterator[None]:
    """Within, packages that are not loaded yet cannot be imported."""
    absent = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]  # None stands for: not to be found
    try:
        yield
    finally:
        for name in absent:
            sys.modules.pop(name, None)


def import_keras_alone() -> None:
    """From now on whoever imports Keras first gets it alone."""
    if not any(isinstance(finder, KerasAlone) for finder in sys.meta_path):
        sys.meta_path.insert(0, KerasAlone())

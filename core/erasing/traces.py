"""What gives an erased case away in free text: its names and hashes, found in notes of jobs, in logs and in uploads."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

GONE = "(erased)"
SHORT = 6  # characters: shorter names count only as whole words, or patient 1 would be found in every number
HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Traces:
    """`words` are patients and sources, `hashes` those of pixels and files."""

    words: tuple[str, ...]
    hashes: frozenset[str]

    def named_in(self, text: str) -> bool:
        """Whether a text gives one of the erased cases away, as it stands or as JSON spells it."""
        if any(found in self.hashes for found in HASH.findall(text)):
            return True
        return any(_stands_in(spelled, text) for word in self.words for spelled in {word, json.dumps(word)[1:-1]})

    def cleaned(self, value: Any) -> Any:
        """A structured value whose texts say `(erased)` where they gave something away."""
        if isinstance(value, str):
            return GONE if self.named_in(value) else value
        if isinstance(value, dict):
            return {key: self.cleaned(item) for key, item in value.items()}
        return [self.cleaned(item) for item in value] if isinstance(value, list) else value


def make_traces(words: Iterable[str], hashes: Iterable[str]) -> Traces:
    """Traces of these names and hashes; empty ones would be found everywhere and are left out."""
    return Traces(tuple(sorted({word for word in words if word.strip()})), frozenset(hashes))


def _stands_in(word: str, text: str) -> bool:
    if word not in text:
        return False
    return len(word) >= SHORT or re.search(rf"(?<![^\W_]){re.escape(word)}(?![^\W_])", text) is not None

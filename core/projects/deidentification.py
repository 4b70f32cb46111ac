"""What of a header a project keeps, and which images somebody has to look at first."""

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from core.errors import InvalidInput


@dataclass(frozen=True)
class Deidentification:
    """The project's choices within PS3.15 Annex E; the defaults keep what subgroups and the viewer need.

    `enabled` is false only where an administrator said so by name: then headers, names and paths stay as they are.
    """

    enabled: bool = True
    retain_patient: bool = True  # sex, age (90 stands for 90 and above), size, weight
    retain_device: bool = False  # serial number, station name, software versions
    clean_descriptors: bool = True  # study, series and protocol in known words; otherwise removed
    shift_dates: bool = True  # by a number of days of each patient; otherwise emptied
    keep_times: bool = True  # beside moved dates; where those are emptied, times are, too
    strict_pixels: bool = False  # hold every image whose header does not say that nothing is burned in
    apply_templates: bool = False  # black out by a device's template without asking
    crosswalk_key: str = ""  # the public key by which imports note whose pseudonym is whose; empty: they do not


def to_json(options: Deidentification) -> str:
    return json.dumps(asdict(options), sort_keys=True)


def from_json(text: str | None) -> Deidentification:
    """The stored choices; one that is not named has its default.

    Raises:
        InvalidInput: a name or a value that is no such choice.
    """
    said: dict[str, Any] = json.loads(text) if text else {}
    known = {field.name for field in fields(Deidentification)}
    kinds = {name: str if name == "crosswalk_key" else bool for name in known}
    wrong = [name for name, value in said.items() if name not in known or not isinstance(value, kinds[name])]
    if wrong:
        raise InvalidInput(f"De-identification knows {', '.join(sorted(known))}, each on or off. Received: {wrong[0]}")
    return Deidentification(**said)

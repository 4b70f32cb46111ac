"""What may stay of a value: each check gives back a clean value, or raises `Unfit` with the rule.

A check sees one attribute of a kind that is kept. It never lets through text that it does not know: a name typed
into a technical field is no code, no number and no word of the lists.
"""

import datetime as dt
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydicom.datadict import dictionary_has_tag
from pydicom.dataelem import DataElement
from pydicom.multival import MultiValue
from pydicom.uid import UID

from core.images.deidentify_profile import Check, Kept, terms_of
from core.images.pseudonyms import pseudonymous_uid

OLDEST_AGE = 90  # above 89 an age identifies (US 45 CFR 164.514)
MOST_VALUES = 100_000
LARGEST_EXPONENT = 1e15
NUMBER = re.compile(r" *[+-]?[0-9]*\.?[0-9]*([eE][+-]?[0-9]+)? *")
PLAIN_NAME = re.compile(r"[A-Za-z0-9 _.,/()+-]{1,64}")
KERNEL = re.compile(r"[A-Za-z]{1,2}\d{2}[a-z]{0,2}\d?")
KERNEL_WORDS = frozenset({"STANDARD", "SOFT", "LUNG", "BONE", "BONEPLUS", "DETAIL", "EDGE", "CHST", "SHARP", "SMOOTH"})
ORIENTATION = re.compile(r"[ARLPHF]{1,3}")
# A word of a description: letters with the digits that belong to them, or a measure with its unit.
WORD = re.compile(r"[A-Za-z][A-Za-z0-9]*|\d+(?:\.\d+)?[A-Za-z]*")
MEASURE = re.compile(r"\d{1,3}(\.\d{1,2})?(mm|cm|s|ms|kv|kev|d)|b\d{1,4}|te\d{1,3}|tr\d{1,4}", re.IGNORECASE)


class Unfit(Exception):
    """The value must not stay; the text is the rule, never the value."""


@dataclass(frozen=True)
class Clean:
    """A value that may stay; `rule` is set where it is no longer what it was."""

    value: Any
    done: str = "kept"
    rule: str = ""


@dataclass(frozen=True)
class Patient:
    """What the values of one patient's data set are replaced by."""

    secret: bytes
    pseudonym: str | None
    days: int | None  # by which dates are moved; None: emptied


def clean_value(kept: Kept, element: DataElement, patient: Patient) -> Clean:
    """The value of an attribute, when it may stay.

    Raises:
        Unfit: it may not.
    """
    values = _many(element.value)
    if kept.check == "empty":
        return Clean("", "emptied", "other objects need it to be there, not what it says")
    if kept.check == "pseudonym":
        return Clean(patient.pseudonym or "", "replaced", "by the pseudonym")
    if not values:
        return Clean("", "kept")
    if not _fits(kept.multiplicity, len(values)):
        raise Unfit("another number of values than the standard says")
    return CHECKS[kept.check](kept, values, patient)


# ---- codes, numbers and other technical values


def _codes(kept: Kept, values: Sequence[Any], patient: Patient) -> Clean:
    said = [str(value).strip() for value in values]
    known = [word if word in kept.terms else "" for word in said]
    if not any(known):
        raise Unfit("none of the defined terms")
    clean = known[0] if len(known) == 1 else known
    return Clean(clean) if known == said else Clean(clean, "cleaned", "only the defined terms stay")


def _code_or_empty(kept: Kept, values: Sequence[Any], patient: Patient) -> Clean:
    said = str(values[0]).strip()
    return Clean(said) if said in kept.terms else Clean("", "emptied", "none of the defined terms")


def _numbers(kept: Kept, values: Sequence[Any], patient: Patient) -> Clean:
    for value in values:
        number = float(value)
        written = getattr(value, "original_string", None)
        if not math.isfinite(number) or not kept.low <= number <= kept.high:
            raise Unfit("no number that can be meant")
        if isinstance(written, str) and not NUMBER.fullmatch(written):
            raise Unfit("no number that can be meant")
        if number and abs(number) < 1 / LARGEST_EXPONENT:  # eight letters read as a number are mostly one of these
            raise Unfit("no number that can be meant")
    return Clean(values[0] if len(values) == 1 else list(values))


def _pattern(pattern: re.Pattern[str], rule: str) -> Callable[[Kept, Sequence[Any], Patient], Clean]:
    def check(kept: Kept, values: Sequence[Any], patient: Patient) -> Clean:
        said = [str(value).strip() for value in values]
        if not all(pattern.fullmatch(word) for word in said):
            raise Unfit(rule)
        return Clean(said[0] if len(said) == 1 else said)

    return check


def _kernels(kept: Kept, values: Sequence[Any], patient: Patient) -> Clean:
    said = [str(value).strip() for value in values]
    if not all(KERNEL.fullmatch(word) or word.upper() in KERNEL_WORDS for word in said):
        raise Unfit("no known convolution kernel")
    return Clean(said[0] if len(said) == 1 else said)


def _tags(kept: Kept, values: Sequence[Any], patient: Patient) -> Clean:
    tags = [int(value) for value in values]
    if not all(dictionary_has_tag(tag) and not (tag >> 16) % 2 for tag in tags):
        raise Unfit("no attribute of the standard")
    return Clean(tags[0] if len(tags) == 1 else tags)


# ---- what stands for somebody or something


def _known_uid(kept: Kept, values: Sequence[Any], patient: Patient) -> Clean:
    uid = str(values[0]).strip("\0 ")
    if _is_of_the_standard(uid):
        return Clean(uid)
    return Clean(pseudonymous_uid(patient.secret, uid), "replaced", "not a UID of the standard: by a pseudonymous one")


def _uid(kept: Kept, values: Sequence[Any], patient: Patient) -> Clean:
    uids = [str(value).strip("\0 ") for value in values]
    clean = [uid if _is_of_the_standard(uid) else pseudonymous_uid(patient.secret, uid) for uid in uids]
    return Clean(clean[0] if len(clean) == 1 else clean, "replaced", "by a pseudonymous UID; the same one every time")


def _age(kept: Kept, values: Sequence[Any], patient: Patient) -> Clean:
    """Such as 042Y or 006M (PS3.5 section 6.2, AS)."""
    found = re.fullmatch(r"(\d{3})([DWMY])", str(values[0]).strip())
    if not found:
        raise Unfit("no age")
    if int(found[1]) / {"D": 365.25, "W": 52.18, "M": 12, "Y": 1}[found[2]] >= OLDEST_AGE:
        return Clean(f"{OLDEST_AGE:03}Y", "cleaned", "90 stands for 90 and above")
    return Clean(found[0])


def _date(kept: Kept, values: Sequence[Any], patient: Patient) -> Clean:
    return Clean(_moved(str(values[0]).strip(), patient), "replaced", "moved by the patient's number of days")


def _datetime(kept: Kept, values: Sequence[Any], patient: Patient) -> Clean:
    said = str(values[0]).strip()
    rest = re.fullmatch(r"\d{8}((?:\d{2}){0,3}(?:\.\d{1,6})?)(?:[+-]\d{4})?", said)  # an offset tells the country
    if not rest:
        raise Unfit("no date and time")
    return Clean(_moved(said[:8], patient) + rest[1], "replaced", "moved by the patient's number of days")


def _moved(date: str, patient: Patient) -> str:
    if patient.days is None:
        raise Unfit("no patient is named, so that no number of days is his")
    try:
        day = dt.datetime.strptime(re.sub(r"(\d{4})\.(\d\d)\.(\d\d)", r"\1\2\3", date), "%Y%m%d")
        return (day + dt.timedelta(days=patient.days)).strftime("%Y%m%d").rjust(8, "0")
    except (ValueError, OverflowError) as error:
        raise Unfit("no date") from error


# ---- descriptions


def clean_words(text: str, further: frozenset[str] = frozenset()) -> str:
    """What is left of a description when only known words, and `further` ones, and measures stay, in their order."""
    known = (terms_of("descriptor"), further)
    words = [
        word for word in WORD.findall(text) if any(word.lower() in some for some in known) or MEASURE.fullmatch(word)
    ]
    return " ".join(words)[:64].strip()


def _descriptor(kept: Kept, values: Sequence[Any], patient: Patient) -> Clean:
    said = " ".join(str(value) for value in values)
    left = clean_words(said)
    if not left:
        raise Unfit("no known word in it")
    return Clean(left) if left == said.strip() else Clean(left, "cleaned", "only known words stay")


# ----


def _is_of_the_standard(uid: str) -> bool:
    return UID(uid).name != uid  # pydicom knows PS3.6 Annex A by name


def _fits(multiplicity: str, count: int) -> bool:
    """Whether so many values may be (PS3.6): `1`, `2`, `1-3`, `1-n`, `2-2n`."""
    low, _, high = multiplicity.partition("-")
    if not high:
        return count == int(low)
    if not high.endswith("n"):
        return int(low) <= count <= int(high)
    return int(low) <= count <= MOST_VALUES and count % int(high[:-1] or 1) == 0


def _many(value: Any) -> list[Any]:
    if value is None or value == "" or value == b"":
        return []
    return list(value) if isinstance(value, (MultiValue, list, tuple)) else [value]


_plain = _pattern(PLAIN_NAME, "more than letters, digits and a few signs")
CHECKS: dict[Check, Callable[[Kept, Sequence[Any], Patient], Clean]] = {
    "age": _age,
    "code": _codes,
    "codes": _codes,
    "code_or_empty": _code_or_empty,
    "date": _date,
    "datetime": _datetime,
    "descriptor": _descriptor,
    "digits": _pattern(re.compile(r"\d{1,8}"), "more than digits"),
    "kernels": _kernels,
    "known_uid": _known_uid,
    "number": _numbers,
    "numbers": _numbers,
    "orientation": _pattern(ORIENTATION, "no direction"),
    "plain": _plain,
    "plains": _plain,
    "tag": _tags,
    "tags": _tags,
    "time": _pattern(re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?"), "no time"),
    "uid": _uid,
}

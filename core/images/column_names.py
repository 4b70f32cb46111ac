"""What a further column of a label table is about, told by its name and, where that says nothing, by what stands in it.

A name is looked at twice: whole, and by its words (`PatientMRN` and `MRN no` hold the word `mrn`), in English and in
German. A word alone often says too little: `patient_age` and `radiologist_confidence` name nobody.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from typing import Literal

from core.errors import some_of
from core.images.label_table import KEEP, NOTE, SEPARATOR, Answer, TableRow
from core.images.pseudonyms import PSEUDONYM, TOKEN_PATH
from core.images.table_dates import DATED

# removed: free words, in which anything may stand, and the day of birth; patient: who he is, in whatever spelling;
# other: who or what place beside him, which tells of him, too; path: a file or folder; date: to be moved.
About = Literal["removed", "patient", "other", "path", "date"]

IDENTIFYING = re.compile(
    r"(patient_?|subject_?|first_?|last_?|given_?|middle_?|maiden_?|sur|family_?|full_?)?names?|initials|mrn|ssn|"
    r"(patient_?)?(street_?)?address|(patient_?)?(zip|post(al)?)_?(code)?|e?_?mail|"
    r"(tele|mobile_?|cell_?)?phone(_?number)?|(tele)?fax(_?number)?|"
    r"accession(_?(number|no|id))?|(medical_?)?record_?(number|no|id)|(health_?)?insurance(_?(number|no|id))?|"
    r"(patient|subject|person|case|admission|order|request|exam|study|social_?security|national)_?(id|number|no|key)|"
    r"(visit|encounter)_?id|nhs(_?(number|no|id))?|hospital_?(number|no|id)|"
    r"(study|series|sop)_?(instance_?)?uid",
    re.IGNORECASE,
)
OTHERS = re.compile(
    r"((referring|performing|requesting|attending|reading|ordering|consulting|responsible)_?)?"
    r"(physicians?|doctors?|clinicians?|surgeons?|operators?|technicians?|technologists?)(_?names?)?|"
    r"(referring|referrer|referred_?by|requested_?by|performed_?by|ordered_?by)|(radiologist|reader)_?names?|"
    r"(hospital|institution|clinic)s?(_?(name|address|department))?",
    re.IGNORECASE,
)
PATHS = re.compile(
    r"((original|source|src|dicom|raw|old)_?)?(file_?)?(path|file|folder|directory|dir)s?(_?names?)?|file_?names?|"
    r"(original|source)_?(image|name)",
    re.IGNORECASE,
)
REMOVED = re.compile(
    r"((patient|clinical|additional|study|image|radiology)_?)?"
    r"(comments?|remarks?|notes?|free_?text|report(_?text)?|narrative|impression|history)|"
    r"dob|(patient_?)?(date_?of_?)?birth_?(date|day)?s?|(patient_?)?birth_?time",
    re.IGNORECASE,
)
WHOLE: tuple[tuple[re.Pattern[str], About], ...] = (
    (IDENTIFYING, "patient"), (OTHERS, "other"), (PATHS, "path"), (DATED, "date"),
)  # fmt: skip


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FILLING = _words("of the s der die das des von und and")
FREE_WORDS = _words(
    "comment comments remark remarks note notes narrative impression freetext freitext bemerkung bemerkungen kommentar "
    "kommentare anmerkung anmerkungen notiz notizen anamnese anamnesis beurteilung"
)
FREE_PAIRS = {("free", "text"), ("report", "text"), ("clinical", "history"), ("medical", "history")}
BIRTH = _words("dob yob birthday birthdate birthplace geboren")
MEASURED_AT_BIRTH = _words("weight length size head order mode gestation gestational")
# Each says by itself who somebody is or how he is reached.
TELLING = _words(
    "mrn ssn nhs svnr initials initialen accession surname forename firstname lastname fullname maiden nickname alias "
    "nachname vorname familienname ehename email mail phone telephone telefon telefonnummer fax address adresse "
    "anschrift street strasse postcode zipcode plz postleitzahl pid ptid patid subjid versichertennummer aktenzeichen"
)
# `patientid`, `Patientennummer`, `Fallnr`: German joins what English sets apart.
JOINED = re.compile(
    r"(patient|patienten|pat|proband|probanden|fall|auftrags|anforderungs|aufnahme|akten|untersuchungs|"
    r"(sozial|kranken)?versicher(ungs|ten)?)(id|nummer|nr|no|number|name|mrn|key|kennung)"
)
PERSONS = _words("patient patienten patientin pat subject person proband probandin participant")
NAME_OF = PERSONS | _words(
    "first last given middle maiden sur family full fore second nick preferred pt mother father parent guardian spouse "
    "contact next kin"
)
KEPT_ABOUT = _words("case admission order request exam examination study security record chart hospital insurance fall")
SEEN_AT = _words("visit encounter")
KEYS = _words("id identifier number no nr nummer key")
PEOPLE_AND_PLACES = _words(
    "physician physicians doctor doctors clinician clinicians surgeon surgeons operator operators technician "
    "technicians technologist technologists radiologist radiologists radiographer sonographer pathologist cardiologist "
    "referrer nurse arzt aerzte aerztin chirurg chirurgin radiologe radiologin mtra zuweiser ueberweiser einweiser "
    "hospital hospitals institution institutions clinic clinics krankenhaus klinik praxis"
)
NAMING = KEYS | _words("name names code initials address department title signature login")
DONE_BY = _words(
    "read reported signed verified dictated performed requested referred ordered approved interpreted annotated created"
)
FILES = _words("path paths file files filepath filename filenames folder folders foldername directory dir pfad datei "
               "dateiname dateipfad ordner url uri link")  # fmt: skip
PICTURES = _words("image img picture dicom scan slide original source")
UIDS = _words("uid uids guid uuid studyuid seriesuid sopuid instanceuid")
OF_THE_STANDARD = _words("class syntax")  # SOP class, transfer syntax

AGE_WORDS = PERSONS | _words("age alter years year y at in exam study scan visit diagnosis jahren jahre")
# What is no word: numbers with signs and units, times of day, and what stands for somebody already.
NUMBER = re.compile(r"[<>~=≤≥±+-]*\s*\d+([.,:]\d+)*([eE][+-]?\d+)?\s*(%|[A-Za-zµ°/²³]{1,6})?")
NAMED_AT_MOST = 5
FEWEST_WORDS = 5  # different ones, below which a column is a handful of sites or scanners
SHARE_OF_ONE = 0.8  # of different words to what they are said of: each of nearly all is said of one alone


@lru_cache(maxsize=1024)
def about(name: str) -> About | None:
    """What a column is about, by its name; None where that tells nothing."""
    plain, words = name.strip().replace(" ", "_").replace("-", "_"), words_of(name)
    if REMOVED.fullmatch(plain) or _is_free(words) or _tells_birth(words):
        return "removed"
    for pattern, what in WHOLE:
        if pattern.fullmatch(plain):
            return what
    if any(word.endswith("datum") for word in words):
        return "date"
    if _tells_patient(words):
        return "patient"
    if _tells_other(words):
        return "other"
    return "path" if _tells_path(words) else None


def is_age(name: str) -> bool:
    """Whether a column is an age of a person in years, by its name."""
    words = set(words_of(name))
    return bool(words & {"age", "alter"}) and words <= AGE_WORDS


def words_of(name: str) -> tuple[str, ...]:
    """The words of a name in small letters, without digits and filling words: `PatientMRN` has two."""
    text = unicodedata.normalize("NFC", name.replace("#", " no ").replace("№", " no "))
    text = re.sub(r"(?<=[a-zß-ÿ])(?=[A-ZÀ-Þ])|(?<=[A-ZÀ-Þ])(?=[A-ZÀ-Þ][a-zß-ÿ])", " ", text).casefold()
    for umlaut, letters in (("ä", "ae"), ("ö", "oe"), ("ü", "ue")):
        text = text.replace(umlaut, letters)
    return tuple(word for word in re.findall(r"[^\W\d_]+", text) if word not in FILLING)


def without_stray_note(answer: Answer, row: TableRow) -> Answer:
    """An answer without a note that came in somebody's own table, in which it is a free word like any other: what a
    reader wrote here comes back with the event and the time of its writing. A column that was chosen is kept."""
    if not _has_stray_note(answer, row):
        return answer
    return replace(answer, further={key: said for key, said in answer.further.items() if key != NOTE})


def left_out_columns(rows: Iterable[TableRow]) -> tuple[str, ...]:
    """The columns of a table of which a project that de-identifies keeps nothing unless a person chooses them: stray
    notes, and words that are said of one patient or image each, as names are. Whatever such a column is called, nobody
    can tell what stands in it. One that is known by its name is none of them."""
    found = list(rows)
    noted = any(_has_stray_note(answer, row) for row in found for answer in row.answers)
    return (*_free_columns(found), *([NOTE] if noted else []))


def say_left_out(columns: Sequence[str]) -> str:
    """What was left out and how to keep it, in a sentence for whoever imports."""
    several = len(columns) > 1
    named = some_of([f"“{column}”" for column in columns], NAMED_AT_MOST)
    return (
        f"The {'columns' if several else 'column'} {named} of the label table {'were' if several else 'was'} left out: "
        f"words of their own for each patient or image, among which a name may stand. An import keeps what is chosen: "
        f"“Keep all the same” on the page Import, or --columns '{KEEP}={SEPARATOR.join(columns)}'."
    )


def _has_stray_note(answer: Answer, row: TableRow) -> bool:
    told = answer.further
    return bool(told.get(NOTE)) and not (told.get("event") and told.get("made_at")) and NOTE not in row.chosen


def _free_columns(rows: Sequence[TableRow]) -> list[str]:
    said: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in rows:
        for name, value in row.attributes.items():
            if name not in row.chosen and about(name) is None and _is_word(value):
                said[name].add((value.strip().casefold(), row.patient or row.path))
    return [name for name, pairs in said.items() if _is_of_one(pairs)]


def _is_of_one(pairs: set[tuple[str, str]]) -> bool:
    different = len({word for word, _ in pairs})
    return different >= FEWEST_WORDS and different >= SHARE_OF_ONE * len(pairs)


def _is_word(value: str) -> bool:
    text = value.strip()
    return bool(text) and not (NUMBER.fullmatch(text) or PSEUDONYM.fullmatch(text) or TOKEN_PATH.fullmatch(text))


# ---- by words


def _is_free(words: Sequence[str]) -> bool:
    bare = words[:-1] if len(words) > 1 and words[-1] in ("text", "field") else words
    return bool(bare) and (bare[-1] in FREE_WORDS or tuple(words[-2:]) in FREE_PAIRS)


def _tells_birth(words: Sequence[str]) -> bool:
    if any(word in BIRTH or (word.startswith("geburts") and "gewicht" not in word) for word in words):
        return True
    return "birth" in words and not MEASURED_AT_BIRTH & set(words)


def _tells_patient(words: Sequence[str]) -> bool:
    every = set(words)
    if every & TELLING or (every & UIDS and not every & OF_THE_STANDARD) or any(map(JOINED.fullmatch, words)):
        return True
    if every & {"name", "names"} and every <= NAME_OF | {"name", "names"}:
        return True
    if every and every <= PERSONS | {"id", "ids", "identifier"}:
        return True
    return any(_is_key(one, other) or (one == "id" and other in PERSONS) for one, other in pairwise(words))


def _is_key(whose: str, key: str) -> bool:
    if whose in PERSONS or whose == "pt":
        return key in KEYS or key in ("code", "hash", "kennung")
    return (whose in KEPT_ABOUT and key in KEYS) or (whose in SEEN_AT and key in ("id", "identifier", "key"))


def _tells_other(words: Sequence[str]) -> bool:
    if len(words) > 1 and words[-1] == "by" and words[-2] in DONE_BY:
        return True
    return _ends_in(words, PEOPLE_AND_PLACES, NAMING) and words[0] not in ("n", "num", "number", "count", "anzahl")


def _tells_path(words: Sequence[str]) -> bool:
    if _ends_in(words, FILES, _words("name names")):
        return True
    return any(one in PICTURES and other in ("id", "name", "names") for one, other in pairwise(words))


def _ends_in(words: Sequence[str], wanted: frozenset[str], after: frozenset[str]) -> bool:
    """Whether one of these words stands last, or is followed by such alone as say how it is named."""
    while words and words[-1] in after - wanted:
        words = words[:-1]
    return bool(words) and words[-1] in wanted

"""De-identification: nothing of the table survives, what is kept is named, and the same stays the same."""

import io
import warnings
from typing import Any

import pydicom
import pytest
from pydicom.datadict import dictionary_keyword
from pydicom.dataset import Dataset

from core.images.deidentify import DEEPEST, Deidentified, deidentify, header_bytes, say_pixels_cleaned
from core.images.deidentify_alike import Alike
from core.images.deidentify_profile import FOLDER, kept_attributes, table_rows, terms_of
from core.images.deidentify_values import clean_words
from core.images.pseudonyms import pseudonym
from core.projects.deidentification import Deidentification
from tests.core.images.hostile import MARK, TIME, TRACES, filled, hostile_dataset, hostile_file

SECRET = b"s" * 32
DEFAULT = Deidentification()
STRICTEST = Deidentification(retain_patient=False, clean_descriptors=False, shift_dates=False, keep_times=False)
EVERYTHING = Deidentification(retain_device=True)
# What each action of the table allows us to do with an attribute (PS3.15 table E.1-1a); removing is always stricter.
REMOVED = {"removed"}
MAY: dict[str, set[str]] = {
    "X": REMOVED,
    "Z": {*REMOVED, "emptied", "empty", "pseudonym"},
    "D": {*REMOVED, "emptied", "empty", "pseudonym"},
    "U": {*REMOVED, "uid"},
    "K": set(),
    "C": {*REMOVED, "date", "datetime", "time", "descriptor"},
}


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom speaks of odd values, which are odd on purpose
        yield


def cleaned(options: Deidentification = DEFAULT, **tags: Any) -> Dataset:
    dataset = Dataset()
    dataset.PatientID, dataset.StudyInstanceUID = "4711", "1.2.3"
    for word, value in tags.items():
        setattr(dataset, word, value)
    return deidentify(dataset, options, SECRET).dataset


def what_happened(made: Deidentified, path: str) -> list[str]:
    return [change.done for change in made.changes if change.path == path]


# ---- the profile


def test_every_attribute_of_the_table_is_handled_at_least_as_strictly() -> None:
    options = {"retain_patient": "patient", "retain_device": "device"}
    assert len(table_rows()) == 656
    kept = kept_attributes()
    for row in table_rows():
        if "x" in row.tag or int(row.tag.replace(",", ""), 16) not in kept:
            continue  # removed, whatever the options
        rule = kept[int(row.tag.replace(",", ""), 16)]
        if rule.option in options:
            assert row.options.get(rule.option) == "K", f"{row.name} is kept by {rule.option}, which does not say so"
        elif rule.option in ("shift_dates", "keep_times"):
            assert row.options.get("retain_modified_dates") == "C", row.name
            assert rule.check in MAY["C"]
        elif rule.option == "clean_descriptors":
            assert row.options.get("clean_descriptors") == "C", row.name
            assert rule.check in MAY["C"]
        else:
            action = row.basic.replace("*", "").split("/")
            assert rule.check in set().union(*(MAY[one] for one in action)), f"{row.name}: {row.basic}, {rule.check}"


def test_what_is_kept_is_small_named_and_has_a_reason() -> None:
    kept = kept_attributes()
    assert 150 < len(kept) < 220
    for tag, rule in kept.items():
        assert dictionary_keyword(tag) == rule.keyword
        assert len(rule.reason) > 4
        assert not (tag >> 16) % 2
        if rule.check in ("code", "codes", "code_or_empty"):
            assert rule.terms, f"{rule.keyword} is a code without a list of terms"
        if rule.check in ("number", "numbers"):
            assert rule.low < rule.high
        if rule.check == "sequence":
            assert rule.vrs == {"SQ"}
        else:
            assert "SQ" not in rule.vrs
        assert not rule.vrs & {"OB", "OW", "UN", "UT", "LT", "ST", "UR", "AE"}, f"{rule.keyword} can hold anything"


def test_lists_of_terms_are_sorted_and_hold_no_twice() -> None:
    for path in sorted((FOLDER / "terms").glob("*.txt")):
        words = path.read_text("utf-8").splitlines()
        assert words == sorted(set(words)), path.name
        assert terms_of(path.stem) == set(words)


# ---- what is removed


def test_the_hostile_file_says_every_trace_and_has_every_attribute_of_the_table() -> None:
    """Else what is not found afterwards would prove nothing."""
    content = hostile_file()
    as_they_may_be_told = {b"98765.4375", MARK.encode("utf-16-le"), MARK.encode("utf-16-be")}  # and lie in no header
    assert {trace for trace in (*TRACES, TIME) if trace not in content} == as_they_may_be_told
    dataset = Dataset()
    wanted = {int(row.tag.replace(",", ""), 16) for row in table_rows() if "x" not in row.tag}
    wanted = {tag for tag in wanted if tag >> 16 not in (0, 2, 4, 0xFFFA, 0xFFFC)}
    assert filled(dataset) == len(wanted)
    assert {int(tag) for tag in dataset.keys()} == wanted  # noqa: SIM118
    assert wanted >= {0x00100012, 0x00081301, 0x0040A034, 0x0040E012}  # which pydicom's dictionary does not know


@pytest.mark.parametrize("options", [DEFAULT, STRICTEST, Deidentification(strict_pixels=True)])
def test_no_marker_survives(options: Deidentification) -> None:
    made = deidentify(pydicom.dcmread(io.BytesIO(hostile_file())), options, SECRET)
    told = header_bytes(made.dataset) + repr(made.changes).encode() + str(made.dataset).encode()
    for trace in (*TRACES, *([] if options.keep_times else [TIME])):
        assert trace not in told, trace
    assert not any(tag.is_private or tag.group >> 8 in (0x50, 0x60, 0x7F) for tag in made.dataset.keys())  # noqa: SIM118


def test_a_data_set_that_was_never_written_is_cleaned_the_same() -> None:
    said = header_bytes(deidentify(hostile_dataset(), DEFAULT, SECRET).dataset)
    assert all(trace not in said for trace in TRACES)


def test_the_given_data_set_stays_as_it_is() -> None:
    dataset = hostile_dataset()
    before = len(dataset), str(dataset.PatientName)
    deidentify(dataset, DEFAULT, SECRET)
    assert (len(dataset), str(dataset.PatientName)) == before


def test_what_happened_to_every_attribute_is_told_without_the_before() -> None:
    dataset = hostile_dataset()
    made = deidentify(dataset, DEFAULT, SECRET)
    told = {change.path for change in made.changes}
    for tag in dataset:
        own = f"({tag.tag.group:04X},{tag.tag.element:04X})"
        assert own in told or (tag.tag.is_private and f"({tag.tag.group:04X},xxxx)" in told)
    assert what_happened(made, "(0010,0010)") == ["replaced"]
    assert what_happened(made, "(0010,4000)") == ["removed"]
    assert what_happened(made, "(5200,9229) > (0010,0010)") == ["removed"]
    assert what_happened(made, "(0009,xxxx)") == ["removed"]
    assert MARK not in repr(made.changes)


def test_a_name_typed_into_a_technical_field_goes() -> None:
    clean = cleaned(
        ViewPosition="SMITH", BodyPartExamined="JANE DOE", Modality="DOE", ConvolutionKernel="Doe",
        ScanningSequence=["SE", "JANE"], Manufacturer="Doe^Jane", ImageType=["ORIGINAL", "PRIMARY", "SMITH"],
    )  # fmt: skip
    for word in ("ViewPosition", "BodyPartExamined", "Modality", "ConvolutionKernel", "Manufacturer"):
        assert word not in clean, word
    assert list(clean.ScanningSequence) == ["SE", ""]
    assert list(clean.ImageType) == ["ORIGINAL", "PRIMARY", ""]


def test_a_value_representation_that_is_not_the_standards_goes() -> None:
    dataset = Dataset()
    dataset.add_new(0x00280010, "LO", MARK)
    dataset.add_new(0x00180050, "OB", b"SECRETMARK")
    assert not {0x00280010, 0x00180050} & set(deidentify(dataset, DEFAULT, SECRET).dataset.keys())


def test_numbers_that_nobody_can_mean_go() -> None:
    clean = cleaned(PatientWeight="987654.321", SliceThickness="1.5", PatientSize="1.80", ImagePositionPatient=[1, 2])
    assert "PatientWeight" not in clean
    assert "ImagePositionPatient" not in clean
    assert (clean.SliceThickness, clean.PatientSize) == (1.5, 1.8)


def test_a_nest_without_end_is_cut_off() -> None:
    inner = Dataset()
    for _ in range(DEEPEST + 20):
        outer = Dataset()
        outer.FrameContentSequence = [inner]
        inner = outer
    made = deidentify(inner, DEFAULT, SECRET)
    assert any("deeper" in change.rule for change in made.changes)


# ---- what stays the same


def test_the_same_patient_study_and_image_stay_the_same() -> None:
    one, two = (cleaned(SOPInstanceUID="1.2.3.4", FrameOfReferenceUID="1.2.9") for _ in range(2))
    assert one.PatientID == two.PatientID == one.PatientName == pseudonym(SECRET, "patient /4711")
    assert one.SOPInstanceUID == two.SOPInstanceUID != "1.2.3.4"
    assert str(one.StudyInstanceUID).startswith("2.25.")
    assert one.file_meta.MediaStorageSOPInstanceUID is not None if "SOPClassUID" in one else True
    other = deidentify(one, DEFAULT, b"t" * 32).dataset
    assert other.SOPInstanceUID != one.SOPInstanceUID


def test_a_uid_of_the_standard_stays() -> None:
    clean = cleaned(SOPClassUID="1.2.840.10008.5.1.4.1.1.2", FrameOfReferenceUID="1.2.840.10008.1.4.1.1")
    assert clean.SOPClassUID == "1.2.840.10008.5.1.4.1.1.2"
    assert clean.FrameOfReferenceUID == "1.2.840.10008.1.4.1.1"
    assert str(cleaned(SOPClassUID="1.2.999.5").SOPClassUID).startswith("2.25.")
    assert str(cleaned(FrameOfReferenceUID="1.2.840.10008.77.4711").FrameOfReferenceUID).startswith("2.25.")


def test_dates_move_together_and_keep_their_intervals() -> None:
    clean = cleaned(StudyDate="20200228", SeriesDate="20200301", AcquisitionDateTime="20200301120000.5+0100")
    assert clean.StudyDate != "20200228"
    days = pydicom.valuerep.DA(clean.SeriesDate) - pydicom.valuerep.DA(clean.StudyDate)
    assert days.days == 2
    assert clean.AcquisitionDateTime == clean.SeriesDate + "120000.5"
    other = cleaned(StudyDate="20200228", PatientID="4712")
    assert other.StudyDate != clean.StudyDate
    assert clean.LongitudinalTemporalInformationModified == "MODIFIED"


def test_dates_and_times_go_where_the_project_says_so() -> None:
    clean = cleaned(STRICTEST, StudyDate="20200228", StudyTime="101112", SeriesDate="20200301")
    assert (clean.StudyDate, clean.StudyTime, "SeriesDate" in clean) == ("", "", False)
    assert clean.LongitudinalTemporalInformationModified == "REMOVED"
    assert cleaned(StudyTime="101112").StudyTime == "101112"


def methods_of(clean: Dataset) -> list[str]:
    return [item.CodeValue for item in clean.DeidentificationMethodCodeSequence]


def test_dates_without_a_patient_go_and_times_with_them() -> None:
    dataset = Dataset()
    dataset.StudyDate, dataset.SeriesDate = "20200228", "20200228"
    dataset.StudyTime, dataset.AcquisitionTime = "101112", "101113"
    alike, somebodys = Alike(), Dataset()
    somebodys.PatientID = "4711"
    deidentify(somebodys, DEFAULT, SECRET, alike)  # what was done there is not said of this one
    for clean in (deidentify(dataset, DEFAULT, SECRET).dataset, deidentify(dataset, DEFAULT, SECRET, alike).dataset):
        assert (clean.StudyDate, "SeriesDate" in clean) == ("", False)
        assert (clean.StudyTime, "AcquisitionTime" in clean) == ("", False)
        assert clean.LongitudinalTemporalInformationModified == "REMOVED"
        assert "113107" not in methods_of(clean)


def test_times_go_where_dates_are_not_moved() -> None:
    """(0028,0303) says that temporal information was removed, and no option of PS3.15 keeps times alone."""
    dose = Dataset()
    dose.RadiopharmaceuticalStartTime = "101114"
    said = {"StudyDate": "20200228", "StudyTime": "101112", "AcquisitionTime": "101113",
            "RadiopharmaceuticalInformationSequence": [dose]}  # fmt: skip
    clean = cleaned(Deidentification(shift_dates=False), **said)
    assert "10111" not in str(clean)
    assert clean.LongitudinalTemporalInformationModified == "REMOVED"
    assert methods_of(clean) == ["113100", "113105", "113108"]
    moved = cleaned(DEFAULT, **said)
    assert (moved.StudyTime, moved.AcquisitionTime) == ("101112", "101113")
    assert "101114" in str(moved)
    assert "113107" in methods_of(moved)


@pytest.mark.parametrize(
    ("said", "kept"), [("042Y", "042Y"), ("089Y", "089Y"), ("090Y", "090Y"), ("101Y", "090Y"), ("999M", "999M")]
)
def test_ages_end_at_90(said: str, kept: str) -> None:
    assert cleaned(PatientAge=said).PatientAge == kept


# ---- the options


def test_the_patients_characteristics_stay_only_where_the_project_says_so() -> None:
    tags = {"PatientSex": "F", "PatientAge": "042Y", "PatientWeight": "70"}
    assert (cleaned(**tags).PatientSex, cleaned(**tags).PatientAge) == ("F", "042Y")
    clean = cleaned(STRICTEST, **tags)
    assert clean.PatientSex == ""
    assert "PatientAge" not in clean
    assert "PatientWeight" not in clean


def test_the_device_stays_only_where_the_project_says_so() -> None:
    tags = {"StationName": "CT 1", "DeviceSerialNumber": "1234", "Manufacturer": "ACME"}
    assert "StationName" not in cleaned(**tags)
    assert cleaned(**tags).Manufacturer == "ACME"
    assert cleaned(EVERYTHING, **tags).DeviceSerialNumber == "1234"


def test_descriptions_keep_known_words_only() -> None:
    assert clean_words("T1 axial post Gd, Mrs. Doe 12.03.1987 4711 5.0mm") == "T1 axial post Gd 5.0mm"
    assert cleaned(SeriesDescription="Jane's CHEST").SeriesDescription == "CHEST"
    assert "SeriesDescription" not in cleaned(SeriesDescription="Jane Doe")
    assert "SeriesDescription" not in cleaned(STRICTEST, SeriesDescription="CHEST")


def test_the_methods_are_written_down() -> None:
    clean = cleaned(DeidentificationMethod=f"by {MARK}", PatientIdentityRemoved="NO")
    assert clean.PatientIdentityRemoved == "YES"
    codes = [item.CodeValue for item in clean.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113105", "113107", "113108"]
    assert MARK not in str(clean.DeidentificationMethod)
    only_basic = cleaned(STRICTEST).DeidentificationMethodCodeSequence
    assert [item.CodeValue for item in only_basic] == ["113100"]
    say_pixels_cleaned(clean)
    assert clean.BurnedInAnnotation == "NO"
    assert clean.DeidentificationMethodCodeSequence[-1].CodeValue == "113101"


# ---- the file


def test_the_header_is_a_file_of_its_own() -> None:
    made = deidentify(pydicom.dcmread(io.BytesIO(hostile_file())), DEFAULT, SECRET)
    content = header_bytes(made.dataset)
    assert content[:128] == bytes(128)
    again = pydicom.dcmread(io.BytesIO(content))
    assert again.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert again.file_meta.MediaStorageSOPInstanceUID == again.SOPInstanceUID
    assert again.file_meta.ImplementationVersionName == "READROOM"
    assert "SourceApplicationEntityTitle" not in again.file_meta
    assert "PixelData" not in again
    assert (again.Rows, again.Columns, again.Modality) == (8, 8, "CT")
    assert header_bytes(made.dataset) == content

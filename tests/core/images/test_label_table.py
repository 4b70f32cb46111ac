"""Label tables as people really save them."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.images.label_table import guess_columns, map_columns, read_label_table

PLAIN = "path,label,patient,split,reader\na.png,normal,p1,train,anna\nb.png,pneumonia,p2,test,anna\n"


def refusal(text: str, columns: dict[str, str] | None = None) -> str:
    with pytest.raises(InvalidInput) as caught:
        map_columns(read_label_table(text.encode()), columns)
    assert "Received: " in str(caught.value)
    return str(caught.value)


def test_a_plain_table_works() -> None:
    rows = map_columns(read_label_table(PLAIN.encode()))
    assert list(rows) == ["a.png", "b.png"]
    row = rows["b.png"]
    assert (row.labels, row.patient, row.split, row.reader) == ("pneumonia", "p2", "test", "anna")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("line", ["\n", "\r\n", "\r"])
def test_any_encoding_separator_and_line_end(encoding: str, separator: str, line: str) -> None:
    text = line.join(separator.join(cells) for cells in (["path", "label"], ["Müller.png", "Ödem"])) + line
    table = read_label_table(text.encode(encoding))
    assert table.separator == separator
    assert map_columns(table)["Müller.png"].labels == "Ödem"


def test_excels_separator_hint_is_followed() -> None:
    assert read_label_table(b"sep=;\r\npath;label\r\na.png;x\r\n").columns == ("path", "label")


def test_several_classes_and_commas_in_quotes() -> None:
    rows = map_columns(read_label_table(b'path;label;note\n"a, b; c.png";x|y;"said ""so"""\n'))
    assert rows["a, b; c.png"].labels == "x|y"
    assert rows["a, b; c.png"].answers[0].further == {"note": 'said "so"'}


def test_other_columns_are_attributes_and_mapped_ones_are_not() -> None:
    table = read_label_table(b"filename,Alter,site,label\na.png,44,Ulm,x\nb.png,,Ulm,\n")
    rows = map_columns(table, {"path": "filename", "age": "Alter"})
    assert rows["a.png"].attributes == {"age": "44", "site": "Ulm"}
    assert rows["b.png"].attributes == {"site": "Ulm"}
    assert rows["b.png"].labels is None


def test_columns_are_guessed_by_their_usual_names() -> None:
    table = read_label_table(b"Image Index,Finding Labels,Patient ID,Patient Age,source_split\nx.png,a,1,40,train\n")
    assert guess_columns(table) == {
        "path": "Image Index",
        "label": "Finding Labels",
        "patient": "Patient ID",
        "age": "Patient Age",
        "split": "source_split",
    }


def test_a_column_can_be_kept_from_meaning_what_its_name_says() -> None:
    table = read_label_table(b"path,label,reader\na.png,x,room 3\n")
    row = map_columns(table, {"reader": ""})["a.png"]
    assert (row.reader, row.attributes) == (None, {"reader": "room 3"})


def test_two_readers_of_one_case_are_two_answers() -> None:
    rows = map_columns(read_label_table(b"path,label,reader\na.png,x,anna\na.png,y,ben\na.png,x,anna\n"))
    assert [(answer.reader, answer.labels) for answer in rows["a.png"].answers] == [("anna", "x"), ("ben", "y")]


def test_two_events_of_one_reader_are_a_history() -> None:
    rows = map_columns(read_label_table(b"path,label,reader,event\na.png,x,anna,e1\na.png,y,anna,e2\n"))
    assert [answer.labels for answer in rows["a.png"].answers] == ["x", "y"]


@pytest.mark.parametrize(
    ("second", "named"),
    [("a.png,y,p1,train", "label"), ("a.png,x,p2,train", "patient"), ("./a.png,x,p1,test", "split")],
)
def test_conflicting_duplicates_are_refused_with_their_line(second: str, named: str) -> None:
    said = refusal(f"path,label,patient,split\na.png,x,p1,train\n{second}\n")
    assert f"a.png has {named}" in said
    assert "line 3" in said


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("\n\npath,split\n\na,train\n\n\nb,fold 3\n", 8),
        ("sep=;\npath;split\na;train\nb;fold 3\n", 4),
        ("sep=,\r\n\r\npath,split\r\na,fold 3\r\n", 4),
        ('path,split,note\na,train,"two\nlines"\nb,fold 3,\n', 4),
        ('path,split,note\na,fold 3,"two\nlines"\n', 2),
    ],
)
def test_lines_are_counted_as_an_editor_counts_them(text: str, line: int) -> None:
    assert refusal(text).endswith(f"Received: fold 3 in line {line}")


def test_every_sentence_about_a_line_names_the_same_one() -> None:
    begin = "sep=;\n\npath;label\n\n"
    assert "Line 5 of the label table has more cells" in refusal(begin + "a;b;c\n")
    assert "Line 5 of the label table names no file" in refusal(begin + ";x\n")
    assert "in line 6, y" in refusal(begin + "a;x\na;y\n")
    assert refusal(begin + 'a;x\n"b;y\n').endswith("in line 6")


def test_equal_duplicates_are_one() -> None:
    rows = map_columns(read_label_table(b"path,label\na.png,x\n.\\a.png,x\n"))
    assert list(rows) == ["a.png"]
    assert len(rows["a.png"].answers) == 1


@pytest.mark.parametrize(
    ("text", "columns", "said"),
    [
        (PLAIN, {"path": "file"}, "path, label, patient, split, reader. Received: path=file"),
        (PLAIN, {"pth": "path"}, "Received: pth=path"),
        ("file,label\na,x\n", None, "--columns path=file"),
        ("path,split\na,fold 3\n", None, "Received: fold 3 in line 2"),
        ("path,label\n,x\n", None, "Line 2 of the label table names no file"),
        ("path,label\na,b,c\n", None, "Received: 3 cells for 2 columns"),
        ("path,path\na,b\n", None, "a name of its own"),
        ("path,label\n", None, "Received: 1 lines"),
        ("", None, "Received: 0 lines"),
        ('path,label\n"a,b\n', None, "not a CSV"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(text: str, columns: dict[str, str] | None, said: str) -> None:
    assert said in refusal(text, columns)


def test_a_spreadsheet_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="Save the label table as CSV"):
        read_label_table(b"PK\x03\x04rest")
    with pytest.raises(InvalidInput, match="check its path"):
        read_label_table(tmp_path / "none.csv")


@given(
    st.lists(
        st.tuples(
            st.from_regex(r"[a-zäß0-9]{1,8}\.png", fullmatch=True),
            st.text(st.characters(codec="utf-8", exclude_categories=("C",)), max_size=12).map(str.strip),
        ),
        min_size=1,
        max_size=20,
        unique_by=lambda row: row[0],
    ),
    st.sampled_from([",", ";", "\t"]),
)
def test_a_written_table_is_read_back_equal(rows: list[tuple[str, str]], separator: str) -> None:
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=separator).writerows([("path", "label"), *rows])
    read = map_columns(read_label_table(buffer.getvalue().encode()))
    assert [(path, row.labels or "") for path, row in read.items()] == rows


def test_the_real_table(test_data: Path) -> None:
    table = read_label_table(test_data / "cxr_pediatric_pneumonia" / "labels.csv")
    rows = map_columns(table, guess_columns(table))
    assert len(rows) == 960
    assert len({row.patient for row in rows.values()}) == 729
    assert {row.split for row in rows.values()} == {"train", "test"}
    assert next(iter(rows.values())).attributes["source_mode"] == "L"

"""Which row of a label table is about which file, however its path was shortened."""

from core.images.label_table import TableRow
from core.images.matching import SourceNames, match_rows


def matched(rows: list[str], sources: list[str]) -> dict[str, str]:
    """Source to the path of its row."""
    return {source: row.path for source, row in match_rows(_table(rows), sources).rows.items()}


def _table(rows: list[str]) -> dict[str, TableRow]:
    return {path: TableRow(path) for path in rows}


def test_the_end_of_a_path_names_its_file_among_others_of_this_name() -> None:
    sources = ["a/b/x.png", "a/c/x.png", "a/c/y.png"]
    assert matched(["b/x.png", "c/x.png"], sources) == {"a/b/x.png": "b/x.png", "a/c/x.png": "c/x.png"}


def test_a_table_may_know_more_folders_than_the_import() -> None:
    sources = ["b/x.png", "c/x.png"]
    rows = ["/data/set/b/x.png", "D:\\set\\c\\x.png"]
    assert matched(rows, sources) == {"b/x.png": "/data/set/b/x.png", "c/x.png": "D:\\set\\c\\x.png"}


def test_a_whole_path_goes_before_the_end_of_one_and_that_before_a_file_name() -> None:
    assert matched(["b/x.png", "x.png"], ["a/b/x.png", "b/x.png"]) == {"b/x.png": "b/x.png", "a/b/x.png": "x.png"}


def test_only_whole_folders_are_an_end() -> None:
    assert matched(["b/x.png"], ["ab/x.png", "c/x.png"]) == {}


def test_an_end_that_fits_two_files_is_reported_and_not_guessed_at() -> None:
    found = match_rows(_table(["b/x.png"]), ["a/b/x.png", "c/b/x.png"])
    assert found.rows == {}
    assert "fit several files" in found.warnings[0]
    assert found.warnings[0].endswith("Received: b/x.png")


def test_two_rows_of_one_file_are_reported_and_not_guessed_at() -> None:
    found = match_rows(_table(["b/x.png", "a/b/x.png"]), ["d/a/b/x.png"])
    assert found.rows == {}
    assert "share one" in found.warnings[0]


def test_an_accent_written_as_two_characters_is_the_same_letter() -> None:
    assert matched(["b/u\u0308.png"], ["a/b/\u00fc.png", "a/c/\u00fc.png"]) == {"a/b/\u00fc.png": "b/u\u0308.png"}


def test_a_source_is_found_by_path_end_and_unique_file_name() -> None:
    names = SourceNames(["a/b/x.png", "a/c/x.png", "a/c/y.png", "z.png"])
    assert names.find("b\\x.png") == ["a/b/x.png"]
    assert names.find("y.png") == names.find("y") == ["a/c/y.png"]
    assert names.find("./z.png") == ["z.png"]
    assert names.find("x") == ["a/b/x.png", "a/c/x.png"]
    assert names.find("ghost.png") == []


def test_a_path_with_a_folder_is_no_file_of_another_folder() -> None:
    assert SourceNames(["a/c/y.png"]).find("b/y.png") == []


def test_a_packed_volume_goes_by_its_name_without_both_extensions() -> None:
    assert matched(["scan_1", "scan_2.nii"], ["a/scan_1.nii.gz", "a/scan_2.nii"]) == {
        "a/scan_1.nii.gz": "scan_1",
        "a/scan_2.nii": "scan_2.nii",
    }
    assert SourceNames(["a/scan_1.nii.gz"]).find("scan_1") == ["a/scan_1.nii.gz"]

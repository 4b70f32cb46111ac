"""Zips, also the ones that mean harm."""

import io
import stat
import zipfile
from pathlib import Path

import pytest

from core.errors import InvalidInput
from core.images.archives import OpenArchives, is_archive, list_members, list_tables, read_member, zip_around
from core.settings import Settings


def packed(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_it_works(tmp_path: Path, settings: Settings) -> None:
    path = packed(tmp_path / "a.zip", {"in/a.txt": b"one", "b.txt": b"two"})
    assert is_archive(path)
    assert [(member.name, member.refusal) for member in list_members(path, settings)] == [
        ("in/a.txt", None),
        ("b.txt", None),
    ]
    with OpenArchives(settings) as archives:
        assert archives.read(path, "b.txt") == b"two"
        assert archives.read(path, "in/a.txt") == b"one"


@pytest.mark.parametrize("name", ["../evil.png", "/etc/evil.png", "a/../../evil.png", "C:\\evil.png", "..\\evil.png"])
def test_a_name_that_leads_out_is_refused_alone(name: str, tmp_path: Path, settings: Settings) -> None:
    members = list_members(packed(tmp_path / "a.zip", {name: b"x", "good.png": b"y"}), settings)
    assert "leads out" in (members[0].refusal or "")
    assert members[1].refusal is None


@pytest.mark.parametrize("name", ["", "."])
def test_a_member_without_a_name_is_refused_alone(name: str, tmp_path: Path, settings: Settings) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), b"x")
        archive.writestr("b.png", b"y")
    assert [bool(member.refusal) for member in list_members(path, settings)] == [True, False]


def test_a_link_is_refused(tmp_path: Path, settings: Settings) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("link.png")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    assert "link" in (list_members(path, settings)[0].refusal or "")


def test_a_name_given_twice_is_refused(tmp_path: Path, settings: Settings) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", b"1")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.png", b"2")
    assert [bool(member.refusal) for member in list_members(path, settings)] == [False, True]


def test_a_member_that_swells_is_refused(tmp_path: Path, settings: Settings) -> None:
    path = packed(tmp_path / "a.zip", {"bomb.png": bytes(20 << 20), "noise.png": bytes(range(256)) * 20000})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("pad", bytes(1 << 20), zipfile.ZIP_STORED)
    members = {member.name: member.refusal for member in list_members(path, settings)}
    assert "zip bombs" in (members["bomb.png"] or "")


def test_an_archive_that_swells_as_a_whole_is_refused(tmp_path: Path, settings: Settings) -> None:
    path = packed(tmp_path / "a.zip", {f"{n}.png": bytes(1 << 20) for n in range(8)})
    with pytest.raises(InvalidInput, match="zip bombs"):
        list_members(path, settings)


@pytest.mark.parametrize(
    ("limits", "said"),
    [({"max_unpacked_files": 2}, "more than 2 files"), ({"max_unpacked_bytes": 20}, "more than 20 bytes")],
)
def test_limits_on_count_and_size(limits: dict[str, int], said: str, tmp_path: Path, settings: Settings) -> None:
    path = packed(tmp_path / "a.zip", {f"{n}.png": b"0123456789" for n in range(3)})
    with pytest.raises(InvalidInput, match=said):
        list_members(path, Settings(home=settings.home, **limits))  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["plain", "with a comment", "zip64", "lying about its count"])
def test_files_are_counted_before_the_list_is_read(
    form: str, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    if form == "zip64":
        monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 10)
    path = packed(tmp_path / "a.zip", {f"{n}.csv": b"0123456789" for n in range(30)})
    if form == "with a comment":
        with zipfile.ZipFile(path, "a") as archive:
            archive.comment = b"scans of the ward" * 100
    if form == "lying about its count":
        content = path.read_bytes()
        path.write_bytes(content[:-14] + (1).to_bytes(2, "little") * 2 + content[-10:])
    assert (b"PK\x06\x06" in path.read_bytes()) == (form == "zip64")
    monkeypatch.setattr("core.images.archives.LOOKED_AT", 50)
    few, enough = (Settings(home=settings.home, max_unpacked_files=count) for count in (29, 30))
    assert len(list_tables(path, enough)) == 30
    monkeypatch.setattr(zipfile, "ZipFile", None)
    assert list_tables(path, few) == []
    with pytest.raises(InvalidInput, match="more than 29 files"):
        list_members(path, few)


def test_a_size_that_lies_yields_no_more_than_it_says(tmp_path: Path, settings: Settings) -> None:
    path = packed(tmp_path / "a.zip", {"a.png": b"0123456789" * 1000})
    content = path.read_bytes()
    path.write_bytes(content.replace((10000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    with OpenArchives(settings) as archives, pytest.raises(InvalidInput, match="damaged"):
        archives.read(path, "a.png")


@pytest.mark.parametrize("harm", ["truncated", "flipped"])
def test_damage_is_refused(harm: str, tmp_path: Path, settings: Settings) -> None:
    path = packed(tmp_path / "a.zip", {"a.png": bytes(range(256)) * 4}, zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    if harm == "truncated":
        path.write_bytes(content[: len(content) // 2])
        with pytest.raises(InvalidInput, match="damaged"):
            list_members(path, settings)
        return
    content[100] ^= 0xFF
    path.write_bytes(content)
    with OpenArchives(settings) as archives, pytest.raises(InvalidInput, match="damaged"):
        archives.read(path, "a.png")


def test_an_encrypted_member_is_refused(tmp_path: Path, settings: Settings) -> None:
    path = packed(tmp_path / "a.zip", {"a.png": b"secret"})
    content = bytearray(path.read_bytes())
    for start in (content.index(b"PK\x03\x04") + 6, content.index(b"PK\x01\x02") + 8):
        content[start] |= 1
    path.write_bytes(content)
    assert "encrypted" in (list_members(path, settings)[0].refusal or "")


def test_an_empty_archive_is_refused(tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(InvalidInput, match="no files"):
        list_members(packed(tmp_path / "a.zip", {}), settings)


def test_a_zip_under_another_name_is_no_archive(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", b"x")
    (tmp_path / "table.xlsx").write_bytes(buffer.getvalue())
    assert not is_archive(tmp_path / "table.xlsx")


def test_a_path_leads_into_a_zip_and_not_into_a_folder_of_that_name(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"in/labels.csv": b"path,label"})
    assert zip_around(path / "in" / "labels.csv") == (path, "in/labels.csv")
    assert zip_around(path) is None
    (tmp_path / "b.zip").mkdir()
    assert zip_around(tmp_path / "b.zip" / "labels.csv") is None


def test_the_tables_of_a_zip_are_listed_without_what_a_mac_writes_beside_them(
    tmp_path: Path, settings: Settings
) -> None:
    names = ("x/labels.csv", "b.TSV", "__MACOSX/x/labels.csv", "x/._labels.csv", "a.png", "notes.txt")
    path = packed(tmp_path / "a.zip", dict.fromkeys(names, b"-"))
    assert list_tables(path, settings) == ["b.TSV", "x/labels.csv"]
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04broken")
    assert list_tables(tmp_path / "broken.zip", settings) == []


def test_a_member_that_is_read_by_itself_is_never_larger_than_asked_for(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"in/labels.csv": b"x" * (1 << 20), "in\\more.csv": b"more"})
    assert read_member(path, "in/labels.csv", 1 << 20) == b"x" * (1 << 20)
    assert read_member(path, "in/more.csv", 1 << 20) == b"more"
    with pytest.raises(InvalidInput, match="at most 0 MB"):
        read_member(path, "in/labels.csv", (1 << 20) - 1)
    with pytest.raises(InvalidInput, match="no such file"):
        read_member(path, "labels.csv", 1 << 20)

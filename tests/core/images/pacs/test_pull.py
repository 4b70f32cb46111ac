"""What a pull asks for: what is not here, again where the PACS hung up, and nothing twice."""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from core.errors import Stopped, Unavailable
from core.images.headers import NewHeader, add_headers
from core.images.pacs.landing import Landing
from core.images.pacs.pull import Pulled, pull_studies
from core.images.pacs.questions import Answer, Instance, Question, Receive, Series
from core.images.pseudonyms import pseudonymous_uid
from core.images.records import Case
from core.progress import Progress, Silent
from core.projects.records import Project

SECRET = b"s" * 32
HUNG_UP = "The ward ended the connection half-way. Received: a part of a file"


@dataclass
class Ward:
    """A PACS of one study; it hangs up after `patience` files, and again each time."""

    instances: dict[str, list[str]] = field(default_factory=lambda: {"1.1": ["1.1.1", "1.1.2", "1.1.3"]})
    modalities: dict[str, str] = field(default_factory=dict)
    lost: frozenset[str] = frozenset()
    patience: list[int] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)

    def test(self) -> str:
        return "answers"

    def find_studies(self, question: Question) -> Answer:
        return Answer((), False)

    def list_series(self, study: str) -> list[Series]:
        return [Series(uid, self.modalities.get(uid, "CT")) for uid in self.instances]

    def list_instances(self, study: str, series: str) -> list[Instance]:
        return [Instance(uid, "1.2.840.10008.5.1.4.1.1.2") for uid in self.instances[series]]

    def fetch(self, study: str, series: str, instances: Sequence[Instance], receive: Receive) -> None:
        left = self.patience.pop(0) if self.patience else len(instances)
        for instance in instances:
            if not left:
                raise Unavailable(HUNG_UP)
            left -= 1
            if instance.uid not in self.lost:
                with receive(instance.uid) as stream:
                    stream.write(instance.uid.encode())
                self.sent.append(instance.uid)


Pull = Callable[..., Pulled]


@pytest.fixture
def brought() -> list[list[str]]:
    """What was imported, study by study."""
    return []


@pytest.fixture
def odd() -> set[str]:
    """The instances that wait for somebody's word."""
    return set()


@pytest.fixture
def pull(
    connection: sqlite3.Connection, project: Project, tmp_path: Path, brought: list[list[str]], odd: set[str]
) -> Pull:
    def bring_in(folder: Path, progress: Progress) -> frozenset[Path]:
        here = sorted((path for path in folder.rglob("*") if path.is_file()), key=Path.read_text)
        brought.append([path.read_text() for path in here])
        return frozenset(path for path in here if path.read_text() in odd)

    def run(ward: Ward, studies: Sequence[str] = ("1",), progress: Progress | None = None, tries: int = 0) -> Pulled:
        return pull_studies(
            connection, ward, project, studies, Landing(tmp_path / "pull-1", SECRET), tmp_path / "kept", bring_in,
            progress or Silent(), waits=(0.0,) * tries,
        )  # fmt: skip

    return run


def test_everything_comes_once_and_nothing_is_left_behind(pull: Pull, brought: list[list[str]], tmp_path: Path) -> None:
    ward = Ward({"1.1": ["1.1.1", "1.1.2"], "1.2": ["1.2.1"], "1.3": ["1.3.1"]}, {"1.3": "SR"})
    assert pull(ward) == Pulled(studies=1, fetched=3, left_out=1)
    assert brought == [["1.1.1", "1.1.2", "1.2.1"]]
    assert not (tmp_path / "pull-1").exists()


def test_what_waits_of_a_study_is_kept_and_the_rest_goes(
    pull: Pull, brought: list[list[str]], odd: set[str], tmp_path: Path
) -> None:
    odd.update(("1.1.1", "1.1.2"))
    ward = Ward({"1.1": ["1.1.1", "1.1.2"], "1.2": ["1.2.1"]})
    left = tmp_path / "kept" / Landing(tmp_path, SECRET).study("1").name / "of a kill"
    left.mkdir(parents=True)  # between the move and the note that the study is in
    assert pull(ward).studies == 1
    assert not (tmp_path / "pull-1").exists()
    kept = Landing(tmp_path / "kept", SECRET)
    files = {path for path in kept.folder.rglob("*") if path.is_file()}
    assert files == {kept.file("1", "1.1", one) for one in odd}
    assert not kept.file("1", "1.2", "1.2.1").parent.exists()


def test_a_pacs_that_hangs_up_is_asked_again_for_the_rest(pull: Pull, brought: list[list[str]]) -> None:
    ward = Ward(patience=[1, 1])
    assert pull(ward, tries=1).fetched == 3  # each file that came earns it another try
    assert ward.sent == ["1.1.1", "1.1.2", "1.1.3"]
    assert brought == [["1.1.1", "1.1.2", "1.1.3"]]


def test_what_came_before_it_gave_up_is_not_asked_for_again(pull: Pull, brought: list[list[str]]) -> None:
    ward = Ward(patience=[2, 0])
    with pytest.raises(Unavailable, match="half-way"):
        pull(ward)
    assert brought == []
    with pytest.raises(Unavailable):
        pull(ward)
    assert pull(ward).fetched == 1
    assert ward.sent == ["1.1.1", "1.1.2", "1.1.3"]
    assert brought == [["1.1.1", "1.1.2", "1.1.3"]]


def test_a_study_that_is_in_is_left_alone_when_a_later_one_failed(pull: Pull, brought: list[list[str]]) -> None:
    ward = Ward(patience=[3, 0])
    with pytest.raises(Unavailable):
        pull(ward, ["1", "2"])
    assert pull(ward, ["1", "2"]).studies == 2
    assert len(ward.sent) == 6
    assert len(brought) == 2


def test_what_a_kill_left_half_written_comes_anew_and_what_it_left_whole_does_not(
    pull: Pull, brought: list[list[str]], tmp_path: Path
) -> None:
    landing = Landing(tmp_path / "pull-1", SECRET)
    with landing.receiving("1", "1.1", "1.1.1") as stream:
        stream.write(b"1.1.1")
    landing.file("1", "1.1", "1.1.2").with_suffix(".part").write_bytes(b"1.1")
    landing.file("1", "1.1", "9.9.9").with_suffix(".part").write_bytes(b"is not listed any more")
    ward = Ward()
    assert pull(ward).fetched == 2
    assert ward.sent == ["1.1.2", "1.1.3"]
    assert brought == [["1.1.1", "1.1.2", "1.1.3"]]


def test_a_kill_between_the_import_and_its_end_imports_no_half_study(
    pull: Pull, brought: list[list[str]], tmp_path: Path
) -> None:
    landing = Landing(tmp_path / "pull-1", SECRET)
    with landing.receiving("1", "1.1", "1.1.1") as stream:
        stream.write(b"1.1.1")
    landing.remove("1")
    going = landing.study("1").with_name(landing.study("1").name + ".going")
    going.mkdir()  # as it stands there in the middle of being taken away
    ward = Ward()
    assert pull(ward) == Pulled(studies=1)
    assert (ward.sent, brought) == ([], [])
    assert not landing.folder.exists()


def know(connection: sqlite3.Connection, case: Case, *uids: str) -> None:
    headers = [NewHeader(at, pseudonymous_uid(SECRET, uid), "0" * 64, ()) for at, uid in enumerate(uids)]
    add_headers(connection, case.id, headers)


def test_an_image_that_is_a_case_already_does_not_come(
    connection: sqlite3.Connection, make_image: Callable[..., Case], pull: Pull, brought: list[list[str]]
) -> None:
    know(connection, make_image("a.png"), "1.1.2")
    ward = Ward()
    assert pull(ward) == Pulled(studies=1, fetched=2, known=1)
    assert ward.sent == ["1.1.1", "1.1.3"]


def test_a_volume_that_is_whole_does_not_come_and_one_that_grew_comes_whole(
    connection: sqlite3.Connection, make_image: Callable[..., Case], pull: Pull, brought: list[list[str]]
) -> None:
    know(connection, make_image("v.dcm", frames=2), "1.1.1", "1.1.2")
    ward = Ward({"1.1": ["1.1.1", "1.1.2"]})
    assert pull(ward) == Pulled(studies=1, known=2)
    assert brought == []
    grown = Ward()
    assert pull(grown).fetched == 3  # a slice alone would be no part of it
    assert brought == [["1.1.1", "1.1.2", "1.1.3"]]


def test_what_is_listed_and_does_not_come_is_told(pull: Pull, brought: list[list[str]]) -> None:
    done = pull(Ward(lost=frozenset({"1.1.2"})))
    assert (done.fetched, done.missing) == (2, 1)
    assert "1 of the listed objects did not come" in done.warnings[0]
    assert brought == [["1.1.1", "1.1.3"]]


def test_a_wish_to_stop_is_heard(pull: Pull) -> None:
    class Asked(Silent):
        def should_stop(self) -> bool:
            return True

    with pytest.raises(Stopped):
        pull(Ward(), progress=Asked())


@pytest.fixture
def make_image(connection: sqlite3.Connection, project: Project) -> Callable[..., Case]:
    from core.images.records import NewCase, insert_case

    def make(source: str, frames: int = 1) -> Case:
        return insert_case(
            connection,
            NewCase(
                project=project.id, source=source, patient="p", patient_from="none", pixel_hash="0" * 64,
                file_hash="0" * 64, perceptual_hash=None, rows=2, columns=2, channels=1, dtype="uint8",
                photometric="MONOCHROME2", imported_by="anna", frames=frames,
            ),
        )  # fmt: skip

    return make

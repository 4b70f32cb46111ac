import stat

import pytest

from core.errors import CoreError
from core.images.pseudonyms import load_secret, named, path_token, pseudonym
from core.settings import Settings


def test_the_secret_is_made_once_and_only_its_owner_reads_it(settings: Settings) -> None:
    secret = load_secret(settings)
    assert len(secret) == 32
    assert load_secret(settings) == secret
    assert stat.S_IMODE((settings.home / "secret.key").stat().st_mode) == 0o600
    assert list(settings.home.glob("*.part")) == []


def test_an_altered_secret_is_refused(settings: Settings) -> None:
    (settings.home / "secret.key").write_bytes(b"short")
    with pytest.raises(CoreError, match="Received: 5 bytes"):
        load_secret(settings)


def test_a_pseudonym_is_stable_differs_by_home_and_hides_the_text() -> None:
    one = pseudonym(b"a" * 32, "patient /4711")
    assert one == pseudonym(b"a" * 32, "patient /4711")
    assert one != pseudonym(b"b" * 32, "patient /4711")
    assert one != pseudonym(b"a" * 32, "patient /4712")
    assert "4711" not in one
    assert len(one) == 17


def test_a_sentence_is_read_back_with_its_paths_wherever_they_stand() -> None:
    paths = {path_token(b"s" * 32, path): path for path in ("/in/doe.nii.gz", "doe/1.dcm", "roe.png")}
    one, two, three = paths
    assert named(f"{one}, {two} and {three}. A file.", paths) == "/in/doe.nii.gz, doe/1.dcm and roe.png. A file."

"""Original paths: encrypted, gone after some days, and readable by the report until then."""

import os
import time
from dataclasses import replace

import pytest

from core.errors import InvalidInput
from core.images.sealed_paths import (
    forget_expired,
    keep_paths,
    read_paths,
    seal,
    seal_arguments,
    unseal,
    unseal_arguments,
)
from core.settings import Settings

DAY = 86_400


def test_what_is_sealed_is_read_back_and_lies_encrypted(settings: Settings) -> None:
    keep_paths(settings, 7, {"F1": "Doe^Jane/1.dcm"})
    assert read_paths(settings, 7) == {"F1": "Doe^Jane/1.dcm"}
    assert read_paths(settings, 8) == {}
    (file,) = (settings.home / "imports").iterdir()
    assert b"Doe" not in file.read_bytes()
    assert file.stat().st_mode & 0o077 == 0


def test_arguments_of_a_job_name_no_file(settings: Settings) -> None:
    given = {"project": 3, "paths": ["/mnt/Doe"], "labels": "/mnt/Doe.csv", "columns": {}, "patient_from": "Doe(.)"}
    sealed = seal_arguments(settings, given)
    assert "Doe" not in str(sealed)
    assert (sealed["project"], sealed["given"]) == (3, 1)
    assert unseal_arguments(settings, sealed) == given
    assert unseal_arguments(settings, given) == given


def test_after_some_days_nothing_can_be_read_and_the_file_goes(settings: Settings) -> None:
    name = seal(settings, ["Doe"])
    (file,) = (settings.home / "imports").iterdir()
    assert forget_expired(settings) == 0
    assert unseal(replace(settings, paths_keep_days=-1), name) is None
    old = time.time() - 15 * DAY
    os.utime(file, (old, old))
    assert forget_expired(settings) == 1
    assert unseal(settings, name) is None
    with pytest.raises(InvalidInput, match="14 days"):
        unseal_arguments(settings, {"sealed": name})


def test_another_secret_reads_nothing(settings: Settings) -> None:
    name = seal(settings, ["Doe"])
    (settings.home / "secret.key").write_bytes(b"x" * 32)
    assert unseal(settings, name) is None


def test_a_name_cannot_walk_out_of_the_home(settings: Settings) -> None:
    with pytest.raises(InvalidInput):
        unseal(settings, "../secret")

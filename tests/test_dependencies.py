"""`make audit` tells apart: nothing is known, something is known, nobody could be asked."""

import json
from pathlib import Path

from scripts.audit_dependencies import audit

LOCK = Path("requirements.lock")


def report(*packages: dict[str, object]) -> str:
    return json.dumps({"dependencies": [{"name": "a", "version": "1", "vulns": []}, *packages]})


SKIPPED = {"name": "b", "skip_reason": "could not be audited"}
VULNERABLE = {"name": "b", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["2.1"]}]}


def test_nothing_known_is_said_with_the_number_of_packages() -> None:
    said = ["1 packages of requirements.lock: nothing is known against any (one)."]
    assert audit(LOCK, ["one"], lambda service, lock: report()) == (0, said)


def test_what_is_known_is_named_with_the_version_that_mends_it() -> None:
    code, said = audit(LOCK, ["one"], lambda service, lock: report(VULNERABLE))
    assert code == 1
    assert said[0] == "b 2: CVE-1, mended in 2.1"


def test_a_package_that_was_skipped_is_no_answer() -> None:
    code, said = audit(LOCK, ["one"], lambda service, lock: report(SKIPPED))
    assert code == 2
    assert "knew nothing of 1 of 2" in said[0]
    assert "COULD NOT ASK" in said[-1]


def test_the_second_service_is_asked_where_the_first_cannot_be() -> None:
    asked = []

    def ask(service: str, lock: Path) -> str:
        asked.append(service)
        return "" if service == "one" else report()

    assert audit(LOCK, ["one", "two"], ask)[0] == 0
    assert asked == ["one", "two"]


def test_no_service_at_all_is_said_so() -> None:
    code, said = audit(LOCK, ["one", "two"], lambda service, lock: "no JSON")
    assert code == 2
    assert said[:2] == ["The service 'one' did not answer.", "The service 'two' did not answer."]

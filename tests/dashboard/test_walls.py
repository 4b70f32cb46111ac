"""Every kind of answer carries the policy that keeps a browser inside these walls."""

import pytest
from starlette.testclient import TestClient

from core.images.records import Case

KINDS = [
    ("GET", "/healthz", 200),
    ("GET", "/sign-in", 303),
    ("GET", "/account", 200),
    ("GET", "/api/v1/cases/1", 200),
    ("GET", "/api/v1/cases/999", 404),
    ("GET", "/api/nothing", 404),
    ("GET", "/assets/viewer/build.json", 200),
    ("GET", "/assets/icon.svg", 200),
    ("GET", "/assets/nothing.js", 404),
    ("POST", "/healthz", 405),
    ("POST", "/api/v1/events", 422),
    ("POST", "/sign-out", 303),
]
NEEDED = {
    "default-src": "'self'",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}


def policy_of(header: str) -> dict[str, str]:
    parts = [part.strip().split(" ", 1) for part in header.split(";") if part.strip()]
    return {name: (rest[0] if rest else "") for name, *rest in parts}


@pytest.mark.parametrize(("method", "path", "status"), KINDS, ids=lambda value: str(value))
def test_this_answer_carries_the_policy(client: TestClient, case: Case, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    policy = policy_of(answer.headers["content-security-policy"])
    assert {name: policy.get(name) for name in NEEDED} == NEEDED
    assert "'unsafe-inline'" not in policy["script-src"]
    assert "'unsafe-eval'" not in policy["script-src"]
    for sources in policy.values():
        for source in sources.split():
            assert source.startswith(("'", "data:", "blob:", "ws://127.0.0.1:8501", "wss://127.0.0.1:8501")), source
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize(
    "headers", [{"host": "evil.example"}, {"origin": "http://evil.example"}], ids=["another host", "another site"]
)
def test_a_refusal_at_the_door_carries_it_too(client: TestClient, headers: dict[str, str]) -> None:
    answer = client.post("/api/v1/events", headers=headers)
    assert answer.status_code in (400, 403)
    assert "default-src 'self'" in answer.headers["content-security-policy"]


def test_a_host_that_is_no_host_name_adds_nothing_to_the_policy(client: TestClient) -> None:
    answer = client.get("/healthz", headers={"host": "evil.example; script-src *"})
    assert "evil" not in answer.headers["content-security-policy"]

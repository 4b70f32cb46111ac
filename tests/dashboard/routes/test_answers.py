"""What routes are asked and answer, whatever somebody puts into it."""

import pytest
from starlette.testclient import TestClient

from core.images.records import Case


@pytest.mark.parametrize("number", ["9" * 18, "9" * 19, "9" * 20, "9" * 5000], ids=len)
@pytest.mark.parametrize("path", ["cases/{}", "jobs/{}", "models/{}/model.onnx"])
def test_a_number_that_no_row_has_is_not_found(client: TestClient, path: str, number: str) -> None:
    answer = client.get(f"/api/v1/{path.format(number)}")
    assert answer.status_code == 404
    assert answer.json()["reason"].startswith("There is no")


def test_a_number_may_begin_with_noughts(client: TestClient, case: Case) -> None:
    assert client.get(f"/api/v1/cases/{case.id:019}").json()["id"] == case.id

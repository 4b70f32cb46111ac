"""What a run's environment says."""

import json
import subprocess
from pathlib import Path

from core.training.device import CPU, MIXED
from core.training.environment import code_version, describe_environment


def test_the_environment_is_json_and_names_what_results_hang_on() -> None:
    found = json.loads(json.dumps(describe_environment(CPU)))
    assert {"keras", "numpy"} <= set(found["packages"])
    assert found["device"]["name"] == "cpu"
    assert found["cores"] >= 1
    assert set(found["threads"]) == {"within_operations", "between_operations"}
    assert found["deterministic_operations"] is False
    assert found["oneDNN"] is True  # whatever TensorFlow would choose on this processor
    assert (found["precision"], describe_environment(CPU, MIXED)["precision"]) == ("float32", "mixed_float16")


def test_a_checkout_is_named_by_its_commit_and_said_to_be_changed(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        command = ("git", *identity, *arguments)
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout.strip()

    assert " at " not in code_version(tmp_path)
    git("init")
    assert " at " not in code_version(tmp_path)  # there is no commit yet
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-m", "a")
    assert code_version(tmp_path).endswith(f" at {git('rev-parse', 'HEAD')}")
    (tmp_path / "a").write_text("2")
    assert code_version(tmp_path).endswith(", changed")

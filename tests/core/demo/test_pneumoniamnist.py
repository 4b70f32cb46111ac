import numpy as np
import pytest

from core.datasets.records import find_snapshot, snapshot_counts
from core.demo.pneumoniamnist import (
    LEAK_REASON,
    READER,
    SNAPSHOT,
    build_pneumoniamnist,
    download,
    find_file,
    read_arrays,
)
from core.errors import CoreError, InvalidInput
from core.images.records import count_cases


@pytest.fixture
def archive(tmp_path):
    """A small file of the same make: noise whose mean tells the class, and one image in two splits."""
    random, arrays = np.random.default_rng(0), {}
    for split, n in (("train", 20), ("val", 6), ("test", 8)):
        labels = (np.arange(n) % 2).astype(np.uint8)
        images = random.integers(0, 120, (n, 28, 28)) + labels[:, None, None] * 100
        arrays |= {f"{split}_images": images.astype(np.uint8), f"{split}_labels": labels[:, None]}
    arrays["val_images"][0] = arrays["train_images"][0]
    path = tmp_path / "pneumoniamnist.npz"
    np.savez(path, **arrays)
    return path


def test_the_published_split_and_labels_are_kept_and_the_leak_is_said(connection, settings, actor, archive):
    project = build_pneumoniamnist(settings, actor, path=archive)
    assert count_cases(connection, project.id) == 34
    snapshot = find_snapshot(connection, project.id, SNAPSHOT)
    counts = snapshot_counts(connection, snapshot)
    assert {split: row["images"] for split, row in counts.items()} == {"train": 20, "validation": 6, "test": 8}
    assert counts["test"]["classes"] == {"normal": 4, "pneumonia": 4}
    assert snapshot.leaks_allowed_because == LEAK_REASON
    assert snapshot.leaks
    assert snapshot.reference_rule.reader == READER


def test_building_twice_makes_one_project(connection, settings, actor, archive):
    first = build_pneumoniamnist(settings, actor, path=archive)
    assert build_pneumoniamnist(settings, actor, path=archive) == first
    assert count_cases(connection, first.id) == 34


def test_the_file_is_looked_for_where_it_may_lie(tmp_path, archive):
    assert find_file({"READROOM_PNEUMONIAMNIST": str(archive)}, tmp_path) == archive
    assert find_file({}, tmp_path) is None
    package = tmp_path / ".medmnist" / "pneumoniamnist.npz"
    package.parent.mkdir()
    package.write_bytes(archive.read_bytes())
    assert find_file({}, tmp_path) == package
    with pytest.raises(InvalidInput, match="absent"):
        find_file({"READROOM_PNEUMONIAMNIST": str(tmp_path / "absent.npz")}, tmp_path)


def test_without_network_the_refusal_says_where_to_put_the_file(settings):
    def unreachable(address):
        raise OSError("no route to host")

    with pytest.raises(CoreError, match=r"\.medmnist.*no route to host"):
        download(settings, unreachable)


def test_a_download_that_is_not_the_published_file_is_not_kept(settings):
    with pytest.raises(CoreError, match="md5"):
        download(settings, lambda address: b"something else")
    assert not (settings.home / "downloads").exists()


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + bytes(18)])
def test_a_file_of_another_kind_is_refused(tmp_path, content):
    path = tmp_path / "other.npz"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"npz file of PneumoniaMNIST\. Received"):
        read_arrays(path)


def test_the_real_file_has_its_published_counts(test_data):
    [path] = (test_data / "medmnist_pneumonia").glob("*.npz")
    arrays = read_arrays(path)
    counts = {split: np.bincount(arrays[f"{split}_labels"]).tolist() for split in ("train", "val", "test")}
    assert counts == {"train": [1214, 3494], "val": [135, 389], "test": [234, 390]}

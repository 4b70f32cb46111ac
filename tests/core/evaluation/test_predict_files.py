import nibabel
import numpy as np
import pytest
from PIL import Image

from core.errors import InvalidInput
from core.evaluation.predict_files import predict_files
from core.evaluation.predictor import predict_cases
from core.images.records import list_cases
from core.progress import Silent


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "new images"
    made.mkdir()
    for name, level in (("bright.png", 200), ("dark.png", 40)):
        Image.fromarray(np.random.default_rng(level).integers(level - 20, level + 20, (50, 60), np.uint8)).save(
            made / name
        )
    (made / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    (made / "notes.txt").write_text("not an image")
    return made


def test_every_file_gets_a_row_with_probabilities_or_the_reason(files, settings, model, folder):
    result = predict_files(files, settings, model, [folder, folder / "absent.png"], Silent(), settings.home)
    rows = {row["path"].rsplit("/", 1)[-1]: row for row in result["cases"]}
    assert list(rows) == ["bright.png", "broken.png", "dark.png", "notes.txt", "absent.png"]
    assert set(rows["bright.png"]["probabilities"]) == {"normal", "pneumonia"}
    assert "Received" in rows["broken.png"]["reason"]
    assert "text file" in rows["notes.txt"]["reason"]
    assert rows["absent.png"]["reason"]
    assert (result["predicted"], result["failed"]) == (2, 3)


def test_a_file_gets_the_answer_that_its_case_got(connection, files, settings, model, tmp_path):
    """The same steps from file to network, whether a file was imported or not."""
    case = next(iter(list_cases(connection, model.project)))
    path = tmp_path / "again.png"
    Image.fromarray(files.read_array("pixels", case.pixel_hash)).save(path)
    [row] = predict_files(files, settings, model, [path], Silent(), tmp_path)["cases"]
    expected = predict_cases(connection, files, model, [case.id], Silent())[0]
    assert list(row["probabilities"].values()) == pytest.approx(expected.tolist(), abs=1e-7)


def test_a_volume_gets_a_row_that_says_why_not(files, settings, model, folder):
    nibabel.save(nibabel.Nifti1Image(np.zeros((8, 9, 10), np.int16), np.eye(4)), folder / "scan.nii.gz")
    result = predict_files(
        files, settings, model, [folder / "scan.nii.gz", folder / "dark.png"], Silent(), settings.home
    )
    assert "cannot predict on volumes with a network" in result["cases"][0]["reason"]
    assert (result["predicted"], result["failed"]) == (1, 1)


def test_an_empty_folder_is_refused(files, settings, model, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InvalidInput, match="empty"):
        predict_files(files, settings, model, [empty], Silent(), settings.home)

"""Masks that a prediction has painted, on their way from the job's folder to whoever asked."""

from pathlib import Path

from core.cli.modelling import fetch_masks


def test_masks_are_called_as_the_files_that_they_belong_to(tmp_path: Path) -> None:
    job, out = tmp_path / "job", tmp_path / "masks"
    job.mkdir()
    rows = []
    for number, path in enumerate(("a/scan.nii.gz", "b/scan.nii.gz", "film.png")):
        ending = ".nii.gz" if "scan" in path else ".png"
        names = [f"{number:05}_1{ending}", f"{number:05}_2{ending}"] if number == 1 else [f"{number:05}{ending}"]
        for name in names:
            (job / name).write_text(name)
        rows.append({"path": path, "files": names, "structures": {"liver": {"file": names[0], "pixels": 1}}})
    rows.append({"path": "notes.txt", "reason": "No image. Received: text"})
    fetch_masks(rows, job, out)
    assert [row.get("files") for row in rows] == [
        [str(out / "scan.nii.gz")],
        [str(out / "scan-again_1.nii.gz"), str(out / "scan-again_2.nii.gz")],
        [str(out / "film.png")],
        None,
    ]
    assert rows[1]["structures"]["liver"]["file"] == str(out / "scan-again_1.nii.gz")
    assert (out / "film.png").read_text() == "00002.png"
    assert list(job.iterdir()) == [], "nothing of a prediction is kept"

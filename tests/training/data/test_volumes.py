from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from training.data.volumes import Cut, cuts, read_outline, read_volume
from training.errors import DataError

SIDES = (2.0, 1.0, 1.0)


def head() -> np.ndarray:
    """A head (z, y, x) of level 100 in black, with a crown of 200, a nose of 150 and a left ear of 250."""
    voxels = np.zeros((20, 40, 36), np.float32)
    voxels[2:18, 6:34, 6:30] = 100
    voxels[16:18, 6:34, 6:30] = 200
    voxels[2:16, 2:6, 16:20] = 150
    voxels[2:16, 18:22, 30:34] = 250
    return voxels


def write(path: Path, voxels: np.ndarray, *, sides: tuple[float, float, float] = SIDES, axes: str = "LPS") -> Path:
    image = SimpleITK.GetImageFromArray(voxels)
    image.SetSpacing(sides[::-1])
    SimpleITK.WriteImage(SimpleITK.DICOMOrient(image, axes), str(path))
    return path


def of_plane(found: list[Cut], plane: str) -> Cut:
    middle = [cut for cut in found if cut.plane == plane]
    return middle[len(middle) // 2]


@pytest.mark.parametrize("axes", ["LPS", "RAS", "PIR"])
@pytest.mark.parametrize("name", ["head.nii.gz", "head.nrrd"])
def test_a_volume_is_read_upright_however_it_was_written(tmp_path: Path, name: str, axes: str) -> None:
    volume = read_volume(write(tmp_path / name, head(), axes=axes))
    assert volume.sides == pytest.approx(SIDES)
    assert volume.voxels.shape == head().shape
    assert np.corrcoef(volume.voxels.ravel(), head().ravel())[0, 1] > 0.999
    assert 0 <= volume.voxels.min() < volume.voxels.max() == 1
    inside = read_outline(write(tmp_path / f"outline-{name}", (head() == 250).astype(np.uint8), axes=axes))
    assert np.array_equal(inside, head() == 250)


def test_each_plane_is_shown_as_viewers_show_it(tmp_path: Path) -> None:
    found = list(cuts(read_volume(write(tmp_path / "head.nii.gz", head())), 1))
    axial, coronal, sagittal = (
        np.asarray(of_plane(found, plane).picture) for plane in ("axial", "coronal", "sagittal")
    )
    assert axial.shape == (40, 36)
    assert axial[3, 18] > 100 > axial[36, 18]  # the nose is up
    assert axial[20, 32] > 100 > axial[20, 3]  # the patient's left is right
    assert coronal.shape == (40, 36)  # 20 slices of 2 mm, pixels of 1 mm
    assert coronal[5, 18] > coronal[20, 18] + 30  # the crown is up
    assert sagittal.shape == (40, 40)
    assert sagittal[5, 20] > sagittal[20, 20] + 30
    assert sagittal[20, 3] > 100 > sagittal[20, 37]  # the nose is left


def test_slices_are_so_many_millimetres_apart_and_show_enough_of_the_head(tmp_path: Path) -> None:
    found = list(cuts(read_volume(write(tmp_path / "head.nii.gz", head())), 4))
    axial = [cut for cut in found if cut.plane == "axial"]
    assert [cut.place for cut in axial] == [2, 4, 6, 8, 10, 12, 14, 16]
    assert [cut.millimetres for cut in axial] == [2.0 * cut.place for cut in axial]
    assert {cut.place % 4 for cut in found if cut.plane == "coronal"} == {0}
    assert min(cut.place for cut in found if cut.plane == "coronal") > 5  # the nose alone is too little


def test_thick_slices_are_cut_in_their_own_plane_alone(tmp_path: Path) -> None:
    volume = read_volume(write(tmp_path / "head.nii.gz", head(), sides=(6.5, 1, 1)))
    assert {cut.plane for cut in cuts(volume, 3)} == {"axial"}


def test_what_is_no_volume_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="shows nothing"):
        read_volume(write(tmp_path / "black.nii.gz", np.zeros((4, 4, 4), np.float32)))
    series = SimpleITK.JoinSeries([SimpleITK.GetImageFromArray(head())] * 2)
    SimpleITK.WriteImage(series, str(tmp_path / "series.nii.gz"))
    with pytest.raises(DataError, match="4 axes"):
        read_volume(tmp_path / "series.nii.gz")

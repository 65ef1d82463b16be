"""Files that are written as a whole or not at all."""

import errno

import pytest

from fastgmm._utils.files import whole_file


def test_a_full_disk_names_the_file(tmp_path):
    path = tmp_path / "labels.parquet"
    with pytest.raises(OSError, match=r"No space left on device: '.*labels\.parquet'$"), whole_file(path):
        raise OSError(errno.ENOSPC, "No space left on device")  # as pyarrow and NumPy raise it
    assert list(tmp_path.iterdir()) == []

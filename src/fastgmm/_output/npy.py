"""Results in .npy files."""

from __future__ import annotations

from typing import IO, Any

import numpy as np

from fastgmm._output.protocol import Results


class NpyFile(Results):
    """Results in a .npy file."""

    def __init__(self, path, file: IO[bytes]):
        self._path = path
        self._file = file
        self._header: dict[str, Any] = {}
        self._n_rows = 0

    def put(self, values, kept=None):
        if not self._header:
            descr = np.lib.format.dtype_to_descr(values.dtype)
            self._header = {"descr": descr, "fortran_order": False, "shape": (0, *values.shape[1:])}
            self._write_header()
        self._n_rows += len(values)
        self._file.write(np.ascontiguousarray(values).data)

    def _write_header(self) -> None:
        # NumPy leaves room in it for a greater length.
        np.lib.format.write_array_header_1_0(self._file, self._header)

    def finish(self):
        self._header["shape"] = (self._n_rows, *self._header["shape"][1:])
        self._file.seek(0)
        self._write_header()
        return self._path

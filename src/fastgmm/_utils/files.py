"""Files that are written as a whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import IO

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def check_path_to_write(path: str | PathLike, name: str, inputs: Iterable[Path] = ()) -> None:
    """Raise OSError if no file can be written at the path, and ValueError if it is one of the inputs.

    `name` is the parameter that holds the path.
    """
    if Path(path).is_dir():
        raise IsADirectoryError(f"{name}={str(path)!r} is a folder: pass the path of a file in it.")
    if not Path(path).parent.is_dir():
        raise FileNotFoundError(f"{name}={str(path)!r} is in a folder that does not exist: make it first.")
    if Path(path).exists() and any(file.exists() and file.samefile(path) for file in inputs):
        raise ValueError(f"{name}={str(path)!r} is also an input, which it would replace: name another file.")


@contextmanager
def whole_file(path: str | PathLike) -> Iterator[IO[bytes]]:
    """A new binary file. It replaces the file at the path when the context ends, and is deleted after an error."""
    path = Path(path)
    unfinished = path.with_name(path.name + ".part")
    try:
        with open(unfinished, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException as error:
        unfinished.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in _FULL and error.filename is None:
            raise OSError(error.errno, error.strerror or os.strerror(error.errno), str(path)) from error
        raise

"""Tables of results in Parquet and CSV files, which pyarrow writes."""

from __future__ import annotations

from typing import IO, Any

import numpy as np
import pyarrow
from pyarrow import csv, parquet, types

from fastgmm._output.protocol import Results


class Table(Results):
    """A table with a row for each row of the data: columns that are kept from the source, then the results.

    Results of one number a row are a column called `name`. Otherwise the columns are called name_0, name_1 and so on.
    """

    def __init__(self, path, file: IO[bytes], suffix: str, name: str, kept_schema: pyarrow.Schema | None):
        self._path = path
        self._file = file
        self._suffix = suffix
        self._name = name
        self._kept_schema = pyarrow.schema([]) if kept_schema is None else kept_schema
        self._writer: Any = None

    def put(self, values, kept=None):
        columns = self._columns(values)
        if self._writer is None:
            self._writer = self._opened(columns)
        arrays = [] if kept is None else kept.columns
        self._writer.write_batch(pyarrow.record_batch([*arrays, *columns.values()], schema=self._schema))

    def _columns(self, values: np.ndarray) -> dict[str, pyarrow.Array]:
        if values.ndim == 1:
            return {self._name: pyarrow.array(values)}
        return {f"{self._name}_{k}": pyarrow.array(column) for k, column in enumerate(values.T)}

    def _opened(self, columns: dict[str, pyarrow.Array]):
        """The writer of the table, which has these columns of results."""
        twice = sorted(columns.keys() & set(self._kept_schema.names))
        if twice:
            raise ValueError(
                f"keep holds {', '.join(map(repr, twice))}, and a column of the results has this name: leave it out."
            )
        results = [pyarrow.field(name, column.type) for name, column in columns.items()]
        self._schema = pyarrow.schema([*self._kept_schema, *results], self._kept_schema.metadata)
        if self._suffix == ".parquet":
            return parquet.ParquetWriter(self._file, self._schema)
        if nested := [f"{field.name!r} ({field.type})" for field in self._schema if types.is_nested(field.type)]:
            raise ValueError(
                f"keep holds {', '.join(nested)}, for which .csv has no form: leave it out, or write to .parquet."
            )
        return csv.CSVWriter(self._file, self._schema)

    def finish(self):
        return self._path

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._writer is not None:  # it must not write to a file that has been closed
            self._writer.close()

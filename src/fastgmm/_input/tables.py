"""Rows of Parquet and CSV files, which pyarrow reads. Errors name the file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas  # noqa: F401 - batches are its frames
import pyarrow
from pyarrow import dataset, parquet

from fastgmm._input.containers import Place, Reader
from fastgmm._input.files import in_words, local_files, size_in_words
from fastgmm._utils.words import listed

_INDEX_OF_PANDAS = re.compile(r"__index_level_\d+__")
_BAD_VALUE = re.compile(r"In CSV column #(\d+): (?:Row #(\d+): )?CSV conversion error to (.+): invalid value '(.*)'")
_ARROW_PREFIX = re.compile(r"^.* input source '[^']*': (Invalid: )?")
_MOST_SHOWN = 5  # columns that a message or representation lists
_MOST_COUNTED = 1000  # files: to open more only for their numbers of rows takes too long


class TableReader(Reader):
    """Batches of columns of Parquet or CSV files. Parameters are those of `fastgmm.batches.from_parquet`."""

    def __init__(self, paths, file_format: str, columns, sample_weight, keep, batch_rows: int):
        self._format = file_format
        self._batch_rows = batch_rows
        self._sources = [paths] if _is_dataset(paths) else _files_or_urls(paths, file_format)
        first = _opened(self._sources[0], file_format)
        names, labels = _columns_of(first.schema)
        if columns is None and file_format == "csv":
            _check_header(names, self._sources[0])
        given = names if columns is None else _listed(columns, "columns")
        self._weights = None if sample_weight is None else _name_of(sample_weight, names, labels, first.schema)
        features = [_name_of(column, names, labels, first.schema) for column in given]
        if columns is None and self._weights in features:
            features.remove(self._weights)
        _check_features(features, self._sources[0])
        self._features = features
        self._wanted = list(dict.fromkeys([*features, *([] if self._weights is None else [self._weights])]))
        self._labels = [dict(zip(names, labels, strict=True)).get(name, name) for name in features]
        self._check_schema(first.schema, self._sources[0])
        self.kept_schema = self._kept(keep, names, labels)

    def _kept(self, keep, names: list[str], labels: list):
        """The schema of the columns that tables of results hold too; None if there are none."""
        if keep is None or keep is False:
            return None
        schema = _opened(self._sources[0], self._format, self._wanted).schema
        given = schema.names if keep is True else _listed(keep, "keep")
        kept = [_name_of(column, names, labels, schema) for column in given]
        _check_twice("keep", kept)
        return pyarrow.schema([schema.field(name) for name in kept], schema.metadata)

    @property
    def files(self):
        return [source for source in self._sources if isinstance(source, Path)]

    @property
    def n_rows(self):
        local = isinstance(self._sources[0], Path) and len(self._sources) <= _MOST_COUNTED
        if self._format == "csv" or not local:
            return None
        n_rows = 0
        for source in self._sources:
            with _errors_with_name(source):
                n_rows += parquet.read_metadata(source).num_rows
        return n_rows

    def __repr__(self):
        sources = "a dataset of pyarrow" if _is_dataset(self._sources[0]) else in_words(self._sources)
        weights = "" if self._weights is None else f"; weights {self._weights}"
        kept = "" if self.kept_schema is None else f"; kept {listed(self.kept_schema.names, _MOST_SHOWN)}"
        columns = listed(self._labels, _MOST_SHOWN)
        return f"from_{self._format}: {sources}{size_in_words(self)}; columns {columns}{weights}{kept}"

    def batches_with_places(self):
        return ((self._split(batch), place) for batch, place in self._read(self._wanted))

    def batches_with_kept(self):
        schema = self.kept_schema
        if schema is None:
            yield from super().batches_with_kept()
            return
        for batch, place in self._read(list(dict.fromkeys([*self._wanted, *schema.names]))):
            try:
                kept = [batch.column(field.name).cast(field.type) for field in schema]
            except pyarrow.ArrowException as error:
                raise ValueError(
                    f"{place.name or 'A file of the dataset'} has another type in a column to keep than the "
                    f"first file: {error}"
                ) from error
            yield self._split(batch), place, pyarrow.record_batch(kept, schema=schema)

    def _read(self, columns: list[str]):
        """Record batches of columns, and their places."""
        # By default Arrow reads many batches ahead: more than all the data, in a folder of small files.
        options = {"batch_readahead": 1, "fragment_readahead": 1, "use_threads": False}
        if self._format == "parquet":
            options["fragment_scan_options"] = dataset.ParquetFragmentScanOptions(pre_buffer=False)
        for source in self._sources:
            opened = _opened(source, self._format, self._wanted)
            self._check_schema(opened.schema, source, columns)
            first_row = 0
            holder, name = ("dataset", "") if _is_dataset(source) else ("file", _name(source))
            with _errors_with_name(source, opened.schema.names, self._wanted):
                for batch in opened.to_batches(columns=columns, batch_size=self._batch_rows, **options):
                    yield batch, Place(first_row, holder, name, self._weights or "")
                    first_row += batch.num_rows

    def _split(self, batch):
        """A batch of the features, under the names that pandas gave them, with the weights if there are some."""
        frame = batch.select(self._wanted).to_pandas(ignore_metadata=True)
        X = frame[self._features].set_axis(self._labels, axis=1)
        return X if self._weights is None else (X, frame[self._weights].to_numpy())

    def _check_schema(self, schema, source, columns: Sequence[str] = ()) -> None:
        """Raise ValueError unless all of these and the wanted columns exist, and the latter hold numbers."""
        for name in (*self._wanted, *columns):
            if name not in schema.names:
                raise ValueError(
                    f"There is no column {name!r}; there are {', '.join(schema.names)} in {_name(source)}. All files "
                    f"must have the columns of {_name(self._sources[0])}."
                )
        for name in self._wanted:
            kind = _kind(schema.field(name).type)
            if kind is not None:
                is_text = kind == "strings" and self._format == "csv" and not _is_dataset(source)
                which = _first_string(source, name) if is_text else schema.field(name).type
                raise ValueError(
                    f"Column {name!r} of {_name(source)} holds {kind} ({which}), not numbers: {self._remedy(schema)}."
                )

    def _remedy(self, schema) -> str:
        """What the user can do about a column that holds no numbers."""
        numbers = [name for name in _columns_of(schema)[0] if _kind(schema.field(name).type) is None]
        if numbers:
            return f"name the columns to be read, such as columns={numbers[:_MOST_SHOWN]}"
        if self._format == "csv" and len(schema.names) == 1:
            return "if another separator than the comma is meant, open the file as the docstring of from_csv says"
        return "no column does"


def _is_dataset(paths) -> bool:
    return isinstance(paths, dataset.Dataset)


def _opened(source, file_format: str, wanted: Sequence[str] = ()):
    """A dataset of pyarrow. Wanted columns of a CSV file are float64, even if its first lines hold integers only."""
    if _is_dataset(source):
        return source
    with _errors_with_name(source):
        opened = dataset.dataset(str(source), format=file_format)
        if file_format != "csv":
            return opened
        types = {field.name: field.type for field in opened.schema}
    for name in types.keys() & set(wanted):
        column_type = types[name]
        if _kind(column_type) is None and not pyarrow.types.is_boolean(column_type):
            types[name] = pyarrow.float64()
    return dataset.dataset(str(source), pyarrow.schema(types), format=file_format)


def _first_string(source, column: str) -> str:
    """The first value of a column of a CSV file that is no number, and its row, in words."""
    as_numbers = dataset.dataset(str(source), pyarrow.schema([(column, pyarrow.float64())]), format="csv")
    try:
        for _ in as_numbers.to_batches(use_threads=False):
            pass
    except pyarrow.ArrowException as error:
        if (found := _BAD_VALUE.search(str(error))) and found[2]:
            return f"the first is {found[4]!r}, in row {_row(found[2])}"
    return "from some row on"


def _row(line: str) -> int:
    """The number of a row from the number of its line, as Arrow counts them: the header is line 1."""
    return int(line) - 2


@contextmanager
def _errors_with_name(source, names: Sequence[str] = (), wanted: Sequence[str] = ()) -> Iterator[None]:
    """A context that turns errors of Arrow about a file into ValueErrors or OSErrors that name it.

    `names` are the columns of the file, and `wanted` those that must hold numbers.
    """
    try:
        yield
    except OSError as error:
        if str(source) in str(error):
            raise
        raise OSError(f"{_name(source)} cannot be read: {error}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{_name(source)} cannot be read: {error}. Save it in UTF-8.") from error
    except pyarrow.ArrowException as error:
        bad_value = _BAD_VALUE.search(str(error))
        if bad_value is None or int(bad_value[1]) >= len(names):
            raise ValueError(f"{_name(source)} cannot be read: {_ARROW_PREFIX.sub('', str(error))}") from error
        column, line, kind, value = bad_value.groups()
        row = f"row {_row(line)}, " if line else ""
        where = f"{row}column {names[int(column)]!r} of {_name(source)}"
        if names[int(column)] in wanted:
            raise ValueError(
                f"could not convert string to float: {value!r}, in {where}. Leave strings out, or encode them as "
                "numbers."
            ) from error
        raise ValueError(
            f"{value!r}, in {where}, is no {kind}, which the first rows hold: leave the column out of keep, or open "
            "the file as a dataset of pyarrow with a schema."
        ) from error


# Columns -------------------------------------------------------------------------------------------------------------


def _columns_of(schema) -> tuple[list[str], list]:
    """Names of the columns without an index of pandas, and their labels in pandas, which may be numbers."""
    metadata = schema.pandas_metadata or {}
    index = {name for name in metadata.get("index_columns", ()) if isinstance(name, str)}
    names = [name for name in schema.names if name not in index and not _INDEX_OF_PANDAS.fullmatch(name)]
    if names and names[0] == "" and not metadata:  # to_csv writes an index without a name like this
        names = names[1:]
    if not metadata:
        return names, names
    labels = list(schema.empty_table().to_pandas().columns)
    return names, labels if len(labels) == len(names) else names


def _listed(columns, parameter: str) -> list:
    """The columns as a list, from one or several."""
    if isinstance(columns, str):
        return [columns]
    try:
        return list(columns)
    except TypeError as error:
        raise TypeError(f"{parameter} must be a name or a sequence of names, got {columns!r}.") from error


def _name_of(column, names: list[str], labels: list, schema) -> str:
    """The name of a column in the file. `column` is this name or the label in pandas."""
    if isinstance(column, str) and column in schema.names:
        return column
    if not isinstance(column, str) and np.isscalar(column) and column in labels:
        return names[labels.index(column)]
    if not isinstance(column, str) and not np.isscalar(column):
        raise TypeError(
            f"A column must be given by its name, got {type(column).__name__}; there are {', '.join(schema.names)}."
        )
    raise ValueError(f"There is no column {column!r}; there are {', '.join(schema.names)}.")


def _check_header(names: list[str], source) -> None:
    """Raise ValueError if the first line of a file looks like a row. Increasing integers are taken for names."""
    try:
        numbers = [float(name) for name in names]
    except ValueError:
        return
    is_row = not all(number.is_integer() for number in numbers) or (np.diff(numbers) <= 0).any()
    if is_row and not _is_dataset(source):
        raise ValueError(
            f"The first line of {_name(source)} holds numbers ({listed(names, _MOST_SHOWN)}), but must hold the names "
            "of the columns: write names into it, or open the file with autogenerate_column_names, as the docstring of "
            "from_csv says. If the numbers are names, list them in columns."
        )


def _check_features(features: list[str], source) -> None:
    if not features:
        raise ValueError(f"No column of {_name(source)} is left as a feature: pass columns, the names of one or more.")
    _check_twice("columns", features)


def _check_twice(parameter: str, names: list[str]) -> None:
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"{parameter} holds {', '.join(sorted(map(repr, twice)))} twice: name each column once.")


def _kind(column_type) -> str | None:
    """What a column holds, in words; None for numbers, and if all values are missing."""
    types = pyarrow.types
    if types.is_dictionary(column_type):
        return None if _kind(column_type.value_type) is None else "categories"
    numbers = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal, types.is_null)
    if any(is_number(column_type) for is_number in numbers):
        return None
    if types.is_temporal(column_type):
        return "times"
    return "strings" if str(column_type) in ("string", "large_string", "string_view") else "values"


# Sources -------------------------------------------------------------------------------------------------------------


def _files_or_urls(paths, file_format: str) -> list:
    """Local files, or a single URL, which pyarrow reads over the network."""
    return [paths] if isinstance(paths, str) and "://" in paths else local_files(paths, file_format)


def _name(source) -> str:
    return "the dataset" if _is_dataset(source) else repr(str(source))

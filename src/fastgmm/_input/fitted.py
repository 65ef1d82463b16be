"""Rows for an estimator that knows its features, block by block: those in memory, on disk or of a reader."""

from __future__ import annotations

from collections.abc import Iterator

from fastgmm._input.batches import blocks_of_reader, check_no_weights_beside
from fastgmm._input.blocks import Block, block_slices
from fastgmm._input.containers import Reader, is_read_in_blocks
from fastgmm._input.rows import (
    check_block,
    check_predict_data,
    check_sample_weight,
    check_weight_of_each_row,
    check_weights_of_block,
    warn_of_collection,
)


def weighted_blocks(estimator, X, sample_weight) -> Iterator[Block]:
    """All rows of X with their weights, validated. Rows in memory are one block."""
    if isinstance(X, Reader):
        check_no_weights_beside(X, sample_weight)
        yield from blocks_of_reader(estimator, X, weighted=True)
    elif is_read_in_blocks(X):
        warn_of_collection(X, in_blocks=True)
        given = check_weight_of_each_row(sample_weight, X)
        for rows in block_slices(X):
            yield Block(check_block(estimator, X, rows), check_weights_of_block(given, rows))
    else:
        X = check_predict_data(estimator, X)
        yield Block(X, check_sample_weight(sample_weight, X.shape[0]))


def blocks_of_rows(estimator, X) -> tuple[int | None, Iterator[Block]]:
    """The number of the rows of X, if it is known, and blocks of them, validated."""
    if isinstance(X, Reader):
        return X.n_rows, blocks_of_reader(estimator, X, weighted=False)
    if is_read_in_blocks(X):
        warn_of_collection(X, in_blocks=True)
        return X.shape[0], (Block(check_block(estimator, X, rows)) for rows in block_slices(X))
    X = check_predict_data(estimator, X)
    return len(X), (Block(X[rows]) for rows in block_slices(X))

"""The folds of criterion 'cv': which rows are fitted, and which are held out."""

from __future__ import annotations

import math

import numpy as np
from sklearn.model_selection import KFold

from fastgmm._utils.annotations import Folds

Fold = tuple[np.ndarray, np.ndarray]


def folds_of(cv: Folds, is_kept: np.ndarray, n_components: int, seed: int) -> list[Fold]:
    """Numbers of the rows to fit and of those to hold out, for each fold.

    Parameters
    ----------
    cv : int, splitter or iterable
        As the parameter of a search.
    is_kept : ndarray of bool of shape (n_samples,)
        False for rows that are left out. The numbers count the others.
    n_components : int
        The largest number of components.
    seed : int
        Of the order in which rows are shuffled, if `cv` is an int.

    Raises
    ------
    ValueError
        If there is no fold, rows do not exist, or a fold has too few rows.
    """
    n_rows, place = int(np.count_nonzero(is_kept)), np.cumsum(is_kept) - 1
    least = max(2, n_components)
    if isinstance(cv, int | np.integer):
        if cv > n_rows or n_rows - math.ceil(n_rows / cv) < least:
            raise ValueError(
                f"cv={cv} folds of n_samples={n_rows} rows leave too few to fit n_components={n_components}: use "
                "fewer components, another criterion, or more data."
            )
        return list(KFold(cv, shuffle=True, random_state=seed).split(np.empty(n_rows)))
    folds: list[Fold] = []
    for split in cv.split(np.empty(len(is_kept))) if hasattr(cv, "split") else cv:
        try:
            train, test = (_numbers(rows, len(is_kept)) for rows in split)
        except (IndexError, TypeError, ValueError) as error:
            raise ValueError(
                f"cv must hold pairs of row numbers or of masks: in fold {len(folds) + 1}, {error}."
            ) from None
        train, test = (place[rows[is_kept[rows]]] for rows in (train, test))
        if len(train) < least or len(test) == 0:
            raise ValueError(
                f"Fold {len(folds) + 1} of cv has n_samples={len(train)} rows to fit n_components={n_components}, and "
                f"{len(test)} to hold out (of positive weight): pass larger folds, or use fewer components."
            )
        folds.append((train, test))
    if not folds:
        raise ValueError("cv holds no fold: pass a list of splits. A generator can be read only once.")
    return folds


def _numbers(rows, n_rows: int) -> np.ndarray:
    """Numbers of rows that are given as numbers or as a mask."""
    rows = np.asarray(rows)
    return np.arange(n_rows)[rows if rows.size else rows.astype(int)]

"""Tests of single values that users pass: is it an integer of some size, a finite number, one of some names?"""

from __future__ import annotations

import math
from numbers import Integral, Real

import numpy as np


def is_integer_from(minimum):
    return lambda value: isinstance(value, Integral) and value >= minimum


def is_non_negative_real(value):
    try:
        return isinstance(value, Real) and 0.0 <= float(value) < math.inf  # NaN fails both comparisons
    except OverflowError:  # an integer of 400 digits
        return False


def is_positive_real(value):
    return is_non_negative_real(value) and value > 0.0


def is_boolean(value):
    return isinstance(value, bool | np.bool_)


def is_one_of(options):
    return lambda value: isinstance(value, str) and value in options

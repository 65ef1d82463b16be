"""Checkpoints: the state of a fit in a file, written after each iteration, to resume an interrupted fit from.

A file may have been cut off or edited. All of it is checked before any of it is used, because kernels do not check the
shapes of their arguments.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from copy import deepcopy
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from fastgmm._em.lbfgs import Memory
from fastgmm._em.loop import EMResult, LoopState
from fastgmm._model.protocol import Model
from fastgmm._utils.errors import CheckpointError
from fastgmm._utils.files import check_path_to_write, whole_file

_PARAMETERS_IN_MEMORY = ("point", "found")


def open_checkpoint(path, random_state: np.random.RandomState) -> Checkpoint | None:
    """The checkpoint for a path, None for None; an error if no file can be written there."""
    if path is None:
        return None
    if not isinstance(path, str | PathLike):
        raise TypeError(f"checkpoint must be the path of a file or None, got {path!r}: pass 'fit.npz'.")
    check_path_to_write(path, "checkpoint")
    return Checkpoint(path, random_state)


class Checkpoint:
    """One file. It is read when the checkpoint is opened, so a damaged one is refused early. `load`, then `save`.

    Attributes
    ----------
    fingerprint : str
        A hash of the parameters and data of the fit. Set it before `load`.
    random_state : RandomState
        The remaining starts draw from it. `save` writes its state, and `load` sets it. NumPy's global generator, which
        the rest of the program uses too, is never set: `load` then replaces `random_state` by a copy.
    """

    def __init__(self, path, random_state: np.random.RandomState):
        self.path = Path(path)
        self.fingerprint = self._covariance_type = ""
        self.random_state = random_state
        self._state_before = random_state.get_state(legacy=False)
        self._contents = self._read()

    def save(self, state: LoopState) -> None:
        """Replace the file as a whole, atomically."""
        contents: dict[str, Any] = {
            "fingerprint": self.fingerprint,
            "covariance_type": self._covariance_type,
            "run": state.run,
            "lower_bounds": state.lower_bounds,
            "random_state": json.dumps(self.random_state.get_state(legacy=False), default=np.ndarray.tolist),
            **_arrays(state.parameters, "now_"),
        }
        if state.memory is not None:
            contents |= _memory_contents(state.memory)
        if state.best is not None:
            contents |= {"best_lower_bounds": state.best.lower_bounds, "best_converged": state.best.converged}
            contents |= _arrays(state.best.parameters, "best_")
        with whole_file(self.path) as file:
            np.savez(file, **contents)

    def _read(self) -> Contents | None:
        """The contents of the file, None if there is none."""
        if not self.path.exists():
            return None
        with open(self.path, "rb") as file:
            try:
                with np.load(file) as contents:
                    return Contents({name: contents[name] for name in contents.files})
            except Exception as error:  # NumPy and zipfile raise many kinds
                raise self._is_no_checkpoint("it cannot be read as .npz") from error

    def load(self, model: Model, n_init: int, accelerated: bool) -> LoopState | None:
        """The state in the file, None if there is none. If the file is refused, ValueError, and nothing changes.

        Parameters
        ----------
        model : Model
            Of the fit; it checks the parameters in the file.
        n_init : int
        accelerated : bool
            Whether the fit has an accelerator, so the file has its memory.
        """
        self._covariance_type = model.structure.name
        contents, self._contents = self._contents, None
        if contents is None:
            return None
        try:
            state, generator = self._checked(contents, model, n_init, accelerated)
        except ValueError:
            self.random_state.set_state(self._state_before)  # a sample of the rows may have been drawn
            raise
        if self.random_state is check_random_state(None):
            self.random_state = generator
        else:
            self.random_state.set_state(generator.get_state(legacy=False))
        return state

    def _checked(self, contents: Contents, *arguments) -> tuple[LoopState, np.random.RandomState]:
        try:
            fingerprint, covariance_type = contents.text("fingerprint"), contents.text("covariance_type")
            if covariance_type != self._covariance_type:
                raise ValueError(
                    f"checkpoint={str(self.path)!r} belongs to another fit: it has covariance_type="
                    f"{covariance_type!r}, and the estimator has covariance_type={self._covariance_type!r}. Set the "
                    "same one, delete the file, or give another name."
                )
            if fingerprint != self.fingerprint:
                raise ValueError(
                    f"checkpoint={str(self.path)!r} belongs to another fit, with other parameters or other data. Pass "
                    "the same ones, delete the file, or give another name."
                )
            state = _loop_state(contents, *arguments)
            generator = _generator(contents.text("random_state"), self.random_state)
            contents.check_nothing_left()
        except CheckpointError as error:
            raise self._is_no_checkpoint(str(error)) from None
        return state, generator

    def _is_no_checkpoint(self, reason: str) -> ValueError:
        return ValueError(
            f"checkpoint={str(self.path)!r} is another file, or damaged ({reason}): delete it or give another name."
        )

    def delete(self) -> None:
        self.path.unlink(missing_ok=True)


class Contents:
    """The arrays in a file, taken out one by one; CheckpointError if one is missing or has another kind or shape."""

    def __init__(self, arrays: dict[str, np.ndarray]):
        self._left = dict(arrays)

    def has(self, prefix: str) -> bool:
        return any(name.startswith(prefix) for name in self._left)

    def text(self, name: str) -> str:
        return str(self._take(name, "U", ()))

    def scalar(self, name: str, like: bool | int | float) -> Any:
        """A Python number of the kind of `like`."""
        return self._take(name, np.asarray(like).dtype.kind, ()).item()

    def floats(self, name: str, shape: tuple[int | None, ...], finite: bool = True) -> np.ndarray:
        """An array of float64; None in its shape stands for any length."""
        array = self._take(name, "f", shape)
        if array.dtype != np.float64:
            raise CheckpointError(f"{name} has the dtype {array.dtype}")
        if finite and not np.isfinite(array).all():
            raise CheckpointError(f"{name} contains NaN or infinity")
        return np.asarray(array, order="C")

    def bounds(self, name: str) -> list[float]:
        array = self.floats(name, (None,))
        if len(array) == 0:
            raise CheckpointError(f"{name} is empty")
        return array.tolist()

    def check_nothing_left(self) -> None:
        if self._left:
            raise CheckpointError(f"it also holds {', '.join(sorted(self._left))}")

    def _take(self, name: str, kind: str, shape: tuple[int | None, ...]) -> np.ndarray:
        if name not in self._left:
            raise CheckpointError(f"{name} is missing")
        array = self._left.pop(name)
        if array.dtype.kind != kind:
            raise CheckpointError(f"{name} has the dtype {array.dtype}")
        fits = [want in (None, found) for want, found in zip(shape, array.shape, strict=False)]
        if array.ndim != len(shape) or not all(fits):
            raise CheckpointError(f"{name} has the shape {array.shape}")
        return array


def _loop_state(contents: Contents, model: Model, n_init: int, accelerated: bool) -> LoopState:
    run = contents.scalar("run", 0)
    if not 0 <= run < n_init:
        raise CheckpointError(f"run is {run}")
    lower_bounds = contents.bounds("lower_bounds")
    now = _parameters(contents, "now_", model)
    best = None
    if contents.has("best_"):
        bounds = contents.bounds("best_lower_bounds")
        parameters = _parameters(contents, "best_", model)
        best = EMResult(parameters, bounds[-1], bounds, contents.scalar("best_converged", True))
    memory = _memory(contents, model) if accelerated else None
    return LoopState(run, now, lower_bounds, best, memory)


def _parameters(contents: Contents, prefix: str, model: Model):
    arrays = {name: contents.floats(f"{prefix}p_{name}", shape) for name, shape in model.shapes().items()}
    parameters = model.restored(arrays)
    if np.isnan(model.components(parameters).log_const).any():
        raise CheckpointError(f"{prefix}p_... are not the parameters of a mixture")
    return parameters


def _memory(contents: Contents, model: Model) -> Memory:
    """The memory of an accelerator: numbers, arrays, and parameters if it has them."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(Memory):
        name, default = f"memory_{field.name}", getattr(Memory(), field.name)
        if field.name in _PARAMETERS_IN_MEMORY:
            is_there = contents.has(f"{field.name}_p_")
            values[field.name] = _parameters(contents, f"{field.name}_", model) if is_there else None
        elif isinstance(default, np.ndarray):
            values[field.name] = contents.floats(name, (None,) * default.ndim, finite=False)
        else:
            values[field.name] = contents.scalar(name, default)
    memory: Memory = Memory(**values)
    shapes = model.shapes()
    n_coordinates = model.n_components + math.prod(shapes["means"]) + math.prod(shapes["covariances"])
    pairs = (len(memory.steps), n_coordinates) if len(memory.steps) else memory.steps.shape
    expected = {
        "gradient": (0 if memory.point is None else n_coordinates,),
        "steps": pairs,
        "drops": pairs,
        "remaining_gains": Memory().remaining_gains.shape,
    }
    for name, shape in expected.items():
        if getattr(memory, name).shape != shape:
            raise CheckpointError(f"memory_{name} has the shape {getattr(memory, name).shape}")
    if memory.found is None or (memory.is_extrapolated and memory.point is None):
        raise CheckpointError("found_p_... or point_p_... are missing")
    return memory


def _memory_contents(memory: Memory) -> dict[str, Any]:
    """Arrays from which `_memory` makes the same memory."""
    contents: dict[str, Any] = {}
    for field in dataclasses.fields(memory):
        value = getattr(memory, field.name)
        if field.name not in _PARAMETERS_IN_MEMORY:
            contents[f"memory_{field.name}"] = value
        elif value is not None:
            contents |= _arrays(value, f"{field.name}_")
    return contents


def _arrays(parameters, prefix: str) -> dict[str, Any]:
    """The fields of parameters that are float64. The next iteration finds again which components are empty."""
    values = {field.name: np.asarray(getattr(parameters, field.name)) for field in dataclasses.fields(parameters)}
    return {f"{prefix}p_{name}": value for name, value in values.items() if value.dtype == np.float64}


def _generator(text: str, like: np.random.RandomState) -> np.random.RandomState:
    """A generator of the same kind in the saved state."""
    generator = deepcopy(like)
    try:
        state = json.loads(text)
        generator.set_state(state)
        position = state["state"].get("pos", 0)  # in the 624 numbers of the Mersenne Twister; NumPy does not check it
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError):
        raise CheckpointError("random_state is not a state of its generator") from None
    if not 0 <= position <= 624:
        raise CheckpointError("random_state is not a state of its generator")
    return generator


def fingerprint_of(value: Any) -> str:
    """A hash of numbers, strings, None, arrays and containers of them, the same with every version of Python and NumPy.

    That of joblib depends on how NumPy pickles arrays.
    """
    digest = hashlib.sha256()
    _add_to(digest, value)
    return digest.hexdigest()[:32]


def _add_to(digest, value: Any) -> None:
    if isinstance(value, dict):
        value = sorted(value.items())
    if isinstance(value, list | tuple):
        digest.update(f"{type(value).__name__} of {len(value)};".encode())
        for part in value:
            _add_to(digest, part)
    elif isinstance(value, str | int | float | None) and not isinstance(value, np.generic):
        digest.update(f"{value!r};".encode())
    else:
        array = np.asarray(value)
        array = array.astype(array.dtype.newbyteorder("<"), order="C")
        digest.update(f"{array.dtype.str}{array.shape};".encode())
        digest.update(repr(array.tolist()).encode() if array.dtype.hasobject else array.tobytes())

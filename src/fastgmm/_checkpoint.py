"""A fit on disk: written after each iteration, so that one that was interrupted can go on where it stood."""

from __future__ import annotations

import dataclasses
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fastgmm._acceleration import Memory
from fastgmm._em import EMResult, LoopState

_PARAMETERS_IN_MEMORY = ("point", "found")


class Checkpoint:
    """One file, replaced as a whole each time.

    Parameters
    ----------
    path : path
    fingerprint : str
        Says what fit the file belongs to: parameters and data.
    random_state : RandomState
        Its state is kept with the loop's, for the starts that are still to come.
    """

    def __init__(self, path, fingerprint: str, random_state: np.random.RandomState):
        self.path = Path(path)
        self._fingerprint = fingerprint
        self._random_state = random_state

    def save(self, state: LoopState) -> None:
        _, keys, position, has_gauss, gauss = self._random_state.get_state()
        contents: dict[str, Any] = {
            "fingerprint": self._fingerprint,
            "run": state.run,
            "lower_bounds": state.lower_bounds,
            "random_keys": keys,
            "random_rest": [position, has_gauss, gauss],
            **_arrays(state.parameters, "now_"),
        }
        if state.memory is not None:
            contents |= _memory_contents(state.memory)
        if state.best is not None:
            contents |= {"best_lower_bounds": state.best.lower_bounds, "best_converged": state.best.converged}
            contents |= _arrays(state.best.parameters, "best_")
        unfinished = self.path.with_name(self.path.name + ".part")
        with open(unfinished, "wb") as file:
            np.savez(file, **contents)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, self.path)

    def load(self, restore: Callable[[dict[str, np.ndarray]], Any]) -> LoopState | None:
        """The state in the file, None if there is no file; `restore` makes parameters of their arrays."""
        if not self.path.exists():
            return None
        if not zipfile.is_zipfile(self.path):
            raise self._is_no_checkpoint()
        with np.load(self.path) as contents:
            if "fingerprint" not in contents:
                raise self._is_no_checkpoint()
            if str(contents["fingerprint"]) != self._fingerprint:
                raise ValueError(
                    f"checkpoint={str(self.path)!r} holds another fit: its parameters or its data were others. Pass "
                    "the same ones to go on with it, or delete the file, or give another name."
                )
            position, has_gauss, gauss = contents["random_rest"].tolist()
            self._random_state.set_state(("MT19937", contents["random_keys"], int(position), int(has_gauss), gauss))
            best = None
            if "best_converged" in contents:
                bounds = contents["best_lower_bounds"].tolist()
                parameters = restore(_without_prefix(contents, "best_p_"))
                best = EMResult(parameters, bounds[-1], bounds, bool(contents["best_converged"]))
            now = restore(_without_prefix(contents, "now_p_"))
            return LoopState(
                int(contents["run"]), now, contents["lower_bounds"].tolist(), best, _memory(contents, restore)
            )

    def _is_no_checkpoint(self) -> ValueError:
        return ValueError(f"checkpoint={str(self.path)!r} is another file, or damaged: delete it or give another name.")

    def delete(self) -> None:
        self.path.unlink(missing_ok=True)


def _memory_contents(memory: Memory) -> dict[str, Any]:
    """What an accelerator remembers: numbers, arrays, and parameters if it has them."""
    contents: dict[str, Any] = {}
    for field in dataclasses.fields(memory):
        value = getattr(memory, field.name)
        if field.name not in _PARAMETERS_IN_MEMORY:
            contents[f"memory_{field.name}"] = value
        elif value is not None:
            contents |= _arrays(value, f"{field.name}_")
    return contents


def _memory(contents, restore: Callable[[dict[str, np.ndarray]], Any]) -> Memory | None:
    values: dict[str, Any] = {
        name: value if value.ndim else value.item() for name, value in _without_prefix(contents, "memory_").items()
    }
    if not values:
        return None
    for name in _PARAMETERS_IN_MEMORY:
        arrays = _without_prefix(contents, f"{name}_p_")
        values[name] = restore(arrays) if arrays else None
    return Memory(**values)


def _arrays(parameters, prefix: str) -> dict[str, Any]:
    """The fields of parameters that are arrays."""
    values = {field.name: getattr(parameters, field.name) for field in dataclasses.fields(parameters)}
    return {f"{prefix}p_{name}": value for name, value in values.items() if isinstance(value, np.ndarray | np.generic)}


def _without_prefix(contents, prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): contents[name] for name in contents.files if name.startswith(prefix)}

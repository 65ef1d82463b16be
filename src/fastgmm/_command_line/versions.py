"""Installed versions and the machine they run on: the first thing to paste into a bug report."""

import ctypes
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from threadpoolctl import ThreadpoolController

from fastgmm import _kernels
from fastgmm._utils.threads import explain_n_threads


def show_versions() -> None:
    """Print the versions of fastgmm and its dependencies, how it was built, and what it runs on."""
    n_threads, reason = explain_n_threads()
    rows = [
        ("fastgmm", _version("fastgmm")),
        ("compiler", _kernels.COMPILER),
        ("SIMD built", ", ".join(_kernels.BUILT)),
        ("SIMD supported", ", ".join(_kernels.SUPPORTED)),
        ("SIMD active", f"{_kernels.ACTIVE} ({_describe_vectors()})"),
        ("OpenMP", _describe_openmp()),
        ("threads", f"{n_threads} ({reason})"),
        ("Python", sys.version.replace("\n", " ")),
        *package_versions("numpy", "scipy", "scikit-learn", "threadpoolctl").items(),
        ("platform", platform.platform()),
        ("CPU", cpu_name()),
    ]
    width = max(len(label) for label, _ in rows)
    for label, value in rows:
        print(f"{label:>{width}}: {value}")


def cpu_name() -> str:
    """The name of the processor, as far as the operating system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        fields: dict[str, str] = {}
        for line in cpuinfo.read_text(errors="replace").splitlines():
            label, _, value = line.partition(":")
            fields.setdefault(label.strip(), value.strip())
        if "model name" in fields:
            family, model = fields.get("cpu family", "?"), fields.get("model", "?")
            return f"{fields['model name']} (family {family}, model {model})"
    return platform.processor() or platform.machine()


def package_versions(*names: str) -> dict[str, str]:
    """Installed versions of the named distributions."""
    return {name: _version(name) for name in names}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _describe_vectors() -> str:
    lanes = _kernels.active.LANES
    if lanes == 1:
        return "one number at a time: several times slower than a build by gcc or clang"
    return f"vectors of {64 * lanes} bits"


def _describe_openmp() -> str:
    """The runtime that the kernels call, and its file; a process may hold several."""
    if not _kernels.active.OPENMP:
        return "built without: single-threaded"
    runtimes = ThreadpoolController().select(user_api="openmp").lib_controllers
    ours = [runtime for runtime in runtimes if _address(runtime.dynlib) == _address(_kernels.active.__file__)]
    names = sorted(f"{runtime.prefix} {runtime.filepath}" for runtime in ours or runtimes)
    return "; ".join(names) or "yes, runtime unknown to threadpoolctl"


def _address(library: "ctypes.CDLL | str") -> int | None:
    """Where ``omp_get_max_threads`` is, as the library sees it.  Windows finds only what is in the library itself."""
    handle = ctypes.CDLL(library) if isinstance(library, str) else library
    try:
        return ctypes.cast(handle.omp_get_max_threads, ctypes.c_void_p).value
    except AttributeError:
        return None

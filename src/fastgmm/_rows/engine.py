"""Where tasks on dask collections run, and how much memory is there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import dask
import dask.array as da
from dask.base import get_scheduler
from dask.system import CPU_COUNT

from fastgmm._utils.threads import effective_n_threads


class Engine:
    """Runs graphs: a distributed client's cluster, or the scheduler that dask is set to.

    Parameters
    ----------
    client : distributed.Client or None
        None: the current client, if there is one.
    """

    def __init__(self, client):
        self.get = get_scheduler(scheduler=client, cls=da.Array)
        self._client = getattr(self.get, "__self__", None)

    def worker_threads(self) -> list[int]:
        """Number of tasks that each worker runs at a time. Without a client this process is the only worker."""
        if self._client is not None:
            return list(self._client.nthreads().values()) or [1]
        if self.get is dask.get:
            return [1]
        return [dask.config.get("num_workers", None) or CPU_COUNT]

    def memory(self) -> int:
        """Bytes of memory of the workers, or of this machine; 0 if unknown."""
        if self._client is None:
            return machine_memory()
        return sum(worker["memory_limit"] or 0 for worker in self._client.scheduler_info()["workers"].values())

    def persist(self, *collections):
        """The same collections, held in memory."""
        if self._client is not None:
            return self._client.persist(collections)
        return dask.persist(*collections, scheduler=self.get)

    def n_threads_of_task(self, n_tasks: int) -> int:
        """Number of threads of the kernels in a task: 1, or more if there are fewer tasks than threads."""
        threads = self.worker_threads()
        n_threads = max(1, min(min(threads), sum(threads) // max(1, n_tasks)))
        return n_threads if self._client is not None else min(n_threads, effective_n_threads())

    def n_idle_threads(self, n_tasks: int) -> int:
        """Number of threads of the cluster for which there is no task; 0 without a cluster."""
        if self._client is None:
            return 0
        return max(0, sum(self.worker_threads()) - n_tasks * self.n_threads_of_task(n_tasks))


def machine_memory(root: Path = Path("/")) -> int:
    """Bytes of memory that this process may use on this machine, within its control groups; 0 if unknown.

    `root` is the directory under which the system's files are.
    """
    if not hasattr(os, "sysconf"):
        return 0
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([memory, *_limits_of_control_groups(root)])


def _limits_of_control_groups(root: Path) -> Iterator[int]:
    """Memory limits of the control groups (version 1 and 2) of this process, and of all groups that contain them.

    A container may have only its own part of the tree. That part is mounted at the top, whatever the path is."""
    mounted = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            tree, name = mounted, "memory.max"
        elif "memory" in controllers.split(","):
            tree, name = mounted / "memory", "memory.limit_in_bytes"
        else:
            continue
        group = tree / path.lstrip("/")
        for each in (group, *group.parents):
            if each.is_relative_to(tree) and (limit := _text(each / name).strip()).isdigit():
                yield int(limit)


def _text(path: Path) -> str:
    """Content of a file; empty if it cannot be read."""
    try:
        return path.read_text()
    except OSError:
        return ""

"""Processes that a run starts: their start, their end, and what the kernel says they used."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Callable, Mapping, Optional, Sequence

#: /proc counts CPU time in these ticks; the totals behind them are exact.
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

#: Listening ports are taken below 32768, where Linux starts to give ports to connecting sockets by itself.
PORTS = range(20000, 32768)

#: From <linux/prctl.h>: the signal that a process gets when its parent is gone, so that even a killed run leaves none.
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)
_given_ports: set[int] = set()


def free_port() -> int:
    """A port on which nothing listens, never given before in this run."""
    while True:
        port = random.choice(PORTS)
        if port in _given_ports:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given_ports.add(port)
        return port


class NotReady(Exception):
    """A process ended, or did not answer in time, before it was ready."""


class Process:
    """One process and all that it starts; ended by its own id, whatever happens to the run."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        environment: Optional[Mapping[str, str]] = None,
        stdout: Optional[int] = None,
    ) -> None:
        self.log = log
        self.started_at = time.monotonic()
        with log.open("ab") as output:
            # Its own session, so that a Ctrl-C at the terminal reaches only the run, which then ends it in order.
            self._popen = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output if stdout is None else stdout,
                stderr=output,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
                preexec_fn=lambda: _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM),
            )
        self.pid = self._popen.pid
        self.stdout = self._popen.stdout

    @property
    def has_ended(self) -> bool:
        return self._popen.poll() is not None

    def wait_until(self, is_ready: Callable[[], bool], timeout_seconds: float) -> float:
        """Asks until `is_ready`; returns the seconds since the process was started."""
        deadline = self.started_at + timeout_seconds
        while not is_ready():
            now = time.monotonic()
            if self.has_ended:
                raise NotReady(f"ended with status {self._popen.returncode}; its last words: {self._last_words()}")
            if now > deadline:
                raise NotReady(f"not ready after {timeout_seconds:.0f} s; its last words: {self._last_words()}")
            # Fine steps while the answer is counted in milliseconds, coarse ones for what takes seconds.
            time.sleep(0.001 if now - self.started_at < 0.5 else 0.02)
        return time.monotonic() - self.started_at

    def wait(self, timeout_seconds: Optional[float] = None) -> int:
        return self._popen.wait(timeout_seconds)

    def end(self) -> None:
        """Asks the process to end, and makes its whole process group end if it does not."""
        if not self.has_ended:
            self._popen.terminate()
            try:
                self._popen.wait(10)
            except subprocess.TimeoutExpired:
                pass
        try:
            # The group's id is this process's id, since it leads its own session.
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        self._popen.wait()
        if self.stdout is not None:
            self.stdout.close()

    def _last_words(self) -> str:
        return self.log.read_text(errors="replace")[-2000:].strip() or "none"

    # What it used

    def cpu_seconds(self) -> float:
        """CPU time of the process and its descendants so far, user and system."""
        return sum(_cpu_seconds(pid) for pid in _tree(self.pid))

    def thread_cpu_seconds(self) -> "dict[tuple[int, str], float]":
        """CPU time so far of each thread of the process itself, by its id and name.

        To the nanosecond for a thread that waits; of one that runs, what it used since the last tick is missing.
        """
        seconds: dict[tuple[int, str], float] = {}
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            try:
                name = (task / "comm").read_text().strip()
                # "time on a core, time waiting for one, slices", the times in nanoseconds.
                seconds[int(task.name), name] = int((task / "schedstat").read_text().split()[0]) / 1e9
            except (FileNotFoundError, ProcessLookupError):
                continue
        return seconds

    def memory_bytes(self) -> "Memory":
        """Resident memory of the process and its descendants; pages they share count for each."""
        memories = [_memory(pid) for pid in _tree(self.pid)]
        return Memory(sum(m.resident for m in memories), sum(m.peak for m in memories))


class Memory:
    """Resident memory now and at its highest, in bytes."""

    def __init__(self, resident: int, peak: int) -> None:
        self.resident = resident
        self.peak = peak


def machine_busy_seconds() -> float:
    """CPU time that all processes of the machine used since it started, and time its host kept from it."""
    # user nice system idle iowait irq softirq steal: proc(5), /proc/stat.
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / TICKS_PER_SECOND


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on: state, parent, ... (the second may hold spaces)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _tree(root: int) -> list[int]:
    """A process and its descendants."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (stat := _stat(int(entry))):
            children.setdefault(int(stat[1]), []).append(int(entry))
    tree = [root]
    for pid in tree:
        tree.extend(children.get(pid, []))
    return tree


def _cpu_seconds(pid: int) -> float:
    stat = _stat(pid)
    return (int(stat[11]) + int(stat[12])) / TICKS_PER_SECOND if stat else 0


def _memory(pid: int) -> Memory:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        lines = []
    # Kilobytes of 1,024 bytes, as in "VmRSS:	   5120 kB".
    sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.startswith(("VmRSS", "VmHWM"))}
    return Memory(sizes.get("VmRSS", 0), sizes.get("VmHWM", 0))

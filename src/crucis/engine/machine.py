"""What this machine is and has: who a process is, slots, memory, and why the kernel killed something."""
# Paths are plain text here: pathlib costs more than the system calls that it wraps.
# ruff: noqa: PTH115, PTH123

from __future__ import annotations

import contextlib
import os
import platform
import socket
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


@cache
def host() -> str:
    """The host's name and the beginning of its machine id, so that two machines of one name are not taken for one."""
    name = "".join(c if c.isalnum() else "-" for c in socket.gethostname().lower()).strip("-")[:40] or "host"
    return f"{name}-{_text('/etc/machine-id')[:8]}".rstrip("-")


@cache
def boot() -> str:
    """The kernel's boot id, or nothing where there is none."""
    return _text("/proc/sys/kernel/random/boot_id")


def pid_namespace() -> str:
    """Which pids these are: containers of one host share the boot id and use the same numbers."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def started(pid: int) -> int | None:
    """When the process began, in clock ticks since boot; None if it is gone or only waits to be reaped."""
    text = _text(f"/proc/{pid}/stat")
    fields = text.rpartition(")")[2].split()
    if len(fields) < 20 or fields[0] in ("Z", "X"):
        return None
    return int(fields[19])


def has_proc() -> bool:
    """Whether processes can be asked for (not on macOS)."""
    return Path("/proc/self/stat").exists()


def _cgroup_files(name: str, old: str) -> list[Path]:
    """The file of this process's control group and of those above it, innermost first (version 2, then 1)."""
    found = []
    for line in _text("/proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base, leaf = Path("/sys/fs/cgroup"), name
        elif "memory" in controllers.split(",") and old.startswith("memory"):
            base, leaf = Path("/sys/fs/cgroup/memory"), old
        elif "cpu" in controllers.split(",") and old.startswith("cpu"):
            base, leaf = Path("/sys/fs/cgroup/cpu"), old
        else:
            continue
        here = base / path.lstrip("/")
        found += [folder / leaf for folder in (here, *here.parents) if base in (folder, *folder.parents)]
    found.append(Path("/sys/fs/cgroup") / name)
    return [path for path in found if path.is_file()]


def cpu_slots() -> int:
    """How many single-threaded workers fit: the smaller of the affinity and the control group's quota, at least 1."""
    affinity = getattr(os, "sched_getaffinity", None)
    slots = len(affinity(0)) if affinity else os.cpu_count() or 1
    for path in _cgroup_files("cpu.max", "cpu.cfs_quota_us"):
        fields = _text(str(path)).split()
        if path.name == "cpu.cfs_quota_us":
            fields.append(_text(str(path.with_name("cpu.cfs_period_us"))) or "100000")
        if len(fields) == 2 and fields[0].isdigit() and int(fields[1]) > 0:
            slots = min(slots, max(1, int(fields[0]) // int(fields[1])))
    return max(1, slots)


def memory_budget_mb() -> int | None:
    """0.85 of what is available now, within the control group's limit; None where that cannot be told."""
    available = None
    for line in _text("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            available = int(line.split()[1]) // 1024
    for path in _cgroup_files("memory.max", "memory.limit_in_bytes"):
        text = _text(str(path))
        if text.isdigit() and int(text) < 1 << 60 and available is not None:
            available = min(available, int(text) >> 20)
    return None if available is None else int(0.85 * available)


def oom_kills() -> int:
    """How many processes of this control group the kernel has killed for memory so far (0 where it does not count)."""
    count = 0
    for path in _cgroup_files("memory.events", "memory.oom_control"):
        for line in _text(str(path)).splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill" and value.isdigit():
                count = max(count, int(value))
    return count


def prefer_to_kill() -> None:
    """Let the kernel kill this process before others when memory runs out."""
    with contextlib.suppress(OSError):  # not allowed, or no such thing here
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")


def has_bfloat16() -> bool | None:
    """Whether the processor has instructions for bfloat16; None where it does not say."""
    for line in _text("/proc/cpuinfo").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(value.split())
    return None


def has_gpus() -> bool:
    """Whether there is a device file of an NVIDIA GPU."""
    return any(Path("/dev").glob("nvidia[0-9]*"))


def reset_peak() -> None:
    """Let the kernel's high-water mark of this process's memory begin anew."""
    try:
        handle = os.open("/proc/self/clear_refs", os.O_WRONLY)
        try:
            os.write(handle, b"5")
        finally:
            os.close(handle)
    except OSError:
        return


def memory_mb(field: str = "VmHWM") -> int:
    """The high-water mark (`VmHWM`) or the present size (`VmRSS`) of this process in MiB; 0 where unknown."""
    try:
        with open("/proc/self/status", "rb") as file:
            text = file.read()
    except OSError:
        return 0
    head = text.find(field.encode() + b":")
    return int(text[head:].split(None, 2)[1]) >> 10 if head >= 0 else 0


def plain_numerics() -> dict[str, Any]:
    """Circumstances of arithmetic that the standard library knows, for runners that tell no more."""
    return {
        "device": "cpu",
        "machine": platform.machine(),
        "python": "{}.{}".format(*sys.version_info[:2]),
        "system": platform.system(),
    }


def environment() -> dict[str, Any]:
    """Provenance: interpreter, platform, host and installed packages. About 50 ms."""
    packages = {dist.name.lower(): dist.version for dist in metadata.distributions() if dist.metadata["Name"]}
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "host": host(),
        "packages": dict(sorted(packages.items())),
    }

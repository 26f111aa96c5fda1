"""Choose the server's settings from what the machine has. Reading the machine is apart.

The settings go on the command line of the server, at every start, so a later release can change
them for existing homes too.
"""

import os
from dataclasses import dataclass
from pathlib import Path

MB = 1024 * 1024
GB = 1024 * MB

_FIXED = {
    # Nothing below may ever trade what was confirmed for speed.
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    # Nobody but holders of the socket folder and the password gets in.
    "listen_addresses": "",
    "port": "5432",
    "unix_socket_permissions": "0700",
    "password_encryption": "scram-sha-256",
    "shared_preload_libraries": "",
    "autovacuum": "on",
    "idle_in_transaction_session_timeout": "0",
    "jit": "off",
    "lc_messages": "C",
    "log_checkpoints": "off",
    "log_min_duration_statement": "-1",
    "log_timezone": "UTC",
    "logging_collector": "off",
    "max_connections": "100",
    "max_parallel_maintenance_workers": "2",
    "max_wal_size": "2GB",
    "timezone": "UTC",
    "work_mem": "32MB",
}


@dataclass(frozen=True)
class Machine:
    """What the settings depend on."""

    memory_bytes: int
    shared_memory_bytes: int
    has_lz4: bool = False


def choose_settings(machine: Machine) -> dict[str, str]:
    """Return the server's settings.

    >>> choose_settings(Machine(8 * GB, 4 * GB))["shared_buffers"]
    '256MB'
    """
    memory = machine.memory_bytes
    buffers = 256 * MB if memory >= 2 * GB else max(16 * MB, memory // 8)
    maintenance = 512 * MB if memory >= 4 * GB else max(64 * MB, memory // 8)
    # A parallel index build keeps maintenance_work_mem in dynamic shared memory. Where /dev/shm
    # is small (64 MB in a container, by default) it would fail half-way; files never do.
    roomy = machine.shared_memory_bytes >= GB
    return _FIXED | {
        "dynamic_shared_memory_type": "posix" if roomy else "mmap",
        "maintenance_work_mem": f"{maintenance // MB}MB",
        "shared_buffers": f"{buffers // MB}MB",
        "wal_compression": "lz4" if machine.has_lz4 else "pglz",
    }


def read_machine(*, has_lz4: bool) -> Machine:
    """Return what this machine, or the container we are in, has."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(
        memory_bytes=min([memory, *_container_limits()]),
        shared_memory_bytes=_size_of_filesystem(Path("/dev/shm")),  # noqa: S108  asked, not used
        has_lz4=has_lz4,
    )


def _container_limits() -> list[int]:
    limits = []
    for name in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(name).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdigit():
            limits.append(int(text))
    return limits


def _size_of_filesystem(folder: Path) -> int:
    try:
        facts = os.statvfs(folder)
    except OSError:
        return 0
    return facts.f_blocks * facts.f_frsize

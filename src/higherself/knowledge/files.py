"""Files and folders as a source of documents: how each is named, and which are gone.

With a source's name given, a document is named by its path below the folder that was given.
Without one, by its full path, so that two folders never take each other's names. An entry of a
JSON Lines or JSON file is named by its own ``id``, and its source, if none is given, is the file.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from higherself.kernel.errors import Rejected
from higherself.kernel.ids import checked_entity
from higherself.kernel.jsonvalue import check_json
from higherself.knowledge.hub import KnowledgeHub
from higherself.knowledge.model import Failure, NewDocument, Trust
from higherself.knowledge.readers import find, read

DEFAULT_SOURCE = "files"
_RECORDS = {".jsonl", ".ndjson", ".json"}
_LINES = {".jsonl", ".ndjson"}


class FileSource:
    """The documents in some files and folders.

    Raises
        Rejected: ``entity`` or ``source`` can name nothing; said once, not for every document.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        entity: str,
        source: str | None = None,
        tags: tuple[str, ...] = (),
        trust: Trust | None = None,
        local_only: bool = False,
    ) -> None:
        self._paths = [Path(path).absolute() for path in paths]
        self._entity = checked_entity(entity)
        self._source = None if source is None else checked_source(source)
        self._tags = tuple(dict.fromkeys(tag.strip() for tag in tags if tag.strip()))
        self._trust = trust
        self._local_only = local_only
        self._seen: dict[tuple[str, str], Path] = {}
        self._broken: set[Path] = set()

    def count(self) -> int:
        """Return about how many documents there are: for the time that is left.

        Raises
            MissingPath: one of the paths does not exist.
        """
        return sum(
            line_count(path) if path.suffix.lower() in _LINES else 1 for path in self._files()
        )

    def documents(self) -> Iterator[NewDocument | Failure]:
        """Yield every document, or why it could not be read.

        Raises
            MissingPath: one of the paths does not exist; before anything was yielded.
        """
        for path in self._files():
            base = self._base(path)
            for item in read(
                path,
                base=base,
                entity=self._entity,
                source=self._source or DEFAULT_SOURCE,
                tags=self._tags,
                trust=self._trust,
                local_only=self._local_only,
            ):
                if not isinstance(item, NewDocument):
                    self._broken.add(path)
                    yield item
                    continue
                document = self._named(item, path, base)
                name = document.source, document.external_id
                if name in self._seen:
                    first = self._seen[name]
                    yield Failure(
                        f"{path}: {document.external_id}",
                        f"duplicate id {document.external_id!r}: {first} has it, too; "
                        "give each document an id of its own, or each file a --source",
                    )
                    continue
                self._seen[name] = path
                yield document

    async def prune(self, hub: KnowledgeHub) -> int:
        """Delete the documents that were under the paths once and are no longer; return how many.

        Nothing that could not be read this time is deleted.
        """
        if self._source is not None:
            return await hub.prune(self._entity, self._source, keep=self._still_there)
        sources = {row["source"] for row in (await hub.stats(entity=self._entity))["sources"]}
        mine = [name for name in sources if name == DEFAULT_SOURCE or self._covers(Path(name))]
        deleted = 0
        for source in mine:
            keep = self._keeper(source)
            deleted += await hub.prune(self._entity, source, keep=keep)
        return deleted

    def _keeper(self, source: str) -> Callable[[str], bool]:
        def keep(name: str) -> bool:
            if (source, name) in self._seen:
                return True
            if source == DEFAULT_SOURCE:
                return not self._covers(Path(name)) or Path(name).exists()
            return Path(source) in self._broken

        return keep

    def _still_there(self, name: str) -> bool:
        if (self._source, name) in self._seen or self._broken:
            return True
        return any((self._folder(path) / name).exists() for path in self._paths)

    def _covers(self, path: Path) -> bool:
        return any(path == mine or mine in path.parents for mine in self._paths)

    def _named(self, document: NewDocument, path: Path, base: Path) -> NewDocument:
        relative = path.relative_to(base).as_posix()
        if path.suffix.lower() in _RECORDS:
            key = document.external_id.removeprefix(f"{relative}#")
            return replace(document, external_id=key, source=self._source or str(path))
        if self._source is None:
            return replace(document, external_id=str(path))
        return document

    def _files(self) -> Iterator[Path]:
        return find(self._paths)

    def _base(self, path: Path) -> Path:
        for given in self._paths:
            if path == given or given in path.parents:
                return self._folder(given)
        return path.parent

    @staticmethod
    def _folder(path: Path) -> Path:
        return path if path.is_dir() else path.parent


def checked_source(name: str) -> str:
    """Return ``name`` if it can name a source."""
    if not name.strip():
        raise Rejected("the source's name is empty; say where the documents come from, or leave it")
    check_json(name, "the source's name")
    return name


def line_count(path: Path) -> int:
    """Return how many lines a file has; 1 if that cannot be told."""
    try:
        with path.open("rb") as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b"")) or 1
    except OSError:
        return 1

"""PDF, through the extra ``pdf``."""

from collections.abc import Callable, Iterator, Sequence

from higherself.knowledge.readers.file import UNSTORABLE, File, Reading, Unreadable, joined


def read_pdf(file: File) -> Iterator[Reading]:
    """Yield the file as one document, a heading for each page."""
    missing = "it needs a package: `pip install 'higherself-network-server[pdf]'`"
    try:
        import pypdf
        from pypdf.errors import DependencyError
    except ImportError as error:
        raise Unreadable(missing) from error
    with file.path.open("rb") as stream:
        try:
            reader = pypdf.PdfReader(stream)
            if reader.is_encrypted and not reader.decrypt(""):
                raise Unreadable("it is encrypted; save a copy that needs no password")
            text = joined(_pages([page.extract_text for page in reader.pages]))
            title = str((reader.metadata and reader.metadata.title) or "")
            pages = len(reader.pages)
        except (Unreadable, OSError):
            raise
        except DependencyError as error:
            raise Unreadable(missing) from error
        except Exception as error:  # pypdf raises anything for a broken file
            raise Unreadable(f"it is not a PDF that can be read: {error}") from error
    if not text:
        raise Unreadable("it has no text, only pictures of pages; run `ocrmypdf OLD NEW` first")
    yield file.document(text, title=UNSTORABLE.sub("", title), metadata={"pages": pages})


def _pages(extracts: Sequence[Callable[[], str]]) -> Iterator[str]:
    """Yield the text of each page, under a heading that lets a passage tell where it stands."""
    for number, extract in enumerate(extracts, start=1):
        text = UNSTORABLE.sub("\ufffd", extract()).strip()
        if text:
            yield f"## Page {number}\n\n{text}\n\n" if len(extracts) > 1 else text

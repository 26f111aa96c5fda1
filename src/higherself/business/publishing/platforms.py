"""A text as the platforms take it: Markdown, HTML or plain, no longer than they allow. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from higherself.business.messages import channels, text
from higherself.kernel.errors import Rejected
from higherself.kernel.jsonvalue import JsonObject
from higherself.kernel.nearest import did_you_mean

Form = Literal["html", "plain"]

ELLIPSIS = "…"


class PlatformUnknown(Rejected):
    """No platform has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"platform: there is no {name!r}{did_you_mean(name, PLATFORMS)}")


@dataclass(frozen=True, slots=True)
class Platform:
    """How a platform takes texts: in which form, how long (in characters), how many hashtags."""

    name: str
    form: Form
    longest: int
    hashtags: int = 0


@dataclass(frozen=True, slots=True)
class Post:
    """A text for a platform. ``shortened``: it was too long, and ends with where the whole is."""

    platform: str
    title: str
    body: str
    form: Form
    hashtags: tuple[str, ...]
    shortened: bool

    def to_json(self) -> JsonObject:
        """Return the post as it is sent."""
        return {
            "platform": self.platform,
            "title": self.title,
            "body": self.body,
            "format": self.form,
            "hashtags": list(self.hashtags),
        }


PLATFORMS: Mapping[str, Platform] = {
    each.name: each
    for each in (
        Platform("wordpress", "html", 1_000_000),
        Platform("beehiiv", "html", 200_000),
        Platform("tutorlm", "html", 200_000),
        Platform("instagram", "plain", 2_200, hashtags=30),
        Platform("facebook", "plain", 63_206, hashtags=10),
        Platform("linkedin", "plain", 3_000, hashtags=10),
        Platform("youtube", "plain", 5_000, hashtags=15),
    )
}
"""The platforms of the business, with the limits that they state."""


def post(
    platform: str, title: str, markdown: str, *, keywords: Sequence[str] = (), link: str = ""
) -> Post:
    r"""Return a text (Markdown) as ``platform`` takes it.

    Raises
        PlatformUnknown: none has this name; the text says which are meant.

    >>> post("instagram", "Yoga", "**Breathe** in.", keywords=["yoga at dusk"]).body
    'Yoga\n\nBreathe in.\n\n#YogaAtDusk'
    """
    if platform not in PLATFORMS:
        raise PlatformUnknown(platform)
    known = PLATFORMS[platform]
    blocks = text.read(markdown)
    if known.form == "html":
        body = channels.as_html(blocks)
        if len(body) <= known.longest:
            return Post(platform, title, body, "html", (), shortened=False)
        raise Rejected(
            f"text: {len(body):,} characters as HTML; {platform} takes {known.longest:,}"
        )
    tags = tuple(dict.fromkeys(tag for each in keywords if (tag := hashtag(each))))
    tags = tags[: known.hashtags]
    end = "\n\n".join(part for part in (link, " ".join(tags)) if part)
    whole = "\n\n".join(part for part in (title.strip(), channels.plain(blocks).strip()) if part)
    room = known.longest - (len(end) + 2 if end else 0)
    kept = shortened(whole, room)
    body = f"{kept}\n\n{end}" if end else kept
    return Post(platform, title, body, "plain", tags, shortened=kept != whole)


def shortened(whole: str, longest: int) -> str:
    """Return a text of at most ``longest`` characters: whole sentences if it can be, else words."""
    if len(whole) <= longest:
        return whole
    if longest < 1:
        return ""
    cut = whole[: longest - 1]
    sentence = max(cut.rfind(mark) for mark in (". ", "! ", "? ", ".\n", "!\n", "?\n"))
    if sentence >= longest // 2:
        return cut[: sentence + 1]
    word = max(cut.rfind(" "), cut.rfind("\n"))
    return (cut[:word] if word > 0 else cut).rstrip() + ELLIPSIS


def hashtag(phrase: str) -> str:
    """Return a phrase as a hashtag; nothing of what has no letter."""
    words = "".join(each if each.isalnum() else " " for each in phrase).split()
    joined = "".join(word[:1].upper() + word[1:] for word in words)
    return f"#{joined}" if any(each.isalpha() for each in joined) else ""

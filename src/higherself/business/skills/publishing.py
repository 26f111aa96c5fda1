"""Skills that publish: a text to a platform, by the adapter that the business has declared for it.

An adapter says how something is handed over: `{webhook: NAME-OR-ADDRESS}` posts it, `{folder: NAME}`
drops it as a file. A platform without one gets a file, so that nothing is lost and nothing has to be
set up first.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Field

from higherself.agents.skills import SkillCall, skill
from higherself.business.publishing import platforms as known
from higherself.kernel.errors import Rejected
from higherself.kernel.jsonvalue import JsonObject


class Delivery(BaseModel):
    """What became of handing something over: status, by which way, and where it is."""

    platform: str
    status: str
    by: str
    delivery: str = ""
    place: str = ""
    shortened: bool = False
    reason: str = ""


Adapters = Annotated[
    dict[str, Any],
    Field(
        description='By platform: {"wordpress": {"webhook": "https://..."}, "instagram": {"folder": "social"}}'
    ),
]


@skill(
    description="Publish a text on a platform (wordpress, beehiiv, instagram, ...), in its form, once.",
    effects="external",
    irreversible=True,
    idempotent=True,
    tags=("publishing",),
)
async def publish_to_platform(
    platform: str,
    title: Annotated[str, Field(min_length=1, max_length=500)],
    text: Annotated[str, Field(min_length=1, max_length=500_000, description="Markdown")],
    call: SkillCall,
    keywords: list[str] = [],  # noqa: B006  pydantic copies it
    link: str = "",
    adapters: Adapters = {},  # noqa: B006
) -> Delivery:
    """Hand the text over as the platform takes it."""
    made = known.post(platform, title, text, keywords=keywords, link=link)
    extension = "html" if made.form == "html" else "txt"
    found = await handed_over(
        call,
        platform,
        adapters,
        kind="content",
        name=f"{_slug(title)}.{extension}",
        payload=made.to_json(),
        text=made.body,
    )
    return found.model_copy(update={"shortened": made.shortened})


class Distributed(BaseModel):
    """What became of each platform."""

    deliveries: list[Delivery]
    failed: list[str]


@skill(
    description="Publish a text on several platforms; one that refuses does not cost the others.",
    effects="external",
    irreversible=True,
    idempotent=True,
    tags=("publishing",),
)
async def publish_everywhere(
    platforms: Annotated[list[str], Field(min_length=1, max_length=20)],
    title: Annotated[str, Field(min_length=1, max_length=500)],
    text: Annotated[str, Field(min_length=1, max_length=500_000)],
    call: SkillCall,
    keywords: list[str] = [],  # noqa: B006
    link: str = "",
    adapters: Adapters = {},  # noqa: B006
) -> Distributed:
    """Hand the text to each platform, and tell of those that refused it."""
    done: list[Delivery] = []
    for platform in dict.fromkeys(platforms):
        try:
            given: Any = await call.skill(
                "publish_to_platform", platform=platform, title=title, text=text,
                keywords=keywords, link=link, adapters=adapters,
            )  # fmt: skip
            done.append(Delivery.model_validate(given))
        except Rejected as error:
            done.append(Delivery(platform=platform, status="failed", by="", reason=str(error)))
    return Distributed(
        deliveries=done, failed=[each.platform for each in done if each.status == "failed"]
    )


async def handed_over(
    call: SkillCall,
    platform: str,
    adapters: Mapping[str, Any],
    *,
    kind: str,
    name: str,
    payload: JsonObject,
    text: str,
) -> Delivery:
    """Hand something over to a platform by its adapter, under a key of its own.

    Raises
        Rejected: the adapter is none, or what it leads to refuses it for good.
        Unavailable: it does not answer now.
    """
    adapter = adapters.get(platform) or {"folder": platform}
    if not isinstance(adapter, Mapping) or len(set(adapter) & {"webhook", "folder"}) != 1:
        raise Rejected(f"adapters.{platform}: say {{webhook: NAME-OR-ADDRESS}} or {{folder: NAME}}")
    if call.runs is None:
        raise AssertionError("this call came from no invoker")
    once = call.under(f"{kind}/{platform}/{name}")
    if "webhook" in adapter:
        given: dict[str, Any] = {
            "to": adapter["webhook"],
            "event": f"{kind}.published",
            "data": {"platform": platform, **payload},
        }
        found: Any = await call.runs.run("send_webhook", given, once)
        by, place = "webhook", str(adapter["webhook"])
    else:
        given = {"name": f"{adapter['folder']}/{name}", "content": text}
        found = await call.runs.run("drop_file", given, once)
        by, place = "file", str(found.get("path") or given["name"])
    return Delivery(
        platform=platform,
        status=str(found.get("status", "sent")),
        by=by,
        delivery=str(found.get("delivery", "")),
        place=place,
    )


def _slug(title: str) -> str:
    words = "".join(each if each.isalnum() and each.isascii() else " " for each in title.lower())
    return "-".join(words.split())[:80] or "content"

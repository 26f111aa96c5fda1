"""Templates of workflows over HTTP: what can be set, and how each business has it."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Response
from pydantic import Field

from higherself.api.knowledge import Metadata, Slug, Strict, Text
from higherself.api.problems import PROBLEM_RESPONSES
from higherself.app.wiring import HigherSelf
from higherself.kernel.jsonvalue import shown
from higherself.services.setups import Template

_SETUP: dict[str, Any] = {
    "entity": "the_7_space",
    "workflow": "lead_nurturing",
    "settings": {"booking_link": "https://the7space.example/visit"},
    "enabled": True,
    "set_by": "ada",
    "origin": "api",
    "set_at": "2026-05-12T09:30:00+00:00",
}
_SETTING = {
    "name": "booking_link",
    "title": "Booking link",
    "about": "Where a lead books a visit or a call, an https address",
    "type": "string",
    "required": True,
    "default": None,
}
_BRIEF = {
    "name": "lead_nurturing",
    "version": 4,
    "description": "From first contact to a booked visit",
    "setup_for": ["the_7_space"],
}
_TEMPLATE = {**_BRIEF, "settings": [_SETTING], "setups": [_SETUP]}

Name = Annotated[Text, Path(description="The workflow, such as lead_nurturing.", max_length=200)]
Business = Annotated[Slug, Path(description="The business, by its slug.")]


class SetupRequest(Strict):
    """How a business is to have a workflow."""

    settings: Metadata = Field(default={}, description="By name; null goes back to the default.")
    enabled: bool = Field(default=True, description="Whether triggers may start it.")
    keep: bool = Field(
        default=True, description="Whether what was set before and is not here stays."
    )
    by: Annotated[Text, Field(max_length=200)] = Field(default="api", description="Who sets it up.")


def template_routes(hs: HigherSelf) -> APIRouter:
    """Return the routes for templates of ``hs``."""
    router = APIRouter(prefix="/api/v1/templates", tags=["templates"], responses=PROBLEM_RESPONSES)

    @router.get("", responses=_example({"templates": [_BRIEF]}))
    async def list_templates() -> Response:
        """List the workflows that can be set up, and for whom they are."""
        found = await hs.setups.templates()
        return _json({"templates": [brief(each) for each in found]})

    @router.get("/{name}", responses=_example(_TEMPLATE))
    async def show_template(name: Name) -> Response:
        """Show what can be set of a template, and how each business has it."""
        found = await hs.setups.template(name)
        settings = [each.to_json() for each in found.settings]
        setups = [each.to_json() for each in found.setups]
        return _json({**brief(found), "settings": settings, "setups": setups})

    @router.put("/{name}/setups/{entity}", responses=_example(_SETUP))
    async def set_up(
        name: Name,
        entity: Business,
        wanted: Annotated[
            SetupRequest,
            Body(openapi_examples={"one": {"value": {"settings": _SETUP["settings"]}}}),
        ],
    ) -> Response:
        """Set a template up for a business, or change how; what is wrong is told by its name."""
        done = await hs.setups.set_up(
            entity, name, wanted.settings,
            by=wanted.by, origin="api", enabled=wanted.enabled, keep=wanted.keep,
        )  # fmt: skip
        return _json(done.to_json())

    return router


def brief(found: Template) -> dict[str, Any]:
    """Return a template as a list shows it."""
    return {
        "name": found.name,
        "version": found.definition.version,
        "description": found.definition.description,
        "setup_for": [each.entity for each in found.setups if each.enabled],
    }


def _json(value: Any) -> Response:
    return Response(shown(value, indent=None), media_type="application/json")


def _example(value: Any) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {"application/json": {"example": value}}}}

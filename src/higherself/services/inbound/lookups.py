"""What announcements leave out, asked of the system that made them."""

from typing import Any

import httpx

from higherself.inbound.bodies import name_of
from higherself.kernel.errors import Misconfigured, Rejected, Unavailable
from higherself.kernel.jsonvalue import JsonObject

SECONDS = 10.0
LARGEST = 1024 * 1024


class LookupRefused(Rejected):
    """The system does not know what it announced, or says something that cannot be read."""


class LookupUnavailable(Unavailable):
    """The system does not answer now."""


class LookupForbidden(Misconfigured):
    """The system does not take our key."""


class AcuityAppointments:
    """Asks Acuity Scheduling for the appointment that a webhook is about: who, what, when."""

    def __init__(self, url: str, user: str, key: str) -> None:
        self._url, self._auth = url, httpx.BasicAuth(user, key)

    async def of(self, data: JsonObject) -> JsonObject:
        """Return the appointment that ``data`` name.

        Raises
            LookupRefused: there is none, or the answer is no appointment.
            LookupForbidden: the key or the user id is wrong.
            LookupUnavailable: Acuity does not answer now.
        """
        identifier = name_of(data.get("id"), "id")
        if not identifier.isdecimal():
            raise LookupRefused(f"{identifier!r} is no id of an appointment")
        try:
            async with httpx.AsyncClient(auth=self._auth, timeout=SECONDS) as client:
                answer = await client.get(f"{self._url}/appointments/{identifier}")
        except httpx.HTTPError as error:
            raise LookupUnavailable(f"Acuity does not answer ({type(error).__name__})") from error
        if answer.status_code in {401, 403}:
            raise LookupForbidden(
                "Acuity refuses ACUITY_USER_ID with ACUITY_API_KEY; correct them, then replay"
            )
        if answer.status_code == 429 or answer.status_code >= 500:
            raise LookupUnavailable(f"Acuity answers {answer.status_code}")
        found: Any = None
        if answer.status_code == 200 and len(answer.content) <= LARGEST:
            try:
                found = answer.json()
            except ValueError:
                found = None
        if not isinstance(found, dict):
            raise LookupRefused(
                f"Acuity answers {answer.status_code} for appointment {identifier}, and no appointment"
            )
        return {"appointment": found}

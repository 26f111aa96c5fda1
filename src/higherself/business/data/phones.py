"""Telephone numbers as E.164, the one way in which two of them can be compared. Pure."""

import phonenumbers

from higherself.kernel.errors import Rejected


class NumberUnclear(Rejected):
    """A text is no telephone number."""


def read_phone(text: str, *, country: str | None = None) -> str:
    """Return ``text`` as E.164. A number without its country code is one of ``country`` (ISO 3166).

    Raises
        NumberUnclear: it is none that could be dialled.

    >>> read_phone("(917) 555-0142", country="US")
    '+19175550142'
    """
    try:
        number = phonenumbers.parse(text, country and country.upper())
    except phonenumbers.NumberParseException as error:
        hint = "" if country else "; begin with the country code, +1 say, or give the country"
        raise NumberUnclear(f"{text!r} is no telephone number ({error}){hint}") from None
    if not phonenumbers.is_possible_number(number):
        where = f" in {country.upper()}" if country else ""
        raise NumberUnclear(f"{text!r} has too few or too many digits for a number{where}")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def shown(number: str) -> str:
    """Return an E.164 number as people read it abroad.

    >>> shown("+19175550142")
    '+1 917-555-0142'
    """
    try:
        read = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return number
    return phonenumbers.format_number(read, phonenumbers.PhoneNumberFormat.INTERNATIONAL)

"""Properties of pages: read as typed values, written with every limit checked, compared. Pure.

>>> page = {"properties": {"Stage": {"id": "a", "type": "select", "select": {"id": "1", "name": "Lead", "color": "red"}}}}
>>> plain(read(page)["Stage"])
'Lead'
>>> schema = {"Stage": {"type": "select", "select": {"options": [{"name": "Lead"}, {"name": "Client"}]}}}
>>> write({"Stage": "Client"}, schema)
{'Stage': {'select': {'name': 'Client'}}}
>>> write({"Stage": "Clyent"}, schema)
Traceback (most recent call last):
    ...
higherself.notion.properties.writing.PropertyRejected: property 'Stage': 'Clyent' is none of its options; did you mean 'Client'?
"""

from higherself.notion.properties.reading import KINDS, plain, read, read_value
from higherself.notion.properties.values import Value
from higherself.notion.properties.writing import WRITABLE, PropertyRejected, same, write

__all__ = ["KINDS", "WRITABLE", "PropertyRejected", "Value", "plain", "read", "read_value", "same", "write"]  # fmt: skip

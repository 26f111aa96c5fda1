"""From a text to nodes: JSON or YAML, by the name of the file. Pure."""

from higherself.workflow.definition.from_json import JsonNodes
from higherself.workflow.definition.from_yaml import YamlNodes
from higherself.workflow.definition.nodes import Node
from higherself.workflow.errors import InvalidDefinition, Place, Problem

LARGEST = 1_000_000  # characters


def nodes_of_text(text: str, file: str) -> Node:
    """Return what ``text`` says: in JSON if ``file`` is named so, else in YAML.

    Raises
        InvalidDefinition: it is neither, has a key twice, or is beyond the limits.
    """
    if len(text) > LARGEST:
        what = f"the text has {len(text):,} characters; a definition has at most {LARGEST:,}"
        raise InvalidDefinition([Problem(Place(file, 1, 1), "", what)])
    reader = JsonNodes(text, file) if file.endswith(".json") else YamlNodes(text, file)
    node = reader.build()
    if reader.problems:
        raise InvalidDefinition(reader.problems)
    return node

import psycopg
import pytest
from tests.notion.databases.declared import PRODUCT

from higherself.notion.databases.declaration import InvalidDatabases, UnknownDatabase, column_of
from higherself.notion.databases.declaring import read_databases

SOUND = """
databases:
  people:
    title: People
    env: NOTION_PEOPLE_DB
    id: {property: Number, prefix: P-}
    properties:
      Name: {type: title, policy: newest}
      Number: {type: rich_text, policy: server_only}
      Kind: {type: select, options: [A, B], policy: notion}
      Boss: {type: relation, to: people, policy: manual}
      Born: {type: date, time: false, policy: newest}
      Loud: {type: formula, formula: 'concat(prop("Name"), "!")'}
    views:
      Board: {type: board, group_by: Kind, where: {Kind: [A]}}
      Calendar: {type: calendar, date: Born}
"""


def problems(text: str) -> list[str]:
    with pytest.raises(InvalidDatabases) as told:
        read_databases(text, "f.yaml")
    return list(told.value.problems)


def test_a_sound_declaration() -> None:
    people = read_databases(SOUND, "f.yaml")["people"]
    assert list(people.fields) == ["name", "number", "kind", "boss", "born"]
    assert (people.id_column, people.id_prefix) == ("number", "P-")
    assert people.properties["Loud"].references == ("Name",)
    assert people.views[0].where == ((("Kind", ("A",)),),)


@pytest.mark.parametrize(
    ("old", "new", "line", "what"),
    [
        ("type: title", "type: titel", 8, "'titel' is none of"),
        ("policy: manual", "policy: mine", 11, "'mine' is none of newest, notion"),
        ("policy: notion", "polcy: notion", 10, "did you mean 'policy'"),
        ("to: people", "to: poeple", 11, "did you mean 'people'"),
        ("[A, B]", "[A, 'a,b']", 10, "no comma"),
        ("[A, B]", "[A, A, B]", 10, "twice"),
        ("group_by: Kind, ", "", 15, "a board needs `group_by`"),
        ("group_by: Kind", "group_by: Kin", 15, "did you mean 'Kind'"),
        ("where: {Kind: [A]}", "where: {Kind: [C]}", 15, "'C' is no option of 'Kind'"),
        ("date: Born", "date: Name", 16, "'Name' is no date"),
        ('prop("Name")', 'prop("Nam")', 13, "did you mean 'Name'"),
        ("property: Number", "property: Numbr", 6, "did you mean 'Number'"),
        ("NOTION_PEOPLE_DB", "PEOPLE", 5, "not like NOTION_TASKS_DB"),
        ("Name: {type: title", "Name: {type: url", 7, "exactly one property is of type title"),
        ("time: false", "time: maybe", 12, "say true or false"),
        ("  people:", "  People:", 3, "named like an SQL table"),
        ("Born: {", "Name: {", 12, "twice"),
        ("Born: {", "Created At: {", 12, "created_at is a column of every table"),
        ("Born: {", "NAME: {", 12, "'Name' has the column name too"),
        ("title: People", "title: [People]", 4, "a text"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line(old: str, new: str, line: int, what: str) -> None:
    found = problems(SOUND.replace(old, new, 1))
    assert any(each.startswith(f"f.yaml:{line}:") and what in each for each in found), found


def test_all_mistakes_are_told_at_once() -> None:
    text = SOUND.replace("type: title", "type: titel").replace("to: people", "to: poeple")
    assert len(problems(text)) == 3  # and there is no title any more


def test_what_is_no_yaml_is_told_with_its_line() -> None:
    assert problems("databases: {a: [")[0].startswith("f.yaml:1:")


def test_two_way_relations_must_agree() -> None:
    text = SOUND.replace("to: people", "to: people, both: Kind")
    assert any("'Kind' of people does not say" in each for each in problems(text))


def test_an_unknown_database_names_the_nearest() -> None:
    with pytest.raises(UnknownDatabase, match="did you mean 'tasks'"):
        PRODUCT["task"]


# --- The product's.


def test_the_sixteen_are_in_the_order_that_their_relations_need() -> None:
    assert len(PRODUCT) == 16
    assert [each.name for each in PRODUCT.values() if each.optional] == ["rewards_bounties"]
    assert [each.name for each in PRODUCT.values() if not each.records] == ["workflow_instances"]
    assert "Action" in PRODUCT["workflow_instances"].properties
    assert "Out of Stock" in PRODUCT["products_services"].properties["Status"].options


_TYPES = {
    "number": "double precision",
    "checkbox": "boolean",
    "multi_select": "ARRAY",
    "people": "ARRAY",
    "relation": "ARRAY",
    "files": "jsonb",
}


@pytest.mark.postgres
def test_the_tables_are_those_of_the_declaration(worker_database: str) -> None:
    with psycopg.connect(worker_database) as connection:
        rows = connection.execute(
            "SELECT table_name, column_name, data_type FROM information_schema.columns "
            "WHERE table_schema = 'higherself'"
        ).fetchall()
    tables: dict[str, dict[str, str]] = {}
    for table, column, kind in rows:
        tables.setdefault(table, {})[column] = kind
    instant = "timestamp with time zone"
    common = {"record_id": "uuid", "entity": "text", **dict.fromkeys(("created_at", "updated_at", "deleted_at"), instant)}  # fmt: skip
    for declared in PRODUCT.records:
        expected = dict(common)
        for column, prop in declared.fields.items():
            date = instant if prop.time else "date"
            expected[column] = date if prop.type == "date" else _TYPES.get(prop.type, "text")
            assert column == column_of(prop.name)
        assert tables[declared.name] == expected
    assert "workflow_instances" not in tables

"""Declared databases for tests: those of the product, and a small set."""

from importlib.resources import files

from higherself.notion.databases.declaration import Declaration
from higherself.notion.databases.declaring import read_databases

PRODUCT = read_databases(
    files("higherself.business").joinpath("notion_databases.yaml").read_text(encoding="utf-8"),
    "notion_databases.yaml",
)

SMALL: Declaration = read_databases(
    """
common:
  Supabase ID: {type: rich_text}
  Last Synced: {type: date}
databases:
  contacts_profiles:
    title: Contacts & Profiles
    env: NOTION_CONTACTS_PROFILES_DB
    properties:
      Full Name: {type: title, policy: newest}
      Email: {type: email, policy: manual}
      Status: {type: select, options: [Lead, Client], policy: notion}
      Tasks: {type: relation, to: tasks, both: Contact, policy: newest}
      Shout: {type: formula, formula: 'concat(prop("Email"), "!")'}
    views:
      All: {type: table}
      Board: {type: board, group_by: Status, where: {Status: [Lead, Client]}, sort: [-Full Name]}
  tasks:
    title: Tasks
    env: NOTION_TASKS_DB
    properties:
      Task Name: {type: title, policy: newest}
      Due Date: {type: date, policy: newest}
      Contact: {type: relation, to: contacts_profiles, both: Tasks, policy: newest}
    views:
      Calendar: {type: calendar, date: Due Date}
""",
    "small.yaml",
)

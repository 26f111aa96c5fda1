"""The conformance suite of the Model Context Protocol, run against the real server.

Every check that the suite scores for a revision has to pass. Most ask for tools, resources and
prompts of the suite's own (`fixtures`); those of `SERVED` are about what the product itself serves:
the way in and out, sessions, discovery, and tools.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from tests.mcp.fixtures import with_fixtures
from tests.npm import NODE, installed

from higherself.db.embedded import EmbeddedPostgres
from higherself.testing.http import Site, running

HERE = Path(__file__).parent / "conformance"
SUITE = "node_modules/@modelcontextprotocol/conformance/dist/index.js"
LINE = re.compile(r"^[✓✗] ([\w-]+): (\d+) passed, (\d+) failed$", re.MULTILINE)
NOT_SCORED = re.compile(r"^  [✓✗] ([\w-]+) \((?:extension|pending|added-after-release)\)$", re.M)

SERVED = re.compile(
    r"server-(initialize|stateless|sse-multiple-streams)|ping|dns-rebinding-protection|caching"
    r"|tools-(list|call-(?!sampling|elicitation|with-logging).*)"
)

pytestmark = pytest.mark.filterwarnings("ignore:.*deprecated as of 2026-07-28")
"""The suite asks for sampling and logging, too, which that revision does without."""

SCORED = {"2025-11-25": (30, 70, 26), "2026-07-28": (37, 120, 59)}
"""For each revision: the scenarios that the suite scores, their checks, and those of `SERVED`."""


@pytest.fixture(scope="module")
def site(server: EmbeddedPostgres) -> Iterator[Site]:
    def prepare(app: FastAPI) -> None:
        with_fixtures(app.state.mcp.server)

    with running(server, prepare=prepare, HIGHERSELF_MCP="all") as site:
        yield site


@pytest.mark.parametrize("revision", SCORED)
def test_every_scored_check_passes(site: Site, revision: str) -> None:
    folder = installed("mcp-conformance", HERE)
    done = subprocess.run(
        [NODE, SUITE, "server", "--url", f"http://127.0.0.1:{site.port}/mcp", "--requirements",
         revision], cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    said = done.stdout + done.stderr
    unscored = set(NOT_SCORED.findall(said))
    found = {name: (int(ok), int(no)) for name, ok, no in LINE.findall(said)}
    scored = {name: counts for name, counts in found.items() if name not in unscored}
    assert [name for name, (_, failed) in scored.items() if failed] == [], said
    passed = {name: ok for name, (ok, _) in scored.items()}
    ours = sum(ok for name, ok in passed.items() if SERVED.fullmatch(name))
    assert (len(passed), sum(passed.values()), ours) == SCORED[revision], said
    assert done.returncode == 0, said

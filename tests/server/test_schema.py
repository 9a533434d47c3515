"""The API keeps its own OpenAPI document, tried by schemathesis with good and bad requests."""

import asyncio
import sys
from pathlib import Path

from tests.server.world import Live

HERE = Path(__file__).parent
# Python 3.11 can not compile in two threads at once, so what a thread would import is here before.
PROGRAM = "import schemathesis.transport.asgi, schemathesis.cli; schemathesis.cli.schemathesis()"
# These two end the session that the run needs; test_identity.py has tests of their own.
ENDING = ("ApiSessionSignOut", "ApiMeDeleteAccount")


async def test_the_api_keeps_its_document(live: Live) -> None:
    moderator = await live.moderator("mod")
    await moderator.go_live("on air")
    admin = await live.database.admin()
    await admin.execute("SELECT public.grant_staff_role($1, 'admin')", moderator.id)
    command = [
        *(sys.executable, "-c", PROGRAM),
        "--config-file",
        str(HERE / "schemathesis.toml"),
        "run",
        f"{live.url}/docs/openapi.json",
        "--header",
        f"Authorization: Bearer {moderator.token}",
        "--phases=examples,coverage,fuzzing",
        "--max-examples=3",
        "--workers=1",
        "--seed=1",
        *[f"--exclude-operation-id={name}" for name in ENDING],
    ]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()[-12_000:]
    assert "Tested: 56" in said.decode(), "every operation was tried"

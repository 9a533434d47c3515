"""House rules of the schema as queries: a row is a finding, no row is a pass.

`sql/lint.sql` holds them, each under three comment lines:

    -- rule: rls_enabled
    -- why: what goes wrong otherwise
    -- fix: what to write
    SELECT ... AS object
"""

import re
from dataclasses import dataclass

from livewall.administrator import connected
from livewall.sql_files import SQL_FOLDER

RULE = re.compile(
    r"^-- rule: (?P<name>\w+)\n-- why: (?P<why>.+)\n-- fix: (?P<fix>.+)\n"
    r"(?P<query>(?:(?!^-- rule:).*\n?)*)",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Rule:
    """One rule: its query returns a column `object` for each thing that breaks it."""

    name: str
    why: str
    fix: str
    query: str


@dataclass(frozen=True)
class Finding:
    """Something that breaks a rule, and what to do."""

    rule: str
    object: str
    why: str
    fix: str


def rules() -> list[Rule]:
    """Read the rules from `sql/lint.sql`."""
    text = (SQL_FOLDER / "lint.sql").read_text(encoding="utf-8")
    return [
        Rule(found["name"], found["why"], found["fix"], found["query"].strip().rstrip(";"))
        for found in RULE.finditer(text)
    ]


async def lint(url: str) -> list[Finding]:
    """Run every rule against the database at this administrator's address."""
    findings: list[Finding] = []
    async with connected(url) as connection:
        await connection.execute("SET search_path = ''")
        for rule in rules():
            rows = await connection.fetch(rule.query)
            findings += [Finding(rule.name, str(row[0]), rule.why, rule.fix) for row in rows]
    return findings

"""The production checklist, run against the live system: `livewall preflight`.

`checks.py` says what a check is, `run.py` runs them. To add one, write it in the module it belongs
to; `python -m livewall.preflight > docs/preflight.md` documents it.
"""

from livewall.preflight import jobs, money, schema, setup, storage, watching
from livewall.preflight.checks import REGISTRY, Check

# Importing them fills the registry.
MODULES = (jobs, money, schema, setup, storage, watching)


def _place(check: Check) -> tuple[bool, int]:
    """The specification's checklist comes first, each part in the order of its numbers."""
    return check.id.startswith("P"), int(check.id[1:])


CHECKS: list[Check] = sorted(REGISTRY.values(), key=_place)

HEAD = """\
# Preflight

Written by `python -m livewall.preflight` from the checks in `src/livewall/preflight/`.

    livewall preflight                      # all of it, with the settings of the server
    livewall preflight --only S30,S36       # some of it
    livewall preflight --head HASH          # with the head of the ledger that you kept elsewhere
    livewall preflight --backups FOLDER     # with backups elsewhere than the last one
    livewall preflight --json > today.json  # to keep the evidence

Each item passes, fails, or is **not proven**: what can not be seen from where it runs never passes.
The exit code is 0 if all pass, 1 if any fails, 2 if none fails and something is not proven.

It is safe on a live system. It changes nothing: what it tries, it tries with people made up for it,
in transactions of some milliseconds that are always rolled back, that wait for no lock longer than
a second and lock no row of anybody else. Numbers of purchases may skip a few, for a sequence gives
no number back.
"""


def document() -> str:
    """Return docs/preflight.md."""
    lines = [HEAD]
    for check in CHECKS:
        lines += [f"## {check.id}: {check.title}", "", check.why, ""]
        lines += [f"**What it does.** {check.how}", "", f"**If it fails.** {check.fix}", ""]
    return "\n".join(lines[:-1]) + "\n"

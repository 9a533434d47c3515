"""What others made in this database: S29 says what leads around policies, and what may."""

import pytest

from tests.preflight.conftest import Stage

DEFINER = (
    "CREATE FUNCTION {} RETURNS {} LANGUAGE plpgsql SECURITY DEFINER AS"
    " $$ BEGIN RETURN (SELECT min(password_hash) FROM private.credentials); END $$;"
)
UNKNOWN = {
    "a back door": (DEFINER.format("public.back_door()", "text"), "function public.back_door()"),
    "a back door behind a view": (
        (
            "CREATE SCHEMA hidden;"
            + DEFINER.format("hidden.back_door()", "text")
            + "CREATE VIEW public.people AS SELECT hidden.back_door();"
            "GRANT SELECT ON public.people TO anon"
        ),
        "view public.people",
    ),
    "a back door behind a table": (
        (
            "CREATE TABLE public.notes (body text); GRANT INSERT ON public.notes TO anon;"
            + DEFINER.format("public.back_door()", "trigger")
            + "CREATE TRIGGER noted BEFORE INSERT ON public.notes"
            " FOR EACH ROW EXECUTE FUNCTION public.back_door()"
        ),
        "table public.notes",
    ),
}


@pytest.mark.spec("S29")
@pytest.mark.parametrize(("statement", "what"), UNKNOWN.values(), ids=UNKNOWN)
async def test_what_acts_as_another_is_not_proven(stage: Stage, statement: str, what: str) -> None:
    await stage.admin.execute(statement)
    seen = await stage.seen()
    assert {item for item, found in seen.items() if found.status != "pass"} == {"S29"}
    assert (seen["S29"].status, seen["S29"].facts["unknown"]) == ("not_proven", [what])
    assert "SECURITY INVOKER" in seen["S29"].next


BESIDE = """
CREATE TABLE public.todos (id bigint PRIMARY KEY, body text);
CREATE VIEW public.open_todos AS SELECT * FROM public.todos;
CREATE VIEW public.names WITH (security_invoker = on) AS SELECT name FROM public.profiles;
CREATE FUNCTION public.hello() RETURNS text LANGUAGE sql AS $$ SELECT 'hello' $$;
CREATE FUNCTION public.noted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
    $$ BEGIN RETURN NEW; END $$;
CREATE SCHEMA hidden;
CREATE FUNCTION hidden.is_admin() RETURNS boolean LANGUAGE sql SECURITY DEFINER AS
    $$ SELECT false $$;
CREATE POLICY admins ON public.todos USING (hidden.is_admin());
GRANT SELECT ON public.todos, public.open_todos, public.names TO anon;
"""


@pytest.mark.spec("S29")
async def test_what_acts_as_its_caller_may_stand_beside(stage: Stage) -> None:
    await stage.admin.execute(BESIDE)
    found = (await stage.seen("S29"))["S29"]
    assert (found.status, found.facts["beside"]) == (
        "pass",
        [
            "function public.hello()",
            "table public.todos",
            "view public.names",
            "view public.open_todos",
        ],
    )
    assert found.evidence.endswith("; 4 of others act as their caller")

"""Each house rule finds the mistake it is there for; Livewall's own schema has none."""

import pytest

from livewall.sql_lint import lint, rules
from tests.databases import Database

TABLE = "CREATE TABLE public.bad (id integer); ALTER TABLE public.bad OWNER TO livewall_owner;"
SAFE = TABLE + "ALTER TABLE public.bad ENABLE ROW LEVEL SECURITY;"
FUNCTION = "CREATE FUNCTION private.bad() RETURNS integer LANGUAGE"

MISTAKES = {
    "rls_enabled": TABLE,
    "grant_has_policy": SAFE + "GRANT UPDATE (id) ON public.bad TO anon",
    "policy_has_grant": SAFE + "CREATE POLICY bad_delete_all ON public.bad FOR DELETE TO anon"
    " USING (true); GRANT SELECT ON public.bad TO anon",
    "definer_search_path": f"{FUNCTION} sql SECURITY DEFINER SET search_path = public RETURN 1",
    "function_not_public": f"{FUNCTION} sql RETURN 1; GRANT EXECUTE ON FUNCTION private.bad"
    " TO PUBLIC",
    "no_privilege_past_policies": SAFE + "GRANT TRUNCATE ON public.bad TO service_role",
    "nothing_to_public": SAFE + "GRANT SELECT (id) ON public.bad TO PUBLIC",
    "policy_name": SAFE + "CREATE POLICY everything ON public.bad FOR SELECT USING (true)",
    "one_permissive_policy": SAFE
    + "CREATE POLICY bad_select_one ON public.bad FOR SELECT TO anon USING (id = 1);"
    "CREATE POLICY bad_select_two ON public.bad FOR SELECT TO anon USING (id = 2)",
    "uid_once_per_statement": SAFE + "CREATE POLICY bad_select_own ON public.bad FOR SELECT"
    " USING ((SELECT auth.uid()) IS NOT NULL OR auth.uid() IS NULL)",
    "foreign_key_index": TABLE + "ALTER TABLE public.bad ADD of_user uuid"
    " CONSTRAINT bad_of_user REFERENCES auth.users (id)",
    "private_stays_private": "GRANT USAGE ON SCHEMA private TO authenticated",
    "no_create_in_schemas": "GRANT CREATE ON SCHEMA public TO service_role",
    "function_has_comment": "CREATE FUNCTION public.bad() RETURNS integer LANGUAGE sql RETURN 1;"
    "ALTER FUNCTION public.bad() OWNER TO livewall_owner",
    "settings_end_with_the_call": f"{FUNCTION} plpgsql AS $$ BEGIN"
    " PERFORM set_config('role', 'anon', false); RETURN 1; END $$",
    "constraint_states_its_rule": TABLE + "ALTER TABLE public.bad ADD CHECK (id > 0)",
    "nothing_around_tables": "GRANT EXECUTE ON FUNCTION pg_catalog.lo_create(oid) TO authenticated",
    "owner_is_nobody": "ALTER DEFAULT PRIVILEGES FOR ROLE livewall_owner IN SCHEMA public"
    " GRANT SELECT ON TABLES TO anon",
    "nothing_of_strangers": f"CREATE FUNCTION public.trap() RETURNS integer LANGUAGE sql RETURN 1;"
    f"{FUNCTION} sql RETURN public.trap()",
    "one_function_per_name": "CREATE FUNCTION public.list_blocks(p_any integer) RETURNS jsonb"
    " LANGUAGE sql RETURN '[]'::jsonb",
    "view_invoker": "CREATE VIEW public.bad AS SELECT 1;"
    "ALTER VIEW public.bad OWNER TO livewall_owner",
}

# The same mistake in a body that PostgreSQL stores parsed.
PARSED = {
    "settings_end_with_the_call": f"{FUNCTION} sql RETURN"
    " length(set_config('role', 'anon', false))",
}

# Not only bodies are parsed and keep what they named then.
TRAPPED = {
    "policy": SAFE + "CREATE POLICY bad_select_all ON public.bad FOR SELECT USING (public.trap())",
    "default": TABLE + "ALTER TABLE public.bad ADD is_on boolean DEFAULT public.trap()",
    "constraint": TABLE + "ALTER TABLE public.bad ADD CONSTRAINT bad_holds CHECK (public.trap())",
    "index": TABLE + "CREATE INDEX ON public.bad ((public.trap()))",
    "view": "CREATE VIEW public.bad WITH (security_invoker = true) AS SELECT public.trap();"
    "ALTER VIEW public.bad OWNER TO livewall_owner",
}


async def test_livewalls_own_schema_follows_every_rule(database: Database) -> None:
    assert await lint(database.admin_url) == []


def test_every_rule_has_a_mistake_to_find() -> None:
    assert {rule.name for rule in rules()} == set(MISTAKES)


@pytest.mark.parametrize(
    ("rule", "mistake"),
    [*MISTAKES.items(), *PARSED.items()],
    ids=[*MISTAKES, *(f"{rule} parsed" for rule in PARSED)],
)
async def test_a_rule_finds_its_mistake(database: Database, rule: str, mistake: str) -> None:
    admin = await database.admin()
    await admin.execute(mistake)
    if "private.bad()" in mistake:
        await admin.execute("ALTER FUNCTION private.bad() OWNER TO livewall_owner")
    findings = [finding for finding in await lint(database.admin_url) if finding.rule == rule]
    assert len(findings) == 1
    assert findings[0].why
    assert findings[0].fix


@pytest.mark.spec("S29")
@pytest.mark.parametrize("part", TRAPPED)
async def test_what_a_stranger_made_is_found_in_every_part(database: Database, part: str) -> None:
    admin = await database.admin()
    trap = "CREATE FUNCTION public.trap() RETURNS boolean IMMUTABLE LANGUAGE sql RETURN true;"
    await admin.execute(trap + TRAPPED[part])
    rules = [finding.rule for finding in await lint(database.admin_url)]
    assert rules.count("nothing_of_strangers") == 1

"""What holds for every HTTP answer: headers, problems, documentation, pages."""

import re
from pathlib import Path

import pytest

from livewall import errors, operations, pages
from tests.databases import Database
from tests.server.world import Live, serving, settings_for

ROOT = Path(__file__).parents[2]


@pytest.mark.abuse("T2")
async def test_security_headers_are_on_every_answer(live: Live) -> None:
    http = live.visitor().http
    for path in ("/", "/@ada", "/api/streams", "/api/nothing", "/docs", "/healthz", "/a/b.js"):
        headers = (await http.get(path)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy, path
        assert "unsafe" not in policy, path
        assert "frame-ancestors 'none'" in policy, path
        assert f"ws://{live.url.removeprefix('http://')}" in policy, path
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["cross-origin-opener-policy"] == "same-origin", path
        assert "camera=(self)" in headers["permissions-policy"], path
        assert "referrer-policy" in headers, path


@pytest.mark.abuse("T2")
async def test_a_forged_host_does_not_reach_the_policy(live: Live) -> None:
    answer = await live.visitor().http.get("/", headers={"Host": "evil.example; script-src *"})
    assert "evil" not in answer.headers["content-security-policy"]


@pytest.mark.abuse("T2")
async def test_only_who_sells_through_stripe_lets_its_script_in(database: Database) -> None:
    keys = {
        "stripe_secret_key": "sk_test_1",
        "stripe_publishable_key": "pk_test_1",
        "stripe_webhook_secret": "whsec_1",
    }
    for payments, is_let_in in (("sandbox", False), ("stripe", True)):
        settings = settings_for(database, payments=payments, **keys)
        async with serving(settings, database) as live:
            headers = (await live.visitor().http.get("/")).headers
        policy = headers["content-security-policy"]
        assert ("https://js.stripe.com" in policy) is is_let_in
        assert "unsafe" not in policy


async def test_request_ids_are_kept_made_and_repeated_in_problems(live: Live) -> None:
    http = live.visitor().http
    kept = await http.get("/api/nothing", headers={"X-Request-ID": "abc-123"})
    assert kept.headers["x-request-id"] == "abc-123"
    assert kept.json()["request_id"] == "abc-123"
    made = await http.get("/api/nothing", headers={"X-Request-ID": "bad id; <script>"})
    assert re.fullmatch(r"[0-9a-f]{32}", made.headers["x-request-id"])


REFUSED: tuple[tuple[str, bytes, int, str], ...] = (
    ("GET /api/nothing", b"", 404, "not_found"),
    ("GET /api/streams/not-an-id", b"", 404, "not_found"),
    ("DELETE /api/streams", b"", 405, "method_not_allowed"),
    ("POST /api/session", b"{", 400, "invalid_message"),
    ("POST /api/session", b"", 400, "invalid_message"),
    ("POST /api/session", b"[" * 60_000, 400, "invalid_message"),
    ("POST /api/session", b"\xff\xfe", 400, "invalid_message"),
    ("POST /api/session/guest", b'{"nmae": "x"}', 400, "invalid_message"),
    ("POST /api/session/guest", b'{"name": 5}', 400, "invalid_message"),
    ("POST /api/session/guest", b'{"name": "a\\u0000b"}', 422, ""),
    ("GET /api/profiles/%00", b"", 0, ""),
    ("GET /api/grid", b"", 401, "not_signed_in"),
)


async def test_every_refusal_is_a_problem(live: Live) -> None:
    headers = {"Content-Type": "application/json"}
    for call, content, status, code in REFUSED:
        method, path = call.split()
        http = live.visitor().http
        answer = await http.request(method, path, content=content, headers=headers)
        assert answer.headers["content-type"] == "application/problem+json", call
        problem = answer.json()
        assert 400 <= answer.status_code < 500, call
        assert errors.CATALOGUE[problem["code"]].status == problem["status"] == answer.status_code
        assert not status or answer.status_code == status, call
        assert not code or problem["code"] == code, call


def test_the_list_of_errors_is_the_catalogue() -> None:
    written = (ROOT / "docs" / "errors.md").read_text()
    assert written == errors.document(), "run: python -m livewall.errors > docs/errors.md"


async def test_sql_raises_only_codes_of_the_catalogue_and_all_of_them(database: Database) -> None:
    admin = await database.admin()
    bodies = await admin.fetch(
        "SELECT coalesce(pg_get_function_sqlbody(oid), prosrc) AS body FROM pg_proc"
        " WHERE pronamespace IN ('public'::regnamespace, 'private'::regnamespace)"
    )
    raised = {code for row in bodies for code in re.findall(r"'(LW\d{3})'", row["body"])}
    assert raised <= set(errors.BY_SQLSTATE)
    # These two are raised where a constraint says the same, and by the constraint's name.
    by_constraint = {errors.CATALOGUE[code].sqlstate for code in errors.BY_CONSTRAINT.values()}
    assert set(errors.BY_SQLSTATE) - raised <= by_constraint


async def test_named_constraints_exist(database: Database) -> None:
    admin = await database.admin()
    rows = await admin.fetch(
        "SELECT conname AS name FROM pg_constraint UNION SELECT relname FROM pg_class"
        " WHERE relkind = 'i'"
    )
    assert set(errors.BY_CONSTRAINT) <= {row["name"] for row in rows}


@pytest.mark.abuse("T2")
async def test_documentation_is_served_without_anything_foreign(live: Live) -> None:
    http = live.visitor().http
    page = await http.get("/docs")
    assert page.status_code == 200
    assert "<script" not in page.text
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", page.text)
    assert "PUT /api/grid" in page.text
    document = (await http.get("/docs/openapi.json")).json()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            refusals = [k for k in operation["responses"] if k >= "400"]
            assert refusals, (method, path)
            for status in refusals:
                kinds = operation["responses"][status]["content"]
                assert list(kinds) == ["application/problem+json"], (method, path, status)


@pytest.mark.abuse("T7")
async def test_pages_of_the_app_and_files(database: Database, tmp_path: Path) -> None:
    dist = tmp_path / "dist"
    (dist / "assets").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("secret")
    (dist / "index.html").write_text("<!doctype html>app")
    (dist / "assets" / "app-1a2b.js").write_text("run()")
    async with serving(settings_for(database), database, pages.Pages(dist)) as live:
        http = live.visitor().http
        for path in ("/", "/@ada.l", "/studio"):
            answer = await http.get(path)
            assert (answer.status_code, answer.text) == (200, "<!doctype html>app"), path
            assert answer.headers["cache-control"] == "no-store"
        asset = await http.get("/assets/app-1a2b.js")
        assert "immutable" in asset.headers["cache-control"]
        assert asset.headers["content-type"].startswith("text/javascript")
        assert (await http.head("/")).content == b""
        for path in ("/%2e%2e/secret.txt", "/..%2fsecret.txt", "/assets/%2e%2e/%2e%2e/secret.txt"):
            assert "secret" not in (await http.get(path)).text
        assert (await http.get("/assets/gone.js")).status_code == 404
        assert (await http.post("/")).status_code == 405


@pytest.mark.abuse("T6")
async def test_invented_methods_do_not_grow_the_metrics(live: Live) -> None:
    http = live.visitor().http
    assert (await http.request("PROPFIND", "/api/streams")).status_code == 405
    assert (await http.request("BREW", "/api/streams")).status_code == 400
    metrics = (await http.get("/metrics")).text
    assert 'livewall_http_seconds_count{method="other",status="405"}' in metrics
    assert "BREW" not in metrics
    assert "PROPFIND" not in metrics


@pytest.mark.spec("D8")
async def test_metrics_tell_when_backups_and_proofs_went_well(
    database: Database, tmp_path: Path
) -> None:
    settings = settings_for(database, data_dir=str(tmp_path))
    operations.note(tmp_path, "backup", "/backups/newest", 1.5)
    operations.note_failure(tmp_path, "backup", "The disk is full.")
    operations.note(tmp_path, "verify")
    last = operations.read(tmp_path, "backup")
    assert last is not None
    assert last.succeeded_at is not None
    assert (last.place, last.wrong) == ("/backups/newest", "The disk is full.")
    async with serving(settings, database) as live:
        told = (await live.visitor().http.get("/metrics")).text
        assert 'livewall_operation_ok{operation="backup"} 0.0' in told
        assert 'livewall_operation_ok{operation="verify"} 1.0' in told
        at = re.search(r'succeeded_seconds\{operation="backup"\} (\S+)', told)
        assert at is not None
        assert float(at[1]) == pytest.approx(last.succeeded_at.timestamp())
        assert 'succeeded_seconds{operation="drill"} 0.0' in told
        # Half a file is no news, and no reason to answer nothing.
        (tmp_path / "operations" / "backup.json").write_text("{")
        assert (await live.visitor().http.get("/metrics")).status_code == 200


async def test_a_missing_build_says_what_to_do(database: Database, tmp_path: Path) -> None:
    async with serving(settings_for(database), database, pages.Pages(tmp_path)) as live:
        answer = await live.visitor().http.get("/")
        assert answer.status_code == 503
        assert "make run" in answer.text

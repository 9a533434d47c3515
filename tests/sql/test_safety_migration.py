"""Rows from before migration 0015 stay valid under its stricter text and names."""

import shutil
from pathlib import Path

import pytest

from livewall.migrate import migrate
from livewall.sql_files import SQL_FOLDER
from tests.databases import Database


def _until(version: int, folder: Path) -> Path:
    shutil.copytree(SQL_FOLDER, folder)
    for file in (folder / "migrations").iterdir():
        if int(file.name[:4]) > version:
            file.unlink()
    # What came with the newer migrations is not what this is about.
    for file in (folder / "code").iterdir():
        file.unlink()
    return folder


@pytest.mark.abuse("A16")
@pytest.mark.abuse("A19")
async def test_names_and_labels_from_before_are_kept_and_fit(
    empty_database: Database, tmp_path: Path
) -> None:
    await migrate(empty_database.admin_url, _until(14, tmp_path / "sql"))
    admin = await empty_database.admin()
    await admin.execute(
        """
        INSERT INTO auth.users (id) SELECT gen_random_uuid() FROM generate_series(1, 3);
        WITH people AS (SELECT id, row_number() OVER () AS n FROM auth.users)
        INSERT INTO public.profiles (id, name, display_name, created_at)
        SELECT id, ('{vwfan,vvvfan,mallow}'::text[])[n], 'x', now() + n * interval '1 second'
        FROM people;
        INSERT INTO public.user_links (profile_id, position, label, url)
        SELECT id, n, label, 'https://a.example'
        FROM (SELECT id FROM public.profiles WHERE name = 'vwfan') AS p,
            (VALUES (1, E'\\u2800'), (2, E'My\\u2800page'), (3, 'Page')) AS l (n, label);
        """
    )
    await migrate(empty_database.admin_url)
    rows = await admin.fetch("SELECT name FROM profiles ORDER BY created_at")
    names = [row["name"] for row in rows]
    assert (names[0], names[2]) == ("vwfan", "mallow")
    assert names[1].startswith("vvvfan.")
    stale = "SELECT count(*) FROM profiles WHERE name_skeleton <> private.name_skeleton(name)"
    assert await admin.fetchval(stale) == 0
    labels = await admin.fetch("SELECT label FROM user_links ORDER BY position")
    assert [row["label"] for row in labels] == ["link", "My page", "Page"]

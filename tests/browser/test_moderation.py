"""A moderator made on the command line, at work in a browser."""

import asyncio

import pytest
from playwright.async_api import expect

from livewall.accounts import create_user
from livewall.client import sign_in_guest
from livewall.settings import load
from tests.browser.conftest import OpenWindow
from tests.browser.people import demo_streamers
from tests.browser.site import Site
from tests.browser.window import Window

PASSWORD = "correct horse battery"


async def moderator(site: Site, open_in: OpenWindow) -> Window:
    """Make a moderator as the operator does, and sign them in."""
    kept = {k: v for k, v in site.environ.items() if k.startswith(("LIVEWALL_", "DATABASE"))}
    await asyncio.to_thread(create_user, load(kept), "ada.watch", "moderator", PASSWORD)
    ada = await (await open_in(site, 1)).open("/sign-in")
    await ada.page.get_by_label("Name").fill("ada.watch")
    await ada.page.get_by_label("Password").fill(PASSWORD)
    await ada.page.get_by_role("button", name="Sign in").click()
    return ada


@pytest.mark.spec("D3")
async def test_a_moderator_signs_in_and_finds_what_they_may_do(
    site: Site, open_in: OpenWindow
) -> None:
    rude, _ = await sign_in_guest(site.url, "rude.one")
    async with demo_streamers(site, 1) as (ana,):
        ada = await moderator(site, open_in)
        page = ada.page
        await expect(ada.tile(ana)).to_be_visible()
        await expect(page.get_by_label(f"Chat of {ana}")).to_contain_text("you moderate")

        async def choose(action: str) -> None:
            message = ada.messages.get_by_role("listitem").filter(has_text="rude words")
            await message.hover()
            await message.get_by_role("button", name="Message of rude.one").click()
            await page.get_by_role("button", name=action, exact=True).click()

        chat = f"/api/streams/{await site.stream_id(ana)}/chat"
        await rude.call("POST", chat, {"body": "rude words"})
        muted = "SELECT count(*) FROM private.chat_mutes WHERE expires_at > now()"
        await choose("Mute rude.one for 10 minutes")
        await expect(page.get_by_text("rude.one can not write here")).to_be_visible()
        assert await site.admin.fetchval(muted) == 1
        await choose("Let rude.one write again")
        await expect(page.get_by_text("rude.one can write here again")).to_be_visible()
        assert await site.admin.fetchval(muted) == 0
        await choose("Delete message")
        await expect(ada.messages).to_contain_text("Message deleted")

        await ada.open("/@rude.one")
        for action, said, bans in (
            ("Ban rude.one for 24 hours", "rude.one is banned for 24 hours.", 1),
            ("Lift the ban on rude.one", "rude.one is not banned any more.", 0),
        ):
            await page.get_by_role("button", name="More about rude.one").click()
            await page.get_by_role("button", name=action, exact=True).click()
            await expect(page.get_by_text(said)).to_be_visible()
            assert await site.admin.fetchval("SELECT count(*) FROM private.bans") == bans
        await ada.open("/settings")
        await expect(page.get_by_text("You are a moderator")).to_be_visible()


@pytest.mark.spec("D3")
async def test_a_moderator_reads_what_was_reported_and_acts_on_it(
    site: Site, open_in: OpenWindow
) -> None:
    rude, _ = await sign_in_guest(site.url, "rude.one")
    vera, _ = await sign_in_guest(site.url, "vera")
    async with demo_streamers(site, 1) as (ana,):
        chat = f"/api/streams/{await site.stream_id(ana)}/chat"
        await rude.call("POST", chat, {"body": "rude words"})
        message = await site.admin.fetchval("SELECT id FROM chat_messages WHERE body LIKE 'rude%'")
        await vera.call("POST", f"/api/chat/{message}/reports", {"reason": "It insults me"})
        ada = await moderator(site, open_in)
        page = ada.page
        await page.get_by_role("button", name="You are ada.watch").click()
        await page.get_by_role("button", name="Reported messages").click()
        report = page.get_by_role("listitem").filter(has_text="rude words")
        await expect(report).to_contain_text("vera reported it on")
        await expect(report).to_contain_text("It insults me")
        await expect(report.get_by_role("link", name="rude.one")).to_have_attribute(
            "href", "/@rude.one"
        )
        await report.get_by_role("button", name="Delete message").click()
        await expect(report).to_contain_text("The message is deleted.")
        await expect(report).to_contain_text("rude words")
        gone = "SELECT deleted_at IS NOT NULL FROM chat_messages WHERE id = $1"
        assert await site.admin.fetchval(gone, message)
        await report.get_by_role("button", name="Ban rude.one for 24 hours").click()
        await expect(page.get_by_text("rude.one is banned for 24 hours.")).to_be_visible()
        assert await site.admin.fetchval("SELECT count(*) FROM private.bans") == 1


async def test_others_are_offered_nothing_of_it(site: Site, open_in: OpenWindow) -> None:
    async with demo_streamers(site, 1) as (ana,):
        ben = await (await open_in(site, 1)).continue_as_guest()
        await expect(ben.page.get_by_label(f"Chat of {ana}")).not_to_contain_text("you moderate")
        await ben.open(f"/@{ana.lower()}")
        await expect(ben.page.get_by_text(f"@{ana.lower()} · demo · ")).to_be_visible()
        await ben.page.get_by_role("button", name=f"More about {ana}").click()
        await expect(ben.page.get_by_role("button", name=f"Block {ana}")).to_be_visible()
        await expect(ben.page.get_by_role("button", name="Ban")).to_have_count(0)
        await ben.open("/reports")
        await expect(ben.page.get_by_text("This page is for moderators")).to_be_visible()

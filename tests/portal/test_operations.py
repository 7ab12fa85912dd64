"""What operations staff do, in a browser whose scripts are off: nothing may need them."""

import base64
import hashlib
import hmac
import struct
import time

import pytest
import requests

from harness import Account
from world import PASSWORD


@pytest.fixture
def page(world, new_tab):
    """A tab of operations staff, in English, without a script."""
    return new_tab("operations", lang="en", script=False).page


def slip(page):
    """What a credential slip says: {term: value}."""
    return dict(
        page.locator("dl.kv > div").evaluate_all(
            "all => all.map(d => [d.querySelector('dt').textContent, d.querySelector('dd').textContent])"
        )
    )


def totp(secret, later=0):
    """The code of now, or of so many steps later (RFC 6238, SHA-1, 30 seconds, six digits)."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.digest(key, struct.pack(">Q", int(time.time()) // 30 + later), hashlib.sha1)
    at = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[at : at + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


def test_an_account_is_opened_and_its_slip_is_what_the_platform_signs_in_with(world, page):
    page.goto(f"{world.origin}/accounts")
    page.click("main a.button.primary")
    page.fill("[name=name]", "安徽电信")
    page.fill("[name=space]", "12")
    page.click("main button.primary")
    said = slip(page)
    # 1 GB of this box is 1 MiB.
    assert (said["Account"], said["Space"]) == ("安徽电信", "12 MB")
    account = Account(world.server, said["Account"], said["Password"], {})
    assert account.space() == (12, 12)
    page.emulate_media(media="print")
    assert page.is_visible(f"text={said['Password']}")
    assert not page.is_visible("header.side") and not page.is_visible("main a.button"), "only the slip is on the paper"
    page.emulate_media(media="screen")

    # Shown this once: neither the list, nor the account, nor the audit log, nor an address has it.
    page.click("main a.button")
    assert page.url == f"{world.origin}/accounts"
    for path in ("/accounts", f"/accounts/show?name={requests.utils.quote('安徽电信')}", "/audit"):
        page.goto(world.origin + path)
        assert "安徽电信" in page.content(), path
        assert said["Password"] not in page.content(), path


def test_what_was_typed_is_kept_where_an_account_is_refused(world, page):
    page.goto(f"{world.origin}/accounts/new")
    page.fill("[name=name]", "江苏电信")
    page.fill("[name=space]", "7")
    page.fill("[name=alert_url]", "http://platform.example/alerts")
    page.click("main button.primary")
    assert page.locator("[role=alert]").is_visible()
    assert page.input_value("[name=name]") == "江苏电信"
    assert page.input_value("[name=space]") == "7"
    assert page.input_value("[name=alert_url]") == "http://platform.example/alerts"
    assert page.input_value("[name=password]") == ""


def test_an_account_grows_and_is_closed_by_its_name_and_by_no_other(world, page):
    account = world.server.open_account(5, name="closing")
    camera = account.open_sub_account(1)
    camera.put(camera.record, "a.mp4", b"x" * 4096)
    page.goto(f"{world.origin}/accounts/show?name=closing&tab=settings")
    page.fill("[name=space]", "6")
    page.click("form[action='/accounts/modify'] button.primary")
    assert page.locator("[role=status]").is_visible(), "it says that it is saved"
    assert account.space() == (6, 5)

    page.goto(f"{world.origin}/accounts/show?name=closing&tab=state")
    page.fill("[name=confirm]", "another")
    page.click("main button.danger")
    assert page.locator("#confirm-help").is_visible()
    assert account.result("QueryUserSpace") == 0 and camera.get(camera.record, "a.mp4") == b"x" * 4096

    text = " ".join(page.locator("section.confirm").inner_text().split())
    for said in ("Sub-accounts 1 ", "Own buckets 0 ", "Files 1 · 4 KB", "Locked among them 0 · 0 B"):
        assert said in text, text
    page.fill("[name=confirm]", "closing")
    page.click("main button.danger")
    assert page.url.startswith(f"{world.origin}/accounts?") and page.locator("[role=status]").is_visible()
    assert account.result("QueryUserSpace") != 0
    assert page.goto(f"{world.origin}/accounts/show?name=closing").status == 404


def test_a_user_is_added_with_a_password_that_is_made_up_and_is_locked_out_at_once(world, page, new_tab):
    page.goto(f"{world.origin}/users")
    page.fill("[name=name]:not([type=hidden])", "wang.fang")
    page.select_option("[name=role]", "viewer")
    page.fill("[name=account]", "江苏电信")
    page.click("form[action='/users/add'] button.primary")
    said = slip(page)
    password = next(value for value in said.values() if len(value) >= 10 and value not in ("wang.fang",))
    theirs = new_tab(script=False).page
    theirs.goto(f"{world.origin}/sign-in")
    theirs.fill("[name=user]", "wang.fang")
    theirs.fill("[name=password]", password)
    theirs.click("main button.primary")
    theirs.goto(f"{world.origin}/me")
    assert theirs.url == f"{world.origin}/me"

    page.goto(f"{world.origin}/users")
    page.locator("tr", has_text="wang.fang").locator("button[value=disable]").click()
    assert page.locator("tr", has_text="wang.fang").locator("button[value=enable]").is_visible()
    assert "sessions are ended" in page.locator("[role=status]").inner_text()
    theirs.goto(f"{world.origin}/me")
    assert "/sign-in" in theirs.url, "a session of who is disabled is over"


def test_a_user_is_removed_by_its_name_and_by_no_other(world, page, new_tab):
    world.post("operations", "/users/add", name="leaving", role="auditor", account="", password=PASSWORD)
    theirs = new_tab(script=False)
    theirs.context.add_cookies([{"name": "kandian", "value": world.sign_in("leaving"), "url": world.origin}])
    page.goto(f"{world.origin}/users")
    page.locator("tr", has_text="leaving").locator("a.danger-quiet").click()
    text = " ".join(page.locator("section.confirm").inner_text().split())
    for said in ("User name leaving", "Role Auditor", "Sessions 1 ", "Second factor Off", "audit log keeps"):
        assert said in text, text
    page.fill("[name=confirm]", "linan")
    page.click("main button.danger")
    assert page.locator("#confirm-help").is_visible()
    theirs.page.goto(f"{world.origin}/me")
    assert theirs.page.url == f"{world.origin}/me", "nothing was done"

    page.fill("[name=confirm]", "leaving")
    page.click("main button.danger")
    assert page.url.startswith(f"{world.origin}/users?")
    assert "sessions are ended" in page.locator("[role=status]").inner_text()
    assert page.locator("tr", has_text="leaving").count() == 0
    theirs.page.goto(f"{world.origin}/me")
    assert "/sign-in" in theirs.page.url


def test_the_second_factor_is_asked_for_once_it_is_on(world, new_tab):
    world.post("operations", "/users/add", name="two.factors", role="auditor", account="", password=PASSWORD)
    mine = new_tab(lang="en", script=False).page

    def sign_in(code=""):
        mine.goto(f"{world.origin}/sign-in")
        mine.fill("[name=user]", "two.factors")
        mine.fill("[name=password]", PASSWORD)
        mine.fill("[name=code]", code)
        mine.click("main button.primary")
        return "/sign-in" not in mine.url

    assert sign_in()
    mine.goto(f"{world.origin}/me")
    secret = mine.input_value("[name=secret]")
    mine.fill("form[action='/me/factor-on'] [name=code]", totp(secret))
    mine.click("form[action='/me/factor-on'] button.primary")
    assert mine.locator("form[action='/me/factor-off']").is_visible()
    assert secret not in mine.url and secret not in mine.content()
    mine.click("div.wide button.out")
    assert not sign_in() and not sign_in("000000")
    # A code is good once: the one that switched it on is used up. A clock may be a step ahead.
    assert not sign_in(totp(secret)) and sign_in(totp(secret, later=1))

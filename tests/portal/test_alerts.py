"""告警 and 审计: every attempt is seen, a test goes out and is sent again, people say what they did; the log holds."""

import csv
import io
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness import eventually, payload

ENVELOPE = '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>{}</e:Body></e:Envelope>'


class Platform:
    """An account's platform: it fails until it is told to answer, and keeps what it was sent."""

    def __init__(self):
        self.answers, self.got = False, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                outer.got.append(body)
                # A platform that sends our own secrets back.
                said = ENVELOPE.format("<R><Result>0</Result></R>") if outer.answers else f"<p>down {body}</p>"
                self.send_response(200 if outer.answers else 500)
                self.send_header("Content-Type", "text/xml")
                self.send_header("Content-Length", str(len(said.encode())))
                self.end_headers()
                self.wfile.write(said.encode())

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/alerts"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def end(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def platform():
    platform = Platform()
    yield platform
    platform.end()


@pytest.fixture
def page(new_tab):
    """A tab of operations staff, in English, without a script."""
    return new_tab("operations", lang="en", script=False).page


def words(locator):
    return " ".join(locator.inner_text().split())


def attempts(page):
    """How many attempts the page of the alert shows, after it is asked for again."""
    page.reload()
    return page.locator("details.attempt").count()


def test_a_test_alert_is_tried_at_once_seen_with_what_went_wrong_and_sent_again(world, page, platform):
    account = world.server.open_account(5, name="alerted", alert_url=platform.url)
    camera = account.open_sub_account(1)
    page.goto(f"{world.origin}/accounts/show?name=alerted&tab=callback")
    assert "<AlertType>2</AlertType>" in page.locator("pre.wire").inner_text()
    page.select_option("[name=kind]", "full")
    page.check("[name=understood]")
    page.click("form[action='/accounts/test-alert'] button")
    assert "/alerts/show?id=" in page.url and page.locator("[role=status]").is_visible()
    eventually(lambda: attempts(page) >= 1, what="an attempt on the page")
    text = words(page.locator("details.attempt").last)
    assert "HTTP 500" in text, text
    content = page.content()
    for secret in (account.password, camera.sk):
        assert secret not in content and secret in "".join(platform.got), "the platform got it, the page has it not"
    assert "<Password>***</Password>" in page.locator("details.attempt pre.wire").first.inner_text()
    assert "down" in page.locator("details.attempt pre.wire").nth(1).inner_text(), "the answer's first bytes"
    assert "test" in words(page.locator("h1"))

    platform.answers = True
    page.click("form[action='/alerts/resend'] button")
    eventually(lambda: attempts(page) and "Delivered" in words(page.locator("h1")), what="a delivery on the page")
    assert page.locator("form[action='/alerts/resend']").count() == 0, "what is delivered is not sent again"
    assert "<AlertType>1</AlertType>" in platform.got[-1]
    # The space is as it was: no episode, nothing counted.
    shown = world.server.json("sub-account", "show", camera.ak)
    assert shown["episodes"] == []
    listed = world.server.json("alert", "list", "--account", "alerted")
    assert [(a["test"], a["state"]) for a in listed] == [(True, "delivered")]


def test_an_alert_is_acknowledged_and_commented_on_and_its_province_looks_on(world, page, platform, new_tab):
    platform.answers = True
    account = world.server.open_account(5, name="noted", alert_url=platform.url)
    camera = account.open_sub_account(1)
    camera.put(camera.record, "a.mp4", payload(900 << 10, "noted"))
    alert = eventually(lambda: world.server.json("alert", "list", "--account", "noted"), what="an alert")[0]
    page.goto(f"{world.origin}/alerts?account=noted&acknowledged=no")
    assert page.locator("tbody tr").count() == 1
    page.click("tbody th a")
    page.click("form[action='/alerts/acknowledge'] button")
    assert "linan" in words(page.locator("dl.kv"))
    page.fill("[name=text]", "<b>已联系省公司</b>")
    page.click("form[action='/alerts/comment'] button")
    assert page.locator(".talk .said").inner_text() == "<b>已联系省公司</b>"
    page.goto(f"{world.origin}/alerts?account=noted&acknowledged=no")
    assert page.locator("tbody tr").count() == 0
    page.goto(f"{world.origin}/alerts?account=noted&acknowledged=yes")
    assert page.locator("tbody tr").count() == 1
    told = world.server.json("alert", "show", alert["id"])
    assert told["comments"][0]["text"] == "<b>已联系省公司</b>" and told["acknowledged"]["by"] == "linan"

    # Another province's alert is not there; no form changes one's own.
    theirs = new_tab("province", lang="en").page
    assert theirs.goto(f"{world.origin}/alerts/show?id={alert['id']}").status == 404
    theirs.goto(f"{world.origin}/alerts")
    assert "noted" not in theirs.content()
    theirs.click("tbody th a >> nth=0")
    assert "/alerts/show" in theirs.url and theirs.locator("main form").count() == 0


def test_how_a_platform_wants_alerts_is_previewed_and_saved(world, page):
    world.server.open_account(5, name="gbk", alert_url="http://127.0.0.1:9/x?token=hidden").open_sub_account(1)
    page.goto(f"{world.origin}/accounts/show?name=gbk&tab=callback")
    page.fill("[name=operation]", "SpaceAlarm")
    page.select_option("[name=soap]", "1.2")
    page.select_option("[name=charset]", "GBK")
    page.check("[name=unqualified]")
    page.click("button[value=preview]")
    shown = page.locator("pre.wire").inner_text()
    assert "<n:SpaceAlarm" in shown and "charset=GBK" in shown and "hidden" not in shown
    assert world.server.json("account", "show", "gbk")["callback"]["operation"] is None, "a preview saves nothing"
    page.click("button[value=save]")
    saved = world.server.json("account", "show", "gbk")["callback"]
    assert (saved["operation"], saved["soap12"], saved["gbk"], saved["unqualified"]) == ("SpaceAlarm", True, True, True)
    page.fill("[name=operation]", "a b")
    page.click("button[value=save]")
    assert page.locator("[role=alert]").is_visible() and page.input_value("[name=operation]") == "a b"


def test_an_account_is_suspended_and_goes_on(world, page):
    account = world.server.open_account(5, name="owing")
    camera = account.open_sub_account(1)
    page.goto(f"{world.origin}/accounts/show?name=owing&tab=state")
    page.click("form[action='/accounts/suspend'] button")
    assert "Suspended" in words(page.locator("h1"))
    with pytest.raises(Exception, match="AccountProblem"):
        camera.put(camera.record, "a.mp4", b"x" * 100)
    page.click("form[action='/accounts/suspend'] button")
    assert "Active" in words(page.locator("h1"))
    camera.put(camera.record, "a.mp4", b"x" * 100)


def test_the_administration_key_is_shown_once_asked_for_and_a_password_is_changed(world, page):
    account = world.server.open_account(5, name="keys")
    page.goto(f"{world.origin}/accounts/show?name=keys&tab=settings")
    page.click("form[action='/accounts/key'] button")
    key = world.server.json("account", "key", "keys")
    assert key["sk"] in page.content() and key["sk"] not in page.url
    page.goto(f"{world.origin}/accounts/show?name=keys&tab=settings")
    assert key["sk"] not in page.content() and key["ak"] in page.content()
    page.fill("[name=password]", "Another-word2")
    page.click("form[action='/accounts/password'] button")
    assert page.locator("[role=status]").is_visible()
    assert account.result("QueryUserSpace") == 2
    account.password = "Another-word2"
    assert account.result("QueryUserSpace") == 0


def test_the_log_is_filtered_held_against_its_chain_and_taken_away(world, page, new_tab):
    world.server.open_account(3, name="=formula")
    page.goto(f"{world.origin}/accounts/show?name=%3Dformula&tab=settings")
    page.fill("[name=space]", "4")
    page.click("form[action='/accounts/modify'] button.primary")
    page.goto(f"{world.origin}/audit?account=%3Dformula&what=account")
    rows = [words(row) for row in page.locator("tbody tr").all()]
    assert len(rows) == 2 and "ModifyAccount" in rows[0] and "OpenAccount" in rows[1], rows
    page.click("form[action='/audit/verify'] button")
    assert "Sound: all" in words(page.locator("[role=status]"))
    page.goto(f"{world.origin}/audit?from=2026-13-40")
    assert page.locator("[role=alert]").is_visible()

    answer = world.get("operations", "/audit/export?account=%3Dformula&what=account")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    lines = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert len(lines) == 3 and lines[1][5].startswith("'=formula"), lines
    out = world.server.run("audit", "export", "--account", "=formula", "--what", "account").stdout
    assert out.encode().decode("utf-8-sig").splitlines()[1:] == answer.content.decode("utf-8-sig").splitlines()[1:]

    # A province sees what is its own's, and holds nothing against the chain.
    theirs = new_tab("province", lang="en").page
    theirs.goto(f"{world.origin}/audit")
    assert theirs.locator("form[action='/audit/verify']").count() == 0
    who = {words(cell) for cell in theirs.locator("tbody td:nth-child(2)").all()}
    assert "linan" not in who and "operator" not in who and who, who
    own = world.get("province", "/audit/export").content.decode("utf-8-sig")
    assert "linan" not in own and "=formula" not in own


def test_a_long_log_is_read_page_by_page(world, page):
    account = world.server.open_account(3, name="long")
    camera = account.open_sub_account(1)
    camera.put(camera.record, "a.mp4", b"x" * 100)
    for _ in range(110):
        camera.lock("a.mp4")
    # A line is in the log within a second of what it tells.
    lines = lambda: world.server.cli("audit", "export", "--account", "long", "--what", "lock").splitlines()  # noqa: E731
    eventually(lambda: len(lines()) == 111, what="all lines in the log")
    page.goto(f"{world.origin}/audit?account=long&what=lock")
    pages = []
    while True:
        pages.append(page.locator("tbody tr").count())
        if not page.locator("a[rel=next]").count():
            break
        page.click("a[rel=next]")
    assert pages == [50, 50, 10], pages

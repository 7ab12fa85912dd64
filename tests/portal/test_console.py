"""The console of the simulated platform, in a browser against a real server: the nine operations, a clip that plays, an
alert that comes, a platform that misbehaves and recovers."""

import json
import subprocess
from urllib.parse import urlsplit

import pytest
import requests

import media
from harness import BINARY, MIB, Server, eventually

PASSWORD = "Pass-word1"


class Console:
    """A server with an account, and a platform with a console for it."""

    def __init__(self, tmp_path):
        self.server = Server(bytes_per_gb=4 * MIB, alerts__first_retry="100ms", alerts__max_retry="200ms")
        self.server.start()
        words = ["--listen", "127.0.0.1:0", "--console", "127.0.0.1:0", "--account", "江苏电信", "--password", PASSWORD]
        words += ["--soap", self.server.soap_url, "--bytes-per-gb", "4MiB", "--json"]
        self.platform = subprocess.Popen(
            [BINARY, "sim", "platform", *words], stdout=subprocess.PIPE, text=True, cwd=tmp_path
        )
        self.callback = self.platform.stdout.readline().split()[-1]
        self.url = self.platform.stdout.readline().split()[-1].rstrip("/")
        assert urlsplit(self.callback).path == "/services/AlertCallback" and urlsplit(self.url).port
        self.server.open_account(9, name="江苏电信", password=PASSWORD, alert_url=self.callback)

    def state(self):
        return requests.get(f"{self.url}/api/state", timeout=30).json()

    def news(self, kind):
        return [n for n in requests.get(f"{self.url}/api/news", timeout=30).json() if n["kind"] == kind]

    def end(self):
        self.platform.terminate()
        assert self.platform.wait(15) == 0
        self.server.stop()
        self.server.discard()


@pytest.fixture
def console(tmp_path):
    console = Console(tmp_path)
    yield console
    console.end()


@pytest.fixture
def tab(console, new_tab):
    tab = new_tab(lang="en", of=type("Of", (), {"origin": console.url})())
    tab.page.goto(console.url)
    return tab


def call(page, console, clause, **fields):
    """Clicks an operation; gives what its page says that it means."""
    if not page.url.split("?")[0].rstrip("/") == console.url:
        page.click(".crumbs a")
    form = page.locator(f"form[data-operation='{clause}']")
    for name, value in fields.items():
        field = form.locator(f"[name={name}]")
        if field.evaluate("f => f.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)
    form.locator("button").click()
    return page.locator("[data-meaning]").inner_text()


def test_the_nine_operations_are_clicked_and_a_clip_is_played(console, tab, new_tab):
    page = tab.page
    assert "Result 0" in call(page, console, "7.1")
    assert page.locator("dl.kv dd").all_inner_texts() == ["9", "9"]
    assert "Result 1" in call(page, console, "7.1", Account="nobody")
    assert "Result 2" in call(page, console, "7.1", Password="wrong")
    assert "Result 0" in call(page, console, "7.2", StorageSpace="2")
    ak = page.locator("dl.kv dd").first.inner_text()
    wire = page.locator("pre.wire").first.inner_text()
    assert "<Password>***</Password>" in wire and PASSWORD not in page.content()

    # Its camera records.
    known = console.state()["sub_accounts"][0]
    assert known["ak"] == ak and known["account"] == "江苏电信"
    sk = page.locator("dl.kv dd").nth(1).inner_text()
    s3 = console.server.boto(ak, sk)
    s3.put_object(Bucket=known["record_bucket"], Key="2026/a.mp4", Body=media.clip(4), ContentType="video/mp4")
    s3.put_object(Bucket=known["picture_bucket"], Key="2026/a.jpg", Body=media.pictures(1)[0], ContentType="image/jpeg")

    assert "Result 0" in call(page, console, "7.4")
    assert "Result 4" in call(page, console, "7.4", S3SK="wrong")
    assert "Result 0" in call(page, console, "7.5", NewStorageSpace="3", soap="1.2")
    assert "Result 0" in call(page, console, "7.6", SpaceLoop="1")
    assert "Result 6" in call(page, console, "7.9"), "not while the oldest are overwritten"
    assert "Result 0" in call(page, console, "7.6", SpaceLoop="0")
    known = console.state()["sub_accounts"][0]
    assert (known["space"], known["loop"]) == (3, False)

    assert "Result 0" in call(page, console, "7.7")
    row = page.locator("tr[data-file]")
    assert row.count() == 1
    row.get_by_role("link", name="Play").click()
    playing = page.locator("video")
    playing.evaluate("v => v.play()")
    eventually(lambda: playing.evaluate("v => v.currentTime > 0 && v.videoWidth"), what="a clip that plays")
    with page.expect_download() as kept:
        page.get_by_role("link", name="Download").click()
    assert kept.value.suggested_filename == "a.mp4"
    with open(kept.value.path(), "rb") as file:
        assert file.read() == media.clip(4)
    page.get_by_role("button", name="Lock", exact=True).click()
    assert "Result 0" in page.locator("[role=status]").inner_text()
    assert "Result 0" in call(page, console, "7.8", FileName="2026/a.mp4", LockFlag="1")
    assert "Result 5" in call(page, console, "7.8", FileName="2026/none.mp4")
    assert "Result 0" in call(page, console, "7.7", Type="1")
    page.get_by_role("link", name="Show").click()
    eventually(lambda: page.locator(".player img").evaluate("i => i.naturalWidth"), what="a picture")

    assert "Result 0" in call(page, console, "7.9")
    assert "Result 0" in call(page, console, "7.7")
    assert page.locator("tr[data-file] .badge").inner_text() == "1", "what is locked is left"
    page.get_by_role("button", name="Unlock").click()
    assert "Result 0" in page.locator("[role=status]").inner_text()
    assert "Result 0" in call(page, console, "7.9")
    assert "Result 5" in call(page, console, "7.9"), "there is nothing left"
    assert "Result 0" in call(page, console, "7.3")
    assert console.state()["sub_accounts"] == []
    assert tab.errors == []
    own = urlsplit(console.server.s3_url).netloc
    assert {urlsplit(url).netloc for url in tab.foreign()} <= {own}, "the page and the storage, and nobody else"

    chinese = new_tab(of=type("Of", (), {"origin": console.url})()).page
    chinese.goto(console.url)
    assert chinese.locator("h1").inner_text() == "平台控制台"


def test_an_alert_comes_to_the_page_and_a_platform_that_misbehaves_is_told_again(console, tab):
    page = tab.page
    call(page, console, "7.2", StorageSpace="1")
    page.goto(console.url)
    alerts = page.locator("[data-news] li[data-kind=alert]")
    page.get_by_role("button", name="81 %").click()
    assert page.locator("[data-kind=fill]").first.inner_text().endswith("now 81 %")
    alerts.first.wait_for()
    assert "nearly used up; account and password right; result 0" in alerts.first.inner_text()
    assert len(console.news("alert")) == 1

    # Full, while the platform is down: it is told until it answers.
    page.get_by_role("button", name="HTTP 500").click()
    page.get_by_role("button", name="100 %").click()
    eventually(lambda: len([n for n in console.news("alert") if n["alert"]["alert"] == "full"]) >= 3, what="repeats")
    assert not console.news("alert")[-1]["good"]
    page.get_by_role("button", name="answer", exact=True).click()
    told = eventually(lambda: [n for n in console.news("alert") if n["alert"]["alert"] == "full" and n["good"]], what="an answer")
    assert told[0]["alert"]["check"] == "right" and "password" not in json.dumps(told[0]["alert"]).replace("wrong password", "")
    eventually(lambda: console.server.json("status")["alerts_pending"] == 0, what="nothing waits")
    eventually(lambda: "full, stop recording; account and password right; result 0" in alerts.first.inner_text(), what="it on the page")
    assert tab.errors == []


def test_who_has_no_script_sees_the_same_and_other_pages_cannot_post(console, new_tab):
    page = new_tab(lang="en", script=False, of=type("Of", (), {"origin": console.url})()).page
    page.goto(console.url)
    assert "Result 0" in call(page, console, "7.1")
    page.click(".crumbs a")
    page.get_by_role("button", name="hang up").click()
    assert page.locator(".card-head .badge").first.inner_text() != "" and console.state()["playing"] == "refuse"
    answer = requests.post(f"{console.url}/play", data={"play": "ok"}, headers={"Origin": "http://evil.example"}, timeout=30)
    assert answer.status_code == 403 and console.state()["playing"] == "refuse"
    answer = requests.get(f"{console.url}/api/state", headers={"Host": "evil.example"}, timeout=30)
    assert answer.status_code == 403

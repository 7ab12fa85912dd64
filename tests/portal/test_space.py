"""Space: who has how much and who is full, what an overwrite takes next, and why a file is gone; the pages, the API and the
command say the same."""

import csv
import io
import json

import pytest
import requests

from harness import eventually, payload
from world import KIB, PASSWORD

MIB = 1 << 20


@pytest.fixture(scope="module")
def anhui(world):
    """An account of which everything is known: one camera that overwrites, one that is full, one that is empty."""
    account = world.server.open_account(20, name="安徽空间")
    world.post("operations", "/users/add", name="anhui-admin", role="province", account=account.name, password=PASSWORD)
    world.sessions["anhui"] = world.sign_in("anhui-admin")
    cameras = {
        "loop": account.open_sub_account(4, loop=True),
        "full": account.open_sub_account(1),
        "empty": account.open_sub_account(2),
    }
    loop, full = cameras["loop"], cameras["full"]
    for at in range(12):
        loop.put(loop.record, f"2026/11/25/{at:02}0000.mp4", payload(512 * KIB, f"anhui{at}"))
    loop.put(loop.record, "kept/locked.mp4", payload(100 * KIB, "locked"))
    loop.lock("kept/locked.mp4")
    full.put(full.record, "=cmd.mp4", payload(MIB, "full"))
    first = f"/api/v1/gone?key=2026/11/25/000000.mp4&ak={loop.ak}"
    eventually(lambda: json.loads(get(world, "anhui", first).text)["files"], what="an overwrite")
    return account, cameras


def table(page):
    """The cells of the page's table, row by row."""
    return page.locator("table tbody tr").evaluate_all("rows => rows.map(r => [...r.cells].map(c => c.innerText.trim()))")


def rows_of(page):
    return [cells[0].splitlines()[0] for cells in table(page)]


def get(world, role, path):
    token = world.sessions[role]
    return requests.get(f"{world.origin}{path}", cookies={"kandian": token}, timeout=30)


def test_a_province_sees_who_is_full_and_filters_and_sorts_without_a_script(world, anhui, new_tab):
    _, cameras = anhui
    page = new_tab("anhui", lang="en", script=False).page
    page.goto(f"{world.origin}/space")
    tile = lambda label: page.locator(".tile", has_text=label).first.locator(".value").inner_text()  # noqa: E731
    assert tile("Handed out") == "7 MB"
    assert tile("Full") == "1"
    assert sorted(rows_of(page)) == sorted(c.ak for c in cameras.values())
    page.locator("a.tile", has_text="Full").click()
    assert "state=full" in page.url and rows_of(page) == [cameras["full"].ak]
    page.goto(f"{world.origin}/space")
    page.select_option("[name=sort]", "used")
    page.click("form.toolbar button")
    assert rows_of(page)[0] == cameras["full"].ak and rows_of(page)[-1] == cameras["empty"].ak
    page.fill("[name=find]", cameras["loop"].ak[:12].lower())
    page.click("form.toolbar button")
    assert cameras["loop"].ak in rows_of(page) and cameras["empty"].ak not in rows_of(page)


def test_the_next_overwrite_names_the_files_that_go(world, anhui, new_tab):
    _, cameras = anhui
    page = new_tab("anhui", lang="en", script=False).page
    page.goto(f"{world.origin}/space?view=next")
    told = json.loads(get(world, "anhui", f"/api/v1/space/forecast?ak={cameras['loop'].ak}").text)
    [cells] = table(page)
    assert cells[0].splitlines()[0] == cameras["loop"].ak
    assert cells[2] == f"{told['overwrite_files']} files" and told["overwrite_files"] >= 1
    # A fifth of its 4 MB and not much more: files of half a MB.
    assert told["overwrite_bytes"] == 2 * 512 * KIB
    command = world.server.json("space", "forecast", cameras["loop"].ak)
    assert command["overwrite_files"] == told["overwrite_files"]


def test_days_are_a_strip_with_words(world, anhui, new_tab):
    _, cameras = anhui
    page = new_tab("anhui", lang="en").page
    page.goto(f"{world.origin}/space?view=days&sort=used")
    strip = page.locator("svg.heat").first
    assert strip.locator("rect").count() == 30
    assert "1 files" in strip.locator("rect").last.locator("title").text_content()
    assert "29 days without any" in strip.get_attribute("aria-label")
    days = json.loads(get(world, "anhui", f"/api/v1/space/days?ak={cameras['full'].ak}").text)["days"]
    assert (days[-1]["recordings"], days[-1]["bytes_in"], days[0]["recordings"]) == (1, MIB, 0)


def test_csv_has_every_row_and_no_formula(world, anhui):
    _, cameras = anhui
    answer = get(world, "anhui", "/space.csv?sort=used")
    assert answer.headers["content-disposition"] == 'attachment; filename="space.csv"'
    assert answer.content.startswith(b"\xef\xbb\xbf")
    lines = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert {line[1] for line in lines[1:]} == {camera.ak for camera in cameras.values()}
    assert not [cell for line in lines for cell in line if cell.startswith(("=", "+", "@"))]
    full = next(line for line in lines if line[1] == cameras["full"].ak)
    assert (full[4], full[5], full[10]) == (str(MIB), str(MIB), "是 yes")
    assert get(world, "anhui", "/api/v1/space?as=csv&sort=used").content == answer.content


def test_operations_see_the_tree_and_what_is_promised_in_red(world, anhui, new_tab):
    account, cameras = anhui
    page = new_tab("operations", lang="en", script=False).page
    page.goto(f"{world.origin}/space?find=安徽空间")
    [cells] = table(page)
    assert cells[0] == "安徽空间" and "20 MB" in cells[2] and cells[3].splitlines()[0] == "7 MB"
    page.click("table tbody a")
    assert page.locator("h1").inner_text() == "安徽空间"
    assert sorted(rows_of(page)) == sorted(camera.ak for camera in cameras.values())
    # More than any disk has.
    world.server.open_account(2_000_000_000, name="over")
    try:
        page.goto(f"{world.origin}/space")
        assert page.locator(".flash.bad").is_visible() and page.locator(".tile.bad", has_text="Promised").is_visible()
        box = world.server.json("space", "box")
        assert box["promised_bytes"] > box["capacity_bytes"] > 0
    finally:
        world.server.cli("account", "close", "over", "--yes")
    page.goto(f"{world.origin}/space")
    assert not page.locator(".flash.bad").is_visible()


def test_why_a_file_is_gone_is_told_in_words(world, anhui, new_tab):
    account, cameras = anhui
    loop = cameras["loop"]
    page = new_tab("anhui", lang="en", script=False).page

    def ask(key="", ak=""):
        page.goto(f"{world.origin}/space/gone")
        page.fill("[name=key]", key)
        page.fill("[name=ak]", ak)
        page.click("form.toolbar button")
        return page.locator("main").inner_text()

    # At once: nothing waits for a minute.
    told = ask("2026/11/25/000000.mp4", loop.ak)
    assert ": overwritten: the space was nearly full" in told and "oldest files that were not locked" in told
    told = ask("locked.mp4")
    assert "Nothing is known of this file" in told and "Known since" in told
    told = ask("kept/locked.mp4")
    assert "This file is not gone" in told and "It is locked" in told
    page.locator(".answers a.button").click()
    assert "/recordings/play" in page.url and page.locator("h1").is_visible()
    page.go_back()

    loop.put(loop.record, "2026/11/25/110000.mp4", payload(4096, "again"))
    told = ask("2026/11/25/110000.mp4", loop.ak)
    assert "replaced by another upload" in told and "This file is not gone" in told
    told = ask("25/0000")
    assert "No file has exactly this name" in told and "2026/11/25/000000.mp4" in told

    gone = account.open_sub_account(1)
    gone.put(gone.record, "a<b>.mp4", payload(1000, "a"))
    assert "No file went in this time" in ask("", gone.ak)
    gone.close()
    # The files of a closed sub-account go in the background.
    eventually(lambda: "deleted when" in ask("a<b>.mp4", gone.ak), what="the closed sub-account's file to go")
    told = ask("a<b>.mp4", gone.ak)
    assert "deleted when its sub-account or bucket was closed" in told, told
    told = ask("", loop.ak)
    assert "Overwritten" in told and "Files that went together" in told
    assert "There is no sub-account of this AK" in ask("", "NOSUCHKEY")


def test_names_of_files_are_for_those_who_see_files(world, anhui, new_tab):
    _, cameras = anhui
    ak = cameras["loop"].ak
    for role in ("operations", "auditor"):
        page = new_tab(role, lang="en").page
        assert page.goto(f"{world.origin}/space/gone?ak={ak}").status == 200
        assert page.locator("[name=key]").count() == 0 and page.locator("table tbody tr").count() >= 1
        assert ".mp4" not in page.content()
        for path in ("/space/gone?key=000000", f"/api/v1/gone?key=*mp4*&ak={ak}"):
            assert get(world, role, path).status_code == 403, path
    # Another account's camera is not there, in the page as in the API.
    assert ak not in get(world, "viewer", "/space").text
    assert get(world, "viewer", "/space?account=安徽空间").status_code == 403
    assert get(world, "viewer", "/space?account=nobody").status_code in (403, 404)
    assert get(world, "viewer", f"/api/v1/space/forecast?ak={ak}").status_code == 404
    assert json.loads(get(world, "viewer", "/api/v1/gone?key=2026/11/25/010000.mp4").text)["files"] is not None
    found = json.loads(get(world, "viewer", "/api/v1/gone?key=kept/locked.mp4").text)
    assert (found["there"], found["files"]) == ([], [])


def test_the_command_says_what_the_page_says(world, anhui):
    _, cameras = anhui
    server = world.server
    listed = server.json("space", "list", "--account", "安徽空间", "--state", "full")
    assert [row["ak"] for row in listed["rows"]] == [cameras["full"].ak]
    assert cameras["full"].ak in server.cli("space", "list", "--state", "full", "--csv")
    assert "安徽空间" in server.cli("space", "accounts")
    gone = server.cli("space", "gone", "2026/11/25/000000.mp4", "--ak", cameras["loop"].ak)
    assert "overwrite" in gone and "2026/11/25/000000.mp4" in gone
    assert "RECORDINGS" in server.cli("space", "days", cameras["loop"].ak)

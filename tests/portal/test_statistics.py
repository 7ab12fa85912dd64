"""The numbers of the statistics and of the overview: those of what was uploaded, at once, on the page, in CSV, over the
API and by command."""

import csv
import io
import json
import re

import pytest

from harness import payload
from world import KIB, PASSWORD

SIZE = 300 * KIB


@pytest.fixture(scope="module")
def hunan(world):
    """An account of which everything that happens is known: five recordings, two pictures, two refusals."""
    account = world.server.open_account(30, name="湖南电信")
    camera = account.open_sub_account(10)
    for at in range(5):
        camera.put(camera.record, f"2026/11/25/{at:02}0000.mp4", payload(SIZE, f"hunan{at}"))
    for at in range(2):
        camera.put(camera.picture, f"2026/11/25/{at:02}0000.jpg", payload(KIB, f"picture{at}"))
    wire = camera.wire()
    for at in range(2):
        assert wire.get(camera.record, f"none{at}.mp4").status == 404
    wire.close()
    world.post("operations", "/users/add", name="hunan-admin", role="province", account=account.name, password=PASSWORD)
    world.sessions["hunan"] = world.sign_in("hunan-admin")
    return account, camera


def tile(page, label):
    """The number of a tile, exact."""
    return int(page.locator(".tile", has_text=label).first.locator("data").first.get_attribute("value"))


def test_the_page_has_what_was_uploaded_without_a_wait(world, hunan, new_tab):
    page = new_tab("hunan", lang="en", script=False).page
    page.goto(f"{world.origin}/statistics")
    bytes_in, files = 5 * SIZE + 2 * KIB, 7
    for period in ("24 hours", "30 days", "12 months"):
        page.click(f"nav.tabs >> text={period}")
        assert (tile(page, "Ingest"), tile(page, "Files uploaded")) == (bytes_in, files), period
        assert tile(page, "Requests refused") == 2, period
        chart = page.locator("section.card", has=page.locator("h2", has_text="Files uploaded"))
        assert chart.locator("svg title").first.text_content() == "Files uploaded"
        # The last step is the one under way.
        chart.locator("details summary").click()
        last = chart.locator("tbody tr").last.locator("td").all_inner_texts()
        assert last == ["5", "2"], period
    assert page.locator("#top code").first.inner_text() == hunan[1].ak
    assert "No such file" in page.content()


def test_operations_choose_an_account_and_a_province_does_not(world, hunan, new_tab):
    page = new_tab("operations", lang="en", script=False).page
    page.goto(f"{world.origin}/statistics?period=30d")
    whole = tile(page, "Ingest")
    assert whole > 5 * SIZE + 2 * KIB
    page.select_option("[name=account]", "湖南电信")
    page.click("form.toolbar button")
    assert tile(page, "Ingest") == 5 * SIZE + 2 * KIB
    page.click("#top nav >> text=Refused")
    assert "by=refused" in page.url and page.select_option("[name=account]", "湖南电信")
    page.goto(f"{world.origin}/statistics?by=refused")
    assert page.locator("#top tbody tr", has_text="湖南电信").count() >= 1
    for path in ("/statistics", "/statistics.csv"):
        assert world.get("hunan", f"{path}?account=%E6%B1%9F%E8%8B%8F%E7%94%B5%E4%BF%A1").status_code == 403
        assert world.get("viewer", path).status_code == 403
    assert world.get("operations", "/statistics?account=nobody").status_code == 404


def test_the_csv_has_units_and_the_zone_and_the_same_numbers(world, hunan):
    answer = world.get("hunan", "/statistics.csv?period=30d")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.content.startswith(b"\xef\xbb\xbf")
    head, *rows = csv.reader(io.StringIO(answer.content.decode("utf-8-sig")))
    assert len(rows) == 30 and "UTC+08:00" in head[0] and all(re.search("（.+）$|UTC", cell) for cell in head), head
    today = dict(zip(head, rows[-1]))
    assert today["上传 Ingest（字节 bytes）"] == str(5 * SIZE + 2 * KIB)
    assert today["拒绝 Refused NoSuchKey（次 requests）"] == "2"
    # The box was made today: before it nothing was measured, which is not nothing.
    assert set(rows[0][1:]) == {""}
    assert world.get("hunan", "/statistics?period=30d&as=csv").content == answer.content


def test_the_api_and_the_command_say_the_same(world, hunan):
    answer = world.get("hunan", "/api/v1/statistics?period=12m").json()
    assert (answer["account"], answer["total"]["bytes_in"]) == ("湖南电信", 5 * SIZE + 2 * KIB)
    assert [point["measured"] for point in answer["points"]] == [False] * 11 + [True]
    growth = answer["growth"]
    assert growth["used_bytes"] == 5 * SIZE + 2 * KIB
    assert growth["left_bytes"] == 30 * KIB * KIB - growth["used_bytes"]
    said = json.loads(world.server.cli("stats", "--period", "12m", "--account", "湖南电信", "--json"))
    assert said["total"] == answer["total"] and said["top_cameras"] == answer["top_cameras"]
    assert world.server.cli("stats", "--csv").startswith("\ufeff时间")
    assert "2.0 KiB" in world.server.cli("stats") or "MiB" in world.server.cli("stats")
    assert world.get("viewer", "/api/v1/statistics").status_code == 403
    assert world.get("operations", "/api/v1/statistics?period=7d").status_code == 400


def test_the_overview_counts_what_comes_in_and_leads_on(world, hunan, new_tab):
    all_of_it = world.get("operations", "/api/v1/overview").json()
    assert all_of_it["ingest"]["bytes"] >= 5 * SIZE and all_of_it["ingest"]["files"] >= 7
    assert 0 < all_of_it["ingest"]["within_ms"] < 600_000
    assert all_of_it["healthy"] and all_of_it["checkpoint_ms"] and all_of_it["audit"]
    assert world.get("hunan", "/api/v1/overview").status_code == 403
    said = world.server.json("overview")
    assert said["growth"]["used_bytes"] == all_of_it["growth"]["used_bytes"] and "files in" in world.server.cli("overview")
    page = new_tab("operations", lang="en", script=False).page
    page.goto(f"{world.origin}/overview")
    assert page.locator(".tile", has_text="Ingest now").locator("svg.spark").count() == 1
    for href in {link.get_attribute("href") for link in page.locator("main a").all()}:
        if href.startswith("/"):
            assert page.request.get(world.origin + href).status == 200, href


def test_settlement_goes_to_files_and_is_held_against_a_crm_by_command(world, tmp_path):
    kandian = world.server.cli
    kandian("billing", "tariff", "add", "标准", "--price", "0.3", "--from", "2026-01-01")
    assert "标准" in kandian("billing", "tariff", "list")
    kandian("billing", "tariff", "assign", world.account.name, "标准", "--from", "2026-01-01")
    assert world.account.name in kandian("billing", "tariff", "assignments")
    month = world.day[:7]
    # What this box has is counted from its second hour on: a month of it may still be empty.
    assert kandian("billing", "statement", "list", month).startswith("ACCOUNT")
    assert "trial" in kandian("billing", "statement", "trial", world.account.name, month)
    assert "HOUR" in kandian("billing", "sample", "list", world.account.name, month)
    for kind in ("csv", "xlsx"):
        kandian("billing", "export", month, "--format", kind, "-o", str(tmp_path / f"m.{kind}"))
    kandian("billing", "export", month, "--account", world.account.name, "-o", str(tmp_path / "a.csv"))
    assert (tmp_path / "m.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    assert (tmp_path / "m.xlsx").read_bytes().startswith(b"PK")
    assert world.account.name in (tmp_path / "a.csv").read_text("utf-8-sig")
    again = world.server.run("billing", "export", month, "-o", str(tmp_path / "m.csv"))
    assert again.returncode != 0 and "there already" in again.stderr, "a file that is there is left as it is"
    crm = tmp_path / "crm.csv"
    crm.write_text("账户,金额\n不存在电信,1.000\n", "utf-8")
    found = json.loads(kandian("billing", "reconcile", month, str(crm), "--json"))
    theirs = [row for row in found if row["account"] == "不存在电信"]
    assert [(row["outcome"], row["theirs_li"], row["difference_li"]) for row in theirs] == [("only_theirs", 1000, -1000)]

"""Settlement in a browser, on a box that was there last month: a tariff, whom it is for, the trial, the files, the
CRM's side, and a month issued, corrected and settled."""

import csv
import io
import re
from decimal import Decimal

import openpyxl
import pytest

OTHER = "浙江电信"


def amount(text):
    """An amount as a page writes it."""
    return Decimal(text.replace("−", "-").replace(",", "").replace("元", "").strip())


def tile(page, label):
    return amount(page.locator(".tile", has_text=label).first.locator(".value").inner_text())


def rows_of(page, at=0):
    """The cells of a table's rows."""
    return [row.locator("th, td").all_inner_texts() for row in page.locator("table").nth(at).locator("tbody tr").all()]


def fetched(tab, name):
    """A file that a link on the page gives: its name, and what is in it."""
    with tab.page.expect_download() as waited:
        tab.page.click(f"main >> a.button:text-is('{name}')")
    with open(waited.value.path(), "rb") as file:
        return waited.value.suggested_filename, file.read()


@pytest.fixture(scope="module")
def priced(settled, browser):
    """A tariff in tiers, entered and given to the other account on the pages."""
    context = browser.new_context(locale="zh-CN")
    context.add_cookies([{"name": "kandian", "value": settled.sessions["operations"], "url": settled.origin}])
    page = context.new_page()
    page.goto(f"{settled.origin}/billing/tariffs")
    page.click("text=新资费…")
    page.fill("#name", "阶梯价")
    page.select_option("#rule", "tiers")
    page.fill("#tiers", "5 0.5\n* zwei")
    page.fill("#from", "2026-01-01")
    page.click("text=保存")
    assert page.locator("[role=alert]").count() == 1 and page.input_value("#name") == "阶梯价", "what was typed stays"
    page.fill("#tiers", "5 0.5\n* 0.4")
    page.click("text=保存")
    assert "/billing/tariffs" in page.url and "资费已登记" in page.inner_text("body")
    assert "≤ 5 GB: 0.500 元/GB·月" in page.locator("tr", has_text="阶梯价").first.inner_text()
    page.select_option("#account", OTHER)
    page.select_option("#tariff", "阶梯价")
    page.fill("#from", "2026-01-01")
    page.click("form[action='/billing/assign'] button")
    assert "资费已指定" in page.inner_text("body")
    assert [row[:3] for row in rows_of(page, 1)] == [["江苏电信", "2026-01-01", "标准"], [OTHER, "2026-01-01", "阶梯价"]]
    context.close()
    return settled


def test_the_month_under_way_is_a_trial_and_cannot_be_issued(priced, new_tab):
    tab = new_tab("operations", of=priced)
    page = tab.page
    page.goto(f"{priced.origin}/billing?month={priced.running}")
    assert "本账期尚未结束" in page.inner_text("main")
    assert {row[1] for row in rows_of(page)} == {"试算"}
    page.click(f"text={OTHER}")
    assert "试算" in page.inner_text("h1") and page.locator("text=出账…").count() == 0
    page.click("text=每小时样本")
    shown = rows_of(page)
    # 20 GB are handed out in the camera of each account; nobody counted while the server was off.
    assert shown[0][1] == "20" and shown[0][4] == "补记" and page.locator("main section.card:has(svg)").count() == 2
    refused = page.request.post(
        f"{priced.origin}/billing/statements/{priced.ids[OTHER]}/{priced.running}/issue",
        form={"token": token(page)},
    )
    assert refused.status in (409, 422), refused.status
    assert not tab.errors


def token(page):
    return page.locator("input[name=token]").first.get_attribute("value")


def test_a_statement_in_csv_and_xlsx_has_the_sums_of_the_page(priced, new_tab):
    tab = new_tab("operations", of=priced)
    page = tab.page
    page.goto(f"{priced.origin}/billing/statements/{priced.ids[OTHER]}/{priced.month}")
    # 5 GB at 0.5 and 15 GB at 0.4, the whole month.
    assert tile(page, "合计") == tile(page, "应收") == Decimal("8.500")
    lines = [(row[3].split()[0], row[4], amount(row[5]), amount(row[6])) for row in rows_of(page)]
    assert [line[2:] for line in lines] == [(Decimal("0.5"), Decimal("2.5")), (Decimal("0.4"), Decimal("6"))]
    assert {line[0] for line in lines} == {str(priced.hours)}
    name, content = fetched(tab, "CSV")
    assert name == f"statement-{priced.ids[OTHER]}-{priced.month}.csv" and content.startswith(b"\xef\xbb\xbf")
    table = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
    of = lambda table: [row for row in table if row and re.fullmatch("[0-9]+", str(row[0]))]  # noqa: E731
    assert [Decimal(row[11]) for row in of(table)] == [line[3] for line in lines]
    assert [Decimal(row[11]) for row in table if row and row[0] in ("合计 Total", "应收 Due")] == [Decimal("8.5")] * 2
    name, content = fetched(tab, "XLSX")
    assert name.endswith(".xlsx")
    sheet = openpyxl.load_workbook(io.BytesIO(content)).active
    table = list(sheet.iter_rows(values_only=True))
    amounts = [row[11] for row in of(table)]
    assert all(isinstance(value, (int, float)) for value in amounts), "numbers, not texts"
    assert [Decimal(str(value)) for value in amounts] == [line[3] for line in lines]
    sums = {row[0]: Decimal(str(row[11])) for row in table if row[0] in ("合计 Total", "应收 Due")}
    assert sums == {"合计 Total": Decimal("8.5"), "应收 Due": Decimal("8.5")}
    assert sheet.title == f"账单 {priced.month}" and table[0][1] == OTHER


def test_a_month_in_csv_and_xlsx_has_the_accounts_of_the_page(priced, new_tab):
    tab = new_tab("operations", of=priced)
    tab.page.goto(f"{priced.origin}/billing?month={priced.month}")
    shown = [(row[0], *(amount(cell) for cell in row[2:5])) for row in rows_of(tab.page)]
    # 20 GB at 0.3 less half a yuan.
    assert shown[0] == ("江苏电信", Decimal("6"), Decimal("-0.5"), Decimal("5.5"))
    assert tile(tab.page, "本页应收") == sum(row[3] for row in shown)
    _, content = fetched(tab, "CSV")
    assert content.startswith(b"\xef\xbb\xbf")
    table = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))[1:]
    assert [(row[0], *map(Decimal, row[4:7])) for row in table] == shown
    _, content = fetched(tab, "XLSX")
    table = list(openpyxl.load_workbook(io.BytesIO(content)).active.iter_rows(min_row=2, values_only=True))
    assert [(row[0], *(Decimal(str(cell)) for cell in row[4:7])) for row in table] == shown


def test_a_month_is_held_against_the_file_of_a_crm(priced, new_tab):
    tab = new_tab("operations", of=priced)
    page = tab.page
    page.goto(f"{priced.origin}/billing/reconcile?month={priced.month}")
    crm = "账户,金额\n江苏电信,5.000\n不存在电信,1.000\n".encode("gbk")
    page.set_input_files("#file", {"name": "crm.csv", "mimeType": "text/csv", "buffer": crm})
    page.click("text=对账 >> nth=-1")
    page.wait_for_selector("table")
    found = {row[0]: row[1:] for row in rows_of(page)}
    assert found["江苏电信"] == ["金额不符", "5.500", "5.000", "0.500"]
    assert found["不存在电信"] == ["本系统缺少", "–", "1.000", "−1.000"]
    assert page.input_value("#month") == priced.month
    page.set_input_files("#file", {"name": "crm.csv", "mimeType": "text/csv", "buffer": b"a,b\n1,2\n"})
    page.click("form.form button.primary")
    page.wait_for_selector("[role=alert]")


def test_a_month_is_issued_corrected_and_settled_and_the_province_sees_its_own(priced, new_tab):
    page = new_tab("operations", lang="en", script=False, of=priced).page
    at = f"{priced.origin}/billing/statements/{priced.ids[OTHER]}/{priced.month}"
    page.goto(at)
    page.click("text=Issue…")
    assert "locks the period" in page.inner_text("main")
    page.click("main button.primary")
    assert "Issued" in page.inner_text("h1") and "The same computed again" in page.inner_text("main")
    page.fill("#amount", "-1.25")
    page.fill("#reason", "停机补偿")
    page.click("form[action$=adjust] button")
    assert (tile(page, "Corrections"), tile(page, "Due")) == (Decimal("-1.25"), Decimal("7.25"))
    page.click("text=Settle…")
    page.click("main button.primary")
    assert "Settled" in page.inner_text("h1")
    assert page.locator("form[action$=adjust]").count() == 0 and page.locator("text=Settle…").count() == 0
    # The other province: its own statement, corrected, and nobody else's.
    page = new_tab("province", of=priced).page
    page.goto(f"{priced.origin}/billing")
    assert [row[:2] for row in rows_of(page)] == [[priced.month, "已调整"]]
    page.click(f"main >> text={priced.month}")
    assert "10 月停机补偿" in page.inner_text("main") and page.locator("form[action$=adjust]").count() == 0
    assert priced.get("province", at.removeprefix(priced.origin)).status_code in (403, 404)
    for path in ("/billing/tariffs", "/billing/reconcile", f"/billing/months/{priced.month}/month.csv"):
        assert priced.get("province", path).status_code == 403, path

"""What a province's administrator does with cameras, in a browser whose scripts are off."""

import re

import pytest


@pytest.fixture
def page(world, new_tab):
    return new_tab("province", lang="en", script=False).page


def slip(page):
    return dict(
        page.locator("dl.kv > div").evaluate_all(
            "all => all.map(d => [d.querySelector('dt').textContent, d.querySelector('dd').textContent])"
        )
    )


def open_camera(world, page, name, space=3, loop=False):
    page.goto(f"{world.origin}/cameras/new")
    page.fill("[name=space]", str(space))
    page.fill("[name=name]", name)
    page.fill("[name=place]", "南京路")
    if loop:
        page.check("[name=loop]")
    page.click("main button.primary")
    return slip(page)



def test_a_camera_is_opened_its_slip_shown_and_its_key_shown_once_again(world, page):
    said = open_camera(world, page, "开通测试")
    assert len(said["S3AK"]) == 20 and len(said["S3SK"]) == 40
    assert said["S3RecordBucket"].startswith("rec-") and said["S3PictureBucket"].startswith("pic-")
    page.click("main a.button")
    assert page.url == f"{world.origin}/cameras/show?ak={said['S3AK']}"
    assert "开通测试" in page.inner_text("h1") and said["S3SK"] not in page.content()
    page.click("form[action='/cameras/key'] button")
    assert page.url == f"{world.origin}/cameras/key"
    assert slip(page)["S3SK"] == said["S3SK"]
    page.goto(f"{world.origin}/cameras?q=开通测试")
    assert page.locator("tbody tr").count() == 1 and said["S3SK"] not in page.content()
    page.goto(f"{world.origin}/cameras/close?ak={said['S3AK']}")
    page.fill("[name=confirm]", "another")
    page.click("button.danger")
    assert page.locator("[role=alert]").is_visible(), "another name closes nothing"
    page.fill("[name=confirm]", "开通测试")
    page.click("button.danger")
    assert page.url == f"{world.origin}/cameras?done=closed"
    assert world.get("province", f"/cameras/show?ak={said['S3AK']}").status_code == 404


def test_a_shrink_shows_what_goes_and_is_done_only_by_the_name(world, page):
    camera = world.account.open_sub_account(4, loop=True)
    for at in range(6):
        camera.put(camera.record, f"2026/11/25/{at:02}.mp4", b"x" * (512 << 10))
    camera.lock("2026/11/25/00.mp4")
    show = f"{world.origin}/cameras/show?ak={camera.ak}"
    page.goto(show)
    page.fill("[name=space]", "2")
    page.click("form[action='/cameras/resize'] button")
    files = int(page.get_attribute("[name=shown]", "value"))
    assert files > 0 and "2 GB" in page.inner_text(".confirm")
    page.fill("[name=confirm]", "no")
    page.click("button.danger")
    assert page.locator("[role=alert]").is_visible()
    page.fill("[name=confirm]", camera.ak)
    page.click("button.danger")
    assert page.url == f"{show}&done=saved"
    page.wait_for_timeout(1500)
    page.goto(show)
    kept = int(re.search(r"rec-\w+\s*·\s*(\d+)", page.inner_text("main")).group(1))
    assert kept == 6 - files, "what was shown is what went"

    # Off the loop, then cleared; the locked one stays.
    page.click("form[action='/cameras/loop'] button")
    page.click(".confirm button.primary")
    page.click("a[href^='/cameras/clear']")
    assert int(page.get_attribute("[name=shown]", "value")) == kept - 1
    page.fill("[name=confirm]", camera.ak)
    page.click("button.danger")
    assert page.url == f"{show}&done=cleared"
    assert re.search(r"rec-\w+\s*·\s*1\b", page.inner_text("main"))
    page.goto(f"{world.origin}/cameras/close?ak={camera.ak}")
    page.fill("[name=confirm]", camera.ak)
    page.click("button.danger")
    assert page.url == f"{world.origin}/cameras?done=closed"

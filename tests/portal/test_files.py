"""Recordings and pictures as a province finds them: by the strip of a day, locked with a reason, deleted after a look."""

import media
from harness import payload


def camera_of(world, name, space=5):
    """A camera of its own with four recordings, one of them locked, and a name."""
    camera = world.account.open_sub_account(space)
    for at in range(4):
        camera.put(camera.record, f"{name}/{at}.mp4", payload(64 * 1024, f"{name}{at}"))
    camera.lock(f"{name}/0.mp4")
    return camera


def test_a_clip_is_found_by_the_strip_of_its_day(world, new_tab):
    shown = new_tab("province")
    page = shown.page
    page.goto(f"{world.origin}/recordings")
    page.fill("[name=q]", world.shop_ak)
    page.press("[name=q]", "Enter")
    page.wait_for_selector(".camera-day")
    assert page.locator(".camera-day").count() == 1, "found by its AK"
    page.click(".camera-day h2 a")
    page.wait_for_selector(".day-strip")
    assert page.locator("tbody tr").count() == 4
    href = page.locator(".day-strip a").first.get_attribute("href")
    page.locator(".day-strip a").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/recordings/play?*")
    assert href.split("?")[1] in page.url
    page.wait_for_selector("video")
    assert not shown.errors and not shown.foreign()


def test_files_are_narrowed_by_name_lock_and_time(world, new_tab):
    page = new_tab("province").page
    at = f"{world.origin}/recordings?ak={world.shop_ak}&day={world.day}"
    page.goto(f"{at}&name=CLIP-01")
    assert page.locator("tbody tr").count() == 1
    page.goto(f"{at}&lock=locked")
    assert page.locator("tbody tr").count() == 1
    page.goto(f"{at}&from=25:00")
    assert page.locator("[role=alert]").count() == 1, "a time that is none is said"
    page.goto(f"{world.origin}/recordings?ak={world.shop_ak}&day=2020-01-01")
    assert page.locator(".empty").count() == 1
    # The month leads to the day that has something.
    page.goto(at)
    assert page.locator(".month [aria-current=date] small").inner_text() == "4"


def test_locking_wants_a_reason_which_is_then_shown(world, new_tab):
    camera = camera_of(world, "locks")
    page = new_tab("province").page
    page.goto(f"{world.origin}/recordings?ak={camera.ak}")
    boxes = page.locator("input[name=file]")
    boxes.nth(0).check()
    boxes.nth(1).check()
    page.click("[formaction='/files/lock']")
    assert page.locator(".message h1").inner_text() in ("没有锁定", "Nothing was locked")
    page.click(".message .button")
    page.locator("input[name=file]").nth(0).check()
    page.locator("input[name=file]").nth(1).check()
    page.fill("[name=reason]", "盗窃案取证 2026-118")
    page.click("[formaction='/files/lock']")
    page.wait_for_url("**done=locked*")
    assert page.locator("tbody tr", has_text="盗窃案取证 2026-118").count() == 2


def test_what_would_go_is_shown_first_and_locked_files_stay(world, new_tab):
    camera = camera_of(world, "goes")
    page = new_tab("province", script=False).page
    page.goto(f"{world.origin}/recordings?ak={camera.ak}")
    page.check("[name=all]")
    page.click("[formaction='/files/delete']")
    told = page.locator(".confirm dl").inner_text()
    assert "3" in told and "1" in told, told
    page.fill("[name=confirm]", "WRONG")
    page.click("button.danger")
    assert page.locator("#confirm-help").count() == 1, "another name deletes nothing"
    page.fill("[name=confirm]", camera.ak)
    page.click("button.danger")
    assert page.locator(".message h1").inner_text() in ("已删除", "Deleted")
    page.click(".message .button")
    assert page.locator("tbody tr").count() == 1
    assert page.locator("tbody tr", has_text="goes/0.mp4").count() == 1


def test_pictures_are_a_grid_and_one_is_looked_at(world, new_tab):
    shown = new_tab("province")
    page = shown.page
    page.goto(f"{world.origin}/pictures?ak={world.shop_ak}")
    pictures = len(media.pictures())
    assert page.locator(".shot").count() == min(pictures, 40)
    image = page.locator(".shot img").first
    image.scroll_into_view_if_needed()
    page.wait_for_function("() => document.querySelector('.shot img').naturalWidth > 0")
    page.locator(".shot .frame").first.click()
    page.wait_for_selector(".stage img")
    page.wait_for_function("() => document.querySelector('.stage img').naturalWidth > 0")
    before = page.locator(".page-head code").inner_text()
    page.click("[rel=prev]")
    page.wait_for_function("before => document.querySelector('.page-head code').innerText !== before", arg=before)
    assert not shown.errors and not shown.foreign()


def test_a_viewer_looks_and_changes_nothing(world, new_tab):
    page = new_tab("viewer").page
    page.goto(f"{world.origin}/recordings?ak={world.shop_ak}")
    assert page.locator("tbody tr").count() == 4
    assert page.locator("[formaction]").count() == 0 and page.locator("[name=reason]").count() == 0


def test_the_language_is_changed_on_a_page_that_answers_a_form(world, new_tab):
    camera = camera_of(world, "language")
    page = new_tab("province", script=False).page
    page.goto(f"{world.origin}/recordings?ak={camera.ak}")
    page.check("[name=all]")
    page.click("[formaction='/files/delete']")
    page.click("form[action='/language'] button >> nth=0")
    assert f"/recordings?ak={camera.ak}" in page.url
    assert page.locator("tbody tr").count() == 4

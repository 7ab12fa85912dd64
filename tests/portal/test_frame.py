"""The frame of every page: language and theme by forms that need no script, headers, assets, the phone's menu."""

import re

import requests

from world import PASSWORD, World


def test_language_and_theme_are_switched_without_a_script_and_come_back_to_the_page(world, new_tab):
    tab = new_tab("operations", script=False)
    page = tab.page
    page.goto(f"{world.origin}/about?x=1")
    page.click("div.wide button[name=to][value=en]")
    assert page.url == f"{world.origin}/about?x=1"
    assert page.get_attribute("html", "lang") == "en"
    page.click("div.wide button[name=to][value=dark]")
    assert page.url == f"{world.origin}/about?x=1"
    assert page.get_attribute("html", "data-theme") == "dark"
    assert page.get_attribute("div.wide button[value=dark]", "aria-pressed") == "true"
    page.click("div.wide button[name=to][value=zh]")
    page.click("div.wide button[name=to][value=light]")
    assert page.get_attribute("html", "lang") == "zh-CN"
    page.close()


def test_a_phones_menu_opens_without_a_script(world, new_tab):
    tab = new_tab("operations", size="phone", script=False)
    page = tab.page
    page.goto(f"{world.origin}/about")
    assert not page.is_visible("nav:visible a[href='/overview']")
    page.click("summary")
    page.click(".sheet a[href='/overview']")
    assert page.url == f"{world.origin}/overview"
    page.close()


def test_the_keyboard_finds_the_content_first(world, new_tab):
    tab = new_tab("operations")
    page = tab.page
    page.goto(f"{world.origin}/about")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    page.close()


def test_a_page_trusts_nobody_else(world):
    answer = requests.get(f"{world.origin}/about", timeout=30)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert not re.search(r"<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=|<style", answer.text)


def test_an_asset_is_kept_for_ever_and_not_sent_twice(world):
    text = requests.get(f"{world.origin}/about", timeout=30).text
    names = set(re.findall(r"/assets/[\w.-]+", text))
    assert {name.rpartition(".")[2] for name in names} == {"css", "js", "svg"}
    for name in names:
        first = requests.get(world.origin + name, timeout=30)
        assert first.status_code == 200 and "immutable" in first.headers["cache-control"], name
        again = requests.get(world.origin + name, headers={"If-None-Match": first.headers["etag"]}, timeout=30)
        assert (again.status_code, again.content) == (304, b"")


def test_a_form_of_another_site_is_refused(world):
    for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = requests.post(f"{world.origin}/language", data={"to": "en", "back": "/"}, headers=headers, timeout=30)
        assert answer.status_code == 403 and "set-cookie" not in answer.headers


def test_every_link_of_the_navigation_leads_to_a_page_in_every_role(world, new_tab):
    for role in world.sessions:
        tab = new_tab(role)
        tab.page.goto(f"{world.origin}/")
        links = tab.page.locator("nav.wide a").evaluate_all("all => all.map(a => a.getAttribute('href'))")
        assert links, f"{role} has no navigation"
        for link in links:
            assert world.get(role, link).status_code == 200, f"{role} {link}"


def test_a_person_sets_the_box_up_by_the_printed_code(new_tab):
    world = World()
    try:
        page = new_tab(lang="en", script=False, of=world).page
        page.goto(f"{world.origin}/")
        assert page.url.endswith("/setup")
        page.fill("[name=user]", "linan")
        page.fill("[name=password]", PASSWORD)
        page.fill("[name=code]", "AAAA-AAAA-AAAA")
        page.click("main button.primary")
        assert page.locator("[role=alert]").is_visible()
        assert page.input_value("[name=user]") == "linan", "what was typed is kept"
        page.fill("[name=password]", PASSWORD)
        page.fill("[name=code]", world.setup_code())
        page.click("main button.primary")
        page.wait_for_url("**/overview")
        page.goto(f"{world.origin}/setup")
        assert not page.url.endswith("/setup"), "a box is set up once"
    finally:
        world.end()


def test_a_stranger_is_sent_to_sign_in_and_comes_back_to_the_page(world, new_tab):
    page = new_tab(script=False).page
    page.goto(f"{world.origin}/audit")
    assert "/sign-in" in page.url
    page.fill("[name=user]", "shenji")
    page.fill("[name=password]", "not the password")
    page.click("main button.primary")
    assert page.locator("[role=alert]").is_visible()
    page.fill("[name=password]", PASSWORD)
    page.click("main button.primary")
    page.wait_for_url("**/audit")
    page.click("div.wide button.out")
    assert "/sign-in" in page.url
    page.goto(f"{world.origin}/audit")
    assert "/sign-in" in page.url, "who signed out is out"

"""What holds for every page of the portals, in a real browser: Chinese and English, light and dark, wide and on a phone.

Screenshots of all of them are left in `.cache/portal-screenshots`, to be looked at.
"""

import json
import os
from pathlib import Path

import pytest

from harness import CACHE
from pages import PAGES

SHOTS = Path(os.environ.get("KANDIAN_SCREENSHOTS", CACHE / "portal-screenshots"))
AXE = CACHE / "node" / "node_modules" / "axe-core" / "axe.min.js"
BYTES_MAX = 150 * 1000
# A theme is the style's affair: the same document is looked at in both.
LOADS = [(lang, size) for lang in ("zh", "en") for size in ("wide", "phone")]
# Contrast depends on the theme, names on the language, what is shown on the size: each is there once.
AXED = {("zh", "light", "wide"), ("en", "dark", "phone"), ("zh", "dark", "wide"), ("en", "light", "phone")}


@pytest.fixture(scope="module")
def axe():
    return AXE.read_text()


def faults(page, axe):
    """The serious and critical faults that axe finds, in words."""
    # By the debugger, which the page's policy does not bind.
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, {preload: false, resultTypes: ['violations']}).then(r => r.violations)")
    return [
        f"{fault['id']} ({fault['impact']}): {fault['help']}\n    " + "\n    ".join(map(where, fault["nodes"][:4]))
        for fault in found
        if fault["impact"] in ("serious", "critical")
    ]


def where(node):
    return f"{node['html'][:160]} {json.dumps([check.get('data') for check in node['any']][:1])}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_a_page_looks_well_everywhere_and_needs_nothing_from_elsewhere(page, request, new_tab, axe):
    world = request.getfixturevalue(page.box)
    SHOTS.mkdir(parents=True, exist_ok=True)
    wrong = []
    for lang, size in LOADS:
        tab = new_tab(page.role, lang, "light", size, of=world)
        load = f"{lang}-{size}"
        answer = tab.page.goto(world.origin + world.path(page), wait_until="load")
        if answer.status != page.status:
            wrong.append(f"{load}: status {answer.status}")
        size_of_page = len(answer.body())
        if size_of_page > BYTES_MAX:
            wrong.append(f"{load}: {size_of_page} bytes")
        if tab.page.get_attribute("html", "lang") != {"zh": "zh-CN", "en": "en"}[lang]:
            wrong.append(f"{load}: another language")
        for theme in ("light", "dark"):
            tab.page.emulate_media(color_scheme=theme)
            look = f"{lang}-{theme}-{size}"
            across = tab.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            if across > 0:
                wrong.append(f"{look}: {across} px wider than the window")
            if (lang, theme, size) in AXED:
                wrong += [f"{look}: {fault}" for fault in faults(tab.page, axe)]
            tab.page.screenshot(path=SHOTS / f"{page.name}-{look}.png", full_page=True)
        # The browser itself says of a page of another status than 200 that it could not be loaded.
        errors = [e for e in tab.errors if not (page.status >= 400 and "Failed to load resource" in e)]
        wrong += [f"{load}: {error}" for error in errors]
        wrong += [f"{load}: asks {url}" for url in tab.foreign()]
        tab.page.close()
    assert not wrong, "\n".join(wrong)

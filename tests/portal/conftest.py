"""Fixtures: the box that all tests look at, Debian's Chromium, tabs of somebody who is signed in."""

import os
import shutil
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import sync_playwright

os.environ.setdefault("NO_PROXY", "127.0.0.1,localhost")

from world import World  # noqa: E402

from past import Settled  # noqa: E402  after the world, that says where the harness is

SIZES = {"wide": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}


class Tab:
    """A tab of a browser of its own, and what its page asked for and complained of."""

    def __init__(self, context, origin):
        self.context, self.own = context, urlsplit(origin).netloc
        self.page = context.new_page()
        self.errors, self.asked = [], []
        self.page.on("console", lambda said: said.type in ("error", "warning") and self.errors.append(said.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def foreign(self):
        """What was asked of anybody but the box."""
        return [url for url in self.asked if urlsplit(url).netloc not in (self.own, "")]


def pytest_collection_modifyitems(items):
    """Where several workers share the suite: the tests of a file stay together and in order, for they look at one box; the
    pages, which are most of it and do not change anything, are dealt out."""
    for n, item in enumerate(items):
        group = item.path.name
        if group == "test_every_page.py":
            group += str(n % 4)
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def world():
    """A box in use: see world.py. Pages only read it, or put back what they change."""
    world = World()
    try:
        yield world.fill()
    finally:
        world.end()


@pytest.fixture(scope="session")
def fresh():
    """A box that nobody has set up."""
    world = World()
    yield world
    world.end()


@pytest.fixture(scope="session")
def settled():
    """A box that was there last month: see past.py."""
    world = Settled()
    try:
        yield world.fill()
    finally:
        world.end()


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            # Root has no sandbox, and a container's /dev/shm is small.
            args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-gpu"],
        )
        yield browser
        browser.close()


@pytest.fixture
def new_tab(browser, world):
    """Makes tabs: `new_tab("province", "en", "dark", "phone", script=False)`; without a role nobody is signed in."""
    made = []

    def make(role=None, lang="zh", theme="light", size="wide", script=True, of=None):
        of = of or world
        context = browser.new_context(
            viewport=SIZES[size],
            locale={"zh": "zh-CN", "en": "en-GB"}[lang],
            color_scheme=theme,
            reduced_motion="reduce",
            java_script_enabled=script,
        )
        made.append(context)
        context.set_default_timeout(15_000)
        if role:
            context.add_cookies([{"name": "kandian", "value": of.sessions[role], "url": of.origin}])
        return Tab(context, of.origin)

    yield make
    for context in made:
        context.close()

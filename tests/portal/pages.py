"""The pages that are looked at: a page more is a line more.

`{account}`, `{ak}` (a camera), `{loop}` (one that overwrites), `{shop}` (one with recordings that play, and pictures) and
`{day}` (with recordings) are those of the box; of the one that was there last month `{month}`, `{running}` (the month
under way), `{number}` (an account with a statement) and `{other}` (one without).
"""

from typing import NamedTuple


class Page(NamedTuple):
    name: str
    path: str
    role: str | None = None  # None: nobody is signed in
    status: int = 200
    box: str = "world"  # `fresh`: nobody has set it up; `settled`: it was there last month


PAGES = [
    Page("setup", "/setup", box="fresh"),
    Page("sign-in", "/sign-in"),
    Page("about", "/about"),
    Page("not-found", "/no-such-page", "operations", 404),
    Page("refused", "/users", "province", 403),
    # operations
    Page("overview", "/overview", "operations"),
    Page("statistics", "/statistics", "operations"),
    Page("statistics-30d", "/statistics?period=30d&by=refused", "operations"),
    Page("accounts", "/accounts", "operations"),
    Page("account-new", "/accounts/new", "operations"),
    Page("account", "/accounts/show?name={account}", "operations"),
    Page("account-settings", "/accounts/show?name={account}&tab=settings", "operations"),
    Page("account-callback", "/accounts/show?name={account}&tab=callback", "operations"),
    Page("account-state", "/accounts/show?name={account}&tab=state", "operations"),
    Page("alerts", "/alerts", "operations"),
    Page("alert", "/alerts/show?id={alert}", "operations"),
    Page("space-box", "/space", "operations"),
    Page("space-account", "/space?account={account}", "operations"),
    Page("space-gone-batches", "/space/gone?from=2026-01-01", "operations"),
    Page("users", "/users", "operations"),
    Page("user-remove", "/users/remove?name=jiangsu-viewer", "operations"),
    Page("me", "/me", "operations"),
    # settlement
    Page("billing-tariffs", "/billing/tariffs", "operations", box="settled"),
    Page("billing-tariff-new", "/billing/tariffs/new", "operations", box="settled"),
    Page("billing-month", "/billing?month={month}", "operations", box="settled"),
    Page("billing-running", "/billing?month={running}", "operations", box="settled"),
    Page("billing-none", "/billing?month=2020-01", "operations", box="settled"),
    Page("billing-statement", "/billing/statements/{number}/{month}", "operations", box="settled"),
    Page("billing-trial", "/billing/statements/{other}/{running}", "operations", box="settled"),
    Page("billing-issue", "/billing/statements/{other}/{month}/issue", "operations", box="settled"),
    Page("billing-settle", "/billing/statements/{number}/{month}/settle", "operations", box="settled"),
    Page("billing-samples", "/billing/statements/{number}/{month}/samples", "operations", box="settled"),
    Page("billing-reconcile", "/billing/reconcile?month={month}", "operations", box="settled"),
    Page("billing-own", "/billing", "province", box="settled"),
    Page("billing-own-statement", "/billing/statements/{number}/{month}", "province", box="settled"),
    Page("billing-own-samples", "/billing/statements/{number}/{month}/samples", "province", box="settled"),
    # the auditor
    Page("auditor-overview", "/overview", "auditor"),
    Page("audit", "/audit", "auditor"),
    Page("auditor-alerts", "/alerts", "auditor"),
    # a province
    Page("cameras", "/cameras", "province"),
    Page("cameras-silent", "/cameras?state=silent", "viewer"),
    Page("cameras-all", "/cameras", "operations"),
    Page("camera-new", "/cameras/new", "province"),
    Page("camera", "/cameras/show?ak={loop}", "province"),
    Page("camera-viewer", "/cameras/show?ak={ak}", "viewer"),
    Page("camera-shrink", "/cameras/resize?ak={loop}&space=2", "province"),
    Page("camera-clear", "/cameras/clear?ak={ak}", "province"),
    Page("camera-close", "/cameras/close?ak={loop}", "province"),
    Page("province-alerts", "/alerts", "province"),
    Page("province-audit", "/audit", "province"),
    Page("recordings-cameras", "/recordings", "province"),
    Page("recordings", "/recordings?ak={shop}&day={day}", "province"),
    Page("recordings-none", "/recordings?ak={shop}&day=2020-01-01", "province"),
    Page("recordings-misread", "/recordings?ak={shop}&day=yesterday", "province", 400),
    Page("pictures-cameras", "/pictures", "province"),
    Page("pictures", "/pictures?ak={shop}&day={day}", "province"),
    Page("picture", "/pictures/show?ak={shop}&key=2026/11/25/020.jpg", "province"),
    Page("recordings-viewer", "/recordings?ak={shop}&day={day}", "viewer"),
    Page("player", "/recordings/play?ak={shop}&key=2026/11/25/clip-01.mp4", "province"),
    Page("player-cannot", "/recordings/play?ak={shop}&key=2026/11/25/odd.dav", "province"),
    Page("player-viewer", "/recordings/play?ak={shop}&key=2026/11/25/clip-00.mp4", "viewer"),
    Page("file-gone", "/recordings/play?ak={shop}&key=2026/11/25/never.mp4", "province", 404),
    Page("province-statistics", "/statistics?period=12m", "province"),
    Page("space", "/space", "province"),
    Page("space-above", "/space?state=above&sort=used", "province"),
    Page("space-next", "/space?view=next", "province"),
    Page("space-days", "/space?view=days", "province"),
    Page("space-none", "/space?find=no-such-camera", "viewer"),
    Page("space-gone", "/space/gone?ak={loop}&key=0000.mp4", "province"),
    Page("space-gone-there", "/space/gone?key=2026/11/25/clip-01.mp4", "province"),
    Page("space-gone-unknown", "/space/gone?key=never.mp4", "viewer"),
    Page("viewer-me", "/me", "viewer"),
]

"""A box with something in it: two provinces, cameras in every state, a user of each role."""

import re
import sys
import time
from pathlib import Path

import requests

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "clients"))

import media  # noqa: E402
from harness import Server, eventually, payload  # noqa: E402

PASSWORD = "correct horse battery staple"
ROLES = ("operations", "province", "viewer", "auditor")
KIB = 1 << 10


class World:
    """A server, its accounts and cameras, and the cookie of a session for each role."""

    def __init__(self):
        self.server = Server(bytes_per_gb=1 << 20)
        self.server.start()
        self.origin = f"http://{self.server.listen['portal']}"
        self.sessions = {}

    def fill(self):
        self.set_up()
        # Nobody listens there: alerts are tried in vain.
        self.account = self.server.open_account(400, name="江苏电信", alert_url="http://127.0.0.1:9/alerts")
        self.server.open_account(40, name="浙江电信")
        for user, role in (("jiangsu-admin", "province"), ("jiangsu-viewer", "viewer"), ("shenji", "auditor")):
            account = self.account.name if role in ("province", "viewer") else ""
            self.post("operations", "/users/add", name=user, role=role, account=account, password=PASSWORD)
            self.sessions[role] = self.sign_in(user)
        self.cameras()
        self.shop()
        self.alerts()
        return self

    def setup_code(self):
        """What the server prints while nobody is set up."""
        found = eventually(lambda: re.search(r"setup code: (\S+)", self.server.log.read_text()), what="a setup code")
        return found.group(1)

    def set_up(self):
        answer = requests.post(
            f"{self.origin}/setup",
            data={"code": self.setup_code(), "user": "linan", "password": PASSWORD},
            allow_redirects=False,
            timeout=30,
        )
        assert answer.status_code == 303, answer.text
        self.sessions["operations"] = answer.cookies["kandian"]

    def sign_in(self, user):
        answer = requests.post(
            f"{self.origin}/sign-in", data={"user": user, "password": PASSWORD}, allow_redirects=False, timeout=30
        )
        assert answer.status_code == 303, answer.text
        return answer.cookies["kandian"]

    def get(self, role, path):
        cookies = {"kandian": self.sessions[role]} if role else {}
        return requests.get(f"{self.origin}{path}", cookies=cookies, allow_redirects=False, timeout=30)

    def post(self, role, path, /, **fields):
        """A form as a page sends it: with the token of the session."""
        token = re.search(r'name="token" value="([^"]+)"', self.get(role, "/me").text).group(1)
        answer = requests.post(
            f"{self.origin}{path}",
            data={"token": token, **fields},
            cookies={"kandian": self.sessions[role]},
            allow_redirects=False,
            timeout=30,
        )
        assert answer.status_code < 400, answer.text
        return answer

    def cameras(self):
        """Calm, nearly full, full, overwriting, empty; some of their files locked."""
        sizes = {"calm": (20, 4), "nearly": (10, 17), "full": (4, 8), "loop": (4, 20), "empty": (50, 0)}
        self.camera = {}
        for name, (space, halves) in sizes.items():
            camera = self.account.open_sub_account(space, loop=name == "loop")
            self.camera[name] = camera
            for at in range(halves):
                camera.put(camera.record, f"2026/11/25/{at:02}0000.mp4", payload(512 * KIB - 1024, f"{name}{at}"))
            for at in range(min(halves, 3)):
                camera.lock(f"2026/11/25/{halves - at - 1:02}0000.mp4")
        self.ak, self.loop = self.camera["nearly"].ak, self.camera["loop"].ak
        # The box's zone is +08:00.
        self.day = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 8 * 3600))

    def shop(self):
        """A camera with recordings that a browser plays, a file that it does not, and pictures; two are locked."""
        shop = self.account.open_sub_account(30)
        self.camera["shop"] = shop
        for at, seconds in enumerate((6, 4, 4)):
            shop.put(shop.record, f"2026/11/25/clip-{at:02}.mp4", media.clip(seconds), ContentType="video/mp4")
        shop.put(shop.record, "2026/11/25/odd.dav", b"DHAV" + payload(60 * KIB, "odd"))
        for at, picture in enumerate(media.pictures()):
            shop.put(shop.picture, f"2026/11/25/{at:03}.jpg", picture, ContentType="image/jpeg")
        shop.lock("2026/11/25/clip-01.mp4")
        shop.lock("2026/11/25/020.jpg")
        self.shop_ak = shop.ak

    def alerts(self):
        """An alert that was tried in vain, that somebody has seen and said something about."""
        tried = lambda: [a for a in self.server.json("alerts", "list") if a["attempts"]]  # noqa: E731
        self.alert = eventually(tried, what="an alert that was tried")[-1]["id"]
        self.post("operations", "/alerts/acknowledge", id=self.alert, acknowledged="yes")
        self.post("operations", "/alerts/comment", id=self.alert, text="已联系江苏电信：平台正在升级，18:00 后恢复。")

    def path(self, page):
        if not any(mark in page.path for mark in "{}"):
            return page.path
        marks = {"ak": self.ak, "loop": self.loop, "shop": self.shop_ak, "day": self.day, "alert": self.alert}
        return page.path.format(account=requests.utils.quote(self.account.name), **marks)

    def end(self):
        try:
            if self.server.process is not None and self.server.process.poll() is None:
                self.server.stop()
        finally:
            self.server.discard()

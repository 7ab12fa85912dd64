"""A box that was there last month: the server's clock is moved while it starts, so that a month of it is over."""

import calendar
import os
import subprocess
import time
from contextlib import contextmanager

from world import PASSWORD, World  # first: it says where the harness is

from harness import Server, eventually

DAY = 86400
SOURCE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t clock, struct timespec *out) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int done = real(clock, out);
    const char *by = getenv("PAST_SECONDS");
    if (!done && clock == CLOCK_REALTIME && by) out->tv_sec -= atol(by);
    return done;
}
"""


class Settled(World):
    """Two provinces that were open all of last month, one of them with another tariff than the other."""

    def __init__(self):
        self.server, self.sessions = Server(bytes_per_gb=1 << 20), {}

    def fill(self):
        now = time.gmtime(time.time() + 8 * 3600)
        # The month before this one, and some day of the one before that.
        last = (now.tm_year, now.tm_mon - 1) if now.tm_mon > 1 else (now.tm_year - 1, 12)
        self.month, self.running = "%d-%02d" % last, time.strftime("%Y-%m", now)
        self.hours = round((self.first(now.tm_year, now.tm_mon) - self.first(*last)) / 3600)
        began = time.time() - self.first(*last) + 2 * DAY
        with self.past(began):
            self.server.start()
            self.account = self.server.open_account(400, name="江苏电信")
            self.other = self.server.open_account(40, name="浙江电信")
            for account in (self.account, self.other):
                account.open_sub_account(20)
            self.server.stop()
        # The second hour is the first with accounts; what is between it and now has its values.
        with self.past(began - 3600):
            self.server.start()
            before = time.strftime("%Y-%m", time.gmtime(time.time() - began + 3600 + 8 * 3600))
            eventually(lambda: self.samples(before), what="a first sample")
            self.server.stop()
        # Each start prints a setup code; the last one counts.
        self.server.log.unlink()
        self.server.start()
        hours = lambda: int(time.time() - self.first(now.tm_year, now.tm_mon)) // 3600 + 1  # noqa: E731
        eventually(lambda: len(self.samples(self.running)) == hours(), what="the samples of all hours")
        self.origin = f"http://{self.server.listen['portal']}"
        self.set_up()
        self.post("operations", "/users/add", name="jiangsu-admin", role="province", account="江苏电信", password=PASSWORD)
        self.sessions["province"] = self.sign_in("jiangsu-admin")
        self.bills()
        return self

    def bills(self):
        """One account's last month is issued and corrected; the other one has no tariff yet."""
        billing = lambda *args: self.server.cli("billing", *args)  # noqa: E731
        billing("tariff", "add", "标准", "--price", "0.3", "--from", "2026-01-01")
        billing("tariff", "assign", "江苏电信", "标准", "--from", "2026-01-01")
        billing("statement", "issue", "江苏电信", self.month)
        billing("statement", "adjust", "江苏电信", self.month, "--amount=-0.5", "--reason", "10 月停机补偿")
        rows = self.server.json("billing", "statement", "list", self.month)
        rows = rows["rows"] if isinstance(rows, dict) else rows
        self.ids = {row["account"]: row["account_id"] for row in rows}
        self.number = self.ids["江苏电信"]

    def path(self, page):
        return page.path.format(number=self.number, other=self.ids["浙江电信"], month=self.month, running=self.running)

    def samples(self, month):
        found = self.server.json("billing", "sample", "list", "浙江电信", month)
        return found["samples"] if isinstance(found, dict) else found

    @staticmethod
    def first(year, month):
        """When a month begins in the box's zone, +08:00."""
        return calendar.timegm((year, month, 1, 0, 0, 0)) - 8 * 3600

    @contextmanager
    def past(self, seconds):
        shim = self.server.home / "past.so"
        if not shim.exists():
            done = subprocess.run(
                ["cc", "-shared", "-fPIC", "-x", "c", "-o", str(shim), "-", "-ldl"], input=SOURCE, text=True, timeout=60
            )
            assert done.returncode == 0
        os.environ.update(LD_PRELOAD=str(shim), PAST_SECONDS=str(int(seconds)))
        try:
            yield
        finally:
            del os.environ["LD_PRELOAD"], os.environ["PAST_SECONDS"]

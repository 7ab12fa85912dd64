"""docs/troubleshooting.md: each command of the page is run as it stands there, after something that it is for."""

import re
import tarfile
from pathlib import Path

import pytest
import requests

from harness import ROOT, boto, eventually
from test_operations import Machine, code_of

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
BLOCKS = dict(re.findall(r"<!-- run: ([a-z-]+) -->\n```sh\n(.*?)```", PAGE, re.S))


class Box(Machine):
    """A machine whose log is in a file."""

    blocks = BLOCKS

    def __init__(self):
        super().__init__()
        self.places["/var/log/kandian.log"] = "kandian.log"
        with open(self.home / "etc" / "appliance.toml", "a") as file:
            file.write(f'[log]\nlevel = "info"\nfile = "{self.home}/kandian.log"\n')


@pytest.fixture(scope="module")
def box():
    made = Box()
    made.fill()
    yield made
    made.end()


def test_every_block_of_the_page_is_run_here():
    fences = len(re.findall(r"^```sh$", PAGE, re.M))
    assert len(BLOCKS) == fences > 5, "a block without its marker, or two of one name"
    here = Path(__file__).read_text()
    for name in BLOCKS:
        assert f'page("{name}"' in here, f"nothing runs {name}"


def test_the_whole_is_looked_at(box):
    assert code_of(lambda: boto(f"http://{box.listen()['s3']}", box.camera["ak"], "0" * 40).list_buckets())[0] == "SignatureDoesNotMatch"
    box.page("first")
    assert "uploads" in box.printed[0] and "clock" in box.printed[1] and "SignatureDoesNotMatch" in box.printed[2]


def test_the_line_of_a_complaint_is_found(box):
    answer = requests.get(f"http://{box.listen()['s3']}/nothing", timeout=10)
    assert answer.status_code == 403
    box.words["ID"] = answer.headers["x-amz-request-id"]
    eventually(lambda: box.words["ID"] in (box.home / "kandian.log").read_text())
    found = box.page("find-line")
    assert "refused" in found and 'path="/nothing"' in found and "AccessDenied" in found
    answer = requests.get(f"http://{box.listen()['portal']}/nothing", timeout=10)
    assert len(answer.headers["x-request-id"]) == 16


def test_a_finer_log_is_to_be_had_while_it_runs(box):
    assert "applied: log.level" in box.page("finer-log")
    box.put("another", b"1")
    eventually(lambda: "operation=\"PutObject\"" in (box.home / "kandian.log").read_text())


def test_a_wrong_signature_is_explained(box):
    assert code_of(lambda: boto(f"http://{box.listen()['s3']}", box.camera["ak"], box.camera["sk"] + " ").list_buckets())[0] == "SignatureDoesNotMatch"
    said = box.page("signature")
    assert "the SK has a blank behind it" in said and box.camera["sk"] not in said


def test_what_is_set_and_would_change_is_told(box):
    box.shell("sed -i 's/^reserve = .*/reserve = \"1%\"/; s/^volume_size = .*/volume_size = \"16MiB\"/' appliance.toml")
    box.page("config")
    assert box.printed[0].endswith(": ok\n")
    assert re.search(r"^storage.volume_size +1GiB +16MiB$", box.printed[1], re.M)
    assert re.search(r"^storage.reserve +0% +1% +at reload$", box.printed[2], re.M)
    assert re.search(r"^storage.volume_size +8MiB +16MiB +at restart$", box.printed[2], re.M)
    box.shell("kandian config reload")
    pending = box.shell("kandian config diff --running")
    assert "storage.reserve" not in pending and "storage.volume_size" in pending


def test_help_is_asked_for(box):
    box.words["FILE"] = "help.tar.gz"
    assert "no secrets; names are pseudonyms" in box.page("bundle")
    with tarfile.open(box.home / "etc" / "help.tar.gz") as archive:
        log = archive.extractfile("kandian-support/log.txt").read().decode()
    assert box.camera["ak"] not in log and "ak-" in log

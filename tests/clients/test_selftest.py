"""`kandian selftest` and `kandian soap`: the testers' own eyes, and that they see what is wrong."""

import json
import os
import re
import subprocess
import tempfile
from pathlib import Path

import pytest

from harness import BINARY, MIB, free_port


def kandian(*args, code=0, env=None):
    done = subprocess.run([str(BINARY), *map(str, args)], capture_output=True, text=True, timeout=120, env={**os.environ, **(env or {})})
    assert done.returncode == code, f"{args}: exit {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-2000:]}"
    return done.stdout


def verdicts(report):
    return {clause["clause"]: (clause["verdict"], clause["why"]) for clause in report["clauses"]}


@pytest.fixture
def short_path():
    """A directory of which a socket's path, 107 bytes at most, can be made."""
    with tempfile.TemporaryDirectory(prefix="ks-") as name:
        yield Path(name)


def test_the_product_passes_its_own_acceptance_and_the_report_can_be_signed(short_path):
    page = short_path / "report.html"
    said = kandian("selftest", "--dir", short_path, "--report", page, "--json")
    report = json.loads(said)
    wrong = {clause: seen for clause, seen in verdicts(report).items() if seen != ("passed", None)}
    assert not wrong and (report["passed"], report["failed"], report["not_run"]) == (19, 0, 0)
    assert {f"7.{n}" for n in range(1, 10)} < set(verdicts(report))
    text = page.read_text()
    for words in ("19 通过 / passed, 0 失败 / failed, 0 未执行 / not run", "接收方 / For the customer", "QueryUserSpaceResponse"):
        assert words in text, words
    # Neither the report nor what is printed has a secret in it.
    for secret in ("Password", "S3SK"):
        shown = set(re.findall(rf"<{secret}>([^<]*)</", said) + re.findall(rf"&lt;{secret}&gt;([^&]*)&lt;/", text))
        assert shown <= {"***", ""}, shown
    # Nothing is left of the server that was started for it.
    assert [path.name for path in short_path.iterdir()] == ["report.html"]


def test_a_running_server_is_tested_and_what_cannot_be_tried_there_is_said(new_server):
    port = free_port()
    server = new_server(bytes_per_gb=MIB)
    account = server.open_account(50, alert_url=f"http://127.0.0.1:{port}/services/AlertCallback")
    common = ["selftest", "--soap", server.soap_url, "--account", account.name, "--password", account.password, "--json"]
    report = json.loads(kandian(*common, "--bytes-per-gb", "1MiB", "--listen", f"127.0.0.1:{port}"))
    assert report["failed"] == report["not_run"] == 0, verdicts(report)
    # What was opened is closed again.
    assert server.json("account", "show", account.name)["sub_accounts"] == 0
    # Where a GB is a GB, nobody fills one.
    report = json.loads(kandian(*common))
    not_run = {clause for clause, (verdict, _) in verdicts(report).items() if verdict == "not_run"}
    assert report["failed"] == 0 and not_run == {"3.a", "3.b", "6.6", "6.9"}
    [one] = json.loads(kandian(*common, "--only", "7.1"))["clauses"]
    assert one["clause"] == "7.1"


def test_what_is_wrong_is_a_failure_with_the_exchange_and_an_exit_code(new_server):
    # A box that is set up otherwise than the specification has it: it overwrites at 95 %, and half of the space.
    server = new_server(space__overwrite_percent=95, space__overwrite_free_percent=50)
    account = server.open_account(50)
    common = ["selftest", "--soap", server.soap_url, "--account", account.name, "--password", account.password]
    said = kandian(*common, "--bytes-per-gb", "1MiB", "--only", "3.a", code=1)
    assert "失败 / FAIL" in said and "what is left" in said and "> <?xml" in said and "0 passed, 1 failed" in said
    # The password is wrong for all of it.
    said = kandian(*common[:-1], "wrong", "--only", "7.4", code=1)
    assert "密码错误 / the password is wrong" in said
    assert account.password not in said


@pytest.mark.parametrize("words", [["7.1"], ["queryuserspace", "--soap12"]])
def test_one_call_is_made_and_explained(server, words):
    account = server.open_account(7)
    sent = ["soap", "call", *words, f"account={account.name}", f"Password={account.password}", "--soap", server.soap_url]
    said = kandian(*sent)
    for part in ("7.1 QueryUserSpace 用户空间查询", "POST /services/VideoCloudStorage", "<Password>***</Password>", "HTTP 200", "<TotalSpace>7</TotalSpace>", "Result 0: 成功 / done"):
        assert part in said, part
    assert account.password not in said and account.password in kandian(*sent, "--show-secrets")
    answer = json.loads(kandian(*sent, "--json"))
    assert (answer["result"], answer["fields"]["FreeSpace"], answer["status"]) == (0, "7", 200)


def test_a_call_that_fails_says_what_its_number_means(server):
    account = server.open_account(1)
    common = ["--soap", server.soap_url, f"Account={account.name}", f"Password={account.password}"]
    assert "Result 3: 用户空间不足 / the account has not enough space left" in kandian("soap", "call", "7.2", "StorageSpace=9", *common, code=1)
    assert "Result 2: 密码错误" in kandian("soap", "call", "7.1", *common[:-1], "Password=x", code=1)
    assert "Fault, the request cannot be answered as it is" in kandian("soap", "call", "7.2", *common, code=1)
    assert "Fault" in kandian("soap", "call", "7.2", "--soap12", "StorageSpace=many", *common, code=1)
    done = subprocess.run([str(BINARY), "soap", "call", "7.2", "StorageSpce=9", *common], capture_output=True, text=True)
    assert done.returncode == 1 and "did you mean StorageSpace?" in done.stderr
    listed = kandian("soap", "operations")
    assert all(f"7.{n} " in listed for n in range(1, 10))

"""The log: JSON lines, the name of a request on every line that is about it and in every answer, files that are turned over."""

import json
import os
import signal

import pytest
import requests

import sigv4
from harness import REGION, envelope, eventually, payload, post


def lines(path):
    """Every line of a log is JSON by itself."""
    return [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{")]


def named(path, request_id):
    return [line for line in lines(path) if line.get("request_id") == request_id]


@pytest.fixture(scope="module")
def logged(request):
    from harness import Server

    s = Server(log__json="true", log__level="info")
    s.start()
    yield s
    s.stop()
    s.discard()


def test_an_operator_finds_the_line_by_the_id_that_a_client_reports(logged):
    sub = logged.open_account(100).open_sub_account(10)
    wire = logged.wire(sub.ak, sub.sk)
    reply = wire.request("PUT", f"/{sub.record}/k", headers={"content-md5": "x"}, body=b"1")
    assert (reply.status, reply.code) == (400, "InvalidDigest")
    request_id = reply.headers["x-amz-request-id"]
    assert f"<RequestId>{request_id}</RequestId>".encode() in reply.body
    (line,) = eventually(lambda: named(logged.log, request_id))
    assert line["level"] == "INFO" and line["message"] == "refused"
    assert (line["plane"], line["operation"], line["status"], line["outcome"]) == ("s3", "PutObject", 400, "InvalidDigest")
    assert (line["method"], line["path"]) == ("PUT", f"/{sub.record}/k") and line["peer"].startswith("127.0.0.1:")
    assert line["ak"] == sub.ak and "ms" in line


def test_a_result_and_a_fault_of_soap_have_their_line_and_a_header(logged):
    account = logged.open_account(100)
    for body, outcome in [
        (envelope("QueryUserSpace", {"Account": account.name, "Password": "wrong"}), "2"),
        (envelope("OpenSubAccount", {"Account": account.name, "Password": account.password, "StorageSpace": "x"}), "fault"),
        (envelope("Nothing", {}), "fault"),
        ("<nonsense", "fault"),
    ]:
        answer = post(logged, body)
        request_id = answer.headers["x-request-id"]
        (line,) = eventually(lambda request_id=request_id: named(logged.log, request_id))
        assert (line["plane"], line["outcome"], line["message"][:2]) == ("soap", outcome, line["message"][:2])


def test_portal_control_socket_and_metrics_name_their_answers_too(logged):
    seen = set()
    for plane, path in [("portal", "/nowhere"), ("portal", "/api/v1/accounts"), ("metrics", "/healthz"), ("soap", "/services/VideoCloudStorage?wsdl")]:
        answer = requests.get(logged.base(plane) + path, timeout=10)
        seen.add(answer.headers["x-request-id"])
    assert len(seen) == 4 and all(len(name) == 16 for name in seen)


def test_what_goes_well_is_not_written_down_and_what_is_not_there_neither(logged):
    sub = logged.open_account(100).open_sub_account(10)
    wire = logged.wire(sub.ak, sub.sk)
    good = wire.put(sub.record, "k", b"1").headers["x-amz-request-id"]
    none = wire.get(sub.record, "none")
    last = wire.request("GET", f"/{sub.record}", query={"max-keys": "x"}).headers["x-amz-request-id"]
    eventually(lambda: named(logged.log, last))
    assert named(logged.log, good) == [] and named(logged.log, none.headers["x-amz-request-id"]) == []


def test_a_flood_of_refusals_does_not_fill_the_log(logged):
    before = len(lines(logged.log))
    sub = logged.open_account(100).open_sub_account(10)
    wire = logged.wire(sub.ak, sub.sk)
    for n in range(400):
        wire.request("GET", f"/{sub.record}", query={"max-keys": "x"})
    wire.request("GET", f"/{sub.record}", query={"max-keys": "x"})

    def told():
        wire.request("GET", f"/{sub.record}", query={"max-keys": "x"})
        return [line for line in lines(logged.log)[before:] if "more was refused" in line["message"]]

    assert eventually(told)[0]["requests"] > 100
    assert len(lines(logged.log)) - before < 300


def test_the_level_that_is_set_at_reload_shows_every_request(new_server):
    server = new_server(log__json="true")
    sub = server.open_account(100).open_sub_account(10)
    wire = server.wire(sub.ak, sub.sk)
    server.stop()
    server.settings["log.level"] = "debug"
    server.start()
    wire = server.wire(sub.ak, sub.sk)
    request_id = wire.put(sub.record, "k", b"1").headers["x-amz-request-id"]
    found = eventually(lambda: named(server.log, request_id))
    assert any(line["message"] == "answered" and line["operation"] == "PutObject" for line in found)


# --- files -------------------------------------------------------------------------------------------------


def test_a_log_in_a_file_is_turned_over_by_size_and_bounded(new_server, tmp_path):
    file = tmp_path / "kandian.log"
    server = new_server(log__file=file, log__json="true", log__file_size="4KiB", log__file_keep="3", log__level="debug")
    sub = server.open_account(100).open_sub_account(10)
    wire = server.wire(sub.ak, sub.sk)
    ids = [wire.put(sub.record, f"k{n}", payload(10, n)).headers["x-amz-request-id"] for n in range(60)]
    eventually(lambda: named(file, ids[-1]))
    server.stop()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kandian.log", "kandian.log.1", "kandian.log.2", "kandian.log.3"]
    assert all(path.stat().st_size <= 4096 for path in tmp_path.iterdir())
    assert file.stat().st_mode & 0o777 == 0o640
    for path in tmp_path.iterdir():
        assert len(lines(path)) == len(path.read_text().splitlines()), "every line is whole"
    assert "stopping" in file.read_text() + (tmp_path / "kandian.log.1").read_text(), "the last lines are there"


@pytest.mark.parametrize("how", ["signal", "command"])
def test_logrotate_moves_the_file_away_and_the_log_goes_on_in_a_new_one(new_server, tmp_path, how):
    file, away = tmp_path / "kandian.log", tmp_path / "kandian.log-20261130"
    server = new_server(log__file=file, log__file_size="0")
    eventually(lambda: "the store is open" in file.read_text())
    os.rename(file, away)
    if how == "signal":
        os.kill(server.process.pid, signal.SIGHUP)
    else:
        server.cli("config", "reload")
    eventually(lambda: file.exists() and "configuration reloaded" in file.read_text())
    assert "the store is open" in away.read_text()


def test_a_file_that_cannot_be_written_is_said_to_be_so(new_server, tmp_path):
    server = new_server(start=False, log__file=tmp_path / "none" / "kandian.log")
    done = server.run("serve")
    assert done.returncode == 1
    assert "log.file: cannot write" in done.stderr and "name a file in a directory that is there" in done.stderr


def test_a_presigned_url_that_fails_leaves_no_signature_in_the_log(logged):
    sub = logged.open_account(100).open_sub_account(10)
    host = "%s:%d" % logged.address("s3")
    target = sigv4.presigned("GET", host, f"/{sub.record}/k", sub.ak, sub.sk, REGION)
    answer = requests.put(f"http://{host}{target}", data=b"x", timeout=10)
    assert answer.status_code == 403
    eventually(lambda: named(logged.log, answer.headers["x-amz-request-id"]))
    assert "X-Amz-Signature" not in logged.log.read_text()

"""/metrics: valid to Prometheus, exact after known traffic, as docs/metrics.md has it; and the rules and the dashboard that are
shipped in data/monitoring, held by promtool and against what a running server exports."""

import json
import re
import subprocess

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from harness import MIB, ROOT, envelope, error_code, eventually, payload, post, soap, tool

MONITORING = ROOT / "data" / "monitoring"
PAGE = (ROOT / "docs" / "metrics.md").read_text()


def scrape(server):
    """The metrics as text."""
    answer = requests.get(server.base("metrics") + "/metrics", timeout=10)
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return answer.text


def samples(server):
    """{(name, labels): value} of everything."""
    found = {}
    for family in text_string_to_metric_families(scrape(server)):
        for sample in family.samples:
            at = (sample.name, frozenset(sample.labels.items()))
            assert at not in found, f"{at} comes twice"
            found[at] = sample.value
    return found


def value(found, name, **labels):
    return found[(name, frozenset(labels.items()))]


@pytest.fixture(scope="module")
def traffic(server):
    """Known traffic; what was counted before it and after."""
    account = server.open_account(100, name="jiangsu")
    sub = account.open_sub_account(space=20)
    stopped = account.open_sub_account(space=1)
    before = samples(server)
    s3 = server.boto(sub.ak, sub.sk)
    for n in range(3):
        s3.put_object(Bucket=sub.record, Key=f"r{n}", Body=payload(1000, n))
    s3.put_object(Bucket=sub.picture, Key="p", Body=payload(500, "p"))
    s3.get_object(Bucket=sub.record, Key="r0")["Body"].read()
    assert error_code(s3.get_object, Bucket=sub.record, Key="none")[1] == "NoSuchKey"
    assert error_code(server.boto(sub.ak, "0" * 40).list_buckets)[1] == "SignatureDoesNotMatch"
    full = server.boto(stopped.ak, stopped.sk)
    assert error_code(full.put_object, Bucket=stopped.record, Key="x", Body=bytes(2 * MIB))[1] == "QuotaExceeded"
    assert soap(account, "QueryUserSpace").result == 0
    assert post(server, envelope("QueryUserSpace", {"Account": "jiangsu", "Password": "not the one"})).result == 2
    assert post(server, envelope("NoSuchThing", {})).status == 500
    after = eventually(lambda: (now := samples(server)) and value(now, "kandian_uploads_under_way") == 0 and now)
    return before, after


def test_prometheus_finds_nothing_to_complain_of(server, traffic):
    done = subprocess.run([tool("promtool"), "check", "metrics"], input=scrape(server), capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_known_traffic_is_counted_to_the_last_one(traffic):
    before, after = traffic
    grown = lambda name, **labels: value(after, name, **labels) - value(before, name, **labels)  # noqa: E731
    took = lambda plane, operation: grown(f"kandian_{plane}_request_seconds_count", operation=operation)  # noqa: E731
    assert (took("s3", "PutObject"), took("s3", "GetObject"), took("s3", "ListBuckets")) == (5, 2, 1)
    assert took("s3", "DeleteObject") == 0
    assert (took("soap", "QueryUserSpace"), took("soap", "other"), took("soap", "OpenSubAccount")) == (2, 1, 0)
    error = lambda code: grown("kandian_s3_errors_total", code=code)  # noqa: E731
    assert (error("NoSuchKey"), error("SignatureDoesNotMatch"), error("QuotaExceeded"), error("other")) == (1, 1, 1, 0)
    result = lambda operation, word: grown("kandian_soap_results_total", operation=operation, result=word)  # noqa: E731
    assert (result("QueryUserSpace", "0"), result("QueryUserSpace", "2"), result("other", "fault")) == (1, 1, 1)
    assert grown("kandian_http_requests_total", plane="s3", status="2xx") == 5
    assert grown("kandian_http_requests_total", plane="s3", status="4xx") == 3
    assert grown("kandian_http_request_seconds_count", plane="soap") == 3
    assert grown("kandian_uploaded_files_total", kind="recording") == 3
    assert grown("kandian_uploaded_files_total", kind="picture") == 1
    assert grown("kandian_uploaded_bytes_total") == 3500
    assert (grown("kandian_downloads_total"), grown("kandian_downloaded_bytes_total")) == (1, 1000)
    assert grown("kandian_http_sent_bytes_total", plane="s3") >= 1000
    assert grown("kandian_http_received_bytes_total", plane="s3") >= 3500
    assert grown("kandian_files") == 4 and grown("kandian_used_bytes") == 3500
    assert grown("kandian_account_used_bytes", account="jiangsu") == 3500
    assert value(after, "kandian_account_granted_bytes", account="jiangsu") == 100 * MIB
    assert value(after, "kandian_account_handed_out_bytes", account="jiangsu") == 21 * MIB
    assert value(after, "kandian_account_sub_accounts", account="jiangsu") == 2
    assert grown("kandian_wrong_guesses_total") == 2
    assert grown("kandian_commit_seconds_count") >= 4
    for plane in ["s3", "soap"]:
        assert value(after, "kandian_http_requests_under_way", plane=plane) == 0


def test_buckets_grow_and_end_in_the_count(traffic):
    _, after = traffic
    for name, by in [("kandian_s3_request_seconds", "operation"), ("kandian_http_request_seconds", "plane"), ("kandian_commit_seconds", None)]:
        series = {}
        for (sample, labels), number in after.items():
            if sample == f"{name}_bucket":
                labels = dict(labels)
                series.setdefault(labels.get(by), []).append((float(labels["le"]), number))
        assert series
        for of, buckets in series.items():
            numbers = [number for _, number in sorted(buckets)]
            assert numbers == sorted(numbers) and len(numbers) == 16
            count = value(after, f"{name}_count", **({by: of} if by else {}))
            assert numbers[-1] == count
            assert (value(after, f"{name}_sum", **({by: of} if by else {})) > 0) == (count > 0)


def test_what_is_overwritten_deleted_and_replaced_is_counted_by_cause(server):
    account = server.open_account(100)
    sub = account.open_sub_account(space=1, loop=True)
    before = samples(server)
    s3 = server.boto(sub.ak, sub.sk)
    size = MIB // 20
    for n in range(25):
        s3.put_object(Bucket=sub.record, Key=f"{n:03}", Body=payload(size, n))
    s3.put_object(Bucket=sub.record, Key="024", Body=payload(10, "again"))
    eventually(lambda: value(samples(server), "kandian_sub_accounts_overwriting") == 0)
    after = samples(server)
    grown = lambda name, **labels: value(after, name, **labels) - value(before, name, **labels)  # noqa: E731
    gone = grown("kandian_deleted_files_total", cause="overwrite")
    there = len(s3.list_objects_v2(Bucket=sub.record)["Contents"])
    assert gone == 25 - there and gone > 0
    assert grown("kandian_deleted_bytes_total", cause="overwrite") == gone * size
    assert grown("kandian_overwrites_total") >= 1
    assert grown("kandian_deleted_files_total", cause="replaced") == 1
    assert grown("kandian_deleted_bytes_total", cause="replaced") == size


def test_connections_uploads_and_clients_that_leave_are_seen_while_they_last(server):
    sub = server.open_account(100).open_sub_account(10)
    wire = sub.server.wire(sub.ak, sub.sk)
    wire.get(sub.record, "none")
    now = lambda name, **labels: value(samples(server), name, **labels)  # noqa: E731
    assert now("kandian_http_connections", plane="s3") >= 1
    left = now("kandian_http_requests_left_total", plane="s3")
    target, headers = wire.sign("PUT", f"/{sub.record}/slow", {}, {"content-length": "100000"}, b"")
    lines = [f"PUT {target} HTTP/1.1"] + [f"{name}: {text}" for name, text in headers.items()]
    wire.connection.sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode() + b"x" * 1000)
    eventually(lambda: now("kandian_uploads_under_way") == 1 and now("kandian_http_requests_under_way", plane="s3") >= 1)
    wire.close()
    eventually(lambda: now("kandian_uploads_under_way") == 0)
    eventually(lambda: now("kandian_http_requests_left_total", plane="s3") > left or now("kandian_s3_errors_total", code="IncompleteBody") > 0)


def test_no_client_makes_a_series_of_its_own(server, traffic):
    names = set(samples(server))
    sub = server.open_account(100, name="zhejiang").open_sub_account(10)
    wire = sub.server.wire(sub.ak, sub.sk)
    for n in range(20):
        wire.request("GET", f"/bucket-{n}/key-{n}", query={f"sub{n}": "x"})
        wire.request("PATCH", f"/bucket-{n}/key-{n}")
        post(server, envelope(f"Operation{n}", {}))
    more = {dict(labels).get("account") for _, labels in set(samples(server)) - names}
    assert more == {"zhejiang"}, more


# --- the page ----------------------------------------------------------------------------------------------


def families(server):
    """{name: (kind, help)} as Prometheus sees them."""
    text = scrape(server)
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    helps = dict(re.findall(r"^# HELP (\S+) (.+)$", text, re.M))
    assert kinds.keys() == helps.keys()
    return {name: (kind, helps[name]) for name, kind in kinds.items()}


def test_the_page_names_every_metric_and_no_other(new_server):
    server = new_server(metrics__tls="off", s3__tls="self-signed")
    labels = {}
    for name, of in samples(server):
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        base = base if f"`{base}`" in PAGE else name
        labels.setdefault(base, set()).update(dict(of))
    told = {}
    for name, kind, named in re.findall(r"^\| `([a-z0-9_]+)` \| (\w+) \| ([^|]*) \|", PAGE, re.M):
        assert name not in told, f"{name} stands twice on the page"
        told[name] = (kind, set(re.findall(r"`(\w+)`", named)))
    exported = families(server)
    assert set(told) == set(exported), set(told) ^ set(exported)
    for name, (kind, named) in told.items():
        assert exported[name][0] == kind, name
        if name in labels:
            assert labels[name] - {"le"} == named, f"{name}: {labels[name]}"


# --- what is shipped ---------------------------------------------------------------------------------------


def promtool(*args):
    done = subprocess.run([tool("promtool"), *args], cwd=MONITORING, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rules():
    text = (MONITORING / "kandian.rules.yml").read_text()
    return re.findall(r"- alert: (\w+)\n(.*?)(?=\n      - alert|\Z)", text, re.S)


def test_the_rules_are_right_and_every_one_of_them_is_seen_to_fire():
    assert f"{len(rules())} rules found" in promtool("check", "rules", "kandian.rules.yml")
    assert "SUCCESS" in promtool("test", "rules", "kandian.rules.test.yml")
    tests = (MONITORING / "kandian.rules.test.yml").read_text()
    for name, _ in rules():
        assert f'alertname="{name}"' in tests, f"nothing tests {name}"


def test_every_rule_says_in_both_languages_what_to_do():
    page = (ROOT / "docs" / "operations.md").read_text()
    anchors = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in re.findall(r"^## (.+)$", page, re.M)}
    for name, body in rules():
        for key in ["summary", "description"]:
            text = re.search(rf"{key}: \"(.*)\"", body).group(1)
            chinese, _, english = text.partition(" / ")
            assert re.search(r"[一-鿿]", chinese) and re.search(r"[a-z]{2}", english), (name, text)
            assert not re.search(r"[一-鿿]", english), (name, text)
        document, anchor = re.search(r"runbook: (\S+)#(\S+)", body).groups()
        assert document == "docs/operations.md" and anchor in anchors, f"{name}: no heading {anchor}"
        assert re.search(r"severity: (critical|warning)\n", body), name


def test_rules_and_dashboard_ask_for_nothing_that_is_not_exported(new_server):
    server = new_server(s3__tls="self-signed")
    account = server.open_account(100)
    account.open_sub_account(10)
    exported = {name for name, _ in samples(server)}
    dashboard = json.loads((MONITORING / "grafana-dashboard.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    asked += [variable["query"]["query"] for variable in dashboard["templating"]["list"] if variable["type"] == "query"]
    asked.append((MONITORING / "kandian.rules.yml").read_text().split("groups:")[1])
    named = {name for text in asked for name in re.findall(r"\b((?:kandian|process)_[a-z0-9_]+)\b", re.sub(r"#\S+", "", text))}
    assert len(named) > 40
    assert named <= exported, named - exported


def test_every_question_of_the_dashboard_can_be_asked(tmp_path):
    dashboard = json.loads((MONITORING / "grafana-dashboard.json").read_text())
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    lines = ["groups:", "  - name: dashboard", "    rules:"]
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            lines += [f"      - record: panel:{panel['id']}:{target['refId'].lower()}", "        expr: |-", "          " + target["expr"].replace("$instance", ".*")]
    rules = tmp_path / "dashboard.yml"
    rules.write_text("\n".join(lines) + "\n")
    promtool("check", "rules", str(rules))

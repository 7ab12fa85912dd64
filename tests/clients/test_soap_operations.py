"""Section 7 on the wire: nine operations with every result code, and every way in which old callers write them."""

import gzip
import http.client
import json
import re
import socket
import xml.etree.ElementTree as ET
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
import requests

from harness import (
    ENV11,
    ENV12,
    HERE,
    KIB,
    NS,
    SOAP_PATH,
    envelope,
    eventually,
    file_infos,
    node_environment,
    payload,
    post,
    raw,
    run,
    soap,
    tool,
    url_get,
)

CST = timezone(timedelta(hours=8))
PORTS = ("1.1", "1.2")

# Section 2: the fields of every answer, in order.
ANSWER_FIELDS = {
    "QueryUserSpace": ["Result", "TotalSpace", "FreeSpace"],
    "OpenSubAccount": ["Result", "S3AK", "S3SK", "S3URL", "S3RecordBucket", "S3PictureBucket"],
    "CloseSubAccount": ["Result"],
    "QuerySubAccountSpace": ["Result", "TotalSpace", "FreeSpace"],
    "ModifySubAccountSpace": ["Result"],
    "SetSubAccountSpacePolicy": ["Result"],
    "SearchSubAccountFiles": ["Result", "TotalFileNum", "FileInfoList"],
    "LockSubAccountFile": ["Result"],
    "ClearSubAccountFiles": ["Result"],
}

# What each operation takes besides Account, Password and, from 7.3 on, S3AK and S3SK.
EXTRA_FIELDS = {
    "QueryUserSpace": {},
    "OpenSubAccount": {"StorageSpace": 1},
    "CloseSubAccount": {},
    "QuerySubAccountSpace": {},
    "ModifySubAccountSpace": {"NewStorageSpace": 2},
    "SetSubAccountSpacePolicy": {"SpaceLoop": 0},
    "SearchSubAccountFiles": {"StartDateTime": "", "EndDateTime": "", "PageNo": 1, "PageSize": 10, "Type": 0},
    "LockSubAccountFile": {"FileName": "no such file", "LockFlag": 1},
    "ClearSubAccountFiles": {},
}
OF_A_SUB_ACCOUNT = [name for name in EXTRA_FIELDS if name not in ("QueryUserSpace", "OpenSubAccount")]


@pytest.fixture(scope="module")
def account(server):
    return server.open_account(1_000_000)


@pytest.fixture(scope="module")
def other(server):
    account = server.open_account(10)
    return SimpleNamespace(account=account, sub=account.open_sub_account(1))


@pytest.fixture
def sub(account):
    return account.open_sub_account(2)


@pytest.fixture(scope="module")
def shelf(account):
    """A sub-account with 25 recordings and 3 pictures that no test changes."""
    sub = account.open_sub_account(5)
    for number in range(25):
        sub.put(sub.record, f"rec-{number:02d}.mp4", payload(number * 100, number))
    for number in range(3):
        sub.put(sub.picture, f"pic-{number}.jpg", payload(10, number))
    return sub


def fields(account, sub, operation, **changes):
    """The fields of a good request, with changes; None leaves one out."""
    base = {"Account": account.name, "Password": account.password}
    if operation in OF_A_SUB_ACCOUNT:
        base |= sub.keys
    base |= EXTRA_FIELDS[operation]
    base |= changes
    return {k: v for k, v in base.items() if v is not None}


def ask(account, sub, operation, headers=None, env=ENV11, **changes):
    kind = "text/xml; charset=utf-8" if env == ENV11 else "application/soap+xml; charset=utf-8"
    return post(account.server, envelope(operation, fields(account, sub, operation, **changes), env=env), {"Content-Type": kind, **(headers or {})})


def assert_fault(answer, code="Client", naming=None):
    expected = {"Client": {ENV11: "Client", ENV12: "Sender"}, "Server": {ENV11: "Server", ENV12: "Receiver"}}.get(code, {})
    said = answer.fault()
    assert said is not None, f"{answer.status}, no Fault: {answer.body[:400]!r}"
    assert said[0] == expected.get(answer.env(), code), said
    assert answer.status == (400 if answer.env() == ENV12 and code == "Client" else 500)
    assert said[1].isascii() and 0 < len(said[1]) < 200
    assert b"<detail" not in answer.body and b":Detail" not in answer.body
    if naming:
        assert naming in said[1], said[1]


# --- the nine operations -----------------------------------------------------------------------------------


@pytest.mark.parametrize("version", PORTS)
class TestThroughZeep:
    def test_7_1_says_what_is_left_to_hand_out(self, server, version):
        account = server.open_account(10)
        a = account.call("QueryUserSpace", version)
        assert (a.Result, a.TotalSpace, a.FreeSpace) == (0, 10, 10)
        account.open_sub_account(3, version=version)
        a = account.call("QueryUserSpace", version)
        assert (a.Result, a.TotalSpace, a.FreeSpace) == (0, 10, 7)

    @pytest.mark.parametrize("operation", EXTRA_FIELDS)
    def test_1_no_such_account(self, account, sub, version, operation):
        for name in ("nobody", account.name + "x", account.name[:-1], account.name.upper(), ""):
            assert account.result(operation, version, **fields(account, sub, operation, Account=name)) == 1

    @pytest.mark.parametrize("operation", EXTRA_FIELDS)
    def test_2_wrong_password(self, account, sub, version, operation):
        for password in ("wrong", account.password + "x", account.password[:-1], account.password.upper(), ""):
            assert account.result(operation, version, **fields(account, sub, operation, Password=password)) == 2

    @pytest.mark.parametrize("operation", OF_A_SUB_ACCOUNT)
    def test_3_no_such_sub_account(self, account, sub, other, version, operation):
        for ak in ("AKnobody", sub.ak + "x", sub.ak[:-1], sub.ak.swapcase(), "", other.sub.ak):
            assert account.result(operation, version, **fields(account, sub, operation, S3AK=ak)) == 3
        theirs = fields(account, sub, operation, S3AK=other.sub.ak, S3SK=other.sub.sk)
        assert account.result(operation, version, **theirs) == 3, "right keys of another account"

    @pytest.mark.parametrize("operation", OF_A_SUB_ACCOUNT)
    def test_4_sub_account_check_failed(self, account, sub, version, operation):
        for sk in ("wrong", sub.sk + "x", sub.sk[:-1], sub.sk.swapcase(), ""):
            assert account.result(operation, version, **fields(account, sub, operation, S3SK=sk)) == 4

    @pytest.mark.parametrize("operation", OF_A_SUB_ACCOUNT)
    def test_the_codes_are_checked_in_their_order(self, account, sub, version, operation):
        wrong = {"Account": "nobody", "Password": "x", "S3AK": "x", "S3SK": "x"}
        for expected, name in enumerate(list(wrong), start=1):
            assert account.result(operation, version, **fields(account, sub, operation, **wrong)) == expected
            del wrong[name]

    def test_7_2_opens_what_a_camera_can_use(self, account, version):
        a = account.call("OpenSubAccount", version, StorageSpace=1)
        assert a.Result == 0
        assert re.fullmatch("[A-Za-z0-9]+", a.S3AK) and re.fullmatch("[A-Za-z0-9]+", a.S3SK)
        assert re.fullmatch(r"https?://[^/]+", a.S3URL)
        for bucket in (a.S3RecordBucket, a.S3PictureBucket):
            assert re.fullmatch("[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", bucket)
        b = account.call("OpenSubAccount", version, StorageSpace=1)
        assert len({a.S3AK, b.S3AK, a.S3SK, b.S3SK}) == 4
        assert len({a.S3RecordBucket, a.S3PictureBucket, b.S3RecordBucket, b.S3PictureBucket}) == 4
        client = account.server.boto(a.S3AK, a.S3SK)
        client.put_object(Bucket=a.S3RecordBucket, Key="k", Body=b"v")
        assert client.get_object(Bucket=a.S3RecordBucket, Key="k")["Body"].read() == b"v"

    def test_7_2_says_3_before_4(self, server, version):
        account = server.open_account(10, max_sub_accounts=2)
        assert account.result("OpenSubAccount", version, StorageSpace=11) == 3
        account.open_sub_account(4, version=version)
        account.open_sub_account(4, version=version)
        assert account.result("OpenSubAccount", version, StorageSpace=3) == 3
        assert account.result("OpenSubAccount", version, StorageSpace=2) == 4
        assert account.space() == (10, 2)

    def test_7_3_closes_once(self, account, version):
        sub = account.open_sub_account(1, version=version)
        sub.put(sub.record, "k", b"v")
        before = account.space()[1]
        assert sub.result("CloseSubAccount", version) == 0
        assert account.space()[1] == before + 1
        assert sub.result("CloseSubAccount", version) == 3

    def test_7_4_rounds_down(self, sub, version):
        a = sub.call("QuerySubAccountSpace", version)
        assert (a.Result, a.TotalSpace, a.FreeSpace) == (0, 2, 2)
        sub.put(sub.picture, "k", b"v")
        a = sub.call("QuerySubAccountSpace", version)
        assert (a.Result, a.TotalSpace, a.FreeSpace) == (0, 2, 1)

    def test_7_5_takes_what_there_is_and_says_5_to_more(self, server, version):
        account = server.open_account(10)
        sub = account.open_sub_account(3)
        account.open_sub_account(2)
        assert sub.result("ModifySubAccountSpace", version, NewStorageSpace=8) == 0
        assert account.space() == (10, 0)
        assert sub.result("ModifySubAccountSpace", version, NewStorageSpace=9) == 5
        assert sub.result("ModifySubAccountSpace", version, NewStorageSpace=2147483647) == 5
        assert sub.call("QuerySubAccountSpace", version).TotalSpace == 8
        assert sub.result("ModifySubAccountSpace", version, NewStorageSpace=1) == 0
        assert account.space() == (10, 7)

    def test_7_6_sets_the_loop_both_ways_and_repeats(self, sub, version):
        assert sub.view()["loop"] is False
        for flag in (1, 1, 0, 0, 1):
            assert sub.result("SetSubAccountSpacePolicy", version, SpaceLoop=flag) == 0
            assert sub.view()["loop"] is bool(flag)

    def test_7_7_pages_through_all_files_once(self, shelf, version):
        names, page = [], 0
        while True:
            page += 1
            total, files = shelf.search(page=page, size=7, version=version)
            assert total == 25
            if not files:
                break
            assert len(files) == (7 if page < 4 else 4)
            names += [f.FileName for f in files]
        assert page == 5 and names == [f"rec-{n:02d}.mp4" for n in range(25)]
        total, files = shelf.search(type=1, version=version)
        assert total == 3 and [f.FileName for f in files] == [f"pic-{n}.jpg" for n in range(3)]

    def test_7_7_of_nothing_is_an_empty_list(self, sub, version):
        assert sub.search(version=version) == (0, [])

    def test_7_8_locks_unlocks_and_says_5(self, sub, version):
        sub.put(sub.record, "k", b"v")
        for flag in (1, 1, 0, 0):
            assert sub.result("LockSubAccountFile", version, FileName="k", LockFlag=flag) == 0
            assert [f.LockFlag for f in sub.search()[1]] == [flag]
        for name in ("K", "kk", ""):
            assert sub.result("LockSubAccountFile", version, FileName=name, LockFlag=1) == 5

    def test_7_9_clears_says_5_and_in_loop_mode_6(self, sub, version):
        assert sub.result("ClearSubAccountFiles", version) == 5
        for bucket in (sub.record, sub.picture):
            sub.put(bucket, "a", b"a")
            sub.put(bucket, "b", b"b")
        sub.lock("a")
        assert sub.result("ClearSubAccountFiles", version) == 0
        assert sub.listing() == {(sub.record, "a"): 1, (sub.picture, "a"): 1}
        assert sub.result("ClearSubAccountFiles", version) == 5
        assert sub.result("SetSubAccountSpacePolicy", version, SpaceLoop=1) == 0
        assert sub.result("ClearSubAccountFiles", version) == 6, "6 is checked before 5"
        sub.lock("a", 0)
        assert sub.result("ClearSubAccountFiles", version) == 6
        assert len(sub.listing()) == 2
        assert sub.result("SetSubAccountSpacePolicy", version, SpaceLoop=0) == 0
        assert sub.result("ClearSubAccountFiles", version) == 0
        assert sub.listing() == {}


def test_7_8_applies_to_the_name_in_both_buckets(sub):
    sub.put(sub.record, "same", b"1")
    sub.put(sub.picture, "same", b"2")
    sub.lock("same")
    assert [f.LockFlag for f in sub.search(0)[1] + sub.search(1)[1]] == [1, 1]


def test_7_8_takes_the_name_as_sent_and_then_with_its_ends_cut(account, sub):
    for key in (" padded ", "plain", "两 个字.mp4", "a&<b>\"'.mp4"):
        sub.put(sub.record, key, b"x")
    for sent, locked in ((" padded ", " padded "), ("\n  plain\t", "plain"), ("两 个字.mp4", "两 个字.mp4"), ("a&<b>\"'.mp4", "a&<b>\"'.mp4")):
        assert ask(account, sub, "LockSubAccountFile", FileName=sent).result == 0, sent
        assert locked in {f.FileName for f in sub.search()[1] if f.LockFlag}
    assert all(f.LockFlag for f in sub.search()[1])


def test_concurrent_opens_never_give_out_more_than_there_is(server):
    from concurrent.futures import ThreadPoolExecutor

    account = server.open_account(20)
    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(lambda _: soap(account, "OpenSubAccount", StorageSpace=3).result, range(16)))
    assert sorted(results) == [0] * 6 + [3] * 10
    assert account.space() == (20, 2)


# --- answers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("env", [ENV11, ENV12], ids=["1.1", "1.2"])
@pytest.mark.parametrize("operation", EXTRA_FIELDS)
def test_every_field_is_present_in_order_even_where_the_result_is_not_0(account, sub, operation, env):
    for changes in ({"Account": "nobody"}, {"Password": "x"}, {"S3AK": "x"}, {"S3SK": "x"}, {}):
        if operation not in OF_A_SUB_ACCOUNT and set(changes) & {"S3AK", "S3SK"}:
            continue
        if not changes and operation == "CloseSubAccount":
            continue
        answer = ask(account, sub, operation, env=env, **changes)
        assert answer.status == 200
        assert answer.names() == ANSWER_FIELDS[operation]
        assert answer.env() == env
        if answer.result != 0:
            for name in ANSWER_FIELDS[operation][1:]:
                assert answer.value(name) == ("0" if name in ("TotalSpace", "FreeSpace", "TotalFileNum") else ""), name


def test_the_bytes_of_an_answer_are_those_of_the_contract(server):
    account = server.open_account(100)
    account.open_sub_account(2)
    answer = soap(account, "QueryUserSpace")
    assert answer.headers["content-type"] == "text/xml; charset=utf-8"
    assert answer.text == (
        '<?xml version="1.0" encoding="UTF-8"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>'
        '<QueryUserSpaceResponse xmlns="urn:sjkd:video-cloud-storage:v1_2"><Result>0</Result><TotalSpace>100</TotalSpace>'
        "<FreeSpace>98</FreeSpace></QueryUserSpaceResponse></soap:Body></soap:Envelope>"
    )
    answer = soap(account, "QueryUserSpace", env=ENV12)
    assert answer.headers["content-type"] == "application/soap+xml; charset=utf-8"
    assert answer.env() == ENV12 and answer.result == 0


def test_odd_names_come_back_exactly(sub):
    names = ["a&b<c>.mp4", '"q"\'s.mp4', "店 铺/录像.mp4", "tab\there", "cr\rlf\n", "]]>", "a  b", "😀.mp4", "%41+%20"]
    wire = sub.wire()
    for name in names:
        assert wire.put(sub.record, name, name.encode()).status == 200, name
    total, files = sub.search()
    assert total == len(names)
    assert {f.FileName for f in files} == set(names)
    for f in files:
        assert f.FileUrl.isascii()
        assert url_get(f.FileUrl).body == f.FileName.encode()


def test_sizes_are_kilobytes_rounded_up(sub):
    for size in (0, 1, 1023, 1024, 1025, 5000):
        sub.put(sub.record, f"{size:06d}", payload(size, size))
    assert {int(f.FileName): f.FileSize for f in sub.search()[1]} == {0: 0, 1: 1, 1023: 1, 1024: 1, 1025: 2, 5000: 5}


# --- Faults ------------------------------------------------------------------------------------------------

UNREADABLE = [
    ("StorageSpace", "OpenSubAccount", ["", "0", "-1", "x", "1.5", "2147483648", "99999999999999999999", "0x10", "1 2", None]),
    ("NewStorageSpace", "ModifySubAccountSpace", ["", "0", "-5", "one", "2147483648", None]),
    ("SpaceLoop", "SetSubAccountSpacePolicy", ["", "2", "-1", "true", None]),
    ("PageNo", "SearchSubAccountFiles", ["", "0", "-1", "x"]),
    ("PageSize", "SearchSubAccountFiles", ["", "0", "-1", "x", "2147483648"]),
    ("Type", "SearchSubAccountFiles", ["", "2", "-1", "x"]),
    ("StartDateTime", "SearchSubAccountFiles", ["x", "2014-02-30", "2014-13-01", "2014-03-01 25:00:00", "20140301", "2014-03-01 00:60:00"]),
    ("EndDateTime", "SearchSubAccountFiles", ["tomorrow", "2015-02-29 00:00:00", "14-03-01"]),
    ("LockFlag", "LockSubAccountFile", ["", "2", "-1", "yes"]),
]


@pytest.mark.parametrize("env", [ENV11, ENV12], ids=["1.1", "1.2"])
@pytest.mark.parametrize(("name", "operation", "values"), UNREADABLE, ids=[f"{u[1]}.{u[0]}" for u in UNREADABLE])
def test_an_unreadable_field_is_a_fault_that_names_it(account, sub, env, name, operation, values):
    for value in values:
        answer = ask(account, sub, operation, env=env, **{name: value})
        assert_fault(answer, naming=name)
        # Before the credential checks, and never with what was sent.
        assert_fault(ask(account, sub, operation, env=env, Account="nobody", **{name: value}), naming=name)


def test_a_fault_repeats_nothing_of_what_was_sent(account, sub):
    canary = "CANARY7f3a"
    for answer in (
        ask(account, sub, "OpenSubAccount", StorageSpace=canary),
        ask(account, sub, "SearchSubAccountFiles", StartDateTime=canary),
        post(account.server, envelope(canary, {"Account": account.name})),
        post(account.server, f"<{canary}"),
        post(account.server, envelope("QueryUserSpace", [("Account", account.name), ("Password", canary), ("Password", canary)])),
    ):
        assert_fault(answer)
        for secret in (canary, account.password, sub.sk):
            assert secret.encode() not in answer.body


def q(account, **more):
    return {"Account": account.name, "Password": account.password, **more}


BROKEN = {
    "empty": "",
    "not XML": "hello",
    "cut": '<?xml version="1.0"?><e:Envelope xmlns:e="%s"><e:Body>' % ENV11,
    "two roots": "<a/><b/>",
    "no Body": '<e:Envelope xmlns:e="%s"/>' % ENV11,
    "empty Body": '<e:Envelope xmlns:e="%s"><e:Body/></e:Envelope>' % ENV11,
    "unknown operation": envelope("DropEverything", {}),
    "undeclared prefix": '<e:Envelope xmlns:e="%s"><e:Body><x:QueryUserSpace/></e:Body></e:Envelope>' % ENV11,
    "bad entity": '<e:Envelope xmlns:e="%s"><e:Body><QueryUserSpace><Account>&nope;</Account></QueryUserSpace></e:Body></e:Envelope>' % ENV11,
    "mismatched tags": '<e:Envelope xmlns:e="%s"><e:Body><a></b></e:Body></e:Envelope>' % ENV11,
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_read_is_a_client_fault(server, name):
    assert_fault(post(server, BROKEN[name]))


def test_a_parameter_twice_or_with_elements_inside_is_a_fault(account):
    pairs = [("Account", account.name), ("Password", account.password)]
    assert post(account.server, envelope("QueryUserSpace", pairs)).result == 0
    assert_fault(post(account.server, envelope("QueryUserSpace", [*pairs, ("Password", account.password)])))
    # Case counts where there is an exact match: then the other is one more parameter that nobody asked for.
    assert post(account.server, envelope("QueryUserSpace", [*pairs, ("account", "nobody")])).result == 0
    assert_fault(post(account.server, envelope("QueryUserSpace", [("ACCOUNT", account.name), ("account", account.name), pairs[1]])))
    inside = envelope("QueryUserSpace", pairs).replace(account.password, "<b>x</b>")
    assert_fault(post(account.server, inside))


def test_a_doctype_is_a_fault_before_any_entity_is_looked_at(account, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text(account.name)
    good = envelope("QueryUserSpace", q(account))
    for doctype in (
        "<!DOCTYPE x>",
        f'<!DOCTYPE x [<!ENTITY f SYSTEM "file://{secret}">]>',
        '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>',
    ):
        body = good.replace("?>", "?>" + doctype, 1)
        assert_fault(post(account.server, body))
        assert_fault(post(account.server, body.replace(f">{account.name}<", ">&f;<")))


def test_depth_is_limited(account):
    def nested(depth):
        return envelope("QueryUserSpace", q(account)).replace("</QueryUserSpace>", "<Extra>" + "<d>" * depth + "</d>" * depth + "</Extra></QueryUserSpace>")

    assert_fault(post(account.server, nested(70)))
    answer = post(account.server, nested(100_000))
    assert_fault(answer)
    assert soap(account, "QueryUserSpace").result == 0, "the server is still there"


def test_an_unknown_envelope_is_version_mismatch(account):
    body = envelope("QueryUserSpace", q(account), env="http://www.w3.org/2099/soap-envelope")
    for kind, env in (("text/xml", ENV11), ("application/soap+xml", ENV12)):
        answer = post(account.server, body, {"Content-Type": kind})
        assert answer.status == 500
        assert answer.env() == env
        assert answer.fault()[0] == "VersionMismatch"


@pytest.mark.parametrize("env", [ENV11, ENV12], ids=["1.1", "1.2"])
def test_headers_that_must_be_understood(account, env):
    kind = {"Content-Type": "text/xml" if env == ENV11 else "application/soap+xml"}
    true = "1" if env == ENV11 else "true"

    def send(attributes):
        header = f'<h:Security xmlns:h="urn:h" {attributes}>x</h:Security>'
        return post(account.server, envelope("QueryUserSpace", q(account), env=env, header=header), kind)

    answer = send(f'e:mustUnderstand="{true}"')
    assert answer.status == 500 and answer.fault()[0] == "MustUnderstand"
    assert send('e:mustUnderstand="0"').result == 0
    assert send("").result == 0
    role = "actor" if env == ENV11 else "role"
    assert send(f'e:mustUnderstand="{true}" e:{role}="urn:somebody-else"').result == 0


# --- what is accepted --------------------------------------------------------------------------------------


def test_soapaction_is_never_looked_at(account):
    for action in (None, '""', "", '"%s#CloseSubAccount"' % NS, "OpenSubAccount", "urn:x"):
        assert soap(account, "QueryUserSpace", headers={"SOAPAction": action}).result == 0, action


def test_the_operation_in_the_body_is_the_one_that_happens(account, sub):
    answer = post(account.server, envelope("QuerySubAccountSpace", q(account, **sub.keys)), {"SOAPAction": f'"{NS}#CloseSubAccount"'})
    assert answer.names() == ANSWER_FIELDS["QuerySubAccountSpace"]
    assert sub.result("QuerySubAccountSpace") == 0


def test_names_in_any_case_namespace_and_order(account):
    a, p = account.name, account.password
    for inner in (
        f'<QueryUserSpace xmlns="{NS}"><Password>{p}</Password><Account>{a}</Account></QueryUserSpace>',
        f"<QueryUserSpace><Account>{a}</Account><Password>{p}</Password></QueryUserSpace>",
        f'<n:QueryUserSpace xmlns:n="{NS}"><Account>{a}</Account><Password>{p}</Password></n:QueryUserSpace>',
        f'<n:QueryUserSpace xmlns:n="http://tempuri.org/"><n:Account>{a}</n:Account><n:Password>{p}</n:Password></n:QueryUserSpace>',
        f'<queryuserspace><account>{a}</account><PASSWORD>{p}</PASSWORD></queryuserspace>',
        f'<QUERYUSERSPACE xmlns="urn:x"><aCCOUNT xmlns="urn:y">{a}</aCCOUNT><Password>{p}</Password></QUERYUSERSPACE>',
        f"<QueryUserSpace><Account> \n{a}\t</Account><Password>\r\n {p} </Password><Unknown>1</Unknown></QueryUserSpace>",
        f"<QueryUserSpace><Account><![CDATA[{a}]]></Account><Password>{p[:2]}<!-- c --><?pi x?>{p[2:]}</Password></QueryUserSpace>",
        f'<QueryUserSpace xmlns:i="http://www.w3.org/2001/XMLSchema-instance" xmlns:s="http://www.w3.org/2001/XMLSchema">'
        f'<Account i:type="s:string">&#x{ord(a[0]):x};{a[1:]}</Account><Password i:type="s:string">{p}</Password></QueryUserSpace>',
    ):
        body = f'<e:Envelope xmlns:e="{ENV11}"><e:Body>{inner}</e:Body></e:Envelope>'
        assert post(account.server, body).result == 0, inner


def test_an_envelope_without_a_namespace_is_1_1_or_what_the_content_type_says(account):
    body = f"<Envelope><Body><QueryUserSpace><Account>{account.name}</Account><Password>{account.password}</Password></QueryUserSpace></Body></Envelope>"
    for kind, env in (("text/xml", ENV11), ("application/soap+xml", ENV12), (None, ENV11)):
        answer = post(account.server, body, {"Content-Type": kind})
        assert answer.result == 0 and answer.env() == env


def test_the_envelope_beats_the_content_type_and_most_content_types_do(account):
    body = envelope("QueryUserSpace", q(account))
    for kind in ("application/soap+xml", "text/plain", "application/x-www-form-urlencoded", "application/octet-stream", "text/xml;charset=\"utf-8\""):
        answer = post(account.server, body, {"Content-Type": kind})
        assert answer.result == 0 and answer.env() == ENV11, kind


def test_ints_may_have_plus_zeros_and_white_space(account, sub):
    for text in ("+1", "0001", "  1\n", "+01"):
        assert ask(account, sub, "ModifySubAccountSpace", NewStorageSpace=text).result == 0, text
        assert sub.call("QuerySubAccountSpace").TotalSpace == 1


@pytest.fixture(scope="module")
def chinese(server):
    account = server.open_account(10, name="江苏电信", password="密码Aa1")
    sub = account.open_sub_account(1)
    sub.put(sub.record, "录像.mp4", b"x")
    return account, sub


def test_character_sets(chinese):
    account, sub = chinese
    text = envelope("LockSubAccountFile", q(account, **sub.keys, FileName="录像.mp4", LockFlag=1))
    bare = text.replace('<?xml version="1.0" encoding="UTF-8"?>', "")

    def declared(name):
        return f'<?xml version="1.0" encoding="{name}"?>' + bare

    for note, body, kind in (
        ("utf-8", text.encode(), "text/xml; charset=utf-8"),
        ("utf-8, bare", bare.encode(), "text/xml"),
        ("utf-8 with BOM", b"\xef\xbb\xbf" + text.encode(), "text/xml"),
        ("GBK in the header", bare.encode("gbk"), "text/xml; charset=GBK"),
        ("GBK declared", declared("GBK").encode("gbk"), "text/xml"),
        ("gb2312 declared", declared("gb2312").encode("gbk"), "text/xml"),
        ("CP936 in the header", bare.encode("gbk"), "text/xml; charset=cp936"),
        ("GB18030", declared("GB18030").encode("gb18030"), "text/xml"),
        ("GBK declared under a default utf-8 header", declared("GBK").encode("gbk"), "text/xml; charset=utf-8"),
        ("UTF-16 with BOM", declared("UTF-16").encode("utf-16"), "text/xml"),
        ("UTF-16LE named", bare.encode("utf-16-le"), "text/xml; charset=utf-16le"),
        ("UTF-16BE named", bare.encode("utf-16-be"), "text/xml; charset=UTF-16BE"),
        ("UTF-16BE with BOM", b"\xfe\xff" + bare.encode("utf-16-be"), "text/xml"),
    ):
        sub.lock("录像.mp4", 0)
        answer = post(account.server, body, {"Content-Type": kind})
        assert answer.status == 200 and answer.result == 0, (note, answer.body)
        assert [f.LockFlag for f in sub.search()[1]] == [1], note
        assert answer.headers["content-type"] == "text/xml; charset=utf-8"


def test_gbk_called_utf8_everywhere_is_a_fault_and_unknown_charsets_are_refused(chinese):
    account, sub = chinese
    text = envelope("LockSubAccountFile", q(account, **sub.keys, FileName="录像.mp4", LockFlag=1))
    assert_fault(post(account.server, text.encode("gbk"), {"Content-Type": "text/xml; charset=utf-8"}))
    answer = post(account.server, text, {"Content-Type": "text/xml; charset=ebcdic-cp-us"})
    assert answer.status == 415 or answer.fault()


def test_gzip_requests_are_read_and_bombs_are_not(account):
    body = envelope("QueryUserSpace", q(account)).encode()
    assert post(account.server, gzip.compress(body), {"Content-Encoding": "gzip"}).result == 0
    bomb = gzip.compress(body.replace(b"<e:Body>", b"<e:Body>" + b" " * (2 << 20)))
    assert len(bomb) < 100_000
    assert post(account.server, bomb, {"Content-Encoding": "gzip"}).status == 413
    broken = post(account.server, b"\x1f\x8b\x08garbage", {"Content-Encoding": "gzip"})
    assert broken.status == 400 or broken.fault()


def test_callers_of_the_drafts_get_the_defaults(account, shelf):
    answer = ask(account, shelf, "SearchSubAccountFiles", PageSize=None, Type=None, PageNo=None, StartDateTime=None, EndDateTime=None)
    assert answer.result == 0 and answer.value("TotalFileNum") == "25"
    assert answer.body.count(b"<FileInfo>") == 20, "PageSize is 20"
    sub = account.open_sub_account(1)
    sub.put(sub.record, "k", b"v")
    assert ask(account, sub, "LockSubAccountFile", FileName="k", LockFlag=None).result == 0
    assert [f.LockFlag for f in sub.search()[1]] == [1], "a missing LockFlag locks"


def test_absent_credentials_are_their_own_failures(account, sub):
    for name, result in (("Account", 1), ("Password", 2), ("S3AK", 3), ("S3SK", 4)):
        assert ask(account, sub, "QuerySubAccountSpace", **{name: None}).result == result
        nil = envelope("QuerySubAccountSpace", fields(account, sub, "QuerySubAccountSpace"))
        nil = re.sub(f"<{name}>.*?</{name}>", f'<{name} xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:nil="true"/>', nil)
        assert post(account.server, nil).result == result
    assert ask(account, sub, "LockSubAccountFile", FileName=None).result == 5


# --- 7.7: dates and pages ----------------------------------------------------------------------------------


def when(text):
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=CST)


def test_filedate_is_china_standard_time(sub):
    before = datetime.now(CST).replace(microsecond=0)
    sub.put(sub.record, "k", b"v")
    after = datetime.now(CST)
    assert before <= when(sub.search()[1][0].FileDate) <= after


def test_both_ends_count_by_the_whole_second(shelf):
    dates = sorted(f.FileDate for f in shelf.search()[1])
    first, last = when(dates[0]), when(dates[-1])
    text = "{:%Y-%m-%d %H:%M:%S}".format
    second = timedelta(seconds=1)
    everything = len(dates)
    for start, end, expected in (
        (first, last, everything),
        (first, first, dates.count(dates[0])),
        (last, last, dates.count(dates[-1])),
        (first + second, last, everything - dates.count(dates[0])),
        (first, last - second, everything - dates.count(dates[-1])),
        (last + second, last + 100 * second, 0),
        (first - 100 * second, first - second, 0),
        (last, first - second, 0),
    ):
        total, files = shelf.search(start=text(start), end=text(end))
        assert (total, len(files)) == (expected, expected), (start, end)


def test_every_way_of_writing_a_date(shelf):
    dates = [f.FileDate for f in shelf.search()[1]]
    first, last = when(dates[0]), when(dates[-1])
    utc = timezone.utc
    tokyo = timezone(timedelta(hours=9))
    for start, end in (
        ("", ""),
        (f"{first:%Y-%m-%dT%H:%M:%S}", f"{last:%Y-%m-%dT%H:%M:%S}"),
        (f"{first:%Y/%m/%d %H:%M:%S}", f"{last:%Y/%m/%d %H:%M:%S}"),
        (f"{first:%Y-%m-%d %H:%M:%S}.999", f"{last:%Y-%m-%d %H:%M:%S}.000"),
        (f"{first.astimezone(utc):%Y-%m-%dT%H:%M:%S}Z", f"{last.astimezone(utc):%Y-%m-%dT%H:%M:%S}Z"),
        (f"{first.astimezone(tokyo):%Y-%m-%dT%H:%M:%S}+09:00", f"{last.astimezone(tokyo):%Y-%m-%dT%H:%M:%S}+09:00"),
        (f"{first:%Y%m%d%H%M%S}", f"{last:%Y%m%d%H%M%S}"),
        (f"{first.year}-{first.month}-{first.day} {first.hour}:{first:%M:%S}", f"{last.year}-{last.month}-{last.day} {last.hour}:{last:%M:%S}"),
        (f"{first:%Y-%m-%d %H:%M}", f"{last:%Y-%m-%d %H:%M}"),
        (f"{first:%Y-%m-%d}", f"{last:%Y-%m-%d}"),
        (f"{first:%Y-%m-%d}", f"{last:%Y-%m-%d} 24:00:00"),
        (f"  {first:%Y-%m-%d %H:%M:%S} ", ""),
        ("", f"{last:%Y-%m-%d %H:%M:%S}"),
        ("1970-01-01", "9999-12-31"),
    ):
        assert shelf.search(start=start, end=end)[0] == 25, (start, end)
    after = last + timedelta(seconds=1)
    assert shelf.search(start=f"{after:%Y-%m-%d %H:%M:%S}")[0] == 0
    assert shelf.search(start=f"{after.astimezone(utc):%Y-%m-%dT%H:%M:%S}Z")[0] == 0
    assert shelf.search(start=f"{last:%Y-%m-%d} 24:00:00")[0] == 0


def test_pages_past_the_end_and_gigantic_pages(shelf):
    assert shelf.search(page=1, size=2147483647)[0] == 25
    assert len(shelf.search(page=1, size=2147483647)[1]) == 25
    for page, size in ((2, 2147483647), (2147483647, 2147483647), (4, 10), (2147483647, 1)):
        total, files = shelf.search(page=page, size=size)
        assert (total, files) == (25, []), (page, size)


def test_pages_stay_put_while_files_are_added(sub):
    for number in range(10):
        sub.put(sub.record, f"{number}", b"x")
    first = [f.FileName for f in sub.search(page=1, size=4)[1]]
    # The order is by the whole second, then by name: what comes within the same second sorts by name.
    last = when(sub.search()[1][-1].FileDate)
    eventually(lambda: datetime.now(last.tzinfo) > last + timedelta(seconds=1))
    sub.put(sub.record, "00-new, and by name the first", b"x")
    assert [f.FileName for f in sub.search(page=1, size=4)[1]] == first
    total, files = sub.search(page=3, size=4)
    assert total == 11 and len(files) == 3


# --- HTTP --------------------------------------------------------------------------------------------------


def test_paths_methods_and_types(server):
    body = envelope("QueryUserSpace", {})
    assert post(server, body, path="/services/Nope").status == 404
    assert post(server, body, path="/").status == 404
    for method in ("PUT", "DELETE", "PATCH"):
        answer = post(server, body, method=method)
        assert answer.status == 405 and "POST" in answer.headers["allow"]
    answer = post(server, body, path="/services/AlertCallback?wsdl")
    assert answer.status == 405 and "GET" in answer.headers["allow"]
    for kind in ("application/json", "multipart/related; boundary=x", "multipart/form-data; boundary=x"):
        assert post(server, body, {"Content-Type": kind}).status == 415, kind
    assert post(server, body, {"Content-Encoding": "br"}).status == 415
    assert post(server, b"<" + b"a" * (1 << 20)).status == 413


def test_a_body_of_exactly_the_limit_is_read(account):
    body = envelope("QueryUserSpace", q(account)).encode()
    assert post(account.server, body + b" " * ((1 << 20) - len(body))).result == 0
    assert post(account.server, body + b" " * ((1 << 20) - len(body) + 1)).status == 413


def test_http_1_0_chunked_expect_pipelining_and_keep_alive(account):
    address = account.server.address("soap")
    body = envelope("QueryUserSpace", q(account)).encode()
    old = f"POST {SOAP_PATH} HTTP/1.0\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    reply = raw(address, old)
    assert reply.status == 200 and b"<Result>0</Result>" in reply.body and "transfer-encoding" not in reply.headers

    head = f"POST {SOAP_PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\n"
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(body[i : i + 50]), body[i : i + 50]) for i in range(0, len(body), 50)) + b"0\r\n\r\n"
    assert b"<Result>0</Result>" in raw(address, f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunks).body

    with socket.create_connection(address, timeout=10) as s:
        s.sendall(f"{head}Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n".encode())
        got = b""
        while b"\r\n\r\n" not in got:
            got += s.recv(1000)
        assert got.startswith(b"HTTP/1.1 100"), got
        s.sendall(body)
        response = http.client.HTTPResponse(s)
        response.begin()
        assert response.status == 200 and b"<Result>0</Result>" in response.read()

    with socket.create_connection(address, timeout=10) as s:
        one = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        s.sendall(one * 3)
        got = b""
        while got.count(b"</soap:Envelope>") < 3:
            more = s.recv(65536)
            assert more, got
            got += more
        assert got.count(b"HTTP/1.1 200") == 3 and got.count(b"<Result>0</Result>") == 3


def test_broken_http_gets_a_4xx_and_the_server_lives(server, account):
    address = server.address("soap")
    for data in (
        b"nonsense\r\n\r\n",
        f"POST {SOAP_PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n123456".encode(),
        f"POST {SOAP_PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n".encode(),
        f"POST {SOAP_PATH} HTTP/1.1\r\nHost: x\r\nX: {'y' * 100_000}\r\nContent-Length: 0\r\n\r\n".encode(),
    ):
        reply = raw(address, data)
        assert reply is None or 400 <= reply.status < 500, (data[:60], reply)
    assert soap(account, "QueryUserSpace").result == 0


# --- the WSDLs ---------------------------------------------------------------------------------------------


def test_the_wsdl_is_served_with_the_address_that_the_caller_used(server, tmp_path):
    wsdl = "{http://schemas.xmlsoap.org/wsdl/}"
    for query in ("wsdl", "WSDL", "Wsdl"):
        answer = requests.get(f"{server.soap_url}?{query}", timeout=10)
        assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/xml")
        root = ET.fromstring(answer.content)
        assert root.get("targetNamespace") == NS
        ports = [(p.get("name"), p[0].get("location")) for p in root.iter(wsdl + "port")]
        assert ports == [("VideoCloudStorageSoap11", server.soap_url), ("VideoCloudStorageSoap12", server.soap_url)]
        assert answer.content.isascii()
    host = requests.get(server.wsdl_url, headers={"Host": "store.example:8080"}, timeout=10)
    assert f"http://store.example:8080{SOAP_PATH}" in host.text
    bad = requests.get(server.wsdl_url, headers={"Host": 'x"/><evil'}, timeout=10)
    assert bad.status_code == 400
    head = requests.head(server.wsdl_url, timeout=10)
    assert head.status_code == 200 and head.content == b""
    for number, url in enumerate((server.wsdl_url, server.alert_wsdl_url)):
        path = tmp_path / f"{number}.wsdl"
        path.write_bytes(requests.get(url, timeout=10).content)
        run(tool("xmllint"), "--nonet", "--noout", path)
    assert ET.parse(tmp_path / "1.wsdl").getroot().get("targetNamespace") == "urn:sjkd:alert-callback:v1_2"


# --- other clients -----------------------------------------------------------------------------------------


def through(client, account, port):
    """The same five calls through another SOAP stack; gives its answers."""
    calls = [
        ["QueryUserSpace", q(account)],
        ["OpenSubAccount", q(account, StorageSpace=2)],
        ["QueryUserSpace", q(account, Password="wrong")],
    ]
    answers = client(account, port, calls)
    assert [int(a["Result"]) for a in answers] == [0, 0, 2]
    assert int(answers[0]["TotalSpace"]) == 50
    keys = {"S3AK": answers[1]["S3AK"], "S3SK": answers[1]["S3SK"]}
    camera = account.server.boto(keys["S3AK"], keys["S3SK"])
    for name in ("一.mp4", "二&.mp4"):
        camera.put_object(Bucket=answers[1]["S3RecordBucket"], Key=name, Body=payload(1500, name))
    calls = [
        ["SearchSubAccountFiles", q(account, **keys, **EXTRA_FIELDS["SearchSubAccountFiles"])],
        ["LockSubAccountFile", q(account, **keys, FileName="二&.mp4", LockFlag=1)],
        ["ClearSubAccountFiles", q(account, **keys)],
        ["SearchSubAccountFiles", q(account, **keys, **EXTRA_FIELDS["SearchSubAccountFiles"])],
        ["SetSubAccountSpacePolicy", q(account, **keys, SpaceLoop=1)],
        ["ModifySubAccountSpace", q(account, **keys, NewStorageSpace=1)],
        ["QuerySubAccountSpace", q(account, **keys)],
    ]
    answers = client(account, port, calls)
    assert [int(a["Result"]) for a in answers] == [0] * 7
    before, after = (as_list(answers[n]["FileInfoList"]) for n in (0, 3))
    assert sorted(f["FileName"] for f in before) == ["一.mp4", "二&.mp4"]
    assert [(f["FileName"], int(f["FileSize"]), int(f["LockFlag"])) for f in after] == [("二&.mp4", 2, 1)]
    assert url_get(after[0]["FileUrl"]).body == payload(1500, "二&.mp4")
    assert (int(answers[6]["TotalSpace"]), int(answers[6]["FreeSpace"])) == (1, 0)
    answers = client(account, port, [["CloseSubAccount", q(account, **keys)], ["CloseSubAccount", q(account, **keys)]])
    assert [int(a["Result"]) for a in answers] == [0, 3]


def as_list(found):
    found = (found or {}).get("FileInfo", [])
    return found if isinstance(found, list) else [found]


def node(account, port, calls):
    name = {"1.1": "VideoCloudStorageSoap11", "1.2": "VideoCloudStorageSoap12"}[port]
    done = run("node", HERE / "soap-client.js", account.server.wsdl_url, name, json.dumps(calls), env=node_environment())
    return json.loads(done.stdout)


def php(account, port, calls):
    done = run(tool("php"), HERE / "soap-client.php", account.server.wsdl_url, port, json.dumps(calls))
    return json.loads(done.stdout)


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("client", [node, php], ids=["node-soap", "PHP"])
def test_other_soap_stacks_run_all_nine_operations(server, client, port):
    through(client, server.open_account(50), port)


def test_axis_like_rpc_encoded_calls_work(account):
    body = (
        f'<soapenv:Envelope xmlns:soapenv="{ENV11}" xmlns:xsd="http://www.w3.org/2001/XMLSchema" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>'
        '<ns1:QueryUserSpace soapenv:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/" xmlns:ns1="urn:whatever">'
        f'<Account xsi:type="xsd:string">{account.name}</Account><Password xsi:type="xsd:string">{account.password}</Password>'
        "</ns1:QueryUserSpace></soapenv:Body></soapenv:Envelope>"
    )
    assert post(account.server, body).result == 0


def test_a_search_of_more_than_ten_thousand_files_on_one_page_is_a_fault_and_pages_are_not(new_server):
    from concurrent.futures import ThreadPoolExecutor

    server = new_server(bytes_per_gb=KIB * KIB)
    account = server.open_account(100)
    sub = account.open_sub_account(100)

    def fill(lane):
        wire = sub.wire()
        for number in range(lane, 10_001, 16):
            assert wire.put(sub.picture, f"{number:05d}", b"").status == 200

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(fill, range(16)))
    eventually(lambda: sub.search(type=1, size=1)[0] == 10_001)
    search = {**EXTRA_FIELDS["SearchSubAccountFiles"], "Type": 1}
    assert_fault(soap(account, "SearchSubAccountFiles", **sub.keys, **{**search, "PageSize": 2147483647}), naming="PageSize")
    answer = soap(account, "SearchSubAccountFiles", **sub.keys, **{**search, "PageSize": 10_000})
    assert answer.result == 0 and answer.body.count(b"<FileInfo>") == 10_000
    answer = soap(account, "SearchSubAccountFiles", **sub.keys, **{**search, "PageSize": 10_000, "PageNo": 2})
    assert answer.result == 0 and answer.body.count(b"<FileInfo>") == 1
    assert file_infos(sub.call("SearchSubAccountFiles", StartDateTime="", EndDateTime="", PageNo=2, PageSize=10_000, Type=1))

"""Who guesses keys and passwords is slowed down, and nobody is locked out by somebody else's guesses. Every server here is
spoken to from two addresses of the loopback: the camera's own, and a stranger's."""

import socket
import urllib.request

import pytest

import sigv4
from harness import REGION, Answer, envelope, eventually, read_reply

HOSTS = iter(range(2, 250))
HERE = None


@pytest.fixture
def sub(server):
    """A camera, and an address that nobody else has guessed from."""
    made = server.open_account(1000).open_sub_account(10)
    made.stranger = (f"127.0.77.{next(HOSTS)}", 0)
    return made


def ask(sub, sk=None, ak=None, source=..., method="GET"):
    """One signed request, from the stranger's address where no other is given."""
    source = sub.stranger if source is ... else source
    address = sub.server.address("s3")
    target, headers = sigv4.signed(method, "%s:%d" % address, f"/{sub.record}", {}, {"connection": "close"}, b"", ak or sub.ak, sk or sub.sk, REGION)
    with socket.create_connection(address, timeout=10, source_address=source) as s:
        s.sendall(sigv4.head(method, target, headers))
        return read_reply(s, method)


def guessed(sub, **how):
    reply = ask(sub, sk="0" * 40, **how)
    return reply.status, reply.code


def slowed(sub, **how):
    """Guesses until it is told to wait; gives how many were looked at."""
    for n in range(200):
        if guessed(sub, **how) == (503, "SlowDown"):
            return n
    raise AssertionError("never slowed down")


def test_a_key_that_is_guessed_is_slowed_down_where_it_is_guessed_and_nowhere_else(sub):
    assert ask(sub, source=HERE).status == 200
    looked_at = slowed(sub)
    assert 5 < looked_at < 20
    reply = ask(sub)
    assert (reply.status, reply.code) == (503, "SlowDown"), "what is right is not looked at either"
    assert int(reply.headers["retry-after"]) >= 1
    for _ in range(5):
        assert ask(sub, source=HERE).status == 200, "the camera is served"
    assert ask(sub, source=("127.0.0.78", 0)).status == 200, "and where it moves to"
    eventually(lambda: ask(sub).status == 200, what="the wait is over")
    assert guessed(sub) == (403, "SignatureDoesNotMatch"), "and from then on it is known there"


def test_it_is_remembered_when_the_server_is_killed(new_server):
    server = new_server()
    sub = server.open_account(1000).open_sub_account(10)
    sub.stranger = ("127.0.0.77", 0)
    slowed(sub)
    # The waits grow while it guesses on: 1, 2, 4 seconds.
    for _ in range(3):
        eventually(lambda: guessed(sub) == (403, "SignatureDoesNotMatch"), what="one more guess is looked at")
    assert guessed(sub) == (503, "SlowDown")
    eventually(lambda: "access key" in server.cli("status"), what="it is shown")
    server.restart()
    assert guessed(sub) == (503, "SlowDown"), "after a restart"
    server.kill()
    server.start()
    assert guessed(sub) == (503, "SlowDown"), "after a kill"
    assert ask(sub, source=HERE).status == 200


def test_keys_that_nobody_has_are_slowed_down_as_one(sub):
    told = []
    for n in range(20):
        told.append(guessed(sub, ak=f"AKIA{n:016}"))
    assert told[0] == (403, "InvalidAccessKeyId") and told[-1] == (503, "SlowDown")
    assert ask(sub).status == 200, "a key that there is comes in from there"


def test_operators_see_who_guesses(sub):
    server = sub.server
    slowed(sub)
    page = server.json("status")
    assert page["wrong_guesses"] >= 10 and page["refused_guesses"] >= 1
    assert ("access key", sub.ak, sub.stranger[0]) in [(row["what"], row["who"], row["from"]) for row in page["slowed"]]
    assert sub.ak in server.cli("status")
    metrics = urllib.request.urlopen(f"http://{server.listen['metrics']}/metrics").read().decode()
    assert "# TYPE kandian_wrong_guesses_total counter" in metrics and "\nkandian_refused_guesses_total " in metrics
    lines = eventually(lambda: [e for e in server.json("audit", "list") if e["what"] == "GuessingSlowed" and e["who"] == sub.ak])
    assert [(e["from"], e["target"]) for e in lines] == [(sub.stranger[0], "access key")], "one line, not one a guess"


def test_what_a_header_says_of_the_address_counts_for_nothing(sub):
    address = sub.server.address("s3")
    for n in range(40):
        forged = {"x-forwarded-for": f"10.0.0.{n}", "forwarded": f"for=10.0.0.{n}", "x-real-ip": f"10.0.0.{n}", "connection": "close"}
        target, headers = sigv4.signed("GET", "%s:%d" % address, f"/{sub.record}", {}, forged, b"", sub.ak, "0" * 40, REGION, unsigned=tuple(forged))
        with socket.create_connection(address, timeout=10, source_address=sub.stranger) as s:
            s.sendall(sigv4.head("GET", target, headers))
            reply = read_reply(s, "GET")
        if reply.code == "SlowDown":
            return
    raise AssertionError("never slowed down")


def soap(sub, password, source=...):
    source = sub.stranger if source is ... else source
    body = envelope("QueryUserSpace", {"Account": sub.account.name, "Password": password}).encode()
    address = sub.server.address("soap")
    head = f"POST /services/VideoCloudStorage HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    s = socket.create_connection(address, timeout=30, source_address=source)
    s.sendall(head.encode() + body)
    return s


def told(s):
    reply = read_reply(s, "POST")
    s.close()
    return reply.status if reply.status != 200 else Answer(reply.status, reply.headers, reply.body).result


def test_a_platforms_password_is_guessed_slowly_and_the_codes_stay_the_contracts(sub):
    right = sub.account.password
    assert told(soap(sub, right, HERE)) == 0
    for _ in range(24):
        assert told(soap(sub, "wrong-password")) == 2
    # The next is held; of those that come meanwhile none is, and the platform is served.
    sent = [soap(sub, "wrong-password") for _ in range(4)]
    assert told(soap(sub, right, HERE)) == 0
    assert sorted(map(told, sent)) == [2, 503, 503, 503], "one of them late, and what the table says"

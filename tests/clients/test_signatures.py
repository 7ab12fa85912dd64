"""`kandian doctor signature`: real mistakes of real clients, each told in words, and no secret and no signature given away."""

import datetime
import hashlib
import hmac
import re
import socket
import threading

import pytest
from botocore.exceptions import ClientError

import sigv2
import sigv4
from harness import REGION, read_reply

HOSTS = iter(range(2, 250))


@pytest.fixture
def sub(server):
    """A camera of its own, and an address that nobody has guessed from: wrong signatures are slowed down."""
    made = server.open_account(1000).open_sub_account(10)
    made.source = (f"127.0.66.{next(HOSTS)}", 0)
    return made


def send(sub, method, target, headers, body=b""):
    with socket.create_connection(sub.server.address("s3"), timeout=10, source_address=sub.source) as s:
        s.sendall(sigv4.head(method, target, {"connection": "close", **headers}) + body)
        return read_reply(s, method)


def host(sub):
    return "%s:%d" % sub.server.address("s3")


def told(sub, code="SignatureDoesNotMatch"):
    """The newest failure as the doctor tells it, once it is seen to give nothing away."""
    said = sub.server.json("doctor", "signature", sub.ak)
    page = sub.server.cli("doctor", "signature", sub.ak)
    assert said["known"] and said["failures"]
    newest = said["failures"][0]
    assert newest["code"] == code
    for text in [str(said), page]:
        assert sub.sk not in text and sub.sk.lower() not in text
    # Strings to sign are told, signatures are not: neither ours nor one that would have been believed.
    texts = [text for of in [newest["here"], newest["there"]] if of for text in [of["string_to_sign"]]]
    for text in texts:
        assert newest["version"].startswith("v2") or text.startswith("AWS4-HMAC-SHA256\n")
    assert (newest["cause"] or "not told") in page or newest["cause"] is None and "not told" in page
    return newest, page


def v4(sub, method="GET", path=None, sk=None, signed_host=None, sent_host=None, headers=None, query=None, sent_target=None, when=None, body=b"", payload=sigv4.UNSIGNED):
    """A request signed in one way and sent in another."""
    path = path or f"/{sub.record}"
    target, made = sigv4.signed(method, signed_host or host(sub), path, query or {}, dict(headers or {}), body, sub.ak, sk or sub.sk, REGION, when=when, payload=payload)
    made = {name: value for name, value in made.items()}
    made["host"] = sent_host or host(sub)
    return send(sub, method, sent_target or target, made, body)


@pytest.mark.parametrize(
    ("sk", "words"),
    [
        (lambda sk: sk + " ", "the SK has a blank behind it"),
        (lambda sk: sk + "\n", "the SK has a line feed behind it"),
        (lambda sk: " " + sk, "the SK has a blank before it"),
        (lambda sk: f'"{sk}"', "the SK is in quotation marks"),
        (lambda sk: sk[:-1], "the last letter of the SK is missing"),
    ],
)
def test_a_secret_that_was_typed_wrongly(sub, sk, words):
    assert v4(sub, sk=sk(sub.sk)).code == "SignatureDoesNotMatch"
    newest, page = told(sub)
    assert newest["cause"] == words
    assert "with that change the signature is right" in page


def test_another_secret_is_said_to_be_the_likely_cause_and_no_more(sub):
    with pytest.raises(ClientError) as caught:
        sub.server.boto(sub.ak, "0" * 40).list_buckets()
    assert caught.value.response["Error"]["Code"] == "SignatureDoesNotMatch"
    newest, page = told(sub)
    assert newest["cause"] is None and newest["there"] is None and newest["tried"] > 30
    assert "Most likely the SK is another one" in page and "canonical request" in page
    assert newest["request_id"] == caught.value.response["ResponseMetadata"]["RequestId"]


def test_a_proxy_that_changes_the_host(sub):
    reply = v4(sub, signed_host="store.example.cn", headers={}, sent_host=host(sub))
    assert reply.code == "SignatureDoesNotMatch"
    newest, _ = told(sub)
    assert newest["cause"] is None, "nothing tells the name by which the client knows the box"
    target, made = sigv4.signed("GET", "store.example.cn", f"/{sub.record}", {}, {}, b"", sub.ak, sub.sk, REGION)
    send(sub, "GET", target, {**made, "host": host(sub), "x-forwarded-host": "store.example.cn"})
    newest, page = told(sub)
    assert "proxy" in newest["cause"] and "store.example.cn" in newest["cause"]
    assert "  - host:" + host(sub) in page and "  + host:store.example.cn" in page


def test_a_real_proxy_in_front_that_puts_in_its_own_host(sub):
    """boto3 through a proxy that rewrites Host, as nginx does unless it is told otherwise."""
    front = socket.create_server(("127.0.0.1", 0))

    def serve():
        client, _ = front.accept()
        with client:
            head = client.recv(65536)
            named = re.search(rb"(?i)\r\nhost: ([^\r]+)", head).group(1)
            changed = re.sub(rb"(?i)\r\nhost: [^\r]+", b"\r\nHost: " + host(sub).encode() + b"\r\nX-Forwarded-Host: " + named + b"\r\nConnection: close", head)
            with socket.create_connection(sub.server.address("s3"), source_address=sub.source) as behind:
                behind.sendall(changed)
                while piece := behind.recv(65536):
                    client.sendall(piece)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with pytest.raises(ClientError) as caught:
        sub.server.boto(sub.ak, sub.sk, endpoint=f"http://localhost:{front.getsockname()[1]}").list_buckets()
    assert caught.value.response["Error"]["Code"] == "SignatureDoesNotMatch"
    newest, _ = told(sub)
    assert "proxy" in newest["cause"] and "localhost" in newest["cause"]
    thread.join(5)
    front.close()


def test_a_path_that_is_encoded_twice(sub):
    path = f"/{sub.record}/a b"
    assert v4(sub, path=path.replace(" ", "%20"), sent_target=path.replace(" ", "%20")).code == "SignatureDoesNotMatch"
    newest, page = told(sub)
    assert newest["cause"] == "the client signs the path encoded twice (S3 encodes it once)"
    assert f"  - /{sub.record}/a%20b" in page and f"  + /{sub.record}/a%2520b" in page


def test_a_header_that_is_changed_on_the_way(sub):
    target, made = sigv4.signed("PUT", host(sub), f"/{sub.record}/x", {}, {"content-type": "video/mp4", "content-length": "1"}, b"x", sub.ak, sub.sk, REGION)
    assert send(sub, "PUT", target, {**made, "content-type": "video/mp4; charset=utf-8"}, b"x").code == "SignatureDoesNotMatch"
    newest, _ = told(sub)
    assert "content-type" in newest["cause"] and '"video/mp4"' in newest["cause"]


def test_a_query_that_is_not_signed(sub):
    assert v4(sub, sent_target=f"/{sub.record}?list-type=2").code == "SignatureDoesNotMatch"
    assert "does not sign the parameters" in told(sub)[0]["cause"]


def test_a_clock_that_is_off(sub):
    when = sigv4.now() - datetime.timedelta(hours=8)
    assert v4(sub, when=when).code == "RequestTimeTooSkewed"
    newest, page = told(sub, "RequestTimeTooSkewed")
    assert -28_805 <= newest["seconds_ahead"] <= -28_799
    assert "behind the box's" in newest["cause"] and "s3.clock_skew is 900 s" in newest["cause"]
    assert "s behind the box's" in page


def test_a_body_that_is_not_what_was_signed(sub):
    hashed = hashlib.sha256(b"another").hexdigest()
    reply = v4(sub, method="PUT", path=f"/{sub.record}/x", headers={"content-length": "1"}, body=b"x", payload=hashed)
    assert reply.code == "XAmzContentSHA256Mismatch"
    assert "the head of the request is signed right" in told(sub, "XAmzContentSHA256Mismatch")[0]["cause"]


def test_v2_without_its_sub_resources_and_with_another_date_line(sub):
    def v2(resource, date, amz="", method="GET", target=f"/{sub.record}/k?uploads", headers=None):
        text = "\n".join([method, "", "", date, amz + resource])
        signature = hmac.new(sub.sk.encode(), text.encode(), hashlib.sha1).digest()
        import base64

        authorization = f"AWS {sub.ak}:{base64.b64encode(signature).decode()}"
        return send(sub, method, target, {"host": host(sub), "authorization": authorization, **(headers or {})})

    date = sigv2.gmt(sigv4.now())
    reply = v2(f"/{sub.record}/k", date, method="POST", headers={"date": date, "content-length": "0"})
    assert reply.code == "SignatureDoesNotMatch"
    newest, page = told(sub)
    assert newest["version"] == "v2" and "leaves the sub-resources" in newest["cause"]
    assert f"  - /{sub.record}/k?uploads" in page and f"  + /{sub.record}/k" in page
    reply = v2(f"/{sub.record}", date, amz=f"x-amz-date:{date}\n", target=f"/{sub.record}", headers={"x-amz-date": date})
    assert reply.code == "SignatureDoesNotMatch"
    assert "date line" in told(sub)[0]["cause"]


def test_what_cannot_be_read_is_told_in_the_words_of_the_rule(sub):
    authorization = f"AWS4-HMAC-SHA256 Credential={sub.ak}/20261130/{REGION}/s4/aws4_request, SignedHeaders=host, Signature={'0' * 64}"
    reply = send(sub, "GET", "/", {"host": host(sub), "authorization": authorization, "x-amz-date": sigv4.stamp(sigv4.now()), "x-amz-content-sha256": sigv4.UNSIGNED})
    assert reply.code == "AuthorizationHeaderMalformed"
    assert 'must be "s3"' in told(sub, "AuthorizationHeaderMalformed")[0]["cause"]


def test_what_is_right_or_denied_for_another_reason_leaves_nothing(sub):
    other = sub.account.open_sub_account(10)
    s3 = sub.server.boto(sub.ak, sub.sk)
    s3.list_buckets()
    with pytest.raises(ClientError):
        s3.list_objects_v2(Bucket=other.record)
    said = sub.server.json("doctor", "signature", sub.ak)
    assert said["known"] and said["failures"] == []
    assert "no signature of" in sub.server.cli("doctor", "signature", sub.ak)
    assert "there is no key KD00NOSUCH" in sub.server.cli("doctor", "signature", "KD00NOSUCH")


def test_a_few_are_kept_of_a_key(sub):
    for n in range(12):
        when = sigv4.now() - datetime.timedelta(hours=1 + n)
        v4(sub, when=when)
    failures = sub.server.json("doctor", "signature", sub.ak)["failures"]
    assert len(failures) == 8
    assert [failure["at_ms"] for failure in failures] == sorted((failure["at_ms"] for failure in failures), reverse=True)

"""TLS on every listener: a certificate of the box's own and one from a file, with every kind of client that checks it."""

import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess

import pytest
import requests

from harness import BINARY, HERE, MIB, REGION, Server, aws, eventually, free_port, node_environment, payload, run, tool
from test_ffmpeg import CONTAINERS, SOURCE, ffmpeg, frames, presigned

KEY = "2014/03/28/录像 1+2%.mp4"


def authority(home):
    """A private CA, as platforms and provinces have them."""
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=province CA", "-days", "30", "-keyout", home / "ca.key", "-out", home / "ca.pem")
    return home / "ca.pem"


def certify(home, name, days=30, names="IP:127.0.0.1,DNS:localhost"):
    """(certificate, key) of that CA, RSA, as openssl makes them."""
    cert, key, request, more = (home / f"{name}.{part}" for part in ("pem", "key", "csr", "ext"))
    run("openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request)
    more.write_text(f"subjectAltName={names}\n")
    run("openssl", "x509", "-req", "-in", request, "-CA", home / "ca.pem", "-CAkey", home / "ca.key", "-CAcreateserial", "-days", days, "-extfile", more, "-out", cert)
    return cert, key


class Box:
    """An appliance, and the file with whom its clients trust."""

    def __init__(self, server, ca):
        self.server, self.ca = server, ca


@pytest.fixture(scope="module", params=["self-signed", "file"])
def box(request, tmp_path_factory):
    home = tmp_path_factory.mktemp("tls")
    if request.param == "self-signed":
        server = Server(s3__tls="self-signed", soap__tls="self-signed", portal__tls="self-signed")
    else:
        ca = authority(home)
        cert, key = certify(home, "box")
        server = Server(**{f"{plane}__tls__{part}": path for plane in ("s3", "soap", "metrics") for part, path in (("cert", cert), ("key", key))})
    server.start()
    if request.param == "self-signed":
        ca = home / "box.pem"
        ca.write_text(server.cli("certificate", "--pem"))
    told = {name: str(ca) for name in ("REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE")}
    before = {name: os.environ.get(name) for name in told}
    os.environ.update(told)
    yield Box(server, ca)
    for name, value in before.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})
    try:
        server.stop()
    finally:
        server.discard()


@pytest.fixture(scope="module")
def account(box):
    return box.server.open_account(1000)


@pytest.fixture
def sub(account):
    return account.open_sub_account(50)


def by_boto(signature):
    def trip(box, sub, source, target):
        client = sub.boto(signature)
        client.upload_file(str(source), sub.record, KEY)
        client.download_file(sub.record, KEY, str(target))

    return trip


def by_aws_cli(box, sub, source, target):
    aws(sub, "s3", "cp", "--quiet", source, f"s3://{sub.record}/{KEY}")
    aws(sub, "s3", "cp", "--quiet", f"s3://{sub.record}/{KEY}", target)


def by_curl(box, sub, source, target):
    for how in (["-T", source], ["-o", target]):
        where = sub.boto().generate_presigned_url("put_object" if "-T" in how else "get_object", Params={"Bucket": sub.record, "Key": KEY})
        run(tool("curl"), "-sSf", "--cacert", box.ca, *how, where)


def by_s3cmd(box, sub, source, target):
    host = sub.url.removeprefix("https://")
    options = ["--config", os.devnull, "--access_key", sub.ak, "--secret_key", sub.sk, "--host", host, "--host-bucket", host, "--ssl", "--ca-certs", box.ca, "--region", REGION, "--no-progress"]
    run(tool("s3cmd"), *options, "put", source, f"s3://{sub.record}/{KEY}")
    run(tool("s3cmd"), *options, "get", "--force", f"s3://{sub.record}/{KEY}", target)


def by_rclone(box, sub, source, target):
    remote = f":s3,provider=Other,access_key_id={sub.ak},secret_access_key={sub.sk},endpoint='{sub.url}',region={REGION}:{sub.record}/{KEY}"
    options = ["--config", os.devnull, "--ca-cert", box.ca, "--retries", "1", "--low-level-retries", "1"]
    # It takes an authority from its own option or from this variable of the AWS SDKs, not from both.
    env = {name: value for name, value in os.environ.items() if name != "AWS_CA_BUNDLE"}
    run(tool("rclone"), *options, "copyto", source, remote, env=env)
    run(tool("rclone"), *options, "copyto", remote, target, env=env)


CLIENTS = {"boto3 V4": by_boto("s3v4"), "boto3 V2": by_boto("s3"), "aws-cli": by_aws_cli, "curl": by_curl, "s3cmd": by_s3cmd, "rclone": by_rclone}


@pytest.mark.parametrize("trip", CLIENTS.values(), ids=CLIENTS.keys())
def test_what_goes_up_over_tls_comes_back(box, sub, trip, tmp_path):
    source, target, data = tmp_path / "up", tmp_path / "down", payload(3 * MIB + 7, "tls")
    source.write_bytes(data)
    trip(box, sub, source, target)
    assert target.read_bytes() == data
    assert sub.listing() == {(sub.record, KEY): len(data)}


def test_trailers_come_in_chunks_without_a_length(box, sub, tmp_path):
    """Over TLS, and there only, the SDKs leave the payload unsigned and the length out."""
    seen, data = [], payload(2 * MIB + 5, "trailer")
    client = box.server.boto(sub.ak, sub.sk)
    client.meta.events.register("before-send.s3.PutObject", lambda request, **_: seen.append({k.lower(): v for k, v in request.headers.items()}))
    source = tmp_path / "up"
    source.write_bytes(data)
    with source.open("rb") as body:
        client.put_object(Bucket=sub.record, Key=KEY, Body=body, ChecksumAlgorithm="CRC32")
    said = {name: value.decode() if isinstance(value, bytes) else value for name, value in seen[0].items()}
    assert said["x-amz-content-sha256"] == "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    assert said["transfer-encoding"] == "chunked" and "content-length" not in said
    assert sub.get(sub.record, KEY) == data
    done = aws(sub, "s3api", "put-object", "--bucket", sub.record, "--key", "cli", "--body", source, "--debug")
    sent = done.stderr.decode(errors="replace")
    assert "STREAMING-UNSIGNED-PAYLOAD-TRAILER" in sent and "Transfer-Encoding': 'chunked'" in sent.replace('"', "'").replace("b'", "'")
    assert sub.get(sub.record, "cli") == data


def test_soap_stacks_are_led_to_https_and_call_it(box, account):
    wsdl = requests.get(box.server.wsdl_url, timeout=30).text
    assert re.findall(r'address location="([^"]+)"', wsdl) == [box.server.soap_url] * 2
    assert account.space()[0] == 1000  # zeep
    asked = json.dumps([["QueryUserSpace", {"Account": account.name, "Password": account.password}]])
    node = run("node", HERE / "soap-client.js", box.server.wsdl_url, "VideoCloudStorageSoap11", asked, env=node_environment())
    php = run(tool("php"), "-d", f"openssl.cafile={box.ca}", HERE / "soap-client.php", box.server.wsdl_url, "1.2", asked)
    for done in (node, php):
        assert int(json.loads(done.stdout)[0]["TotalSpace"]) == 1000


def test_every_url_that_is_handed_out_is_https(box, account, sub):
    assert all(account.opened[url].startswith("https://127.0.0.1:") for url in ("soap_url", "wsdl_url", "s3_url"))
    assert sub.url == account.opened["s3_url"] == box.server.s3_url
    sub.put(sub.record, KEY, b"video")
    (found,) = sub.search()[1]
    assert found.FileUrl.startswith("https://") and requests.get(found.FileUrl, timeout=30).content == b"video"
    form = sub.boto().generate_presigned_post(sub.picture, "a.jpg", ExpiresIn=60)
    answer = requests.post(form["url"], data=form["fields"], files={"file": b"x"}, timeout=30)
    assert answer.headers["location"].startswith("https://")
    upload = sub.boto().create_multipart_upload(Bucket=sub.record, Key="parts")["UploadId"]
    part = sub.boto().upload_part(Bucket=sub.record, Key="parts", UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    assert sub.boto().complete_multipart_upload(Bucket=sub.record, Key="parts", UploadId=upload, MultipartUpload=parts)["Location"].startswith("https://")


def test_ffmpeg_records_and_plays_over_tls(box, sub, tmp_path):
    trust = ["-tls_verify", "1", "-ca_file", box.ca]
    copy = tmp_path / "copy"
    ffmpeg(*SOURCE, "-t", "1", *CONTAINERS["mpegts"], copy)
    ffmpeg("-i", copy, "-c", "copy", "-f", "mpegts", *trust, "-method", "PUT", presigned(sub, "put", "clip.ts"))
    eventually(sub.listing, what="the recording, which may be committed after ffmpeg is gone")
    said = ffmpeg(*trust, "-i", presigned(sub, "get", "clip.ts"), "-map", "0:v", "-f", "framemd5", "-").stdout.decode()
    assert [line.rpartition(",")[2].strip() for line in said.splitlines() if line[0] != "#"] == frames(copy)


def test_who_does_not_trust_the_box_and_who_speaks_no_tls_of_today_is_refused(box):
    where = box.server.address("s3")
    for context, wanted in [
        (ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLCertVerificationError),
        (speaking(box, ssl.TLSVersion.TLSv1_1), ssl.SSLError),
        (speaking(box, ssl.TLSVersion.TLSv1_2), None),
        (speaking(box, ssl.TLSVersion.TLSv1_3), None),
    ]:
        with socket.create_connection(where, timeout=10) as plain:
            if wanted:
                with pytest.raises(wanted):
                    context.wrap_socket(plain, server_hostname="127.0.0.1")
            else:
                context.wrap_socket(plain, server_hostname="127.0.0.1").close()


def speaking(box, version):
    """A client of one version, and of the oldest ciphers that it has."""
    context = ssl.create_default_context(cafile=str(box.ca))
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    return context


def test_planes_with_and_without_tls_stand_side_by_side(box):
    server = box.server
    plain = "metrics" if server.scheme("portal") == "https" else "portal"
    for plane, path in (("s3", "/"), ("soap", "/"), ("portal", "/sign-in"), ("metrics", "/healthz")):
        assert server.scheme(plane) == ("http" if plane == plain else "https")
        assert requests.get(server.base(plane) + path, timeout=30).status_code < 500
        if plane != plain:
            refused = requests.get(f"http://{server.listen[plane]}{path}", timeout=30)
            assert (refused.status_code, refused.text) == (400, "this port speaks TLS; call https://\r\n")


def test_a_session_goes_over_tls_only(box):
    server = box.server
    code = re.search(r"setup code: (\S+)", server.log.read_text()).group(1)
    at = server.base("portal")
    assert f"{at}/setup" in server.log.read_text()
    answer = requests.post(at + "/setup", data={"code": code, "user": "ops", "password": "correct horse battery"}, headers={"Origin": at}, allow_redirects=False, timeout=30)
    assert answer.status_code == 303, answer.text
    cookie = answer.headers["set-cookie"]
    if at.startswith("https:"):
        assert cookie.startswith("__Host-kandian=") and "; Secure" in cookie and "Path=/;" in cookie
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
    else:
        assert cookie.startswith("kandian=") and "Secure" not in cookie and "strict-transport-security" not in answer.headers
    page = requests.get(at + "/overview", headers={"Cookie": cookie.split(";")[0]}, allow_redirects=False, timeout=30)
    assert page.status_code == 200


def fingerprint(where):
    """SHA-256 of what is shown there, as openssl writes it."""
    pem = ssl.get_server_certificate(where)
    done = run("openssl", "x509", "-noout", "-fingerprint", "-sha256", input=pem.encode())
    return done.stdout.decode().strip().partition("=")[2]


def test_operators_are_told_what_is_shown(box):
    server = box.server
    shown = fingerprint(server.address("s3"))
    certificates = server.json("certificate")["certificates"]
    assert {one["listener"] for one in certificates} == {p for p in ("s3", "soap", "portal", "metrics") if server.scheme(p) == "https"}
    assert {one["fingerprint"] for one in certificates} == {shown}
    assert all("127.0.0.1" in one["names"] for one in certificates)
    assert shown in server.log.read_text() and shown in server.cli("status")
    assert server.json("status")["certificates"] == certificates
    findings = {f["what"]: f for f in server.json("doctor", code=server.run("doctor").returncode)["findings"]}
    # openssl gave the file 30 days less an instant.
    verdict = "ok" if certificates[0]["from"] == "self-signed" else "warning"
    assert findings["certificate of s3"]["verdict"] == verdict
    if certificates[0]["from"] == "self-signed":
        kept = server.data / "self-signed.pem"
        assert kept.stat().st_mode & 0o777 == 0o600
        server.restart()
        assert fingerprint(server.address("s3")) == shown


def test_cameras_and_platforms_of_ours_speak_tls(box, account, tmp_path, new_server):
    done = run(BINARY, "sim", "cameras", "--soap", box.server.soap_url, "--account", account.name, "--cameras", 1, "--clips", 2, "--clip-size", "100KB", "--picture-size", 0, "--verify", "--json", "--ca", box.ca, env={**os.environ, "KANDIAN_SIM_PASSWORD": account.password})
    assert done.stdout
    told = run(BINARY, "sim", "cameras", "--soap", box.server.soap_url, "--account", account.name, env={**os.environ, "KANDIAN_SIM_PASSWORD": account.password}, check=False)
    assert told.returncode == 1 and b"nobody that is trusted here (--ca FILE, --insecure)" in told.stderr


def test_alerts_go_to_a_platform_with_a_private_authority(tmp_path, new_server):
    ca, port, out = authority(tmp_path), free_port(), tmp_path / "calls"
    cert, key = certify(tmp_path, "platform")
    platform = subprocess.Popen([BINARY, "sim", "platform", "--listen", f"127.0.0.1:{port}", "--cert", cert, "--key", key, "--out", out, "--json"], stdout=subprocess.DEVNULL)
    try:
        server = new_server(alerts__ca=ca, alerts__first_retry="100ms")
        sub = server.open_account(10, alert_url=f"https://127.0.0.1:{port}/services/AlertCallback").open_sub_account(1)
        sub.put(sub.record, "k", payload(MIB * 9 // 10, 1))
        calls = eventually(lambda: out.exists() and out.read_text(), what=lambda: server.cli("alerts", "list"))
        assert json.loads(calls.splitlines()[0])["s3ak"] == sub.ak
    finally:
        platform.kill()
        platform.wait()


def test_another_certificate_is_shown_at_a_reload_and_a_bad_one_never(tmp_path, new_server):
    ca = authority(tmp_path)
    (first, key), (second, second_key) = certify(tmp_path, "first"), certify(tmp_path, "second")
    first_text, key_text = first.read_bytes(), key.read_bytes()
    server = new_server(s3__tls__cert=first, s3__tls__key=key)
    where = server.address("s3")
    shown = fingerprint(where)
    context = ssl.create_default_context(cafile=str(ca))
    open_one = http.client.HTTPSConnection(*where, context=context, timeout=30)

    def answers():
        open_one.request("GET", "/")
        answer = open_one.getresponse()
        answer.read()
        return answer.status

    assert answers() == 403
    socket_before = open_one.sock
    first.write_bytes(second.read_bytes())
    # Half of a change: the key is not the certificate's.
    server.process.send_signal(signal.SIGHUP)
    eventually(lambda: "is not the one of the certificate" in server.log.read_text(), what=server.log_tail)
    assert "s3.tls.key" in server.log_tail() and fingerprint(where) == shown and answers() == 403
    refused = server.run("config", "check")
    assert refused.returncode == 1 and "s3.tls.key: " in refused.stderr and "is not the one of the certificate" in refused.stderr
    key.write_bytes(second_key.read_bytes())
    server.process.send_signal(signal.SIGHUP)
    eventually(lambda: fingerprint(where) != shown, what=server.log_tail)
    assert fingerprint(where) == run("openssl", "x509", "-in", second, "-noout", "-fingerprint", "-sha256").stdout.decode().strip().partition("=")[2]
    assert answers() == 403 and open_one.sock is socket_before
    # Back again by a command, which says what it did; nonsense changes nothing.
    first.write_bytes(first_text), key.write_bytes(key_text)
    assert server.json("config", "reload")["applied"] == ["s3.tls"] and fingerprint(where) == shown
    for spoil, words in [
        (lambda: first.write_text("nothing"), "there is no certificate in it"),
        (first.unlink, "cannot read"),
        (lambda: (first.write_bytes(first_text), key.chmod(0o644)), "can be read by everybody"),
    ]:
        spoil()
        refused = server.run("config", "reload")
        assert refused.returncode == 1 and words in refused.stderr, refused.stderr
        assert fingerprint(where) == shown and answers() == 403
    assert open_one.sock is socket_before


def test_a_server_does_not_start_without_its_certificate_and_says_why(tmp_path, new_server):
    authority(tmp_path)
    cert, key = certify(tmp_path, "box")
    server = new_server(start=False, s3__tls__cert=cert, s3__tls__key=tmp_path / "gone.key")
    refused = server.run("serve")
    assert refused.returncode == 1 and "s3.tls.key: cannot read" in refused.stderr, refused.stderr
    server = new_server(start=False, s3__tls__cert=cert)
    refused = server.run("config", "check")
    assert refused.returncode == 1 and "s3.tls needs s3.tls.key too" in refused.stderr, refused.stderr


def test_what_has_ended_is_served_with_a_warning(tmp_path, new_server):
    """A camera that does not look at dates still works; everybody else is told why not."""
    authority(tmp_path)
    cert, key = certify(tmp_path, "old", days=-1)
    server = new_server(s3__tls__cert=cert, s3__tls__key=key)
    assert fingerprint(server.address("s3"))
    eventually(lambda: "has ended" in server.log.read_text(), what=server.log_tail)
    assert "has ended" in server.cli("status")

"""What the suites stand on: a server as a child process, and hands to touch it from outside.

Nothing here knows the inside of the appliance. It is started as an operator starts it, and spoken to
through the command line, SOAP and S3.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.parse
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

import boto3
import requests
import zeep
from botocore.config import Config
from zeep.transports import Transport

import sigv4

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("KANDIAN_TEST_CACHE", ROOT / ".cache"))
BINARY = Path(os.environ.get("KANDIAN_BIN", ROOT / "target" / "release" / "kandian"))

KIB = 1 << 10
MIB = 1 << 20
REGION = "kandian"
NS = "urn:sjkd:video-cloud-storage:v1_2"
SOAP_PATH = "/services/VideoCloudStorage"
ENV11 = "http://schemas.xmlsoap.org/soap/envelope/"
ENV12 = "http://www.w3.org/2003/05/soap-envelope"

_SESSION = boto3.session.Session()
_SESSION_LOCK = threading.Lock()


def eventually(check, timeout=10.0, every=0.05, what=None):
    """Polls `check` until it gives something true, and gives that; fails with `what` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            said = what() if callable(what) else what
            raise AssertionError(f"not within {timeout} s: {said or check}; last: {value!r}")
        time.sleep(every)


def settled(read, quiet=0.6, timeout=10.0):
    """The value of `read()` once it has not changed for `quiet` seconds."""
    deadline = time.monotonic() + timeout
    last, since = read(), time.monotonic()
    while time.monotonic() - since < quiet:
        assert time.monotonic() < deadline, f"still changing after {timeout} s: {last!r}"
        time.sleep(0.05)
        now = read()
        if now != last:
            last, since = now, time.monotonic()
    return last


def payload(size, seed):
    """Bytes that are the same for the same seed and cannot be guessed from a part of them."""
    return random.Random(str(seed)).randbytes(size)


def sha(data):
    return hashlib.sha256(data).hexdigest()


def free_port():
    """A port that nobody listens on (just now)."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# --- secrets -----------------------------------------------------------------------------------------------

SECRETS = set()
SECRET_FILE_BYTES_MAX = 64 * MIB


def know(server, secret):
    """From now on this text may be in no answer that is a refusal, and in no log and no file of its appliance."""
    if len(secret) >= 8:
        SECRETS.add(secret.encode())
        server.secrets.add(secret.encode())
    return secret


def no_secret_in(what, data, secrets=SECRETS):
    """Fails where one of these is in it."""
    found = [secret for secret in secrets if secret in data]
    assert not found, f"a secret is in {what}: {found[0][:3]!r}… in {data[max(0, data.find(found[0]) - 80) :][:60]!r}"


# --- the appliance -----------------------------------------------------------------------------------------


class Server:
    """One appliance: a process, its data directory, and what it told us of itself."""

    def __init__(self, bytes_per_gb=MIB, **settings):
        # Short, because the control socket lives here and a socket's path has at most 107 bytes.
        self.home = Path(tempfile.mkdtemp(prefix="kd-"))
        self.data = self.home / "data"
        self.log = self.home / "server.log"
        self.settings = {
            "s3.listen": "127.0.0.1:0",
            "soap.listen": "127.0.0.1:0",
            "portal.listen": "127.0.0.1:0",
            "metrics.listen": "127.0.0.1:0",
            "space.bytes_per_gb": str(bytes_per_gb),
            "storage.reserve": "0%",
        }
        self.settings.update({k.replace("__", "."): str(v) for k, v in settings.items()})
        self.bytes_per_gb = bytes_per_gb
        # A command that starts the server instead of starting it directly: limits, tracers.
        self.before = []
        self.process = None
        self.listen = None
        self.counter = 0
        self.secrets = set()

    # --- life ---

    def globals(self):
        args = ["--data", str(self.data)]
        for key, value in self.settings.items():
            args += ["--set", f"{key}={value}"]
        return args

    def spawn(self):
        """Starts the process and waits for nothing."""
        assert self.process is None, "already running"
        if not BINARY.exists():
            raise AssertionError(f"{BINARY} is not there: cargo build --release (or set KANDIAN_BIN)")
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*self.before, str(BINARY), *self.globals(), "serve"],
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start(self, timeout=30.0):
        """Starts the server; returns the seconds from exec to ready (`listen.json` and an answer on S3)."""
        listen = self.data / "listen.json"
        # A file that SIGKILL left behind names the old process; readiness is judged by the pid.
        began = time.monotonic()
        self.spawn()

        def ready():
            assert self.process.poll() is None, (
                f"the server ended with {self.process.returncode} while starting:\n{self.log_tail()}"
            )
            try:
                said = json.loads(listen.read_text())
            except (FileNotFoundError, json.JSONDecodeError):
                return None
            if said.get("pid") != self.process.pid:
                return None
            self.listen = said
            try:
                with socket.create_connection(self.address("s3"), timeout=1) as s:
                    s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    return s.recv(12).startswith(b"HTTP/1.1 ")
            except OSError:
                return None

        eventually(ready, timeout, every=0.01, what=lambda: f"ready\n{self.log_tail()}")
        return time.monotonic() - began

    def stop(self, timeout=30.0):
        """SIGTERM, as an operator's init does it; the exit code must be 0."""
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"SIGTERM did not stop the server in {timeout} s\n{self.log_tail()}") from None
        assert code == 0, f"exit code {code} after SIGTERM\n{self.log_tail()}"

    def kill(self):
        """SIGKILL: the power goes."""
        process, self.process = self.process, None
        process.kill()
        process.wait()

    def restart(self):
        self.stop()
        return self.start()

    def discard(self):
        """Ends whatever runs and removes the data; the log's end goes to pytest's report of a failure."""
        if self.process is not None:
            if self.process.poll() is not None:
                print(f"the server had died by itself with {self.process.returncode}")
            self.process.kill()
            self.process.wait()
            self.process = None
        print(f"--- end of the server's log ---\n{self.log_tail()}")
        self.tells_no_secret()
        if not os.environ.get("KANDIAN_TEST_KEEP"):
            shutil.rmtree(self.home, ignore_errors=True)

    def tells_no_secret(self):
        """Log, journal (with the audit log), index and books have none of this appliance's secrets as they are."""
        kept = [path for path in [self.log, *self.data.rglob("*")] if path.suffix != ".kdv" and path.is_file()]
        for path in kept:
            if path.stat().st_size <= SECRET_FILE_BYTES_MAX:
                no_secret_in(path.name, path.read_bytes(), self.secrets)

    def log_tail(self, lines=40):
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return "(no log)"

    # --- ways in ---

    def address(self, plane):
        host, _, port = self.listen[plane].rpartition(":")
        return host.strip("[]"), int(port)

    def scheme(self, plane):
        """`https` where the settings give the listener a certificate."""
        told = self.settings.get(f"{plane}.tls", "off") != "off" or f"{plane}.tls.cert" in self.settings
        return "https" if told else "http"

    def base(self, plane):
        return f"{self.scheme(plane)}://{self.listen[plane]}"

    @property
    def s3_url(self):
        return self.base("s3")

    @property
    def soap_url(self):
        return self.base("soap") + SOAP_PATH

    @property
    def wsdl_url(self):
        return self.soap_url + "?wsdl"

    @property
    def alert_wsdl_url(self):
        return self.base("soap") + "/services/AlertCallback?wsdl"

    def run(self, *args, timeout=60.0, env=None):
        """Runs `kandian ARGS`; gives the finished process, whatever its exit code."""
        return subprocess.run(
            [str(BINARY), *self.globals(), *map(str, args)],
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**os.environ, **(env or {})},
        )

    def cli(self, *args, **kw):
        """Runs `kandian ARGS`, which must succeed; gives its standard output."""
        done = self.run(*args, **kw)
        assert done.returncode == 0, f"kandian {' '.join(map(str, args))}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def json(self, *args, code=0, **kw):
        """Runs `kandian ARGS --json`; gives what it printed."""
        done = self.run(*args, "--json", **kw)
        assert done.returncode == code, f"kandian {' '.join(map(str, args))}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return json.loads(done.stdout)

    def check_is_clean(self):
        """`index check` finds nothing wrong; gives how many objects it looked at."""
        report = self.json("index", "check")
        assert report["violations"] == [], report["violations"]
        return report["objects"]

    def open_account(self, space=1000, name=None, password="Pass-word1", alert_url=None, max_sub_accounts=None):
        """Opens an account with the command line, as operations staff do (6.1)."""
        self.counter += 1
        name = name or f"province{self.counter}"
        args = ["account", "open", name, "--space", space]
        if password is not None:
            args += ["--password", password]
        if alert_url is not None:
            args += ["--alert-url", alert_url]
        if max_sub_accounts is not None:
            args += ["--max-sub-accounts", max_sub_accounts]
        answer = self.json(*args)
        assert answer["account"] == name
        return Account(self, name, answer["password"], answer)

    def boto(self, ak, sk, signature="s3v4", endpoint=None, **config):
        return boto(endpoint or self.s3_url, ak, sk, signature, **config)

    def wire(self, ak, sk):
        return Wire(self.address("s3"), ak, sk)


# --- SOAP --------------------------------------------------------------------------------------------------


@dataclass
class Account:
    """An account, from the platform's side."""

    server: Server
    name: str
    password: str
    opened: dict
    _clients: dict = field(default_factory=dict)

    def __post_init__(self):
        know(self.server, self.password)

    def service(self, version="1.1"):
        """A zeep client of one port, made from the WSDL that the appliance serves."""
        key = (version, self.server.wsdl_url)
        if key not in self._clients:
            client = zeep.Client(self.server.wsdl_url, transport=Transport(timeout=30, operation_timeout=60))
            port = {"1.1": "VideoCloudStorageSoap11", "1.2": "VideoCloudStorageSoap12"}[version]
            self._clients[key] = client.bind("VideoCloudStorageService", port)
        return self._clients[key]

    def call(self, operation, version="1.1", **fields):
        """One call with this account's name and password; `Result` alone comes as an int (zeep unwraps it)."""
        fields = {"Account": self.name, "Password": self.password, **fields}
        return getattr(self.service(version), operation)(**fields)

    def result(self, operation, version="1.1", **fields):
        answer = self.call(operation, version, **fields)
        return answer if isinstance(answer, int) else answer.Result

    def open_sub_account(self, space=1, loop=False, version="1.1"):
        a = self.call("OpenSubAccount", version, StorageSpace=space)
        assert a.Result == 0, f"OpenSubAccount: {a.Result}"
        sub = SubAccount(self, a.S3AK, a.S3SK, a.S3URL, a.S3RecordBucket, a.S3PictureBucket, space)
        if loop:
            assert sub.result("SetSubAccountSpacePolicy", SpaceLoop=1) == 0
        return sub

    def space(self):
        a = self.call("QueryUserSpace")
        assert a.Result == 0
        return a.TotalSpace, a.FreeSpace

    def admin(self):
        """The account's administration key."""
        said = self.server.json("account", "key", self.name)
        return said["ak"], know(self.server, said["sk"])


@dataclass
class SubAccount:
    """A sub-account: the platform's handle on it, and the camera's."""

    account: Account
    ak: str
    sk: str
    url: str
    record: str
    picture: str
    space: int
    _boto: dict = field(default_factory=dict)

    def __post_init__(self):
        know(self.server, self.sk)

    @property
    def server(self):
        return self.account.server

    @property
    def bytes(self):
        return self.space * self.server.bytes_per_gb

    @property
    def keys(self):
        return {"S3AK": self.ak, "S3SK": self.sk}

    def call(self, operation, version="1.1", **fields):
        return self.account.call(operation, version, **{**self.keys, **fields})

    def result(self, operation, version="1.1", **fields):
        return self.account.result(operation, version, **{**self.keys, **fields})

    def search(self, type=0, start="", end="", page=1, size=10000, version="1.1"):
        """7.7; gives (TotalFileNum, list of FileInfo)."""
        a = self.call(
            "SearchSubAccountFiles", version, StartDateTime=start, EndDateTime=end, PageNo=page, PageSize=size, Type=type
        )
        assert a.Result == 0, a
        return a.TotalFileNum, file_infos(a)

    def lock(self, name, flag=1):
        assert self.result("LockSubAccountFile", FileName=name, LockFlag=flag) == 0

    def clear(self):
        return self.result("ClearSubAccountFiles")

    def close(self):
        assert self.result("CloseSubAccount") == 0

    def free_space(self):
        a = self.call("QuerySubAccountSpace")
        assert a.Result == 0
        return a.FreeSpace

    def view(self):
        """What operations staff see: `sub-account show`."""
        return self.server.json("sub-account", "show", self.ak)

    def boto(self, signature="s3v4"):
        key = (signature, self.server.s3_url)
        if key not in self._boto:
            self._boto[key] = self.server.boto(self.ak, self.sk, signature)
        return self._boto[key]

    def wire(self):
        return self.server.wire(self.ak, self.sk)

    def put(self, bucket, key, data, **kw):
        return self.boto().put_object(Bucket=bucket, Key=key, Body=data, **kw)

    def get(self, bucket, key):
        return self.boto().get_object(Bucket=bucket, Key=key)["Body"].read()

    def listing(self):
        """All files of both buckets over S3: {(bucket, key): size}."""
        found = {}
        for bucket in (self.record, self.picture):
            for page in self.boto().get_paginator("list_objects_v2").paginate(Bucket=bucket):
                for item in page.get("Contents", []):
                    found[bucket, item["Key"]] = item["Size"]
        return found


def file_infos(answer):
    """The files of a 7.7 answer as a list, however empty."""
    return list(answer.FileInfoList.FileInfo or []) if answer.FileInfoList is not None else []


def envelope(operation, fields, ns=NS, env=ENV11, header=""):
    """A request as a hand-built string, the way old platforms make it. `fields` is a list of pairs or a dict."""
    pairs = fields.items() if isinstance(fields, dict) else fields
    inner = "".join(f"<{k}>{escape(str(v))}</{k}>" for k, v in pairs)
    attr = f' xmlns="{ns}"' if ns else ""
    head = f"<e:Header>{header}</e:Header>" if header else ""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><e:Envelope xmlns:e="{env}">{head}'
        f"<e:Body><{operation}{attr}>{inner}</{operation}></e:Body></e:Envelope>"
    )


@dataclass
class Answer:
    """An HTTP answer of the SOAP plane."""

    status: int
    headers: dict
    body: bytes

    def __post_init__(self):
        if self.status >= 400:
            no_secret_in("a refusal", self.body)

    @property
    def text(self):
        return self.body.decode("utf-8")

    def value(self, name):
        """The text of the first element of this local name, or None."""
        for element in ET.fromstring(self.body).iter():
            if element.tag.rpartition("}")[2] == name:
                return element.text or ""
        return None

    @property
    def result(self):
        value = self.value("Result")
        assert value is not None, f"{self.status}: no Result in {self.body[:500]!r}"
        return int(value)

    def names(self):
        """The local names of the fields, in order."""
        wrapper = list(ET.fromstring(self.body).iter("{%s}Body" % self.env()))[0][0]
        return [child.tag.rpartition("}")[2] for child in wrapper]

    def env(self):
        return re.match(r"\{(.*)\}", ET.fromstring(self.body).tag).group(1)

    def fault(self):
        """(code without prefix, reason), or None."""
        root = ET.fromstring(self.body)
        for fault in root.iter("{%s}Fault" % self.env()):
            if self.env() == ENV11:
                return fault.findtext("faultcode").rpartition(":")[2], fault.findtext("faultstring")
            code = fault.findtext("{%s}Code/{%s}Value" % (ENV12, ENV12)).rpartition(":")[2]
            return code, fault.findtext("{%s}Reason/{%s}Text" % (ENV12, ENV12))
        return None


def post(server, body, headers=None, path=SOAP_PATH, method="POST"):
    """One request to the SOAP plane with exactly these bytes and headers."""
    body = body.encode("utf-8") if isinstance(body, str) else body
    send = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": '""'}
    send.update(headers or {})
    send = {k: v for k, v in send.items() if v is not None}
    connection = http.client.HTTPConnection(*server.address("soap"), timeout=30)
    try:
        connection.request(method, path, body=body, headers=send)
        answer = connection.getresponse()
        return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def soap(account, operation, env=ENV11, headers=None, **fields):
    """One call as a hand-built string; far cheaper than zeep, for load."""
    pairs = {"Account": account.name, "Password": account.password, **fields}
    kind = "text/xml; charset=utf-8" if env == ENV11 else "application/soap+xml; charset=utf-8"
    return post(account.server, envelope(operation, pairs, env=env), {"Content-Type": kind, **(headers or {})})


# --- S3 ----------------------------------------------------------------------------------------------------


def boto(endpoint, ak, sk, signature="s3v4", **config):
    """A boto3 client: V4 (`s3v4`) or V2 (`s3`), path style, no silent retries."""
    settings = {
        "signature_version": signature,
        "s3": {"addressing_style": "path"},
        "retries": {"total_max_attempts": 1},
        "connect_timeout": 10,
        "read_timeout": 60,
        "max_pool_connections": 32,
        **config,
    }
    with _SESSION_LOCK:
        return _SESSION.client(
            "s3",
            endpoint_url=endpoint,
            region_name=REGION,
            aws_access_key_id=ak,
            aws_secret_access_key=sk,
            config=Config(**settings),
        )


@dataclass
class Reply:
    """An HTTP answer of the S3 plane."""

    status: int
    headers: dict
    body: bytes

    def __post_init__(self):
        if self.status >= 400:
            no_secret_in("a refusal", self.body)

    @property
    def code(self):
        """The S3 error code, or None."""
        if not self.body.startswith(b"<"):
            return None
        try:
            root = ET.fromstring(self.body)
        except ET.ParseError:
            return None
        return root.findtext("Code") if root.tag.rpartition("}")[2] == "Error" else None


class Wire:
    """S3 by hand: one keep-alive connection, SigV4, payload unsigned. For load, and for what clients never send."""

    def __init__(self, address, ak, sk):
        self.address, self.ak, self.sk = address, ak, sk
        self.connection = None

    @property
    def host(self):
        return f"{self.address[0]}:{self.address[1]}"

    def sign(self, method, path, query, headers, body, **sign):
        """The request target and the headers, signed."""
        return sigv4.signed(method, self.host, path, query, headers, body, self.ak, self.sk, REGION, **sign)

    def request(self, method, path, query=None, body=b"", headers=None, **sign):
        """One signed request; `path` is raw (`/bucket/key`, not encoded). Raises OSError where the server is gone."""
        target, signed = self.sign(method, path, query or {}, dict(headers or {}), body, **sign)
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(*self.address, timeout=30)
                self.connection.connect()
                self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connection.request(method, target, body=body if body or method in ("PUT", "POST") else None, headers=signed)
            answer = self.connection.getresponse()
            reply = Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
            if answer.will_close:
                self.close()
            return reply
        except (http.client.HTTPException, OSError) as error:
            self.close()
            raise OSError(str(error) or type(error).__name__) from error

    def put(self, bucket, key, body, **kw):
        return self.request("PUT", f"/{bucket}/{key}", body=body, **kw)

    def get(self, bucket, key, **kw):
        return self.request("GET", f"/{bucket}/{key}", **kw)

    def delete(self, bucket, key, **kw):
        return self.request("DELETE", f"/{bucket}/{key}", **kw)

    def listing(self, bucket):
        """{key: (size, etag)} of one bucket."""
        found, token = {}, None
        while True:
            query = {"list-type": "2", **({"continuation-token": token} if token else {})}
            reply = self.request("GET", f"/{bucket}", query)
            assert reply.status == 200, reply
            root = ET.fromstring(re.sub(rb' xmlns="[^"]*"', b"", reply.body, count=1))
            for item in root.iter("Contents"):
                found[item.findtext("Key")] = (int(item.findtext("Size")), item.findtext("ETag").strip('"'))
            token = root.findtext("NextContinuationToken")
            if not token:
                return found

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None


def raw(address, data, timeout=20.0, half_close=False):
    """Sends exactly `data` and gives everything that comes back until the server closes or has answered."""
    with socket.create_connection(address, timeout=timeout) as s:
        try:
            s.sendall(data)
            if half_close:
                s.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before the end of the body: the answer may still be there
        return read_reply(s, data.partition(b" ")[0].decode("latin-1"))


def read_reply(s, method=None):
    """Reads one HTTP answer from a socket; None where the connection ended without one. An answer to HEAD has no body."""
    response = http.client.HTTPResponse(s, method=method)
    try:
        response.begin()
        return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    except (http.client.BadStatusLine, ConnectionResetError, http.client.IncompleteRead):
        return None


def error_code(call, **kw):
    """(status, code) of a boto3 call that must fail."""
    from botocore.exceptions import ClientError

    try:
        call(**kw)
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
    raise AssertionError("the call succeeded")


def aws_environment(ak, sk, extra=None):
    """An environment in which only these credentials are known."""
    keep = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    return {
        **keep,
        "AWS_ACCESS_KEY_ID": ak,
        "AWS_SECRET_ACCESS_KEY": sk,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_PAGER": "",
        "AWS_MAX_ATTEMPTS": "1",
        **(extra or {}),
    }


def tool(name):
    """The path of a client: from the tests' own venv or tools, else from the system."""
    ours = [CACHE / place / "bin" / name for place in ("venv", "tools")]
    found = next((str(here) for here in ours if here.exists()), None) or shutil.which(name)
    assert found, f"{name} is not installed: run scripts/test, which installs it"
    return found


def run(*command, env=None, timeout=120, check=True, **kw):
    done = subprocess.run([str(c) for c in command], env=env, timeout=timeout, capture_output=True, **kw)
    if check:
        assert done.returncode == 0, f"{command}: exit {done.returncode}\n{done.stdout[-2000:]!r}\n{done.stderr[-2000:]!r}"
    return done


def aws(sub, *args, **kw):
    """aws-cli against the sub-account's S3URL."""
    return run(tool("aws"), "--endpoint-url", sub.url, *args, env=aws_environment(sub.ak, sub.sk), **kw)


def node_environment():
    return {**os.environ, "NODE_PATH": str(CACHE / "node" / "node_modules")}


def url_get(url, headers=None, method="GET"):
    """A plain GET, as a phone's player does it: no credentials but those in the URL."""
    answer = requests.request(method, url, headers=headers or {}, timeout=30)
    return Reply(answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, answer.content)


def quote(key):
    return urllib.parse.quote(key, safe="")


# --- the platform ------------------------------------------------------------------------------------------


class AlertReceiver:
    """The platform's alert service, generated by node `soap` from the WSDL that the appliance serves."""

    def __init__(self, server, home, accounts=None, port=0):
        self.record = Path(home) / f"alerts-{os.urandom(4).hex()}.jsonl"
        wsdl = self.record.with_suffix(".wsdl")
        wsdl.write_bytes(requests.get(server.alert_wsdl_url, timeout=30).content)
        self.record.touch()
        self.process = subprocess.Popen(
            ["node", str(HERE / "alert-server.js"), str(wsdl), str(self.record), str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=node_environment(),
        )
        first = self.process.stdout.readline()
        assert first, "alert-server.js did not start"
        self.port = json.loads(first)["port"]
        self.url = f"http://127.0.0.1:{self.port}/services/AlertCallback"
        self.control(mode="ok", accounts=accounts or {})

    def control(self, **what):
        """`mode`: ok, result (with `result`), fault, hang, reset, status (with `status`); `accounts`: {name: password}."""
        self.process.stdin.write(json.dumps(what).encode() + b"\n")
        self.process.stdin.flush()
        assert json.loads(self.process.stdout.readline()) == {"did": True}

    def all(self):
        """Everything that came, in order: Account, Password, S3AK, S3SK, AlertType, at (seconds), answer, raw, headers."""
        return [json.loads(line) for line in self.record.read_text().splitlines()]

    def of(self, sub, answered=None):
        """What came for one sub-account; `answered` filters by what was answered."""
        return [
            a for a in self.all() if a.get("S3AK") == sub.ak and (answered is None or a["answer"] == answered)
        ]

    def wait(self, sub, count, timeout=15.0, answered=None):
        return eventually(
            lambda: (lambda found: found if len(found) >= count else None)(self.of(sub, answered)),
            timeout,
            what=lambda: f"{count} alerts; came: {[(a.get('S3AK'), a.get('AlertType'), a['answer']) for a in self.all()]}",
        )

    def stop(self):
        self.process.kill()
        self.process.wait()


# --- the rules, once more and from outside -----------------------------------------------------------------


class LoopModel:
    """What a looping sub-account must hold after sequential uploads (sections 3 and 6.6), predicted from outside."""

    def __init__(self, space, overwrite=90, free=20):
        self.space, self.overwrite, self.free = space, overwrite, free
        self.files = []  # oldest first: [bucket, key, size, locked]
        self.sweeps = []  # each: the sizes of the files that went, in order

    @property
    def used(self):
        return sum(f[2] for f in self.files)

    def names(self):
        return {(f[0], f[1]): f[2] for f in self.files}

    def lock(self, bucket, key):
        for f in self.files:
            if (f[0], f[1]) == (bucket, key):
                f[3] = True
                return
        raise KeyError(key)

    def put(self, bucket, key, size):
        """One upload; gives the (bucket, key) of the files that go for it."""
        gone = []
        if self.used + size > self.space:
            gone += self._sweep(max(self._share(), self.used + size - self.space))
        self.files.append([bucket, key, size, False])
        if self.used * 100 > self.space * self.overwrite:
            gone += self._sweep(self._share())
        return gone

    def _share(self):
        return -(-self.space * self.free // 100)

    def _sweep(self, wanted):
        freed, gone = 0, []
        for f in list(self.files):
            if freed >= wanted:
                break
            if not f[3]:
                self.files.remove(f)
                freed += f[2]
                gone.append(f)
        self.sweeps.append([f[2] for f in gone])
        return [(f[0], f[1]) for f in gone]

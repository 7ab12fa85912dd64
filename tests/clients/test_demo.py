"""`kandian demo`: a province in a box, with real video, alerts that come, an overwrite that is seen, and nothing left."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import boto3
import pytest
import requests
from botocore.config import Config
from botocore.exceptions import ClientError
from harness import BINARY, MIB, eventually, tool


class Demo:
    """A demonstration, and what it said of itself."""

    def __init__(self, home, *words, env=None):
        self.home = home
        self.log = open(home / "demo.log", "wb")
        self.process = subprocess.Popen(
            [BINARY, "demo", "--json", "--dir", home, "--console", "127.0.0.1:0", *words],
            stdout=subprocess.PIPE,
            stderr=self.log,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(env or {})},
        )
        line = self.process.stdout.readline()
        assert line, (home / "demo.log").read_text()
        self.said = json.loads(line)
        self.console = self.said["console"].rstrip("/")

    def sub(self, name):
        return next(s for s in self.said["sub_accounts"] if name in s["name"])

    def s3(self, sub):
        config = Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1})
        return boto3.client(
            "s3", endpoint_url=self.said["s3"], aws_access_key_id=sub["ak"], aws_secret_access_key=sub["sk"],
            region_name="kandian", config=config,
        )  # fmt: skip

    def keys(self, sub, bucket="record_bucket"):
        return [o["Key"] for o in self.s3(sub).list_objects_v2(Bucket=sub[bucket]).get("Contents", [])]

    def news(self, kind, sub):
        found = requests.get(f"{self.console}/api/news", timeout=30).json()
        return [n for n in found if n["kind"] == kind and (kind != "alert" or n["alert"]["s3ak"] == sub["ak"])]

    def fill(self, percent, *words):
        done = subprocess.run(
            [BINARY, "demo", "fill", str(percent), "--dir", self.home, *words],
            capture_output=True, text=True, timeout=90, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def end(self):
        """Ctrl-C: it ends well, and takes everything with it."""
        directory = Path(self.said["directory"])
        assert directory.is_dir()
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(30) == 0, (self.home / "demo.log").read_text()
        assert not directory.exists() and not Path(f"/proc/{self.said['pid']}").exists()

    def discard(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()


@pytest.fixture
def tmp_path():
    """A short one: the control socket lies below it, and a socket's path has at most 107 bytes."""
    home = Path(tempfile.mkdtemp(prefix="kd-"))
    yield home
    shutil.rmtree(home)


@pytest.fixture
def new_demo(tmp_path):
    made = []

    def make(*words, **kw):
        made.append(Demo(tmp_path, *words, **kw))
        return made[-1]

    yield make
    for demo in made:
        demo.discard()


def probe(path):
    said = subprocess.run(
        [tool("ffprobe"), "-v", "error", "-show_entries", "stream=codec_name:format=duration", "-of", "json", path],
        capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    said = json.loads(said.stdout)
    return said["streams"][0]["codec_name"], float(said["format"]["duration"])


def test_a_province_in_a_box(new_demo, tmp_path):
    demo = new_demo("--shops", "1", "--cameras", "2")
    assert demo.said["footage"] == "ffmpeg"
    camera, stops, loops = demo.sub("门口"), demo.sub("满则停"), demo.sub("循环覆盖")

    # Cameras upload real video and pictures.
    key = eventually(lambda: demo.keys(camera), 30, what="a recording")[0]
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(demo.s3(camera).get_object(Bucket=camera["record_bucket"], Key=key)["Body"].read())
    codec, seconds = probe(clip)
    assert codec == "h264" and 9 < seconds < 11
    assert eventually(lambda: demo.keys(camera, "picture_bucket"), 30, what="a picture")

    # Users of both portals sign in with what was printed.
    for user in demo.said["users"]:
        form = {"user": user["name"], "password": user["password"]}
        answer = requests.post(f"{demo.said['portal']}/sign-in", data=form, allow_redirects=False, timeout=30)
        assert answer.status_code == 303, (user["role"], answer.text)
        page = requests.get(f"{demo.said['portal']}/cameras", cookies=answer.cookies, timeout=30).text
        assert camera["name"] in page, user["role"]

    # 79 % is calm, 81 % warns: the platform gets it, the password is right.
    assert "79 %" in demo.fill(79)
    assert demo.news("alert", stops) == []
    said = demo.fill(81)
    assert "现为 81 %" in said and "nearly used up; account and password right; result 0" in said, said
    assert [n["alert"]["alert"] for n in demo.news("alert", stops)] == ["nearly_full"]
    demo.fill(100, "--sub-account", stops["ak"])
    assert [n["alert"]["alert"] for n in demo.news("alert", stops)] == ["nearly_full", "full"]
    with pytest.raises(ClientError, match="QuotaExceeded"):
        demo.s3(stops).put_object(Bucket=stops["record_bucket"], Key="more.mp4", Body=b"x" * 1000)

    # What overwrites loses its oldest instead, and nobody is told.
    filled = json.loads(demo.fill(81, "--sub-account", loops["ak"], "--json"))
    assert (filled["percent"], filled["overwritten"]) == (81, 0)
    before = demo.keys(loops)
    filled = json.loads(demo.fill(100, "--sub-account", loops["name"], "--json"))
    assert filled["overwritten"] > 0 and filled["percent"] <= 90, filled
    gone = set(before) - set(demo.keys(loops))
    assert gone == set(sorted(before)[: len(gone)]) and len(gone) == filled["overwritten"], "the oldest"
    assert demo.news("alert", loops) == []
    clip.write_bytes(demo.s3(loops).get_object(Bucket=loops["record_bucket"], Key=demo.keys(loops)[-1])["Body"].read())
    assert clip.stat().st_size > 2 * MIB and probe(clip)[0] == "h264", "fillers are video too"

    # And down again: cleared, then filled.
    filled = json.loads(demo.fill(79, "--sub-account", stops["ak"], "--json"))
    assert (filled["percent"], filled["cleared"]) == (79, True)
    demo.end()


def test_time_is_driven_a_day_in_a_minute(new_demo):
    demo = new_demo("--shops", "1", "--cameras", "1", "--at", "2027-03-01T08:00", "--speed", "1440", "--no-ffmpeg")
    assert demo.said["footage"] == "built in"
    camera = demo.sub("门口")

    def found():
        words = ["soap", "call", "7.7", f"Account={demo.said['account']['name']}", f"Password={demo.said['account']['password']}"]
        words += [f"S3AK={camera['ak']}", f"S3SK={camera['sk']}", "StartDateTime=2027-03-01 00:00:00", "EndDateTime=2027-03-31 00:00:00"]
        words += ["PageNo=1", "PageSize=1000", "Type=0", "--soap", demo.said["soap"], "--json"]
        done = subprocess.run([BINARY, *words], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout
        return int(json.loads(done.stdout)["fields"]["TotalFileNum"])

    # A recording each twelve minutes of that time: five hours of it within half a minute.
    eventually(lambda: found() >= 25, 60, what=found)
    # A client of today is a stranger there.
    with pytest.raises(ClientError, match="RequestTimeTooSkewed"):
        demo.s3(camera).list_objects_v2(Bucket=camera["record_bucket"])
    demo.end()


def test_a_driven_clock_is_refused_on_somebody_elses_directory(tmp_path):
    now = int(time.time() * 1000)
    done = subprocess.run(
        [BINARY, "serve", "--data", tmp_path / "data", "--demo-clock", f"{now},{now},60", "--set", "s3.listen=127.0.0.1:0",
         "--set", "soap.listen=127.0.0.1:0", "--set", "portal.listen=127.0.0.1:0", "--set", "metrics.listen=127.0.0.1:0"],
        capture_output=True, text=True, timeout=60, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1 and "made-by-kandian-demo" in done.stderr, done.stderr
    assert not (tmp_path / "data").exists() or not any((tmp_path / "data").iterdir())


def test_without_ffmpeg_and_with_what_is_wrong(new_demo, tmp_path):
    empty = tmp_path / "bin"
    empty.mkdir()
    demo = new_demo("--shops", "1", "--cameras", "1", env={"PATH": str(empty)})
    assert demo.said["footage"] == "built in"
    key = eventually(lambda: demo.keys(demo.sub("门口")), 30, what="a recording")[0]
    clip = tmp_path / "clip.mp4"
    camera = demo.sub("门口")
    clip.write_bytes(demo.s3(camera).get_object(Bucket=camera["record_bucket"], Key=key)["Body"].read())
    assert probe(clip)[0] == "h264"
    for words, said in [(["fill", "81", "--sub-account", "nobody"], "no such sub-account"), (["fill", "900"], "900")]:
        done = subprocess.run([BINARY, "demo", *words, *([] if "900" in words else ["--dir", tmp_path])], capture_output=True, text=True, timeout=60)
        assert done.returncode != 0 and said in done.stderr, done.stderr
    demo.end()
    done = subprocess.run([BINARY, "demo", "fill", "81", "--dir", tmp_path], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "no demonstration runs" in done.stderr
    assert shutil.which("ffmpeg"), "the first test needs it"

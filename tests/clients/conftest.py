"""Fixtures: a server a test or a module, the platform's alert service, real media."""

import os
import subprocess

import pytest

os.environ.setdefault("NO_PROXY", "127.0.0.1,localhost")
os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")

from harness import AlertReceiver, Server, tool  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="also run what takes minutes")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--long"):
        skip = pytest.mark.skip(reason="needs --long")
        for item in items:
            if "long" in item.keywords:
                item.add_marker(skip)


@pytest.fixture(scope="module")
def server():
    """One appliance for all tests of a file: 1 GB is 1 MiB."""
    s = Server()
    s.start()
    yield s
    try:
        if s.process is not None and s.process.poll() is None:
            s.stop()
    finally:
        s.discard()


@pytest.fixture
def new_server():
    """Makes appliances of a test's own: `new_server(bytes_per_gb=…, alerts__first_retry="100ms")`."""
    made = []

    def make(start=True, **kw):
        s = Server(**kw)
        made.append(s)
        if start:
            s.start()
        return s

    yield make
    for s in made:
        s.discard()


@pytest.fixture
def new_platform(tmp_path):
    """Makes alert services: `new_platform(server, {account: password})`."""
    made = []

    def make(server, accounts=None, port=0):
        platform = AlertReceiver(server, tmp_path, accounts, port)
        made.append(platform)
        return platform

    yield make
    for platform in made:
        platform.stop()


@pytest.fixture(scope="session")
def media(tmp_path_factory):
    """Real video and pictures, made once: {"clips": [MP4 paths], "pictures": [JPEG paths]}."""
    home = tmp_path_factory.mktemp("media")
    ffmpeg = tool("ffmpeg")

    def make(*args):
        subprocess.run([ffmpeg, "-v", "error", "-y", *args], check=True, timeout=120, stdin=subprocess.DEVNULL)

    clips, pictures = [], []
    for seconds, size in ((2, "320x240"), (4, "320x240"), (6, "640x360"), (10, "320x240")):
        path = home / f"clip-{seconds}s.mp4"
        make(
            "-f", "lavfi", "-i", f"testsrc2=size={size}:rate=15:duration={seconds}",
            "-c:v", "libx264", "-preset", "ultrafast", "-b:v", "160k", "-maxrate", "160k", "-bufsize", "160k",
            "-pix_fmt", "yuv420p", "-movflags", "+faststart", str(path),
        )  # fmt: skip
        clips.append(path)
    for second in (0, 1, 2):
        path = home / f"picture-{second}.jpg"
        make("-ss", str(second), "-i", str(clips[1]), "-frames:v", "1", "-q:v", "4", str(path))
        pictures.append(path)
    return {"clips": clips, "pictures": pictures}

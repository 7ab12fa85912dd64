"""Recordings and pictures as cameras make them, by Debian's ffmpeg: small, and the same each time."""

import subprocess
import tempfile
from functools import cache
from pathlib import Path

from harness import tool


def ffmpeg(*args):
    subprocess.run(
        [tool("ffmpeg"), "-nostdin", "-v", "error", "-y", *args], check=True, timeout=120, stdin=subprocess.DEVNULL
    )


@cache
def clip(seconds=6):
    """A recording that browsers play: H.264 and AAC in an MP4, its directory at its end, as cameras leave it."""
    with tempfile.TemporaryDirectory() as home:
        file = Path(home) / "clip.mp4"
        ffmpeg(
            *("-f", "lavfi", "-i", f"testsrc2=size=320x180:rate=10:duration={seconds}"),
            *("-f", "lavfi", "-i", f"sine=frequency=440:duration={seconds}"),
            *("-c:v", "libx264", "-preset", "ultrafast", "-g", "10", "-pix_fmt", "yuv420p"),
            *("-c:a", "aac", "-b:a", "32k", "-shortest", str(file)),
        )
        return file.read_bytes()


@cache
def pictures(count=24):
    """So many JPEGs, each another."""
    with tempfile.TemporaryDirectory() as home:
        source = f"testsrc2=size=320x180:rate=1:duration={count}"
        ffmpeg("-f", "lavfi", "-i", source, "-q:v", "9", str(Path(home) / "%03d.jpg"))
        return [file.read_bytes() for file in sorted(Path(home).glob("*.jpg"))]

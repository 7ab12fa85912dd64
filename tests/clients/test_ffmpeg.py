"""ffmpeg and ffprobe on presigned URLs: no length, HTTP chunks, and a client that closes without reading the answer."""

import json
import subprocess
import urllib.parse

import pytest

from harness import eventually, payload, run, settled, sha, tool, url_get

SOURCE = ["-f", "lavfi", "-i", "testsrc2=size=320x240:rate=15", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "15"]


@pytest.fixture(scope="module")
def account(server):
    return server.open_account(100_000)


@pytest.fixture
def sub(account):
    return account.open_sub_account(100)


def ffmpeg(*args, check=True):
    return run(tool("ffmpeg"), "-nostdin", "-v", "error", "-y", *args, check=check)


def presigned(sub, method, key, bucket=None, signature="s3v4", **params):
    where = {"Bucket": bucket or sub.record, "Key": key, **params}
    return sub.boto(signature).generate_presigned_url(f"{method}_object", Params=where, ExpiresIn=600)


def probe(url):
    return json.loads(run(tool("ffprobe"), "-v", "error", "-of", "json", "-show_format", "-show_streams", url).stdout)


def frames(url, *seek):
    """The MD5 of each frame that is decoded from `url`."""
    said = ffmpeg(*seek, "-i", url, "-map", "0:v", "-f", "framemd5", "-").stdout.decode()
    return [line.rpartition(",")[2].strip() for line in said.splitlines() if not line.startswith("#")]


CONTAINERS = {
    "mpegts": ["-f", "mpegts"],
    "mp4 in fragments": ["-f", "mp4", "-movflags", "frag_keyframe+empty_moov+default_base_moof"],
    "matroska": ["-f", "matroska"],
}


@pytest.mark.parametrize("signature", ["s3v4", "s3"], ids=["V4", "V2"])
@pytest.mark.parametrize("container", CONTAINERS)
def test_what_ffmpeg_records_into_a_url_is_kept_to_the_last_byte(sub, tmp_path, container, signature):
    """The same stream goes into a file and over HTTP; ffmpeg ends without looking at the answer."""
    copy, key = tmp_path / "copy", "2014/03/28/录像 live"
    ffmpeg(*SOURCE, "-t", "4", *CONTAINERS[container], "-fflags", "+bitexact", copy)
    ffmpeg("-i", copy, "-c", "copy", *CONTAINERS[container], "-fflags", "+bitexact", "-method", "PUT", presigned(sub, "put", key, signature=signature))
    eventually(lambda: sub.listing(), what="the recording, which may be committed after ffmpeg is gone")
    ffmpeg("-i", copy, "-c", "copy", *CONTAINERS[container], "-fflags", "+bitexact", tmp_path / "again")
    kept = sub.get(sub.record, key)
    if container != "matroska":  # which goes back into what it has written where it can seek
        assert sha(kept) == sha((tmp_path / "again").read_bytes())
    url = presigned(sub, "get", key, signature=signature)
    assert len(frames(url)) == 60
    assert frames(url) == frames(copy)
    assert probe(url)["streams"][0]["codec_name"] == "h264"
    assert sub.view()["reserved_bytes"] == 0


@pytest.mark.parametrize("signature", ["s3v4", "s3"], ids=["V4", "V2"])
def test_players_seek_in_what_they_read(sub, tmp_path, signature):
    """An MP4 whose index is at its end is found by ranges, and a place in its middle too."""
    film = tmp_path / "film.mp4"
    ffmpeg(*SOURCE, "-t", "20", "-b:v", "2M", "-minrate", "2M", "-maxrate", "2M", "-bufsize", "1M", "-nal-hrd", "cbr", film)
    assert film.read_bytes().rfind(b"moov") > film.stat().st_size // 2, "its index is at the end"
    sub.boto().upload_file(str(film), sub.record, "film.mp4", ExtraArgs={"ContentType": "video/mp4"})
    url = presigned(sub, "get", "film.mp4", signature=signature)
    assert abs(float(probe(url)["format"]["duration"]) - 20) < 0.2
    found = frames(url, "-ss", "15")
    assert len(found) == 75 and found == frames(film, "-ss", "15")
    assert frames(url, "-ss", "3", "-t", "1") == frames(film, "-ss", "3", "-t", "1")
    [info] = sub.search()[1]
    assert abs(float(probe(info.FileUrl)["format"]["duration"]) - 20) < 0.2, "the platform's own link as well"


def test_snapshots_are_replaced_and_kept(sub, tmp_path):
    """One picture a second, over and over to the same name (`-update`), or each to its own."""
    ffmpeg(*SOURCE[:4], "-frames:v", "1", "-f", "image2", "-c:v", "mjpeg", tmp_path / "one.jpg")
    wanted = (tmp_path / "one.jpg").read_bytes()
    key = "cam 1/now.jpg"
    url = presigned(sub, "put", key, sub.picture)
    for _ in range(3):
        ffmpeg(*SOURCE[:4], "-frames:v", "1", "-f", "image2", "-update", "1", "-c:v", "mjpeg", "-protocol_opts", "method=PUT", url)
        eventually(lambda: sub.listing() == {(sub.picture, key): len(wanted)}, what=lambda: sub.listing())
    assert sub.get(sub.picture, key) == wanted
    # Through a pipe, by a program that knows HTTP better than ffmpeg does.
    source = subprocess.Popen(
        [tool("ffmpeg"), "-nostdin", "-v", "error", *SOURCE[:4], "-frames:v", "1", "-f", "image2pipe", "-c:v", "mjpeg", "-"], stdout=subprocess.PIPE
    )
    run(tool("curl"), "-sSf", "-T", "-", presigned(sub, "put", "cam 1/pipe.jpg", sub.picture), stdin=source.stdout)
    assert source.wait(30) == 0
    assert sub.get(sub.picture, "cam 1/pipe.jpg") == wanted
    probed = probe(presigned(sub, "get", key, sub.picture))
    assert (probed["streams"][0]["codec_name"], probed["streams"][0]["width"]) == ("mjpeg", 320)
    assert sub.search(type=1)[0] == 2


def test_a_type_and_metadata_that_are_signed_are_kept(sub):
    url = presigned(sub, "put", "k", ContentType="video/mp2t", Metadata={"camera": "1"})
    ffmpeg(*SOURCE, "-t", "1", "-f", "mpegts", "-method", "PUT", "-content_type", "video/mp2t", "-headers", "x-amz-meta-camera: 1\r\n", url)
    eventually(lambda: sub.listing(), what="the recording")
    head = sub.boto().head_object(Bucket=sub.record, Key="k")
    assert (head["ContentType"], head["Metadata"]) == ("video/mp2t", {"camera": "1"})


def test_what_is_refused_leaves_nothing(sub, account):
    """A URL for another key, one that is too old to count, a space that is full."""
    url = presigned(sub, "put", "k")
    other = url.replace("/k?", "/other?")
    ffmpeg(*SOURCE, "-t", "1", "-f", "mpegts", "-method", "PUT", other, check=False)
    ffmpeg(*SOURCE, "-t", "1", "-f", "mpegts", "-method", "POST", url, check=False)
    assert ffmpeg("-i", presigned(sub, "get", "gone"), "-f", "null", "-", check=False).returncode != 0
    assert settled(sub.listing) == {} and sub.view()["reserved_bytes"] == 0
    full = account.open_sub_account(1)
    full.put(full.record, "there", payload(full.bytes - 1000, 1))
    ffmpeg(*SOURCE, "-t", "2", "-f", "mpegts", "-method", "PUT", presigned(full, "put", "k"), check=False)
    eventually(lambda: full.view()["reserved_bytes"] == 0, what="the reservation given back")
    assert full.listing() == {(full.record, "there"): full.bytes - 1000}


def test_a_recording_that_is_killed_is_not_taken_for_whole(sub):
    """SIGKILL in the middle: the chunk that ends the body never came."""
    process = subprocess.Popen(
        [tool("ffmpeg"), "-nostdin", "-v", "error", "-re", *SOURCE, "-t", "60", "-f", "mpegts", "-flush_packets", "1", "-method", "PUT", presigned(sub, "put", "k")]
    )
    eventually(lambda: sub.view()["reserved_bytes"] > 0, what="the upload under way")
    process.kill()
    process.wait()
    eventually(lambda: sub.view()["reserved_bytes"] == 0, what="the reservation given back")
    assert sub.listing() == {} and sub.view()["used_bytes"] == 0
    assert url_get(presigned(sub, "get", "k")).code == "NoSuchKey"


def test_a_player_follows_a_list_of_segments(sub, tmp_path):
    """HLS: each segment is a file, and the list that a player gets has presigned links."""
    ffmpeg(*SOURCE, "-t", "6", "-f", "hls", "-hls_time", "2", "-hls_list_size", "0", "-hls_segment_filename", tmp_path / "%d.ts", tmp_path / "list.m3u8")
    names = sorted(p.name for p in tmp_path.iterdir())
    assert len(names) == 4
    for name in names:
        run(tool("curl"), "-sSf", "-T", tmp_path / name, presigned(sub, "put", f"hls/{name}"))
    lines = (tmp_path / "list.m3u8").read_text().splitlines()
    links = [line if line.startswith("#") else presigned(sub, "get", f"hls/{line}") for line in lines]
    sub.put(sub.record, "hls/links.m3u8", "\n".join(links).encode(), ContentType="application/vnd.apple.mpegurl")
    url = presigned(sub, "get", "hls/links.m3u8")
    assert urllib.parse.urlsplit(url).path.endswith(".m3u8")
    found = ffmpeg("-allowed_extensions", "ALL", "-extension_picky", "0", "-i", url, "-map", "0:v", "-f", "framemd5", "-", check=False)
    if found.returncode != 0:  # an older ffmpeg knows no -extension_picky
        found = ffmpeg("-allowed_extensions", "ALL", "-i", url, "-map", "0:v", "-f", "framemd5", "-")
    assert len([line for line in found.stdout.decode().splitlines() if not line.startswith("#")]) == 90

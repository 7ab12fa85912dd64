"""The whole story once, with the tools that people use: a province opens, cameras record, a shop watches, space runs out."""

import json
from types import SimpleNamespace

import pytest

from harness import (
    KIB,
    MIB,
    AlertReceiver,
    LoopModel,
    Server,
    aws,
    error_code,
    eventually,
    payload,
    run,
    settled,
    tool,
    url_get,
)

GB = 2 * MIB  # what this appliance calls 1 GB


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """An appliance, the platform's alert service, and an account that was opened with the command line."""
    server = Server(bytes_per_gb=GB)
    server.start()
    platform = AlertReceiver(server, tmp_path_factory.mktemp("platform"), {"jiangsu": "Su-Zhou.2014"})
    try:
        account = server.open_account(100, name="jiangsu", password="Su-Zhou.2014", alert_url=platform.url)
        yield SimpleNamespace(server=server, platform=platform, account=account)
        server.check_is_clean()
        server.stop()
    finally:
        platform.stop()
        server.discard()


@pytest.fixture(scope="module")
def shop(world, media):
    """A sub-account with every clip and every picture, uploaded by turns with aws-cli, boto3 V4 and boto3 V2."""
    sub = world.account.open_sub_account(20)
    stored = {}
    for number, path in enumerate(media["clips"] + media["pictures"]):
        bucket = sub.record if path.suffix == ".mp4" else sub.picture
        kind = "video/mp4" if path.suffix == ".mp4" else "image/jpeg"
        key = f"2014/03/{path.name}"
        if number % 3 == 0:
            aws(sub, "s3", "cp", "--quiet", "--content-type", kind, path, f"s3://{bucket}/{key}")
        else:
            client = sub.boto("s3v4" if number % 3 == 1 else "s3")
            client.put_object(Bucket=bucket, Key=key, Body=path.read_bytes(), ContentType=kind)
        stored[bucket, key] = path.read_bytes()
    return SimpleNamespace(sub=sub, stored=stored)


def test_the_cli_tells_the_platform_where_to_go(world):
    opened = world.account.opened
    assert opened["account"] == "jiangsu"
    assert opened["password"] == "Su-Zhou.2014"
    assert opened["s3_url"] == world.server.s3_url
    assert opened["soap_url"] == world.server.soap_url
    assert opened["wsdl_url"].lower() == world.server.wsdl_url.lower()
    assert world.account.space()[0] == 100


def test_a_sub_account_has_keys_two_buckets_and_its_space(world):
    before = world.account.space()[1]
    sub = world.account.open_sub_account(3)
    assert sub.ak.isalnum() and sub.ak.isascii() and sub.sk.isalnum() and sub.sk.isascii()
    assert sub.url == world.server.s3_url
    assert sub.record != sub.picture
    assert [b["Name"] for b in sub.boto().list_buckets()["Buckets"]] == sorted([sub.record, sub.picture])
    assert world.account.space()[1] == before - 3
    sub.close()
    assert world.account.space()[1] == before


def test_search_finds_what_was_uploaded_by_type(shop):
    for kind, bucket in ((0, shop.sub.record), (1, shop.sub.picture)):
        expected = {key: data for (b, key), data in shop.stored.items() if b == bucket}
        total, files = shop.sub.search(kind)
        assert total == len(expected)
        assert {f.FileName for f in files} == set(expected)
        for f in files:
            assert f.FileSize == -(-len(expected[f.FileName]) // KIB)
            assert f.LockFlag == 0
            assert len(f.FileDate) == 19 and f.FileDate[4] == f.FileDate[7] == "-" and f.FileDate[10] == " "
        assert [(f.FileDate, f.FileName) for f in files] == sorted((f.FileDate, f.FileName) for f in files)


def test_fileurl_gives_every_file_byte_for_byte(shop):
    for kind, bucket in ((0, shop.sub.record), (1, shop.sub.picture)):
        for f in shop.sub.search(kind)[1]:
            reply = url_get(f.FileUrl)
            assert reply.status == 200
            assert reply.body == shop.stored[bucket, f.FileName]
            assert reply.headers["content-type"] == ("video/mp4" if kind == 0 else "image/jpeg")


def probe(source):
    done = run(tool("ffprobe"), "-v", "error", "-of", "json", "-show_format", "-show_streams", source)
    return json.loads(done.stdout)


def test_ffprobe_reads_the_recording_from_disk_and_from_the_url(shop, tmp_path):
    for f in shop.sub.search(0)[1]:
        seconds = int(f.FileName.rpartition("-")[2].removesuffix("s.mp4"))
        copy = tmp_path / "copy.mp4"
        copy.write_bytes(url_get(f.FileUrl).body)
        for source in (copy, f.FileUrl):
            said = probe(source)
            assert said["streams"][0]["codec_name"] == "h264"
            assert abs(float(said["format"]["duration"]) - seconds) < 0.2


def test_ffmpeg_seeks_to_the_middle_over_http(shop):
    f = next(f for f in shop.sub.search(0)[1] if f.FileName.endswith("clip-10s.mp4"))
    done = run(tool("ffmpeg"), "-v", "error", "-ss", "7", "-i", f.FileUrl, "-frames:v", "1", "-f", "image2pipe", "-c:v", "mjpeg", "-")
    assert done.stdout.startswith(b"\xff\xd8") and len(done.stdout) > 1000


def test_a_player_seeks_with_range(shop):
    f = shop.sub.search(0)[1][-1]
    whole = shop.stored[shop.sub.record, f.FileName]
    size = len(whole)
    for asked, first, last in (
        ("bytes=0-0", 0, 0),
        ("bytes=0-1023", 0, 1023),
        (f"bytes={size // 2}-", size // 2, size - 1),
        ("bytes=-100", size - 100, size - 1),
        (f"bytes={size - 1}-{size + 1000}", size - 1, size - 1),
        (f"bytes=-{size + 5}", 0, size - 1),
        ("bytes=70000-70001", 70000, 70001),
    ):
        if first >= size:
            continue
        reply = url_get(f.FileUrl, {"Range": asked})
        assert reply.status == 206, asked
        assert reply.headers["content-range"] == f"bytes {first}-{last}/{size}", asked
        assert reply.headers["content-length"] == str(last - first + 1)
        assert reply.body == whole[first : last + 1], asked
    past = url_get(f.FileUrl, {"Range": f"bytes={size}-"})
    assert past.status == 416
    assert past.headers["content-range"] == f"bytes */{size}"
    assert past.code == "InvalidRange"


def test_a_locked_file_can_be_neither_replaced_nor_deleted(world, shop):
    sub = shop.sub
    (bucket, key), data = next(iter(shop.stored.items()))
    sub.lock(key)
    assert error_code(sub.boto().put_object, Bucket=bucket, Key=key, Body=b"x") == (403, "AccessDenied")
    assert error_code(sub.boto().delete_object, Bucket=bucket, Key=key) == (403, "AccessDenied")
    admin = world.server.boto(*world.account.admin())
    assert error_code(admin.put_object, Bucket=bucket, Key=key, Body=b"x") == (403, "AccessDenied")
    assert error_code(admin.delete_object, Bucket=bucket, Key=key) == (403, "AccessDenied")
    assert sub.get(bucket, key) == data
    assert [f.LockFlag for f in sub.search(0)[1] if f.FileName == key] == [1]
    sub.lock(key, 0)
    sub.put(bucket, key, data, ContentType="video/mp4")
    assert sub.get(bucket, key) == data


def test_a_looping_sub_account_loses_exactly_its_oldest_unlocked_files(world, media):
    sub = world.account.open_sub_account(2, loop=True)
    sources = [p.read_bytes() for p in media["clips"] + media["pictures"]]
    model = LoopModel(sub.bytes)
    contents = {}
    for number in range(400):
        data = sources[number % len(sources)]
        bucket = sub.picture if data[:2] == b"\xff\xd8" else sub.record
        key = f"{number:04d}"
        sub.put(bucket, key, data)
        contents[bucket, key] = data
        gone = model.put(bucket, key, len(data))
        if number in (3, 6, 9):
            sub.lock(key)
            model.lock(bucket, key)
        if gone:
            eventually(lambda: sub.listing() == model.names(), 10, what=lambda: difference(sub.listing(), model.names()))
            if len(model.sweeps) == 3:
                break
    assert len(model.sweeps) == 3, "the test never filled the space"
    assert settled(sub.listing) == model.names()
    buckets_swept = {bucket for bucket, key in set(contents) - set(model.names())}
    assert buckets_swept == {sub.record, sub.picture}, "one order over both buckets"
    for (bucket, key), data in contents.items():
        if (bucket, key) in model.names():
            assert sub.get(bucket, key) == data
        else:
            assert error_code(sub.boto().get_object, Bucket=bucket, Key=key) == (404, "NoSuchKey")
    assert [f.FileName for f in sub.search(0)[1] + sub.search(1)[1] if f.LockFlag] and all(
        (b, k) in sub.listing() for b, k, _, locked in model.files if locked
    )
    assert world.platform.of(sub) == [], "an overwrite that succeeds warns nobody"
    sub.close()


def difference(left, right):
    return f"too many: {sorted(set(left) - set(right))}; missing: {sorted(set(right) - set(left))}"


def test_a_stopping_sub_account_warns_fills_is_cleared_and_goes_on(world, media):
    account, platform = world.account, world.platform
    sub = account.open_sub_account(1)
    camera = sub.boto()
    clip = media["clips"][1].read_bytes()
    contents = {}

    def upload(key, size, bucket=sub.record):
        data = (clip * (size // len(clip) + 1))[:size]
        camera.put_object(Bucket=bucket, Key=key, Body=data)
        contents[bucket, key] = data

    tenth = sub.bytes // 10
    for number in range(8):
        upload(f"rec-{number}", tenth, sub.record if number % 2 else sub.picture)
    assert platform.of(sub) == [], "80 % is not yet over 80 %"
    upload("over-80", tenth)
    [warning] = platform.wait(sub, 1)
    upload("over-90", tenth // 2)
    assert error_code(camera.put_object, Bucket=sub.record, Key="too-much", Body=payload(tenth, 1)) == (403, "QuotaExceeded")
    [_, full] = platform.wait(sub, 2)
    for seen, alert in ((warning, 2), (full, 1)):
        assert seen["operation"] == "NotifySubAccountSpaceAlert"
        assert (seen["Account"], seen["Password"]) == (account.name, account.password)
        assert (seen["S3AK"], seen["S3SK"]) == (sub.ak, sub.sk)
        assert seen["AlertType"] == alert
        assert seen["answer"] == 0
        assert seen["headers"]["soapaction"] == '"urn:sjkd:alert-callback:v1_2#NotifySubAccountSpaceAlert"'
        assert seen["headers"]["content-type"] == "text/xml; charset=utf-8"
        assert "transfer-encoding" not in seen["headers"] and "expect" not in seen["headers"]
        assert "<Account>" in seen["raw"] and "<AlertType>" in seen["raw"]
    for number in range(3):
        assert error_code(camera.put_object, Bucket=sub.record, Key=f"no-{number}", Body=payload(tenth, 2)) == (403, "QuotaExceeded")
    assert len(settled(lambda: platform.of(sub))) == 2, "once an episode"
    assert sub.listing() == {k: len(v) for k, v in contents.items()}, "a refusal stores nothing and deletes nothing"
    assert sub.free_space() == 0

    sub.lock("rec-0")
    sub.lock("rec-1")
    assert sub.clear() == 0
    kept = {(sub.picture, "rec-0"): tenth, (sub.record, "rec-1"): tenth}
    assert sub.listing() == kept, "7.9 is done when it returns; locked files stay"
    for bucket, key in kept:
        assert sub.get(bucket, key) == contents[bucket, key]
    assert sub.view()["used_bytes"] == 2 * tenth
    assert sub.clear() == 5, "only locked files are left"
    assert sub.lock("rec-0", 0) is None and sub.clear() == 0
    assert sub.listing() == {(sub.record, "rec-1"): tenth}

    upload("again", 4 * tenth)
    assert sub.get(sub.record, "again") == contents[sub.record, "again"]
    assert len(settled(lambda: platform.of(sub))) == 2, "nothing to warn of at 50 %"
    upload("again-over-80", 4 * tenth)
    assert [a["AlertType"] for a in platform.wait(sub, 3)] == [2, 1, 2], "the cleared episode is armed again"
    sub.close()


def test_free_space_is_whole_gigabytes_rounded_down(world):
    sub = world.account.open_sub_account(3)
    assert sub.free_space() == 3
    sub.put(sub.record, "one byte", b"x")
    assert sub.free_space() == 2
    sub.put(sub.record, "to the brim", payload(GB - 1, 3))
    assert sub.free_space() == 2
    sub.put(sub.picture, "and one", b"x")
    assert sub.free_space() == 1
    assert sub.call("QuerySubAccountSpace").TotalSpace == 3
    sub.close()


def test_a_closed_sub_account_is_dead_at_once(world, media):
    account = world.account
    before = account.space()[1]
    sub = account.open_sub_account(5)
    data = media["pictures"][0].read_bytes()
    sub.put(sub.picture, "last", data)
    sub.put(sub.record, "evidence", data)
    sub.lock("evidence")
    url = sub.search(1)[1][0].FileUrl
    assert url_get(url).body == data
    assert account.space()[1] == before - 5
    sub.close()
    assert account.space()[1] == before, "the space is given back at once"
    for signature in ("s3v4", "s3"):
        client = world.server.boto(sub.ak, sub.sk, signature)
        assert error_code(client.get_object, Bucket=sub.picture, Key="last") == (403, "InvalidAccessKeyId")
        assert error_code(client.put_object, Bucket=sub.picture, Key="x", Body=b"x") == (403, "InvalidAccessKeyId")
    dead = url_get(url)
    assert dead.status == 403 and dead.code == "InvalidAccessKeyId"
    assert data not in dead.body
    assert sub.result("CloseSubAccount") == 3
    assert sub.result("QuerySubAccountSpace") == 3


def test_all_is_still_there_after_a_stop_and_a_start(world, shop):
    world.server.restart()
    sub = shop.sub
    sub.url = world.server.s3_url
    assert sub.listing() == {name: len(data) for name, data in shop.stored.items()}
    for (bucket, key), data in shop.stored.items():
        assert sub.get(bucket, key) == data

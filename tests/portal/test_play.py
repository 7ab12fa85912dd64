"""Playing and downloading as a province does it: to the end, sought in, what a browser cannot play, one file and many."""

import csv
import hashlib
import io
import re
import tempfile
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
import requests

import media
from harness import eventually, payload


def made(name, *options):
    """A file of ffmpeg's, its container by the name."""
    with tempfile.TemporaryDirectory() as home:
        file = Path(home) / name
        media.ffmpeg(*options, str(file))
        return file.read_bytes()


@pytest.fixture(scope="module")
def shop(world):
    """A camera with two short clips that follow one another, a long one, and two that browsers do not play."""
    camera = world.account.open_sub_account(60)
    source = ("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=10:duration=3")
    # Noise, so that it is long in bytes too: what is sought for is not there yet.
    noise = "testsrc2=size=480x270:rate=10:duration=90,noise=alls=40:allf=t"
    files = {
        "a/one.mp4": media.clip(3),
        "a/two.mp4": media.clip(2),
        "a/long.mp4": made(
            "long.mp4",
            *("-f", "lavfi", "-i", noise, "-c:v", "libx264", "-preset", "ultrafast", "-b:v", "1500k"),
            *("-g", "10", "-pix_fmt", "yuv420p"),
        ),
        "a/flash.flv": made("flash.flv", *source, "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"),
        "a/heavy.mp4": made("heavy.mp4", *source, "-c:v", "libx265", "-preset", "ultrafast", "-tag:v", "hvc1"),
        "店 一/|&=.html": b"<!doctype html><script>alert(1)</script>",
    }
    for name, data in files.items():
        camera.put(camera.record, name, data)
        # Files follow one another by the second.
        if name in ("a/one.mp4", "a/two.mp4"):
            time.sleep(1.1)
    return SimpleNamespace(ak=camera.ak, camera=camera, files=files)


def until(page, true_of_v):
    """Waits until this is true of the page's `v`, its video; the page's policy lets no string be run in it."""
    eventually(lambda: page.evaluate(f"() => {{ const v = document.querySelector('video'); return {true_of_v} }}"), what=true_of_v)


def player(shop, key, **more):
    return f"/recordings/play?{urlencode({'ak': shop.ak, 'key': key, **more})}"


def bytes_of(shop, key, **more):
    return f"/media?{urlencode({'ak': shop.ak, 'kind': 'recording', 'key': key, **more})}"


def key_of(url):
    return parse_qs(urlsplit(url).query)["key"][0]


def test_a_clip_is_found_on_the_strip_played_to_its_end_and_the_next_one_follows(world, shop, new_tab):
    page = new_tab("province", lang="en").page
    # The strip of the day leads to the clip; it is the first, and too short for a mouse.
    page.goto(world.origin + player(shop, "a/long.mp4"))
    page.locator(".strip a").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/recordings/play?*one.mp4*")
    video = page.locator("video")
    facts = page.locator(".facts").inner_text()
    assert all(word in facts for word in ("MP4", "H.264 (avc1", "AAC", "320 × 180", "3 s")), facts
    # Who came by a click hears and sees it at once.
    until(page, "!v.paused && v.currentTime > 0")
    assert video.evaluate("v => Math.abs(v.duration - 3) < 0.3")
    page.wait_for_url("**/recordings/play?*two.mp4*")
    until(page, "v.currentTime > 0.5")
    # Whoever takes the tick off stays at the end.
    page.uncheck("[data-continue]")
    until(page, "v.ended")
    page.wait_for_timeout(500)
    assert key_of(page.url) == "a/two.mp4"
    assert video.evaluate("v => Math.abs(v.currentTime - v.duration) < 0.1 && v.error === null")
    assert world.server.log.read_text().count("panicked") == 0


def test_the_links_lead_through_the_clips_without_a_script(world, shop, new_tab):
    page = new_tab("viewer", script=False).page
    page.goto(world.origin + player(shop, "a/one.mp4"))
    assert page.locator("[data-continue]").is_hidden()
    assert page.locator("a[rel=prev]").count() == 0
    page.click("a[rel=next]")
    assert key_of(page.url) == "a/two.mp4"
    page.click("a[rel=prev]")
    assert key_of(page.url) == "a/one.mp4"
    # A viewer changes nothing, and is offered nothing to change.
    assert page.locator("form[action^='/files/']").count() == 0


def test_a_seek_asks_for_the_part_that_it_wants(world, shop, new_tab):
    tab = new_tab("province")
    page, parts = tab.page, []

    def note(response):
        if "/media?" in response.url:
            parts.append((response.status, response.headers.get("content-range", ""), response.headers))

    page.on("response", note)
    page.goto(world.origin + player(shop, "a/long.mp4"))
    until(page, "v.readyState >= 1")
    size = len(shop.files["a/long.mp4"])
    assert size > 8 << 20, f"{size} bytes are had at once"
    parts.clear()
    page.evaluate(
        """() => new Promise((done, no) => {
            const video = document.querySelector('video');
            video.addEventListener('seeked', done, {once: true});
            video.addEventListener('error', () => no(new Error(video.error.message)), {once: true});
            video.currentTime = 60;
        })"""
    )
    assert page.evaluate("Math.abs(document.querySelector('video').currentTime - 60) < 0.2")
    starts = [int(re.match(r"bytes (\d+)-", part).group(1)) for status, part, _ in parts if status == 206]
    assert any(size // 2 < start < size * 0.8 for start in starts), parts
    assert all(part.endswith(f"/{size}") for _, part, _ in parts)
    assert parts[0][2]["content-security-policy"] == "sandbox; default-src 'none'"
    # It goes on from there.
    page.evaluate("document.querySelector('video').play()")
    until(page, "v.currentTime > 60.5")
    assert not tab.errors


def test_the_keyboard_plays_and_pauses(world, shop, new_tab):
    page = new_tab("province").page
    page.goto(world.origin + player(shop, "a/long.mp4"))
    until(page, "v.readyState >= 1")
    for _ in range(60):
        if page.evaluate("document.activeElement.tagName") == "VIDEO":
            break
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "VIDEO", "the keyboard reaches the player"
    page.keyboard.press("Space")
    until(page, "!v.paused")
    page.keyboard.press("Space")
    until(page, "v.paused")


@pytest.mark.parametrize(("key", "words"), [("a/flash.flv", ["FLV", "H.264"]), ("a/heavy.mp4", ["H.265", "hvc1"])])
def test_what_a_browser_cannot_play_is_said_and_offered_for_download(world, shop, new_tab, key, words):
    for lang in ("zh", "en"):
        page = new_tab("province", lang=lang).page
        page.goto(world.origin + player(shop, key))
        said = page.locator(".cannot").inner_text()
        assert all(word in said for word in words), said
        assert page.locator("video").count() == 0, "no black box"
        with page.expect_download() as download:
            page.click(".cannot a.primary")
        assert download.value.suggested_filename == key.replace("/", "-")
        assert Path(download.value.path()).read_bytes() == shop.files[key]
    # Some browsers know H.265: whoever has one may try, and is told where theirs is none.
    page.goto(world.origin + player(shop, "a/heavy.mp4", **{"try": 1}))
    assert page.locator("video").count() == 1
    if page.evaluate("document.createElement('video').canPlayType('video/mp4; codecs=\"hvc1.1.6.L93.B0\"')") == "":
        page.locator("[data-problem='4']").wait_for(state="visible")


def test_a_moment_of_a_day_plays_what_was_recorded_then(world, shop, new_tab):
    files = world.get("province", f"/api/v1/sub-accounts/{shop.ak}/files/find").json()["files"]
    seconds = {file["key"]: file["created_ms"] // 1000 for file in files}
    page = new_tab("province").page
    page.goto(f"{world.origin}/recordings/play?ak={shop.ak}&at={seconds['a/long.mp4'] - 30}")
    # Whatever was uploaded first at that second or after it.
    first = min(second for second in seconds.values() if second >= seconds["a/long.mp4"] - 30)
    assert any(key in page.locator(".page-head code").inner_text() for key, at in seconds.items() if at == first)
    assert world.get("province", f"/recordings/play?ak={shop.ak}&at={max(seconds.values()) + 1}").status_code == 404
    for bad in ("at=x", "at=99999999999999999999", "key=", "", "at=-9223372036854775808", "at=9223372036854775807"):
        assert world.get("province", f"/recordings/play?ak={shop.ak}&{bad}").status_code in (200, 404), bad


def test_a_file_that_is_gone_has_a_page_that_leads_to_why(world, shop, new_tab):
    page = new_tab("province", lang="en").page
    for path in (player(shop, "never.mp4"), bytes_of(shop, "never.mp4")):
        assert page.goto(world.origin + path).status == 404
        assert "gone" in page.locator("h1").inner_text() and "never.mp4" in page.content()


def test_who_may_have_bytes(world, shop):
    path = bytes_of(shop, "a/one.mp4")
    api = f"/api/v1/sub-accounts/{shop.ak}/media?key={quote('a/one.mp4')}"
    for role, page_status, api_status in [
        (None, 303, 401),
        ("operations", 403, 403),
        ("auditor", 403, 403),
        ("viewer", 200, 200),
        ("province", 200, 200),
    ]:
        for address, status in ((path, page_status), (api, api_status), (player(shop, "a/one.mp4"), page_status)):
            answer = world.get(role, address)
            assert answer.status_code == status, f"{role} {address}"
            if status == 200 and "/media" in address:
                assert answer.content == shop.files["a/one.mp4"]
            else:
                assert shop.files["a/one.mp4"] not in answer.content


def test_what_was_uploaded_as_a_page_is_only_downloaded(world, shop, new_tab):
    key = "店 一/|&=.html"
    answer = world.get("province", bytes_of(shop, key))
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment; ")
    page = new_tab("province").page
    page.on("dialog", lambda dialog: pytest.fail("it ran"))
    page.goto(f"{world.origin}/me")
    with page.expect_download() as download:
        page.evaluate("to => { location.href = to }", world.origin + bytes_of(shop, key))
    assert download.value.suggested_filename == "店 一-_&=.html"
    # Its player's page names it as text.
    page.goto(world.origin + player(shop, key))
    assert page.locator(".cannot").is_visible() and key in page.locator("code").first.inner_text()


def holds(archive, files):
    """An archive's members and its manifest are what was uploaded."""
    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
        assert packed.testzip() is None
        sums = dict(reversed(line.split("  ", 1)) for line in packed.read("SHA256SUMS").decode().splitlines())
        manifest = list(csv.DictReader(io.StringIO(packed.read("manifest.csv").decode("utf-8-sig"))))
        assert [row["key"] for row in manifest] == list(files), "in the order in which they were chosen"
        assert len(packed.namelist()) == len(files) + 2
        for row in manifest:
            data = files[row["key"]]
            right = hashlib.sha256(data).hexdigest()
            assert row["sha256"] == sums[row["name"]] == right, row
            assert packed.read(row["name"]) == data and int(row["size_bytes"]) == len(data)


def test_an_archive_over_the_api_has_a_manifest_that_is_right(world, shop):
    keys = ["a/two.mp4", "店 一/|&=.html", "a/one.mp4"]
    token = world.get("province", "/api/v1/session").json()["form_token"]
    answer = requests.post(
        f"{world.origin}/api/v1/sub-accounts/{shop.ak}/zip",
        json={"names": keys},
        cookies={"kandian": world.sessions["province"]},
        headers={"x-form-token": token},
        timeout=60,
    )
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/zip"
    holds(answer.content, {key: shop.files[key] for key in keys})


def test_an_archive_of_chosen_files_or_of_a_search_is_downloaded_and_its_sums_are_right(world, shop):
    keys = ["店 一/|&=.html", "a/one.mp4", "a/flash.flv"]
    for role in ("province", "viewer"):
        answer = world.post(role, "/files/zip", file=[f"{shop.ak}|recording|{key}" for key in keys])
        assert answer.headers["content-type"] == "application/zip"
        assert re.fullmatch(
            rf'attachment; filename="{shop.ak}-\d{{14}}\.zip"; filename\*=UTF-8\'\'{shop.ak}-\d{{14}}\.zip',
            answer.headers["content-disposition"],
        )
        holds(answer.content, {key: shop.files[key] for key in keys})
    found = world.post("province", "/files/zip", all=1, kind="recording", ak=shop.ak, day=world.day, name=".mp4")
    clips = ["a/one.mp4", "a/two.mp4", "a/heavy.mp4", "a/long.mp4"]
    with zipfile.ZipFile(io.BytesIO(found.content)) as packed:
        assert sorted(packed.namelist()) == sorted([*clips, "SHA256SUMS", "manifest.csv"])
    lines = {line["what"] for line in world.server.json("audit", "list") if f"{shop.ak} recording a/flash.flv" in line["target"]}
    assert "DownloadFile" in lines


def test_an_archive_that_cannot_be_is_refused_in_words(world, shop, new_tab):
    token = world.get("province", "/api/v1/session").json()["form_token"]

    def refused(role="province", **fields):
        return requests.post(
            f"{world.origin}/files/zip",
            data={"token": token, **fields},
            cookies={"kandian": world.sessions[role], "kandian-lang": "en"},
            allow_redirects=False,
            timeout=30,
        )

    for fields, status, words in [
        ({}, 409, "No file is chosen"),
        ({"file": shop.ak}, 400, "AK|recording|name"),
        ({"file": f"{shop.ak}|recording|never"}, 404, "None of these files"),
        ({"file": "NOSUCHKEY|recording|x"}, 404, ""),
        ({"all": 1, "kind": "recording", "ak": shop.ak, "day": "x"}, 400, "No such day"),
        ({"file": [f"{shop.ak}|recording|{n}" for n in range(1001)]}, 409, "1000"),
    ]:
        answer = refused(**fields)
        assert answer.status_code == status and words in answer.text, (fields, answer.text[-900:])
        assert answer.headers["content-type"].startswith("text/html")
    assert refused("operations", file=f"{shop.ak}|recording|a/one.mp4").status_code == 403


def test_the_command_line_finds_gets_packs_locks_and_deletes(world, shop):
    server = world.server
    found = server.json("file", "find", shop.ak, "--name", "TWO")
    assert [file["key"] for file in found["files"]] == ["a/two.mp4"]
    with tempfile.TemporaryDirectory() as home:
        target, archive = Path(home) / "two.mp4", Path(home) / "all.zip"
        assert server.json("file", "get", shop.ak, "a/two.mp4", "-o", target)["bytes"] == len(shop.files["a/two.mp4"])
        assert target.read_bytes() == shop.files["a/two.mp4"]
        server.cli("file", "zip", shop.ak, "a/one.mp4", "a/two.mp4", "-o", archive)
        holds(archive.read_bytes(), {key: shop.files[key] for key in ("a/one.mp4", "a/two.mp4")})
        for key, to, said in [
            ("a/two.mp4", target, "is there already"),
            ("never", Path(home) / "x", "file"),
            ("a/two.mp4", Path(home) / "no" / "x", "cannot write"),
        ]:
            refused = server.run("file", "get", shop.ak, key, "-o", to)
            assert refused.returncode == 1 and said in refused.stderr and not refused.stdout, refused
        assert sorted(path.name for path in Path(home).iterdir()) == ["all.zip", "two.mp4"], "nothing half is left"
    server.cli("file", "lock", shop.ak, "a/two.mp4", "--reason", "取证")
    told = server.cli("file", "show", shop.ak, "a/two.mp4")
    assert "取证" in told and "H.264" in told and "320 × 180" in told
    assert server.run("file", "lock", shop.ak, "never", "--reason", "x").returncode == 1
    # Nobody types where there is no terminal; a locked file stays all the same.
    assert server.run("file", "delete", shop.ak, "a/two.mp4").returncode == 1
    kept = server.json("file", "delete", shop.ak, "a/two.mp4", "--yes")
    assert (kept["files"], kept["kept"]) == (0, 1)
    server.cli("file", "unlock", shop.ak, "a/two.mp4", "--reason", "结案")
    shop.camera.put(shop.camera.record, "a/spare", payload(1000, "spare"))
    assert server.json("file", "delete", shop.ak, "a/spare", "--dry-run")["files"] == 1
    assert server.json("file", "delete", shop.ak, "a/spare", "--yes") == {"files": 1, "bytes": 1000, "kept": 0}
    assert "a/spare" not in server.cli("file", "find", shop.ak)
    assert "recorded" in server.cli("file", "day", shop.ak, world.day)
    # All of it is in the audit log, by whom.
    lines = {line["what"] for line in server.json("audit", "list") if shop.ak in line["target"] and line["who"] == "operator"}
    assert {"DownloadFile", "LockFiles", "UnlockFiles"} <= lines, lines

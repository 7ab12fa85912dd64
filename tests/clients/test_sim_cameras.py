"""`kandian sim cameras` against a real server: both signatures, both styles, wrong clocks, cut links, parts, many cameras."""

import json
import os
import subprocess

import pytest
from harness import BINARY, MIB

DOMAIN = "s3.example"


@pytest.fixture(scope="module")
def account(shared):
    return shared.open_account(4000, name="filmed")


@pytest.fixture(scope="module")
def shared():
    from harness import Server

    server = Server(bytes_per_gb=64 * MIB, s3__domain=DOMAIN)
    server.start()
    yield server
    server.stop()
    server.discard()


def cameras(account, *words, code=0):
    """Runs them; gives what they say."""
    done = subprocess.run(
        [BINARY, "sim", "cameras", "--soap", account.server.soap_url, "--account", account.name, "--json", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=180,
        env={**os.environ, "KANDIAN_SIM_PASSWORD": account.password},
    )
    assert done.returncode == code, done.stderr + done.stdout
    assert done.stderr == "" or code, "no table in a pipe"
    return json.loads(done.stdout)


def test_every_signature_in_every_style_uploads_and_gets_back(account):
    said = cameras(account, "--cameras", 8, "--clips", 3, "--clip-size", "50KiB..200KiB", "--style", "mixed", "--domain", DOMAIN, "--verify")
    kinds = {(c["signature"], c["style"]) for c in said["cameras"]}
    assert kinds == {("V2", "path"), ("V4", "path"), ("V2", "domain"), ("V4", "domain")}
    assert (said["uploads"]["done"], said["verified"]["done"], said["uploads"]["refused"]) == (48, 48, 0)
    for operation in ("put recording", "put picture", "get"):
        times = said["operations"][operation]
        assert 0 < times["p50_ms"] <= times["p90_ms"] <= times["p99_ms"] <= times["max_ms"]


def test_links_that_are_cut_lose_nothing(account):
    words = ["--cameras", 6, "--clips", 6, "--clip-size", "100KiB..1MiB", "--drop", "30%", "--offline", "20ms", "--verify", "--seed", 7]
    first, again = cameras(account, *words), cameras(account, *words)
    happened = first["happened"]
    assert happened["links_cut"] > 5 and happened["resumed"] > 5 and happened["lost"] == happened["left"] == 0
    assert first["verified"]["done"] == happened["uploaded"] == 72
    assert first["uploads"]["bytes"] == again["uploads"]["bytes"] and happened == again["happened"], "the seed decides"


def test_parts_go_on_where_the_link_was_cut(account):
    said = cameras(
        account, "--cameras", 2, "--clips", 2, "--clip-size", "13MiB", "--picture-size", 0, "--drop", "90%", "--offline", "20ms",
        "--multipart-above", "6MiB", "--part-size", "5MiB", "--verify", "--seed", 5,
    )  # fmt: skip
    assert said["operations"]["put part"]["done"] == 12, "three each, none twice"
    assert said["happened"]["parts_continued"] > 0 and said["verified"]["done"] == 4


def test_wrong_clocks_are_refused_or_set(account):
    words = ["--cameras", 6, "--clips", 2, "--clip-size", "10KiB", "--picture-size", 0, "--clock-skew", "3h"]
    wrong = cameras(account, *words)
    refused = wrong["uploads"]["refused_by_code"]["403 RequestTimeTooSkewed"]
    off = [c for c in wrong["cameras"] if abs(c["clock_off_ms"]) > 900_000]
    assert refused == 2 * len(off) and wrong["uploads"]["done"] == 12 - refused
    right = cameras(account, *words, "--correct-clock")
    assert right["uploads"]["done"] == 12 and right["happened"]["clocks_corrected"] == len(off)
    assert all(abs(c["clock_off_ms"]) <= 900_000 for c in right["cameras"])


def test_a_thousand_cameras_record_all_the_time(account):
    said = cameras(
        account, "--cameras", 1000, "--every", "10s", "--bit-rate", "8kbit", "--picture-size", 0, "--speed", 5, "--seconds", 5,
        "--connections", 64,
    )  # fmt: skip
    happened = said["happened"]
    assert happened["recorded"] >= 2000 and happened["uploaded"] == happened["recorded"], happened
    assert said["operations"]["put recording"]["bytes"] == 10_000 * happened["uploaded"]
    assert len(said["cameras"]) == 1000


def test_who_is_full_is_told_so_and_goes_on(account):
    said = cameras(account, "--cameras", 1, "--clips", 10, "--clip-size", "10MiB", "--picture-size", 0)
    assert said["uploads"]["refused_by_code"] == {"403 QuotaExceeded": 4} and said["uploads"]["done"] == 6

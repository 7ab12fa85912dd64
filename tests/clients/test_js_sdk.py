"""The AWS SDK for JavaScript v3, by `sdk-client.js`: what most backends and every upload page of a browser is written with."""

import json
import re

import pytest

from harness import HERE, MIB, REGION, node_environment, run, tool

SCRIPT = HERE / "sdk-client.js"
SCENARIOS = re.findall(r"^  async '([^']+)'\(\)", SCRIPT.read_text(), re.M)


@pytest.fixture(scope="module")
def account(server):
    return server.open_account(100_000)


def test_the_scenarios_are_found():
    assert len(SCENARIOS) >= 10


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_sdk_finds_what_it_expects(account, scenario):
    sub = account.open_sub_account(80)
    stranger = account.open_sub_account(1)
    ak, sk = account.admin()
    given = {
        "endpoint": sub.url, "region": REGION, "ak": sub.ak, "sk": sub.sk, "admin": {"ak": ak, "sk": sk}, "record": sub.record,
        "picture": sub.picture, "stranger": stranger.record, "space": 80 * MIB,
    }  # fmt: skip
    done = run(tool("node"), SCRIPT, scenario, input=json.dumps(given).encode(), env=node_environment())
    left = json.loads(done.stdout)
    assert sub.listing() == {(sub.record, key): size for key, size in left.items()}
    assert stranger.listing() == {}
    view = sub.view()
    assert (view["used_bytes"], view["reserved_bytes"]) == (sum(left.values()), 0)
    assert sub.boto().list_multipart_uploads(Bucket=sub.record).get("Uploads", []) == []

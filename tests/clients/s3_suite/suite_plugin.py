"""What ceph's suite wants of its surroundings, in the place of its own conftest: who the users are, and which of its
tests are run. Loaded with `-p suite_plugin`; told by the environment."""

import itertools
import json
import os
import random
import string

import pytest
from munch import Munch


def name_of(item):
    """`file::Class::test`, wherever the suite is installed."""
    return "::".join([item.module.__name__.rsplit(".", 1)[-1], item.cls.__name__, item.name])


@pytest.fixture(scope="session")
def s3cfg_global_unique():
    # Every worker has buckets of its own.
    prefix = "s3t-" + "".join(random.choices(string.ascii_lowercase + string.digits, k=12)) + "-"
    return Munch(json.loads(os.environ["S3_SUITE_USERS"]), bucket_prefix=prefix, bucket_counter=itertools.count(1))


def pytest_collection_modifyitems(config, items):
    with open(os.environ["S3_SUITE_SELECTED"], encoding="utf-8") as file:
        selected = set(file.read().split())
    found = os.environ.get("S3_SUITE_FOUND")
    if found:
        with open(found, "w", encoding="utf-8") as file:
            file.write("\n".join(map(name_of, items)))
    rest = [item for item in items if name_of(item) not in selected]
    items[:] = [item for item in items if name_of(item) in selected]
    config.hook.pytest_deselected(items=rest)

"""docs/api.md: its commands are one session, run as they stand there; the document of the API is an OpenAPI document."""

import json
import re
import subprocess

import pytest
import requests
from harness import ROOT, free_port
from openapi_spec_validator import OpenAPIV31SpecValidator
from test_operations import Machine

PAGE = (ROOT / "docs" / "api.md").read_text()
COMMANDS = re.findall(r"<!-- run -->\n```sh\n(.*?)```", PAGE, re.S)


@pytest.fixture
def machine():
    one = Machine()
    yield one
    one.end()


def test_the_page_shows_no_command_that_is_not_run():
    assert len(COMMANDS) >= 4 and PAGE.count("```sh") == len(COMMANDS)


def test_the_commands_of_the_page_do_what_it_says(machine):
    port = str(free_port())
    config = machine.home / "etc" / "appliance.toml"
    config.write_text(config.read_text().replace('[portal]\nlisten = "127.0.0.1:0"', f'[portal]\nlisten = "127.0.0.1:{port}"'))
    machine.shell("systemctl start kandian")
    script = machine.here("\n".join(COMMANDS)).replace("127.0.0.1:9002", f"127.0.0.1:{port}")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-x", "-c", script], cwd=machine.home / "etc", env={**machine.env, "no_proxy": "127.0.0.1"},
        text=True, capture_output=True, timeout=100,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    camera = json.loads((machine.home / "etc" / "camera.json").read_text())
    listed = json.loads(machine.shell("kandian sub-account list jiangsu --json"))
    assert [(one["ak"], one["space_gb"], one["loop"]) for one in listed] == [(camera["ak"], 20, True)]
    assert done.stdout.rstrip().endswith("jiangsu")


def test_the_document_is_an_openapi_document_and_the_page_has_all_its_routes(server):
    document = requests.get(server.base("portal") + "/api/v1/openapi.json", timeout=10).json()
    OpenAPIV31SpecValidator(document).validate()
    routes = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    written = set(re.findall(r"^### `(\w+ /\S+)`$", PAGE, re.M))
    assert len(routes) > 60 and routes < written, routes - written

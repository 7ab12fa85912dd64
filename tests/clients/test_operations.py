"""docs/operations.md: each failure is made, and each command of the page is run as it stands there."""

import csv
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
import requests
from botocore.exceptions import ClientError

from harness import BINARY, MIB, ROOT, boto, eventually, payload

PAGE = (ROOT / "docs" / "operations.md").read_text()
BLOCKS = dict(re.findall(r"<!-- run: ([a-z-]+) -->\n```sh\n(.*?)```", PAGE, re.S))

SYSTEMCTL = r"""#!/bin/bash
# What the page calls: starts and stops the server, and returns when it is ready or gone.
pid=$MACHINE/pid
stop() { [ -f "$pid" ] && kill "$(cat "$pid")" 2>/dev/null && while kill -0 "$(cat "$pid")" 2>/dev/null; do sleep 0.05; done; rm -f "$pid"; }
start() {
  rm -f "$MACHINE/v/listen.json"
  kandian serve >>"$MACHINE/log" 2>&1 </dev/null &
  echo $! >"$pid"
  for _ in $(seq 600); do
    [ -f "$MACHINE/v/listen.json" ] && return 0
    kill -0 "$(cat "$pid")" 2>/dev/null || { tail -5 "$MACHINE/log" >&2; return 1; }
    sleep 0.05
  done
  return 1
}
case $1 in start) start ;; stop) stop ;; restart) stop; start ;; esac
"""

# fdatasync fails while the file is there.
FAILING = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
int fdatasync(int fd) {
  static int (*real)(int);
  if (!real) real = dlsym(RTLD_NEXT, "fdatasync");
  const char *flag = getenv("FAILING");
  if (flag && access(flag, F_OK) == 0) { errno = EIO; return -1; }
  return real(fd);
}
"""


class Machine:
    """A machine with a box on it: disks, a place for backups, and `systemctl`."""

    blocks = BLOCKS

    def __init__(self):
        self.home = Path(tempfile.mkdtemp(prefix="kd-"))
        self.places = {"/var/lib/kandian": "v", "/disk1": "1", "/disk2": "2", "/backup": "b", "/rescued": "r"}
        for name in ["bin", "1/kandian", "2/kandian", "b", "etc"]:
            (self.home / name).mkdir(parents=True)
        (self.home / "bin" / "kandian").symlink_to(BINARY)
        systemctl = self.home / "bin" / "systemctl"
        systemctl.write_text(SYSTEMCTL)
        systemctl.chmod(0o755)
        self.words = {}
        self.env = {**os.environ, "PATH": f"{self.home}/bin:{os.environ['PATH']}", "MACHINE": str(self.home)}
        (self.home / "etc" / "appliance.toml").write_text(self.here(
            "[storage]\n"
            'data_dir = "/var/lib/kandian"\n'
            'volumes = ["/disk1/kandian", "/disk2/kandian"]\n'
            'reserve = "0%"\n'
            'volume_size = "8MiB"\n'
            "offline = []\n"
            "salvage = false\n"
            "read_only = []\n"
            'scrub_rate = "20MB"\n'
            "[space]\n"
            f"bytes_per_gb = {MIB}\n"
            + "".join(f'[{plane}]\nlisten = "127.0.0.1:0"\n' for plane in ["s3", "soap", "portal", "metrics"])
        ))

    def here(self, text):
        """The text with the page's paths and words as they are on this machine."""
        for place, name in self.places.items():
            text = re.sub(re.escape(place) + r"(?=[/\"\s]|$)", f"{self.home}/{name}", text)
        for word, value in self.words.items():
            text = re.sub(rf"\b{word}\b", value, text)
        return text

    def shell(self, line, code=0):
        done = subprocess.run(["bash", "-c", line], cwd=self.home / "etc", env=self.env, capture_output=True, text=True, timeout=60)
        assert done.returncode == code, f"{line}: exit {done.returncode}\n{done.stdout}{done.stderr}\n{self.log()}"
        return done.stdout

    def page(self, name, codes=None):
        """Runs a block of the page, line by line; gives what the last line printed, and keeps what each did."""
        lines = enumerate(self.blocks[name].strip().splitlines())
        self.printed = [self.shell(self.here(line), (codes or {}).get(number, 0)) for number, line in lines]
        return self.printed[-1]

    def log(self):
        log = self.home / "log"
        return log.read_text(errors="replace")[-3000:] if log.exists() else ""

    def listen(self):
        """Where it listens; where it could not write that down, where it did before."""
        listen = self.home / "v" / "listen.json"
        if listen.exists():
            self.listened = json.loads(listen.read_text())
        return self.listened

    def fill(self, files=12):
        """An account, a camera, and some files of hers; what was uploaded."""
        self.shell("systemctl start kandian")
        self.shell("kandian account open jiangsu --space 500 --password Pass-word1")
        # The account's own key and bucket: no SOAP is needed here.
        key = json.loads(self.shell("kandian account key jiangsu --json"))
        self.key = (key["ak"], key["sk"])
        self.s3().create_bucket(Bucket="recordings")
        opened = json.loads(self.shell("kandian sub-account open jiangsu --space 100 --json"))
        self.camera = opened
        self.words["AK"] = opened["ak"]
        self.files = {f"clip {n}": payload(40_000 * (n % 4) + 100, n) for n in range(files)}
        for name, data in self.files.items():
            self.put(name, data)
        return self.files

    def s3(self, camera=False):
        ak, sk = (self.camera["ak"], self.camera["sk"]) if camera else self.key
        return boto(f"http://{self.listen()['s3']}", ak, sk)

    def put(self, name, data):
        self.s3(camera=True).put_object(Bucket=self.camera["record_bucket"], Key=name, Body=data)
        self.files[name] = data

    def get(self, name):
        return self.s3(camera=True).get_object(Bucket=self.camera["record_bucket"], Key=name)["Body"].read()

    def all_there(self):
        for name, data in self.files.items():
            assert self.get(name) == data, name

    def kill(self):
        pid = self.home / "pid"
        subprocess.run(["kill", "-9", pid.read_text().strip()], check=False)
        pid.unlink()

    def end(self):
        pid = self.home / "pid"
        if pid.exists():
            subprocess.run(["kill", "-9", pid.read_text().strip()], check=False, stderr=subprocess.DEVNULL)
        if not os.environ.get("KANDIAN_TEST_KEEP"):
            shutil.rmtree(self.home, ignore_errors=True)


@pytest.fixture
def machine():
    made = Machine()
    yield made
    made.end()


def code_of(call):
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response["Error"]["Code"], caught.value.response["ResponseMetadata"]["HTTPStatusCode"]


def readyz(machine):
    return requests.get(f"http://{machine.listen()['metrics']}/readyz", timeout=10)


def test_every_block_of_the_page_is_run_here():
    fences = len(re.findall(r"^```sh$", PAGE, re.M))
    assert len(BLOCKS) == fences > 10, "a block without its marker, or two of one name"
    here = Path(__file__).read_text()
    for name in BLOCKS:
        assert f'page("{name}"' in here, f"nothing runs {name}"


def test_backup_is_taken_while_uploads_go_on_and_a_lost_box_comes_back_from_it(machine):
    machine.fill()
    machine.page("backup")
    machine.put("after the backup", b"after")
    assert (machine.home / "b/2026-11-25/master.key").stat().st_mode & 0o777 == 0o600
    machine.shell(machine.here("kandian backup /backup/2026-11-25"), 1)
    machine.kill()
    shutil.rmtree(machine.home / "v")
    machine.page("dead-box")
    machine.all_there()


def test_after_a_kill_the_box_is_started_and_nothing_is_lost(machine):
    machine.fill()
    machine.kill()
    said = machine.page("power-cut")
    assert "0 violations" in said
    machine.all_there()


def test_another_release_is_looked_at_started_and_left(machine):
    machine.fill()
    assert "kandian" in machine.page("upgrade")
    machine.all_there()
    # Nothing has changed a format here: the release before starts on what is there.
    machine.page("back", {1: 1})
    machine.shell("systemctl start kandian")
    machine.all_there()


def test_a_restart_loses_nothing(machine):
    machine.fill()
    assert "kandian" in machine.page("restart")
    machine.all_there()


def test_files_are_deleted_where_a_disk_is_full(machine):
    machine.fill()
    machine.page("full-disk")
    machine.all_there()  # All of them are newer than the day that the page names.


def test_salvage_mode_serves_reads_and_refuses_changes(machine):
    machine.fill()
    said = machine.page("salvage")
    assert said.startswith("SALVAGE MODE")
    machine.all_there()
    assert code_of(lambda: machine.put("no", b"no")) == ("ServiceUnavailable", 503)
    assert readyz(machine).status_code == 503 and "salvage" in readyz(machine).text
    metrics = requests.get(f"http://{machine.listen()['metrics']}/metrics", timeout=10).text
    assert "\nkandian_salvage 1" in metrics
    machine.shell(machine.here("kandian backup /backup/in-salvage-mode"))


def test_a_sync_that_fails_takes_the_running_box_into_salvage_mode(machine):
    library, flag = machine.home / "failing.so", machine.home / "failing"
    source = machine.home / "failing.c"
    source.write_text(FAILING)
    built = subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    machine.env |= {"LD_PRELOAD": str(library), "FAILING": str(flag)}
    machine.fill()
    machine.listen()
    flag.touch()
    with pytest.raises(Exception):
        machine.put("no", b"no")

    def salvaged():
        try:
            return readyz(machine).text.startswith("salvage")
        except requests.ConnectionError:
            return False

    # At the same addresses: it could not write down others.
    eventually(salvaged, 30, what=machine.log)
    machine.all_there()
    assert code_of(lambda: machine.put("no", b"no")) == ("ServiceUnavailable", 503)
    flag.unlink()
    machine.shell("systemctl restart kandian")
    machine.put("again", b"again")
    machine.all_there()


def test_a_failing_disk_of_several_is_read_and_the_other_takes_uploads(machine):
    machine.fill(30)
    assert "failed" in machine.page("failing-disk")
    machine.all_there()
    size = sum(volume.stat().st_blocks for volume in (machine.home / "2/kandian").glob("*.kdv"))
    for n in range(10):
        machine.put(f"meanwhile {n}", payload(200_000, n))
    machine.all_there()
    assert size == sum(volume.stat().st_blocks for volume in (machine.home / "2/kandian").glob("*.kdv"))
    assert readyz(machine).status_code == 200


def test_where_one_disk_is_dead_the_other_goes_on(machine):
    machine.fill(30)
    machine.shell("systemctl stop kandian")
    (machine.home / "2").rename(machine.home / "gone")
    machine.shell("systemctl start kandian", 1)
    said = machine.page("dead-disk")
    assert "failed" in said
    outcomes = set()
    for name, data in machine.files.items():
        try:
            outcomes.add(machine.get(name) == data)
        except ClientError as error:
            outcomes.add(error.response["Error"]["Code"])
    assert outcomes == {True, "ServiceUnavailable"}
    machine.put("meanwhile", payload(200_000, 99))
    assert machine.get("meanwhile") == machine.files["meanwhile"]
    machine.shell("systemctl stop kandian")
    (machine.home / "gone").rename(machine.home / "2")
    machine.shell("sed -i 's|^offline = .*|offline = []|' appliance.toml; systemctl start kandian")
    machine.all_there()


def lose_first_sectors(machine):
    """The key of a volume's headers stands there: nothing of it could be told from noise, but for the copy beside it."""
    for volume in machine.home.glob("[12]/kandian/*.kdv"):
        with open(volume, "r+b") as file:
            file.write(bytes(4096))


def test_rot_is_found_and_deleted(machine):
    machine.fill()
    needle = machine.files["clip 3"][60_000:60_032]
    for volume in [*machine.home.glob("[12]/kandian/*.kdv")]:
        data = volume.read_bytes()
        at = data.find(needle)
        if at >= 0:
            with open(volume, "r+b") as file:
                file.seek(at)
                file.write(bytes([data[at] ^ 1]))
    machine.words["KEY"] = "'clip 3'"
    lose_first_sectors(machine)
    machine.page("rot", {0: 1})
    assert "the first sector had rotted and was written anew" in machine.printed[0]
    del machine.files["clip 3"]
    machine.all_there()


def test_a_scrub_that_is_too_slow_is_made_faster(machine):
    machine.fill()
    assert "storage.scrub_rate" in machine.page("scrub-overdue")


def test_what_is_refused_slow_and_stuck_is_looked_at(machine):
    machine.fill()
    assert code_of(lambda: boto(f"http://{machine.listen()['s3']}", machine.camera["ak"], "0" * 40).list_buckets())[1] == 403
    assert "SignatureDoesNotMatch" in machine.page("requests-fail")
    machine.page("alerts-stuck")
    machine.page("slow")


def test_a_lost_index_is_made_anew(machine):
    machine.fill()
    machine.shell("systemctl stop kandian")
    (machine.home / "v/index.redb").unlink()
    machine.shell("systemctl start kandian", 1)
    machine.page("lost-index")
    machine.all_there()


def test_lost_books_and_a_lost_key_come_back_from_a_backup(machine):
    machine.fill()
    machine.shell("printf 'correct horse battery\\n' | kandian user add boss --role operations --password-stdin")
    machine.page("backup")
    machine.put("after the backup", b"after")
    machine.shell("systemctl stop kandian")
    (machine.home / "v/books.redb").unlink()
    machine.shell("systemctl start kandian")
    assert "boss" not in machine.shell("kandian user list")
    assert "boss" in machine.page("lost-books")
    machine.all_there()
    machine.shell("systemctl stop kandian")
    (machine.home / "v/master.key").unlink()
    machine.shell("systemctl start kandian", 1)
    machine.page("lost-key")
    machine.all_there()


def test_the_volumes_of_a_dead_box_are_extracted(machine):
    machine.fill()
    machine.put("../../escaped", b"never above")
    machine.kill()
    shutil.rmtree(machine.home / "v")
    lose_first_sectors(machine)
    machine.page("extract")
    found = {}
    with open(machine.home / "r/index.csv", newline="") as file:
        for line in csv.DictReader(file):
            assert (line["account"], line["bucket"]) == ("jiangsu", machine.camera["record_bucket"])
            found[line["key"]] = (machine.home / "r" / line["path"]).read_bytes()
    assert found == machine.files
    assert not (machine.home / "escaped").exists() and not (machine.home.parent / "escaped").exists()


def test_the_doctor_says_whether_the_clock_is_right(machine):
    machine.fill(1)
    assert "clock" in machine.page("clock")


def test_a_password_that_is_lost_is_set_anew(machine):
    machine.fill(1)
    machine.shell("printf 'correct horse battery\\n' | kandian user add boss --role operations --password-stdin")
    machine.words["NAME"] = "boss"
    machine.page("password")


def test_a_box_moves_to_another(machine):
    machine.fill()
    machine.page("move")
    shutil.rmtree(machine.home / "v")
    machine.page("moved")
    machine.all_there()

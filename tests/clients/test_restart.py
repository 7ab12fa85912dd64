"""A restart loses no clip: what is under way ends, whoever comes is told when to come back, and a port that a service
manager holds open is never closed."""
import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time

import pytest
import sigv4
from harness import BINARY, MIB, REGION, eventually, payload

COME_BACK = range(2, 10)


class SlowUpload:
    """A PUT of which the first half is sent."""

    def __init__(self, server, sub, key, size=2 * MIB):
        self.data = payload(size, key)
        host = "%s:%d" % server.address("s3")
        target, headers = sigv4.signed("PUT", host, f"/{sub.record}/{key}", {}, {}, self.data, sub.ak, sub.sk, REGION)
        self.connection = http.client.HTTPConnection(*server.address("s3"), timeout=30)
        self.connection.putrequest("PUT", target, skip_host=True, skip_accept_encoding=True)
        for name, value in {**headers, "content-length": str(size)}.items():
            self.connection.putheader(name, value)
        self.connection.endheaders()
        self.connection.send(self.data[: size // 2])
        eventually(lambda: sub.view()["reserved_bytes"] > 0, what="the upload is under way")

    def finish(self):
        self.connection.send(self.data[len(self.data) // 2 :])
        answer = self.connection.getresponse()
        answer.read()
        self.connection.close()
        return answer.status


def request(connection, method="GET"):
    connection.request(method, "/")
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


def test_at_a_stop_uploads_end_and_whoever_comes_is_told_when_to_come_back(new_server):
    server = new_server()
    account = server.open_account(50)
    sub = account.open_sub_account(20)
    kept = [http.client.HTTPConnection(*server.address("s3"), timeout=20) for _ in range(12)]
    assert {request(one)[0] for one in kept} == {403}
    upload = SlowUpload(server, sub, "clip")
    server.process.send_signal(signal.SIGTERM)

    def comes():
        status, headers, body = request(http.client.HTTPConnection(*server.address("s3"), timeout=20), "PUT")
        return (headers, body) if status == 503 else None

    headers, body = eventually(comes, what="503 for whoever comes now")
    assert headers["Content-Type"] == "application/xml" and b"<Code>ServiceUnavailable</Code>" in body
    assert headers["Connection"] == "close" and headers["x-amz-request-id"].encode() in body
    waits = {int(headers["Retry-After"])}
    # The platform goes on to be served: its calls are short.
    assert account.space()[0] == 50
    for one in kept:
        status, headers, _ = request(one)
        assert status == 503
        waits.add(int(headers["Retry-After"]))
    assert waits <= set(COME_BACK) and len(waits) > 1, f"all come back at once: {waits}"
    head = request(http.client.HTTPConnection(*server.address("s3"), timeout=20), "HEAD")
    assert (head[0], head[2]) == (503, b"") and int(head[1]["Retry-After"]) in COME_BACK

    assert upload.finish() == 200
    assert server.process.wait(20) == 0
    server.process = None
    server.start()
    assert sub.get(sub.record, "clip") == upload.data


def test_an_upload_that_does_not_end_is_cut_after_the_grace(new_server):
    server = new_server(shutdown_grace="2s")
    sub = server.open_account(50).open_sub_account(20)
    upload = SlowUpload(server, sub, "clip")
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(30) == 0
    server.process = None
    with pytest.raises((OSError, http.client.HTTPException)):
        upload.finish()
    server.start()
    assert sub.listing() == {}, "nothing of it is there"
    assert sub.view()["reserved_bytes"] == 0 and sub.view()["used_bytes"] == 0


class Manager:
    """What systemd does for sockets: it listens, and passes them to each process that it starts."""

    def __init__(self, server, names=("s3", "soap", "portal", "metrics")):
        self.server, self.names = server, names
        self.sockets = {}
        for name in names:
            self.sockets[name] = socket.create_server(("127.0.0.1", 0), backlog=4096)

    def address(self, name):
        return self.sockets[name].getsockname()

    def start(self, names=None):
        """Starts the server with its sockets as descriptors 3 and up; LISTEN_PID is the process's own, so a shell sets it."""
        names = names or self.names
        held = [os.dup(one.fileno()) for one in self.sockets.values()]
        # Away from the numbers that they are to get.
        high = [os.dup2(fd, 50 + place) for place, fd in enumerate(held)]
        moves = " ".join(f"{3 + place}<&{fd} {fd}<&-" for place, fd in enumerate(high))
        line = f'LISTEN_PID=$$ LISTEN_FDS={len(high)} LISTEN_FDNAMES={":".join(names)} exec "$0" "$@" {moves}'
        with open(self.server.log, "ab") as log:
            process = subprocess.Popen(
                ["bash", "-c", line, str(BINARY), *self.server.globals(), "serve"],
                cwd=self.server.home, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=high,
            )
        for fd in {*held, *high}:
            os.close(fd)
        self.server.process = process
        return process

    def ready(self):
        return eventually(lambda: (self.server.data / "listen.json").exists(), 20, what=self.server.log_tail)

    def close(self):
        for one in self.sockets.values():
            one.close()


def test_a_port_that_is_held_open_for_us_is_never_closed_and_no_upload_is_lost(new_server):
    server = new_server(start=False)
    manager = Manager(server)
    try:
        manager.start()
        manager.ready()
        server.listen = json.loads((server.data / "listen.json").read_text())
        for name in manager.names:
            assert server.address(name) == manager.address(name), "it serves where it was told to"
        sub = server.open_account(500).open_sub_account(200)
        stop, stored, failed = threading.Event(), [], []

        def camera(number):
            """Uploads and waits as it is told to; a connection that is refused or cut would be a lost port."""
            count = 0
            while not stop.is_set():
                key, data = f"{number}-{count}", payload(20_000, f"{number}-{count}")
                host = "%s:%d" % manager.address("s3")
                target, headers = sigv4.signed("PUT", host, f"/{sub.record}/{key}", {}, {}, data, sub.ak, sub.sk, REGION)
                connection = http.client.HTTPConnection(*manager.address("s3"), timeout=30)
                try:
                    connection.request("PUT", target, body=data, headers=headers)
                    answer = connection.getresponse()
                    answer.read()
                except (OSError, http.client.HTTPException) as error:
                    failed.append((key, repr(error)))
                    return
                finally:
                    connection.close()
                if answer.status == 200:
                    stored.append((key, data))
                    count += 1
                elif answer.status == 503:
                    time.sleep(0.2)
                else:
                    failed.append((key, answer.status))
                    return

        cameras = [threading.Thread(target=camera, args=(number,)) for number in range(6)]
        for one in cameras:
            one.start()
        for _ in range(4):
            before = len(stored)
            eventually(lambda: len(stored) > before + 20, 30, what=lambda: f"uploads go on; failed: {failed}")
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(30) == 0
            manager.start()
            manager.ready()
        stop.set()
        for one in cameras:
            one.join(40)
        assert failed == []
        assert len(stored) > 80
        for key, data in stored:
            assert sub.get(sub.record, key) == data
    finally:
        if server.process:
            server.stop()
        manager.close()


@pytest.mark.parametrize(
    "names, said",
    [(["s3", "s4"], "\"s4\""), (["s3", "s3"], "two sockets with the name \"s3\""), (["s3"], "FileDescriptorName")],
)
def test_sockets_that_are_not_named_rightly_are_refused_in_words(new_server, names, said):
    server = new_server(start=False)
    manager = Manager(server, ("s3", "soap"))
    try:
        process = manager.start(names)
        assert process.wait(20) != 0
        server.process = None
        log = server.log.read_text()
        assert said in log and ("s3, soap, portal, metrics" in log or "one is right" in log)
    finally:
        manager.close()

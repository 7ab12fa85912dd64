"""Holds an appliance after a failure against the ledger: nothing lost, nothing torn, nothing back from the dead."""

import http.client
import json
import re
import socket
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field

from harness import ENV11, KIB, Account, soap
from ledger import Lost


class Control(http.client.HTTPConnection):
    """The operators' way in: the control socket in the data directory."""

    def __init__(self, server):
        super().__init__("kandian", timeout=60)
        self.path = str(server.data / "control.sock")

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)

    def ask(self, method, path, **body):
        """JSON, whatever the status; raises OSError where the server is gone."""
        try:
            text = json.dumps(body) if body else None
            self.request(method, f"/api/v1{path}", text, {"content-type": "application/json"} if body else {})
            answer = self.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        except http.client.HTTPException as error:
            raise OSError(str(error) or type(error).__name__) from error

    def get(self, path):
        status, answer = self.ask("GET", path)
        if status != 200:
            raise AssertionError(f"GET {path}: {status} {answer}")
        return answer


@dataclass
class Keys:
    """A sub-account as its camera and its platform know it."""

    account: str
    password: str
    ak: str
    sk: str
    record: str
    picture: str

    @property
    def buckets(self):
        return self.record, self.picture


@dataclass
class World:
    """Who there is: what the load has opened, so that a verifier can look everywhere."""

    subs: dict = field(default_factory=dict)  # AK: Keys
    admins: dict = field(default_factory=dict)  # account: (AK, SK)

    def copy(self):
        return World(dict(self.subs), dict(self.admins))


def all_of(server, world, states):
    """{name: state} of everything that is there, as strangers see it: S3, SOAP and the operators' API."""
    control = Control(server)
    found = {}
    handed = {}
    for a in control.get("/accounts"):
        found["account", a["account"]] = (a["space_gb"], a["handed_out_gb"], a["sub_accounts"])
        for s in control.get(f"/accounts/{a['account']}/sub-accounts"):
            handed[s["ak"]] = s
            found["sub", s["ak"]] = (s["space_gb"], bool(s["loop"]))
    for user in control.get("/users"):
        found["user", user["user"]] = user["role"]
    files = {}
    for ak, keys in world.subs.items():
        if ak not in handed:
            continue
        wire = server.wire(ak, keys.sk)
        for kind, bucket in enumerate(keys.buckets):
            listed = wire.listing(bucket)
            locks = search(server, keys, kind)
            if set(locks) != set(listed):
                raise Lost(f"7.7 and S3 tell of other files in {bucket}: {sorted(set(locks) ^ set(listed))[:5]}")
            for key, (length, tag) in listed.items():
                if locks[key][0] != -(-length // KIB):
                    raise Lost(f"{bucket}/{key}: {length} bytes by S3, {locks[key][0]} KiB by 7.7")
                files["file", bucket, key] = (length, tag, locks[key][1])
        if handed[ak]["reserved_bytes"] != 0:
            raise Lost(f"{ak}: {handed[ak]['reserved_bytes']} bytes are reserved for nobody")
        wire.close()
    for account, (ak, sk) in world.admins.items():
        if ("account", account) not in found:
            continue
        wire = server.wire(ak, sk)
        reply = wire.request("GET", "/")
        for name in re.findall(rb"<Name>(own-[^<]*)</Name>", reply.body):
            found["bucket", name.decode()] = True
        wire.close()
    for name in [name for name in states if name[0] == "alert"]:
        rows = control.get(f"/alerts/page?ak={name[1]}&kind=nearly_full")["alerts"]
        alive = [row for row in rows if row["state"] in ("pending", "delivered")]
        if len(alive) > 1:
            raise Lost(f"{name[1]}: raised {len(alive)} times: {alive}")
        if alive:
            found[name] = True
    control.close()
    return found, files


def search(server, keys, kind):
    """{FileName: (FileSize, LockFlag)} by 7.7; sizes are KiB, rounded up."""
    account = Account(server, keys.account, keys.password, {})
    answer = soap(
        account, "SearchSubAccountFiles", ENV11, S3AK=keys.ak, S3SK=keys.sk, StartDateTime="", EndDateTime="", PageNo=1, PageSize=10_000, Type=kind
    )
    if answer.result != 0:
        raise Lost(f"7.7 of {keys.ak}: {answer.result}")
    found = {}
    for element in ET.fromstring(answer.body).iter():
        if element.tag.rpartition("}")[2] == "FileInfo":
            fields = {child.tag.rpartition("}")[2]: child.text or "" for child in element}
            found[fields["FileName"]] = (int(fields["FileSize"]), int(fields["LockFlag"]))
    return found


def hold(ledger, world, server, since, until, bytes_since, dice, sample=15):
    """Holds the appliance, as the failure at a moment from `since` to `until` left it, against the ledger. Of files that were
    touched after `bytes_since`, and of `sample` others, every byte is read. Gives what was found, and how many bytes were."""
    states, later = ledger.possible(since, until)
    found, files = all_of(server, world, states)
    for name, (size, tag, locked) in files.items():
        digests = {s[0] for s in states.get(name, ()) if s is not None and ledger.bodies[s[0]][0] == size}
        if "-" not in tag:
            digests &= {tag}
        right = {(d, locked) for d in digests} & states.get(name, set())
        if name not in states or not digests:
            raise Lost(f"{name} has {size} bytes and tag {tag}, which is none of {told(ledger, name, states)}")
        if not right:
            raise Lost(f"{name}: lock {locked}, which is none of {told(ledger, name, states)}")
        found[name] = right.pop() if len(right) == 1 else right
    touched = set(ledger.changed_after(bytes_since))
    first = [name for name in files if name in touched or isinstance(found[name], set)]
    others = sorted(set(files) - set(first))
    read = read_all(ledger, world, server, first + dice.sample(others, min(sample, len(others))), found, states)
    for name, possible in states.items():
        if found.get(name) not in possible:
            raise Lost(f"{name}: there is {found.get(name)}, acknowledged was {told(ledger, name, states)}")
    # A sub-account whose opening was not answered is known to nobody but the appliance; its account's row counts it.
    strangers = sorted(name for name in found if name not in states and name[0] != "sub")
    if strangers or not later.isdisjoint(found):
        raise Lost(f"nobody made them, or they are back from the dead: {strangers[:5]} {sorted(later & set(found))[:5]}")
    return found, states, read


def read_all(ledger, world, server, names, found, states):
    """Reads these files whole: each must have the bytes of what it says it is. Gives how many bytes that were."""
    of_bucket = {bucket: keys for keys in world.subs.values() for bucket in keys.buckets}
    wires, total = {}, 0
    for name in names:
        keys = of_bucket[name[1]]
        if keys.ak not in wires:
            wires[keys.ak] = server.wire(keys.ak, keys.sk)
        reply = wires[keys.ak].get(name[1], name[2])
        if reply.status == 404 and None in states[name]:
            found[name] = None  # an overwrite or a clear that was under way has gone on
            continue
        may = found[name] if isinstance(found[name], set) else {found[name]}
        right = [state for state in may if reply.status == 200 and reply.body == ledger.content(state[0])]
        if not right:
            raise Lost(f"{name}: {reply.status}, {len(reply.body)} bytes that are not those of {told(ledger, name, states)}")
        found[name] = right[0]
        total += len(reply.body)
    for wire in wires.values():
        wire.close()
    return total


def told(ledger, name, states):
    with ledger.lock:
        steps = [(s.state, f"{s.began:.3f}", s.answered and f"{s.answered:.3f}") for s in ledger.steps.get(name, [])]
    return f"{states.get(name)} of {steps}; now {time.monotonic():.3f}"

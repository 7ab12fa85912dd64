"""Forged requests: each a valid one that was changed in one place, or one whose signer lies. Every one is refused, in the
words of the rule that it breaks, and nothing is stored, changed or shown. What is changed is in `forge.py`.
"""

import pytest

import forge
from harness import Server

THERE = b"what was there before"


@pytest.fixture(scope="module")
def server():
    s = Server()
    s.start()
    yield s
    s.discard()


@pytest.fixture(scope="module")
def subs(server):
    """A sub-account a kind: what guesses wrongly too often is told to wait, and 500 in a row would be."""
    account = server.open_account(100_000)
    made = {}
    for kind in forge.KINDS:
        made[kind] = account.open_sub_account(10)
        made[kind].put(made[kind].record, "there", THERE)
        made[kind].account.admin = lambda keys=account.admin(): keys
    for kind, sub in made.items():
        sub.other = made[next(other for other in made if other != kind)]
    return made


@pytest.mark.parametrize("kind", forge.KINDS)
def test_a_request_that_was_not_changed_is_taken(subs, kind):
    """Else what follows would prove nothing."""
    sub = subs[kind]
    reply = forge.KINDS[kind](sub).send(sub)
    assert reply is not None and 200 <= reply.status < 300, reply
    for bucket, key in sub.listing():
        if key != "there":
            sub.server.wire(*sub.account.admin()).delete(bucket, key)
    if not sub.listing():
        sub.put(sub.record, "there", THERE)


def test_there_are_as_many_as_the_peers_were_sent():
    assert len(forge.CASES) >= 700
    assert len({(kind, name) for kind, name, _, _ in forge.CASES}) > 1200


@pytest.mark.parametrize("kind, name, make, codes", forge.CASES, ids=[f"{kind}: {name}" for kind, name, _, _ in forge.CASES])
def test_a_forged_request_is_refused_and_changes_nothing(subs, kind, name, make, codes):
    sub = subs[kind]
    reply = make(sub).send(sub)
    told = None if reply is None else (reply.status, reply.code)
    assert told in codes, (told, codes, reply)
    assert reply is None or (400 <= reply.status < 500 or told == (501, "NotImplemented"))
    assert reply is None or THERE not in reply.body and sub.sk.encode() not in reply.body
    assert looked_at(sub) == ({"there"}, set(), THERE)


def looked_at(sub):
    """What the camera has; its connection is kept from case to case, and may have idled for too long."""
    if not hasattr(sub, "hand"):
        sub.hand = sub.wire()
    try:
        return set(sub.hand.listing(sub.record)), set(sub.hand.listing(sub.picture)), sub.hand.get(sub.record, "there").body
    except OSError:
        return set(sub.hand.listing(sub.record)), set(sub.hand.listing(sub.picture)), sub.hand.get(sub.record, "there").body

"""What clients know of an appliance: what must be there after a failure, what may be, and what must not.

A client writes down each change before it asks for it and again when it has the answer. Whatever was answered before the
failure must be there; what was asked for and not answered may be there, whole, or not. Nothing else is possible.
"""

import hashlib
import random
import threading
import time

from harness import MIB

# Every file is a stretch of these bytes, so that two files have no sector of 512 bytes in common at the same place: a torn
# file is seen, whichever file's bytes are in it.
_BYTES = random.Random(20140328).randbytes(24 * MIB)


def body(size, seed):
    """The bytes of this size and seed."""
    start = random.Random(str(seed)).randrange(len(_BYTES) - size)
    return _BYTES[start : start + size]


class Lost(AssertionError):
    """The appliance does not show what it must: the failure was not survived."""


class Step:
    """One change of one thing: its state afterwards, when it was asked for, and when it was answered, if it was."""

    __slots__ = ("state", "began", "answered")

    def __init__(self, state, began, answered=None):
        self.state, self.began, self.answered = state, began, answered


class Ledger:
    """The history of everything that clients changed. A thing is changed by one client, one step after another.

    A thing's name is a tuple that begins with its kind: `("file", bucket, key)`, whose state is the MD5 of its bytes and
    whether it is locked; `("sub", ak)`, `("account", name)` and others, whose states are what their kind is about. The state
    None is: not there.
    """

    def __init__(self):
        self.lock = threading.Lock()
        self.steps = {}
        self.bodies = {}
        self.acknowledged = 0

    def body(self, size, seed):
        """Bytes to upload and their MD5, known from now on."""
        data = body(size, seed)
        digest = hashlib.md5(data).hexdigest()
        with self.lock:
            self.bodies[digest] = (size, seed)
        return data, digest

    def content(self, digest):
        return body(*self.bodies[digest])

    def begin(self, changes, at=None):
        """Before a request that makes these changes; gives what `answered` takes. `at`: when that was, where the answer was
        needed to know the name."""
        now = at or time.monotonic()
        begun = []
        with self.lock:
            for name, state in changes.items():
                step = Step(state, now)
                self.steps.setdefault(name, [Step(None, 0.0, 0.0)]).append(step)
                begun.append(step)
        return begun

    def answered(self, begun, operations=1):
        """After the answer, which is that of so many operations."""
        now = time.monotonic()
        with self.lock:
            self.acknowledged += operations
            for step in begun:
                step.answered = step.answered or now

    def forget(self, name):
        """From now on anything may become of it."""
        with self.lock:
            self.steps.pop(name, None)

    def seen(self, name, digest):
        """Somebody read it, and so it is as good as answered: what was shown once may not be gone after a failure."""
        now = time.monotonic()
        with self.lock:
            steps = self.steps.get(name, [])
            # A lock leaves the bytes as they are, and a listing does not tell of it.
            new = steps and all(step.state is None or step.state[0] != digest for step in steps[:-1])
            if new and steps[-1].answered is None and steps[-1].state == (digest, 0):
                steps[-1].answered = now

    def state(self, name):
        """The last state that was asked for."""
        with self.lock:
            steps = self.steps.get(name)
            return steps[-1].state if steps else None

    def possible(self, since, until):
        """{name: states} at a moment that was not before `since` and not after `until`; and the names that were asked
        for only after it."""
        states, later = {}, set()
        with self.lock:
            for name, steps in self.steps.items():
                begun = [step for step in steps if step.began <= until]
                sure = max(n for n, step in enumerate(begun) if step.answered is not None and step.answered <= since)
                if len(begun) == 1 and len(steps) > 1 and begun[0].state is None:
                    later.add(name)
                states[name] = {step.state for step in begun[sure:]}
        return states, later

    def changed_after(self, moment):
        """The names that a step after `moment` is about."""
        with self.lock:
            return [name for name, steps in self.steps.items() if steps[-1].began >= moment or (steps[-1].answered or 0) >= moment]

    def settle(self, found, possible):
        """What is there after the failure is what is true from now on: what was under way is decided."""
        with self.lock:
            for name in possible:
                if name in self.steps:
                    self.steps[name] = [Step(found.get(name), 0.0, 0.0)]

    def prune(self, since):
        """Drops what no later failure can bring back: all before what was sure at `since`, and names that are gone for good
        (should they be found again, nobody put them there)."""
        with self.lock:
            for name, steps in list(self.steps.items()):
                sure = max(n for n, step in enumerate(steps) if step.answered is not None and step.answered <= since)
                del steps[:sure]
                if len(steps) == 1 and steps[0].state is None:
                    del self.steps[name]

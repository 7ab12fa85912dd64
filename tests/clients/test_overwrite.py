"""Overwrite in loop mode: under load it never passes the space, and alone it is predicted file by file."""

import random
import threading
import time

import pytest

from harness import KIB, LoopModel, error_code, eventually, payload, settled

WRITERS = 64
SECONDS = 15


def test_sixty_four_writers_never_pass_the_space(new_server):
    server = new_server()
    account = server.open_account(100)
    sub = account.open_sub_account(16, loop=True)
    stop = threading.Event()
    oddities, stored, seen = [], [0] * WRITERS, []

    def write(me):
        dice = random.Random(me)
        wire = sub.wire()
        block = payload(400 * KIB, me)
        number = 0
        while not stop.is_set():
            size = dice.choice((0, 1, 3000, 20_000, 70_000, 200_000, 400_000))
            bucket = sub.record if dice.random() < 0.7 else sub.picture
            try:
                reply = wire.put(bucket, f"{me:02d}/{number:06d}", block[:size])
            except OSError as error:
                oddities.append(repr(error))
                return
            number += 1
            if reply.status == 200:
                stored[me] += 1
            elif not (reply.status == 503 and reply.code == "SlowDown"):
                # Every file alone fits and nothing is locked: room can always be made, so no refusal is right.
                oddities.append((reply.status, reply.code))

    writers = [threading.Thread(target=write, args=(n,), daemon=True) for n in range(WRITERS)]
    for thread in writers:
        thread.start()
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        view = sub.view()
        seen.append(view["used_bytes"] + view["reserved_bytes"])
        assert seen[-1] <= view["space_bytes"] == sub.bytes, f"{seen[-1]} of {view['space_bytes']} at poll {len(seen)}"
    stop.set()
    for thread in writers:
        thread.join(60)
        assert not thread.is_alive(), "a writer hangs"
    assert oddities == []
    assert len(seen) >= 10 and sum(stored) > 500, (len(seen), sum(stored))
    view = settled(lambda: (lambda v: (v["used_bytes"], v["reserved_bytes"], v["overwrites"]))(sub.view()))
    assert view[2] >= 3, "the load never filled the space"
    assert view[1] == 0, "what was reserved was given back"
    assert view[0] * 10 <= sub.bytes * 9, "over 90 % and yet not overwritten"
    listing = sub.listing()
    assert sum(listing.values()) == view[0], "used is what a full listing of both buckets adds up to"
    server.check_is_clean()
    for me in range(0, WRITERS, 8):  # what is left is whole
        block = payload(400 * KIB, me)
        for bucket, key in [name for name in listing if name[1].startswith(f"{me:02d}/")][:5]:
            assert sub.get(bucket, key) == block[: listing[bucket, key]]
    server.restart()
    assert sub.listing() == listing
    assert sub.view()["used_bytes"] == view[0]


@pytest.fixture(scope="module")
def account(server):
    return server.open_account(1000)


@pytest.mark.parametrize(
    ("seed", "largest"), [(1, 0.04), (2, 0.09), (3, 0.35)], ids=["small files", "medium files", "files of a third of the space"]
)
def test_each_overwrite_is_predicted_file_by_file(account, seed, largest):
    sub = account.open_sub_account(4, loop=True)
    dice = random.Random(seed)
    model = LoopModel(sub.bytes)
    block = payload(sub.bytes, seed)
    number, locked = 0, 0
    while len(model.sweeps) < 5:
        size = dice.randrange(1, int(sub.bytes * largest))
        bucket = dice.choice((sub.record, sub.picture))
        key = f"{seed}-{number:04d}"
        used_before = model.used
        gone = model.put(bucket, key, size)
        sub.put(bucket, key, block[:size])
        if gone:
            eventually(
                lambda: sub.listing() == model.names(),
                10,
                what=lambda: f"after {key} ({size} on {used_before}): "
                f"too many {sorted(set(sub.listing()) - set(model.names()))}, "
                f"missing {sorted(set(model.names()) - set(sub.listing()))}",
            )
        elif dice.random() < 0.08 and locked + size < sub.bytes * 0.2:
            sub.lock(key)
            model.lock(bucket, key)
            locked += size
        number += 1
        assert number < 2000
    assert settled(sub.listing) == model.names()
    share = sub.bytes / 5
    for sizes in model.sweeps:
        if largest < 0.1:  # no upload alone needed more than the 20 %
            assert share <= sum(sizes) < share + sizes[-1] + 1
    view = sub.view()
    assert view["used_bytes"] == model.used
    assert view["locked_bytes"] == locked
    assert view["overwrites"] == len(model.sweeps)
    sub.close()


def test_locked_files_are_stepped_over_and_stay_whole(account):
    sub = account.open_sub_account(1, loop=True)
    tenth = sub.bytes // 10
    model = LoopModel(sub.bytes)
    for number in range(9):
        sub.put(sub.record, str(number), payload(tenth, number))
        model.put(sub.record, str(number), tenth)
    for number in (0, 2):
        sub.lock(str(number))
        model.lock(sub.record, str(number))
    sub.put(sub.picture, "last", payload(tenth, "last"))
    assert model.put(sub.picture, "last", tenth) == [(sub.record, "1"), (sub.record, "3"), (sub.record, "4")][: len(model.sweeps[0])]
    eventually(lambda: sub.listing() == model.names(), what=lambda: (sub.listing(), model.names()))
    for number in (0, 2):
        assert sub.get(sub.record, str(number)) == payload(tenth, number)
    sub.close()


def test_where_all_is_locked_an_upload_is_refused_and_nothing_goes(account):
    sub = account.open_sub_account(1, loop=True)
    tenth = sub.bytes // 10
    for number in range(9):
        sub.put(sub.record, str(number), payload(tenth, number))
        sub.lock(str(number))
    before = sub.listing()
    assert error_code(sub.boto().put_object, Bucket=sub.record, Key="more", Body=payload(2 * tenth, 1)) == (403, "QuotaExceeded")
    assert sub.listing() == before
    sub.close()


def test_an_upload_larger_than_the_space_is_refused_and_nothing_goes(account):
    sub = account.open_sub_account(1, loop=True)
    for number in range(5):
        sub.put(sub.record, str(number), payload(sub.bytes // 10, number))
    before = sub.listing()
    assert error_code(sub.boto().put_object, Bucket=sub.record, Key="giant", Body=payload(sub.bytes + 1, 1)) == (403, "QuotaExceeded")
    assert settled(sub.listing) == before
    sub.close()


def test_an_upload_that_fills_the_space_exactly_is_taken(account):
    sub = account.open_sub_account(1)
    sub.put(sub.record, "all of it", payload(sub.bytes, 7))
    assert sub.get(sub.record, "all of it") == payload(sub.bytes, 7)
    assert sub.view()["used_bytes"] == sub.bytes
    assert error_code(sub.boto().put_object, Bucket=sub.record, Key="one byte", Body=b"x") == (403, "QuotaExceeded")
    sub.put(sub.record, "nothing", b"")
    sub.close()


def test_turning_the_loop_on_overwrites_a_full_sub_account_at_once(account):
    sub = account.open_sub_account(1)
    tenth = sub.bytes // 10
    model = LoopModel(sub.bytes)
    for number in range(10):
        sub.put(sub.record, str(number), payload(tenth, number))
        model.files.append([sub.record, str(number), tenth, False])
    assert error_code(sub.boto().put_object, Bucket=sub.record, Key="no", Body=payload(tenth, 1)) == (403, "QuotaExceeded")
    model._sweep(model._share())
    assert sub.result("SetSubAccountSpacePolicy", SpaceLoop=1) == 0
    eventually(lambda: sub.listing() == model.names(), what=lambda: (sub.listing(), model.names()))
    assert "full" not in sub.view()["episodes"]
    sub.put(sub.record, "yes", payload(tenth, 1))
    sub.close()


def test_a_shrunk_looping_sub_account_is_overwritten_down_to_its_new_space(account):
    sub = account.open_sub_account(4, loop=True)
    size = sub.bytes // 20
    for number in range(16):
        sub.put(sub.record, f"{number:02d}", payload(size, number))
    assert sub.result("ModifySubAccountSpace", NewStorageSpace=2) == 0
    sub.space = 2
    eventually(lambda: sum(sub.listing().values()) <= sub.bytes, what=lambda: sub.listing())
    left = sorted(key for _, key in settled(sub.listing))
    assert left == [f"{n:02d}" for n in range(16)][-len(left) :], "the oldest went first"
    assert left, "not everything"
    sub.close()


def test_a_shrunk_stopping_sub_account_keeps_its_files_and_refuses(account):
    sub = account.open_sub_account(2)
    sub.put(sub.record, "old", payload(sub.bytes * 3 // 4, 1))
    assert sub.result("ModifySubAccountSpace", NewStorageSpace=1) == 0
    assert sub.free_space() == 0
    assert error_code(sub.boto().put_object, Bucket=sub.record, Key="new", Body=b"x") == (403, "QuotaExceeded")
    assert sub.get(sub.record, "old") == payload(sub.bytes * 3 // 4, 1)
    assert sub.result("ModifySubAccountSpace", NewStorageSpace=2) == 0
    sub.put(sub.record, "new", b"x")
    sub.close()

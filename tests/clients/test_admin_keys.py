"""The operator's side of S3: an account's administration key, its own buckets, and what is not its own."""

from types import SimpleNamespace

import botocore.exceptions
import pytest

from harness import KIB, MIB, aws, error_code, payload


@pytest.fixture(scope="module")
def account(server):
    """An account of 40 MiB."""
    return server.open_account(40)


@pytest.fixture(scope="module")
def admin(server, account):
    return server.boto(*account.admin())


@pytest.fixture(scope="module")
def sub(account):
    return account.open_sub_account(10)


def names(client, **kw):
    return [b["Name"] for b in client.list_buckets(**kw)["Buckets"]]


def test_a_bucket_of_ones_own_is_made_used_and_deleted(admin, sub):
    admin.create_bucket(Bucket="own-life")
    admin.create_bucket(Bucket="own-life")
    admin.head_bucket(Bucket="own-life")
    body = payload(300 * KIB, "own")
    admin.put_object(Bucket="own-life", Key="a/b", Body=body, Metadata={"x": "y"})
    got = admin.get_object(Bucket="own-life", Key="a/b")
    assert got["Body"].read() == body and got["Metadata"] == {"x": "y"}
    assert error_code(admin.delete_bucket, Bucket="own-life") == (409, "BucketNotEmpty")
    admin.copy_object(Bucket="own-life", Key="c", CopySource={"Bucket": "own-life", "Key": "a/b"})
    # Between a camera's bucket and one's own, both ways.
    sub.put(sub.record, "clip", b"moving")
    admin.copy_object(Bucket="own-life", Key="clip", CopySource={"Bucket": sub.record, "Key": "clip"})
    assert admin.get_object(Bucket="own-life", Key="clip")["Body"].read() == b"moving"
    listed = [o["Key"] for o in admin.list_objects_v2(Bucket="own-life")["Contents"]]
    assert listed == ["a/b", "c", "clip"]
    admin.delete_objects(Bucket="own-life", Delete={"Objects": [{"Key": k} for k in listed]})
    upload = admin.create_multipart_upload(Bucket="own-life", Key="m")["UploadId"]
    admin.upload_part(Bucket="own-life", Key="m", UploadId=upload, PartNumber=1, Body=b"part")
    admin.delete_bucket(Bucket="own-life")
    assert error_code(admin.head_bucket, Bucket="own-life")[0] == 404
    assert error_code(admin.list_objects_v2, Bucket="own-life") == (404, "NoSuchBucket")


def test_buckets_are_listed_with_their_dates_a_page_at_a_time(admin, sub):
    made = [f"own-page-{n}" for n in range(5)]
    for name in made:
        admin.create_bucket(Bucket=name)
    everything = names(admin)
    assert set(made) | {sub.record, sub.picture} <= set(everything)
    assert everything == sorted(everything)
    assert all(b["CreationDate"] for b in admin.list_buckets()["Buckets"])
    seen, token = [], {}
    while True:
        page = admin.list_buckets(MaxBuckets=2, Prefix="own-page-", **token)
        assert 0 < len(page["Buckets"]) <= 2
        seen += [b["Name"] for b in page["Buckets"]]
        if "ContinuationToken" not in page:
            break
        token = {"ContinuationToken": page["ContinuationToken"]}
    assert seen == made
    for name in made:
        admin.delete_bucket(Bucket=name)


@pytest.mark.parametrize("name", ["ab", "Own", "own_1", "own..1", "own-", "10.0.0.1", "a" * 64])
def test_a_name_that_s3_does_not_allow_is_refused(admin, name):
    # boto3 holds some of them back itself; what it lets through the server must refuse.
    try:
        admin.create_bucket(Bucket=name)
    except botocore.exceptions.ParamValidationError:
        return
    except admin.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] == "InvalidBucketName"
        return
    pytest.fail(f"{name} was made")


def test_another_accounts_bucket_is_neither_ones_own_nor_seen(server, admin):
    other = server.open_account(10)
    theirs = server.boto(*other.admin())
    theirs.create_bucket(Bucket="own-theirs")
    theirs.put_object(Bucket="own-theirs", Key="k", Body=b"v")
    assert error_code(admin.create_bucket, Bucket="own-theirs") == (409, "BucketAlreadyExists")
    assert error_code(admin.get_object, Bucket="own-theirs", Key="k") == (403, "AccessDenied")
    assert error_code(admin.put_object, Bucket="own-theirs", Key="k", Body=b"w") == (403, "AccessDenied")
    assert error_code(admin.delete_bucket, Bucket="own-theirs") == (403, "AccessDenied")
    assert "own-theirs" not in names(admin)
    assert error_code(admin.get_object, Bucket="own-nobodys", Key="k") == (404, "NoSuchBucket")


def test_a_camera_makes_no_bucket_and_its_own_is_not_deleted(admin, sub):
    camera = sub.boto()
    assert error_code(camera.create_bucket, Bucket="own-camera") == (403, "AccessDenied")
    assert error_code(camera.create_bucket, Bucket=sub.record) == (409, "BucketAlreadyOwnedByYou")
    assert error_code(admin.create_bucket, Bucket=sub.record) == (409, "BucketAlreadyOwnedByYou")
    assert error_code(admin.delete_bucket, Bucket=sub.record) == (403, "AccessDenied")
    assert error_code(camera.delete_bucket, Bucket=sub.record) == (403, "AccessDenied")


def test_what_is_asked_of_a_bucket_and_not_there_is_said(admin):
    region = {"LocationConstraint": "eu-west-1"}
    admin.create_bucket(Bucket="own-asked", CreateBucketConfiguration=region, ObjectLockEnabledForBucket=True, ACL="private")
    assert error_code(admin.create_bucket, Bucket="own-public", ACL="public-read") == (501, "NotImplemented")
    admin.delete_bucket(Bucket="own-asked")


def test_own_buckets_take_what_the_account_has_not_handed_out(server):
    account = server.open_account(10)
    admin = server.boto(*account.admin())
    account.open_sub_account(6)
    admin.create_bucket(Bucket="own-space")
    admin.put_object(Bucket="own-space", Key="a", Body=payload(2 * MIB + 1, "a"))
    assert account.space() == (10, 1)
    assert error_code(admin.put_object, Bucket="own-space", Key="b", Body=payload(2 * MIB, "b")) == (403, "QuotaExceeded")
    assert account.result("OpenSubAccount", StorageSpace=2) == 3
    assert account.result("OpenSubAccount", StorageSpace=1) == 0
    admin.delete_object(Bucket="own-space", Key="a")
    assert account.space() == (10, 3)
    admin.delete_bucket(Bucket="own-space")


def test_holds_deletions_and_buckets_are_in_the_audit_log(server, account, admin):
    ak, sk = account.admin()
    admin.create_bucket(Bucket="own-audit")
    for key in ("a", "b", "c"):
        admin.put_object(Bucket="own-audit", Key=key, Body=b"x")
    admin.put_object_legal_hold(Bucket="own-audit", Key="a", LegalHold={"Status": "ON"})
    assert error_code(admin.delete_object, Bucket="own-audit", Key="a") == (403, "AccessDenied")
    admin.put_object_legal_hold(Bucket="own-audit", Key="a", LegalHold={"Status": "OFF"})
    admin.delete_object(Bucket="own-audit", Key="a")
    admin.delete_objects(Bucket="own-audit", Delete={"Objects": [{"Key": "b"}, {"Key": "c"}]})
    admin.delete_bucket(Bucket="own-audit")
    log = [e for e in server.json("audit", "list") if "own-audit" in e["target"]]
    assert [(e["what"], e["target"]) for e in reversed(log)] == [
        ("CreateBucket", "own-audit"),
        ("PutObjectLegalHold", "ON own-audit/a"),
        ("PutObjectLegalHold", "OFF own-audit/a"),
        ("DeleteObject", "own-audit/a"),
        ("DeleteObjects", 'own-audit: 2 files ["b","c"]'),
        ("DeleteBucket", "own-audit"),
    ]
    assert all(e["who"] == ak and e["from"].startswith("127.0.0.1:") for e in log)
    assert sk not in str(log)


def test_aws_cli_makes_syncs_and_removes_a_bucket(server, account, tmp_path):
    ak, sk = account.admin()
    source, target = tmp_path / "from", tmp_path / "to"
    (source / "deep").mkdir(parents=True)
    target.mkdir()
    for n in range(5):
        (source / "deep" / f"f{n}").write_bytes(payload(50 * KIB + n, n))
    key = SimpleNamespace(url=server.s3_url, ak=ak, sk=sk)

    def call(*args):
        aws(key, "s3", *args)

    call("mb", "s3://own-sync")
    call("sync", str(source), "s3://own-sync/x")
    call("sync", "s3://own-sync/x", str(target))
    for n in range(5):
        assert (target / "deep" / f"f{n}").read_bytes() == (source / "deep" / f"f{n}").read_bytes()
    call("rb", "s3://own-sync", "--force")
    assert "own-sync" not in names(server.boto(ak, sk))


def test_own_buckets_survive_a_restart_and_a_rebuild(new_server):
    server = new_server()
    account = server.open_account(10)
    admin = server.boto(*account.admin())
    body = payload(200 * KIB, "kept")
    admin.create_bucket(Bucket="own-kept")
    admin.put_object(Bucket="own-kept", Key="k", Body=body)
    server.check_is_clean()
    server.stop()
    server.json("index", "rebuild")
    server.start()
    admin = server.boto(*account.admin())
    assert admin.get_object(Bucket="own-kept", Key="k")["Body"].read() == body
    server.check_is_clean()
    shown = server.json("account", "show", account.name)
    assert (shown["own_buckets"], shown["own_files"], shown["own_bytes"]) == (1, 1, len(body))
    server.json("account", "close", account.name, "--yes")
    assert error_code(admin.list_buckets) == (403, "InvalidAccessKeyId")
    server.check_is_clean()

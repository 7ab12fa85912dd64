"""Documents that are made to hurt who reads them, signed by who has a key, at every address that reads XML: deeply nested,
with a hundred thousand attributes, with entities that grow. Each is refused, and the appliance serves as before.
"""

import base64
import hashlib

import pytest

from harness import ENV11, ENV12, NS, post

DEEP = 300_000
MANY = 100_000
BOMB = '<!DOCTYPE b [<!ENTITY a "aaaaaaaaaa">' + "".join('<!ENTITY %s "%s">' % (chr(98 + n), "&%s;" % chr(97 + n) * 10) for n in range(9)) + "]>"
FETCH = '<!DOCTYPE b [<!ENTITY a SYSTEM "file:///etc/passwd"><!ENTITY % p SYSTEM "http://127.0.0.1:1/">%p;]>'

S3 = {
    "CompleteMultipartUpload": ("POST", "k", {"uploadId": "{upload}"}, "CompleteMultipartUpload"),
    "DeleteObjects": ("POST", None, {"delete": ""}, "Delete"),
    "PutObjectLegalHold": ("PUT", "there", {"legal-hold": ""}, "LegalHold"),
    "CreateBucket": ("PUT", "", {}, "CreateBucketConfiguration"),
}


def documents(root, inner=""):
    """By what is wrong with it: a document whose root is this."""
    same, spaces = 'a="1" ' * MANY, " ".join(f'xmlns:n{n}="urn:{n}"' for n in range(MANY // 10))
    attributes = " ".join(f'a{n}="1"' for n in range(MANY))
    return {
        "deep": f"<{root}>" + "<a>" * (DEEP // 7) + "</a>" * (DEEP // 7) + f"</{root}>",
        "deep and not closed": f"<{root}>" + "<a>" * (DEEP // 3),
        "deep in a name that is known": f"<{root}>" + "<Object>" * (DEEP // 17) + "</Object>" * (DEEP // 17) + f"</{root}>",
        "attributes": f"<{root} {attributes}>{inner}</{root}>",
        "attributes within": f"<{root}><a {attributes}/>{inner}</{root}>",
        "one attribute many times": f"<{root} {same}>{inner}</{root}>",
        "namespaces": f"<{root} {spaces}>{inner}</{root}>",
        "entities that grow": f"{BOMB}<{root}><Object><Key>&j;</Key></Object></{root}>",
        "entities from outside": f"{FETCH}<{root}><Object><Key>&a;</Key></Object></{root}>",
        "a DOCTYPE": f"<!DOCTYPE {root}><{root}>{inner}</{root}>",
        "an entity that nobody knows": f"<{root}><Object><Key>&nbsp;</Key></Object></{root}>",
        "too long": f"<{root}>" + " " * (2 << 20) + f"</{root}>",
        "no text at all": "\0" * 1000,
        "half a document": f"<{root}><Object><Key>k</Key>",
    }


WRONG = list(documents("x"))


@pytest.fixture(scope="module")
def sub(server):
    made = server.open_account(1000).open_sub_account(100)
    made.put(made.record, "there", b"unharmed")
    made.upload = made.boto().create_multipart_upload(Bucket=made.record, Key="k")["UploadId"]
    return made


def unharmed(sub):
    assert sub.get(sub.record, "there") == b"unharmed"
    assert sub.listing() == {(sub.record, "there"): 8}
    assert sub.server.process.poll() is None


@pytest.mark.parametrize("operation", S3)
def test_documents_of_s3_that_are_made_to_hurt_are_refused(sub, operation):
    method, key, query, root = S3[operation]
    admin = sub.server.wire(*sub.account.admin())
    for wrong, text in documents(root).items():
        if wrong == "too long":
            continue  # a list of 10,000 parts may have 8 MiB; white space is a document
        path = "/new-bucket-1" if key == "" else f"/{sub.record}" + (f"/{key}" if key else "")
        asked = {name: value.format(upload=sub.upload) for name, value in query.items()}
        body = text.encode()
        md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
        reply = admin.request(method, path, asked, body, {"content-md5": md5}, payload=None)
        assert 400 <= reply.status < 500 and reply.code not in (None, "SignatureDoesNotMatch"), (operation, wrong, reply)
        assert b"root:" not in reply.body
        admin.close()
    assert sub.boto().list_multipart_uploads(Bucket=sub.record)["Uploads"][0]["UploadId"] == sub.upload
    unharmed(sub)


@pytest.mark.parametrize("env", [ENV11, ENV12], ids=["1.1", "1.2"])
def test_envelopes_that_are_made_to_hurt_are_refused(sub, env):
    kind = {"Content-Type": "text/xml; charset=utf-8" if env == ENV11 else "application/soap+xml; charset=utf-8"}
    inside = f'<QueryUserSpace xmlns="{NS}"><Account>{sub.account.name}</Account><Password>{sub.account.password}</Password></QueryUserSpace>'
    ok = f'<e:Envelope xmlns:e="{env}"><e:Body>{inside}</e:Body></e:Envelope>'
    assert post(sub.server, ok, kind).result == 0
    for wrong in WRONG:
        # In the envelope's place, in the operation's, and in a parameter's.
        whole = documents("e:Envelope", f"<e:Body>{inside}</e:Body>")[wrong].replace("<e:Envelope", f'<e:Envelope xmlns:e="{env}"', 1)
        doctype, within = "", documents("QueryUserSpace", inside)[wrong]
        if within.startswith("<!"):
            doctype, _, within = within.partition("]>" if "]>" in within else ">")
            doctype += "]>" if "[" in doctype else ">"
        within = within.replace("<QueryUserSpace", f'<QueryUserSpace xmlns="{NS}"', 1)
        for text in (whole, f'{doctype}<e:Envelope xmlns:e="{env}"><e:Body>{within}</e:Body></e:Envelope>'):
            answer = post(sub.server, text, kind)
            # A Fault of 1.1 is a 500 by contract; what is too large never becomes one.
            assert answer.status in ((400, 413) if env == ENV12 else (500, 413)), (wrong, answer)
            if answer.status != 413:
                assert answer.fault()[0] in ("Client", "Sender", "VersionMismatch"), (wrong, answer)
            assert b"root:" not in answer.body and sub.account.password.encode() not in answer.body
    assert post(sub.server, ok, kind).result == 0
    unharmed(sub)

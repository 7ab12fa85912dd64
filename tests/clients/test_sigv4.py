"""Our own signer is held to Amazon's published examples, so that a refusal in the suites is the appliance's and not ours."""

import datetime

import sigv4

AK, SK, REGION = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1"
WHEN = datetime.datetime(2013, 5, 24, tzinfo=datetime.timezone.utc)
HOST = "examplebucket.s3.amazonaws.com"


def test_the_published_get_has_the_published_signature():
    _, headers = sigv4.signed("GET", HOST, "/test.txt", {}, {"Range": "bytes=0-9"}, b"", AK, SK, REGION, when=WHEN, payload=None)
    assert headers["authorization"].endswith("Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")


def test_the_published_list_has_the_published_signature():
    _, headers = sigv4.signed("GET", HOST, "/", {"max-keys": "2", "prefix": "J"}, {}, b"", AK, SK, REGION, when=WHEN, payload=None)
    assert headers["authorization"].endswith("Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")


def test_the_published_presigned_url_has_the_published_signature():
    target = sigv4.presigned("GET", HOST, "/test.txt", AK, SK, REGION, expires=86400, when=WHEN)
    assert target.endswith("X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404")


def test_the_published_chunks_have_the_published_signatures():
    key = sigv4.signing_key(SK, "20130524", REGION)
    previous = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
    expected = [
        (b"a" * 65536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
        (b"a" * 1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
        (b"", "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
    ]
    for piece, signature in expected:
        previous = sigv4.chunk_signature(key, WHEN, REGION, previous, piece)
        assert previous == signature

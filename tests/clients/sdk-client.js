// The AWS SDK for JavaScript v3 as a platform's backend uses it. One scenario a run: `node sdk-client.js NAME`, with the
// endpoint, keys and buckets as JSON on standard input. It compares bytes and codes itself, and ends with what it leaves
// behind as JSON on standard output, which the tests look up from outside.
'use strict';
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { PassThrough, Readable } = require('node:stream');
const s3 = require('@aws-sdk/client-s3');
const { Upload } = require('@aws-sdk/lib-storage');
const { createPresignedPost } = require('@aws-sdk/s3-presigned-post');
const { getSignedUrl } = require('@aws-sdk/s3-request-presigner');

const input = JSON.parse(fs.readFileSync(0, 'utf8'));
const { record: Bucket, picture } = input;
const KIB = 1024;
const MIB = 1024 * KIB;
const ODD = '2014/03/28/录像 1+2%&<>\'"é😀.mp4';

const client = (keys = input, extra = {}) => new s3.S3Client({
  endpoint: input.endpoint,
  region: input.region,
  forcePathStyle: true,
  maxAttempts: 1,
  credentials: { accessKeyId: keys.ak, secretAccessKey: keys.sk, sessionToken: keys.token },
  ...extra,
});
const camera = client();
const admin = client(input.admin);

const send = (command, fields, who = camera) => who.send(new s3[`${command}Command`]({ Bucket, ...fields }));
const bytes = async (answer) => Buffer.from(await answer.Body.transformToByteArray());
const read = async (Key, fields = {}) => bytes(await send('GetObject', { Key, ...fields }));
const md5 = (data) => `"${crypto.createHash('md5').update(data).digest('hex')}"`;
const random = (size) => crypto.randomBytes(size);

// The data in odd pieces, each when the reader asks for it.
function* pieces(data, size = 70001) {
  for (let at = 0; at < data.length; at += size) yield data.subarray(at, at + size);
}
const stream = (data) => Readable.from(pieces(data), { objectMode: false });

async function refused(name, status, promise) {
  await assert.rejects(promise, (error) => {
    assert.deepEqual([error.name, error.$metadata.httpStatusCode], [name, status], error.stack);
    assert.ok(error.$metadata.requestId, 'a request id');
    return true;
  });
}

const scenarios = {
  async 'what is put is got back'() {
    const left = {};
    for (const size of [0, 1, 64 * KIB, 300 * KIB + 1, 9 * MIB]) {
      const data = random(size);
      const Key = `${ODD}/${size}`;
      const Metadata = { camera: 'kan-dian 1', name: encodeURIComponent('看店 1') };
      const put = await send('PutObject', { Key, Body: data, ContentType: 'video/mp4; codecs="avc1.640028"', Metadata });
      assert.equal(put.ETag, md5(data));
      const head = await send('HeadObject', { Key });
      assert.deepEqual([head.ContentLength, head.ETag, head.ContentType, head.Metadata], [size, md5(data), 'video/mp4; codecs="avc1.640028"', Metadata]);
      assert.ok(Math.abs(head.LastModified - Date.now()) < 60000);
      assert.ok((await read(Key)).equals(data));
      left[Key] = size;
    }
    await refused('AccessDenied', 403, send('DeleteObject', { Key: `${ODD}/1` }));
    await send('DeleteObject', { Key: `${ODD}/1` }, admin);
    await refused('NoSuchKey', 404, send('GetObject', { Key: `${ODD}/1` }));
    delete left[`${ODD}/1`];
    return left;
  },

  // A stream has no hash beforehand: the checksum follows as a trailer, in aws-chunked framing inside HTTP chunks.
  async 'streams are put with a trailer'() {
    const left = {};
    for (const size of [1, 64 * KIB, 3 * MIB + 5]) {
      const data = random(size);
      const Key = `stream/${size}`;
      const put = await send('PutObject', { Key, Body: stream(data), ContentLength: size });
      assert.equal(put.ETag, md5(data));
      const got = await send('GetObject', { Key, ChecksumMode: 'ENABLED' });
      assert.ok((await bytes(got)).equals(data));
      assert.ok(got.ChecksumCRC32, 'the trailer is kept as the checksum');
      assert.ok(!got.ContentEncoding, 'the framing is not');
      left[Key] = size;
    }
    const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'sdk-')), 'file');
    const data = random(2 * MIB);
    fs.writeFileSync(file, data);
    await send('PutObject', { Key: 'file', Body: fs.createReadStream(file), ContentEncoding: 'gzip', ChecksumAlgorithm: 'SHA256' });
    fs.rmSync(path.dirname(file), { recursive: true });
    const got = await send('GetObject', { Key: 'file', ChecksumMode: 'ENABLED' });
    assert.ok((await bytes(got)).equals(data));
    assert.deepEqual([got.ContentEncoding, got.ChecksumSHA256], ['gzip', crypto.createHash('sha256').update(data).digest('base64')]);
    left.file = data.length;
    return left;
  },

  async 'checksums are verified both ways'() {
    const data = random(100 * KIB);
    const left = {};
    for (const ChecksumAlgorithm of ['CRC32', 'CRC32C', 'SHA1', 'SHA256']) {
      const put = await send('PutObject', { Key: ChecksumAlgorithm, Body: data, ChecksumAlgorithm });
      const got = await send('GetObject', { Key: ChecksumAlgorithm, ChecksumMode: 'ENABLED' });
      assert.ok((await bytes(got)).equals(data)); // the SDK holds it against the checksum while it reads
      const field = `Checksum${ChecksumAlgorithm}`;
      assert.ok(put[field] && put[field] === got[field], field);
      assert.equal(got.ChecksumType, 'FULL_OBJECT');
      const part = await send('GetObject', { Key: ChecksumAlgorithm, ChecksumMode: 'ENABLED', Range: 'bytes=5-9' });
      assert.ok((await bytes(part)).equals(data.subarray(5, 10)));
      left[ChecksumAlgorithm] = data.length;
    }
    await refused('BadDigest', 400, send('PutObject', { Key: 'bad', Body: data, ChecksumSHA256: crypto.createHash('sha256').update('other').digest('base64') }));
    await refused('BadDigest', 400, send('PutObject', { Key: 'bad', Body: data, ContentMD5: crypto.createHash('md5').update('other').digest('base64') }));
    await refused('NoSuchKey', 404, send('GetObject', { Key: 'bad' }));
    return left;
  },

  async 'large files go up in parts'() {
    const left = {};
    const data = random(13 * MIB);
    for (const [Key, Body] of [['buffer', data], ['stream', stream(data)], [ODD, stream(data).pipe(new PassThrough())]]) {
      const seen = [];
      const upload = new Upload({ client: camera, params: { Bucket, Key, Body, ContentType: 'video/mp4', Metadata: { a: 'b' } }, partSize: 5 * MIB, queueSize: 3 });
      upload.on('httpUploadProgress', (p) => seen.push(p.loaded));
      const done = await upload.done();
      assert.match(done.ETag, /^"[0-9a-f]{32}-3"$/);
      assert.equal(Math.max(...seen), data.length);
      assert.ok((await read(Key)).equals(data), Key);
      const head = await send('HeadObject', { Key });
      assert.deepEqual([head.ContentType, head.Metadata, head.ETag], ['video/mp4', { a: 'b' }, done.ETag]);
      assert.ok((await read(Key, { Range: `bytes=${5 * MIB - 3}-${5 * MIB + 2}` })).equals(data.subarray(5 * MIB - 3, 5 * MIB + 3)));
      left[Key] = data.length;
    }
    const small = new Upload({ client: camera, params: { Bucket, Key: 'small', Body: stream(data.subarray(0, 1000)) } });
    assert.equal((await small.done()).ETag, md5(data.subarray(0, 1000)));
    left.small = 1000;
    // Aborted in its middle: nothing is seen of it, no part is left.
    const body = new PassThrough();
    const aborted = new Upload({ client: camera, params: { Bucket, Key: 'aborted', Body: body }, partSize: 5 * MIB, queueSize: 1 });
    aborted.on('httpUploadProgress', () => aborted.abort());
    body.write(data);
    await assert.rejects(aborted.done(), { name: 'AbortError' });
    body.destroy();
    await refused('NoSuchKey', 404, send('GetObject', { Key: 'aborted' }));
    return left;
  },

  async 'lists are paged'() {
    const keys = [...Array(25).keys()].map((n) => `${String(n % 5)}/录 +&<${n}>.jpg`);
    await Promise.all(keys.map((Key) => send('PutObject', { Key, Body: Key })));
    const sorted = [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    for (const pageSize of [1, 7, 1000]) {
      const found = [];
      for await (const page of s3.paginateListObjectsV2({ client: camera, pageSize }, { Bucket })) found.push(...(page.Contents ?? []));
      assert.deepEqual(found.map((o) => o.Key), sorted);
      assert.ok(found.every((o) => o.Size === Buffer.byteLength(o.Key) && o.ETag === md5(o.Key)));
    }
    const level = await send('ListObjectsV2', { Delimiter: '/', StartAfter: '1/' });
    assert.deepEqual(level.CommonPrefixes.map((p) => p.Prefix), ['2/', '3/', '4/']);
    const encoded = await send('ListObjectsV2', { Prefix: '3/录', EncodingType: 'url', MaxKeys: 2 });
    assert.deepEqual([encoded.KeyCount, encoded.IsTruncated, decodeURIComponent(encoded.Contents[0].Key.replaceAll('+', ' '))], [2, true, sorted[15]]);
    const old = await send('ListObjects', { Prefix: '4/', MaxKeys: 3 });
    assert.deepEqual(old.Contents.map((o) => o.Key), sorted.slice(20, 23));
    assert.deepEqual((await camera.send(new s3.ListBucketsCommand({}))).Buckets.map((b) => b.Name).sort(), [Bucket, picture].sort());
    const report = await send('DeleteObjects', { Delete: { Objects: keys.map((Key) => ({ Key })) } }, admin);
    assert.deepEqual([report.Deleted.map((d) => d.Key).sort(), report.Errors], [[...keys].sort(), undefined]);
    await send('PutObject', { Key: 'locked', Body: 'x', ObjectLockLegalHoldStatus: 'ON' });
    const stayed = await send('DeleteObjects', { Delete: { Quiet: true, Objects: [{ Key: 'locked' }, { Key: 'never was' }] } }, admin);
    assert.deepEqual([stayed.Deleted, stayed.Errors.map((e) => [e.Key, e.Code])], [undefined, [['locked', 'AccessDenied']]]);
    return { locked: 1 };
  },

  async 'ranges and conditions'() {
    const data = random(1000);
    const { ETag } = await send('PutObject', { Key: ODD, Body: data, IfNoneMatch: '*' });
    for (const [range, wanted] of [['bytes=0-0', [0, 1]], ['bytes=990-', [990, 1000]], ['bytes=-7', [993, 1000]], ['bytes=5-5000', [5, 1000]]]) {
      const got = await send('GetObject', { Key: ODD, Range: range });
      assert.equal(got.$metadata.httpStatusCode, 206);
      assert.equal(got.ContentRange, `bytes ${wanted[0]}-${wanted[1] - 1}/1000`);
      assert.ok((await bytes(got)).equals(data.subarray(...wanted)), range);
    }
    await refused('InvalidRange', 416, send('GetObject', { Key: ODD, Range: 'bytes=1000-' }));
    await refused('PreconditionFailed', 412, send('GetObject', { Key: ODD, IfMatch: '"other"' }));
    // The SDK finds no name in an answer without a body.
    await refused('Unknown', 304, send('HeadObject', { Key: ODD, IfNoneMatch: ETag }));
    await refused('Unknown', 304, send('GetObject', { Key: ODD, IfModifiedSince: new Date() }));
    assert.ok((await read(ODD, { IfMatch: ETag, IfUnmodifiedSince: new Date(Date.now() + 60000) })).equals(data));
    await refused('PreconditionFailed', 412, send('PutObject', { Key: ODD, Body: 'x', IfNoneMatch: '*' }));
    await refused('PreconditionFailed', 412, send('PutObject', { Key: ODD, Body: 'x', IfMatch: '"other"' }));
    await send('PutObject', { Key: ODD, Body: 'new', IfMatch: ETag });
    assert.equal((await read(ODD)).toString(), 'new');
    return { [ODD]: 3 };
  },

  async 'copies'() {
    const data = random(6 * MIB);
    await send('PutObject', { Key: ODD, Body: data, ContentType: 'video/mp4', Metadata: { a: '1' } });
    const CopySource = `${Bucket}/${ODD.split('/').map(encodeURIComponent).join('/')}`;
    const copied = await send('CopyObject', { Key: 'copy', CopySource });
    assert.equal(copied.CopyObjectResult.ETag, md5(data));
    let head = await send('HeadObject', { Key: 'copy' });
    assert.deepEqual([head.ContentType, head.Metadata], ['video/mp4', { a: '1' }]);
    await send('CopyObject', { Key: 'copy', CopySource: `${Bucket}/copy`, MetadataDirective: 'REPLACE', Metadata: { b: '2' }, ContentType: 'video/x' });
    head = await send('HeadObject', { Key: 'copy' });
    assert.deepEqual([head.ContentType, head.Metadata], ['video/x', { b: '2' }]);
    await refused('InvalidRequest', 400, send('CopyObject', { Key: 'copy', CopySource: `${Bucket}/copy` }));
    await refused('PreconditionFailed', 412, send('CopyObject', { Key: 'c', CopySource, CopySourceIfMatch: '"other"' }));
    await refused('NoSuchKey', 404, send('CopyObject', { Key: 'c', CopySource: `${Bucket}/gone` }));
    const { UploadId } = await send('CreateMultipartUpload', { Key: 'parts' });
    const part = { Key: 'parts', UploadId };
    const one = await send('UploadPartCopy', { ...part, PartNumber: 1, CopySource, CopySourceRange: `bytes=0-${5 * MIB - 1}` });
    const two = await send('UploadPart', { ...part, PartNumber: 2, Body: 'tail' });
    const listed = await send('ListParts', part);
    assert.deepEqual(listed.Parts.map((p) => [p.PartNumber, p.Size]), [[1, 5 * MIB], [2, 4]]);
    await refused('InvalidPart', 400, send('CompleteMultipartUpload', { ...part, MultipartUpload: { Parts: [{ PartNumber: 3, ETag: two.ETag }] } }));
    await send('CompleteMultipartUpload', { ...part, MultipartUpload: { Parts: [{ PartNumber: 1, ETag: one.CopyPartResult.ETag }, { PartNumber: 2, ETag: two.ETag }] } });
    assert.ok((await read('parts')).equals(Buffer.concat([data.subarray(0, 5 * MIB), Buffer.from('tail')])));
    return { [ODD]: data.length, copy: data.length, parts: 5 * MIB + 4 };
  },

  // The SDK puts the checksum of nothing (x-amz-checksum-crc32=AAAAAA==) into the query of a URL that it presigns.
  async 'presigned URLs'() {
    const data = random(200 * KIB);
    const sign = (command, fields, options, who = camera) => getSignedUrl(who, new s3[`${command}Command`]({ Bucket, ...fields }), { expiresIn: 60, ...options });
    const put = await sign('PutObject', { Key: ODD });
    assert.match(put, /x-amz-checksum-crc32=AAAAAA/);
    assert.equal((await fetch(put, { method: 'PUT', body: data })).status, 200);
    assert.ok((await read(ODD)).equals(data));
    // With a type that is signed, and from a stream whose length nobody says.
    const typed = await sign('PutObject', { Key: 'typed', ContentType: 'image/jpeg' }, { signableHeaders: new Set(['content-type']) });
    assert.equal((await fetch(typed, { method: 'PUT', body: data, headers: { 'content-type': 'text/html' } })).status, 403);
    const streamed = await fetch(typed, { method: 'PUT', body: stream(data), duplex: 'half', headers: { 'content-type': 'image/jpeg' } });
    assert.equal(streamed.status, 200, await streamed.text());
    assert.equal((await send('HeadObject', { Key: 'typed' })).ContentType, 'image/jpeg');
    const get = await sign('GetObject', { Key: ODD, ResponseContentType: 'video/x-test', ResponseContentDisposition: 'attachment; filename="录.mp4"' });
    const got = await fetch(get);
    assert.ok(Buffer.from(await got.arrayBuffer()).equals(data));
    assert.equal(got.headers.get('content-type'), 'video/x-test');
    assert.ok(Buffer.from(await (await fetch(get, { headers: { range: 'bytes=-10' } })).arrayBuffer()).equals(data.subarray(-10)));
    const text = async (url, options) => { const a = await fetch(url, options); return [a.status, /<Code>(.*)<\/Code>/.exec(await a.text())?.[1]]; };
    assert.deepEqual(await text(get, { method: 'PUT', body: 'x' }), [403, 'SignatureDoesNotMatch']);
    assert.deepEqual(await text(get.replace('x-test', 'x-other')), [403, 'SignatureDoesNotMatch']);
    assert.deepEqual(await text(put.replace('.mp4', '.mp3'), { method: 'PUT', body: 'x' }), [403, 'SignatureDoesNotMatch']);
    assert.deepEqual(await text(await sign('GetObject', { Key: ODD }, { signingDate: new Date(Date.now() - 120000) })), [403, 'AccessDenied']);
    assert.deepEqual(await text(await sign('DeleteObject', { Key: ODD }), { method: 'DELETE' }), [403, 'AccessDenied']);
    assert.deepEqual(await text(await sign('GetObject', { Key: 'gone' })), [404, 'NoSuchKey']);
    assert.equal((await fetch(await sign('HeadObject', { Key: ODD }), { method: 'HEAD' })).headers.get('content-length'), String(data.length));
    const list = await (await fetch(await sign('ListObjectsV2', { Prefix: 'typed' }))).text();
    assert.match(list, /<Key>typed<\/Key>/);
    const { UploadId } = await send('CreateMultipartUpload', { Key: 'part' });
    const part = await fetch(await sign('UploadPart', { Key: 'part', UploadId, PartNumber: 1 }), { method: 'PUT', body: data });
    assert.equal(part.headers.get('etag'), md5(data));
    await send('CompleteMultipartUpload', { Key: 'part', UploadId, MultipartUpload: { Parts: [{ PartNumber: 1, ETag: part.headers.get('etag') }] } });
    assert.ok((await read('part')).equals(data));
    return { [ODD]: data.length, typed: data.length, part: data.length };
  },

  async 'presigned forms'() {
    const post = async (said, data, more = {}) => {
      const form = new FormData();
      for (const [name, value] of Object.entries({ ...said.fields, ...more })) form.append(name, value);
      form.append('file', new Blob([data]), 'x.jpg');
      const answer = await fetch(said.url, { method: 'POST', body: form });
      return [answer.status, /<Code>(.*)<\/Code>/.exec(await answer.text())?.[1]];
    };
    const said = await createPresignedPost(camera, {
      Bucket, Key: 'form/录 ${filename}', Expires: 60, Fields: { 'Content-Type': 'image/jpeg' }, Conditions: [['content-length-range', 1, 100]],
    });
    assert.deepEqual(await post(said, 'jpeg'), [204, undefined]);
    assert.deepEqual(await post(said, ''), [400, 'EntityTooSmall']);
    assert.deepEqual(await post(said, 'x'.repeat(101)), [400, 'EntityTooLarge']);
    assert.deepEqual(await post(said, 'jpeg', { 'Content-Type': 'text/html' }), [403, 'AccessDenied']);
    assert.deepEqual(await post(said, 'jpeg', { key: 'other' }), [403, 'AccessDenied']);
    assert.deepEqual(await post(said, 'jpeg', { 'x-amz-meta-more': '1' }), [403, 'AccessDenied']);
    assert.equal((await read('form/录 x.jpg')).toString(), 'jpeg');
    assert.equal((await send('HeadObject', { Key: 'form/录 x.jpg' })).ContentType, 'image/jpeg');
    return { 'form/录 x.jpg': 4 };
  },

  async 'errors have their names'() {
    await refused('NoSuchKey', 404, send('GetObject', { Key: 'gone' }));
    await refused('NotFound', 404, send('HeadObject', { Key: 'gone' }));
    await refused('NoSuchBucket', 404, send('ListObjectsV2', { Bucket: 'no-such-bucket-here' }));
    await refused('AccessDenied', 403, send('ListObjectsV2', { Bucket: input.stranger }));
    await refused('AccessDenied', 403, send('PutObject', { Bucket: input.stranger, Key: 'k', Body: 'v' }));
    await refused('BucketAlreadyOwnedByYou', 409, send('CreateBucket', {}));
    await refused('SignatureDoesNotMatch', 403, send('PutObject', { Key: 'k', Body: 'v' }, client({ ...input, sk: 'wrong' })));
    await refused('InvalidAccessKeyId', 403, send('PutObject', { Key: 'k', Body: 'v' }, client({ ...input, ak: 'nobody' })));
    await refused('InvalidToken', 400, send('PutObject', { Key: 'k', Body: 'v' }, client({ ...input, token: 'a session' })));
    await refused('RequestTimeTooSkewed', 403, send('PutObject', { Key: 'k', Body: 'v' }, client(input, { systemClockOffset: -20 * 60000 })));
    await refused('QuotaExceeded', 403, send('PutObject', { Key: 'k', Body: Buffer.alloc(input.space + 1) }));
    // Large bodies wait for 100 Continue: the refusal comes instead of it.
    await refused('QuotaExceeded', 403, send('PutObject', { Key: 'k', Body: stream(Buffer.alloc(input.space + 1)), ContentLength: input.space + 1 }));
    for (const [command, fields] of [
      ['PutObjectAcl', { Key: 'k', ACL: 'public-read' }], ['PutObjectTagging', { Key: 'k', Tagging: { TagSet: [] } }], ['PutObject', { Key: 'k', Body: 'v', ServerSideEncryption: 'AES256' }],
      ['PutBucketVersioning', { VersioningConfiguration: { Status: 'Enabled' } }], ['GetBucketPolicy', {}], ['RenameObject', { Key: 'k', RenameSource: 'x' }],
    ]) await refused('NotImplemented', 501, send(command, fields));
    return {};
  },
};

scenarios[process.argv[2]]().then(
  (left) => process.stdout.write(JSON.stringify(left ?? null)),
  (error) => { console.error(error); process.exit(1); },
);

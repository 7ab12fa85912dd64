//! Every limit of the box in one place, each with its unit in its name and its reason beside it.

/// S3's own limit, and what a camera's firmware reserves for a name.
pub const OBJECT_KEY_BYTES_MAX: usize = 1024;
/// S3's own limit on user metadata; ours counts every kept header, so it is twice that.
pub const METADATA_BYTES_MAX: usize = 4096;
/// S3's limit on one PUT or one part: 5 GiB.
pub const PUT_BYTES_MAX: u64 = 5 << 30;
/// S3's limit on an object.
pub const OBJECT_BYTES_MAX: u64 = 5 << 40;
/// S3's numbers of parts: 1 to 10,000.
pub const PARTS_MAX: u16 = 10_000;
/// S3's smallest part but the last: 5 MiB.
pub const PART_BYTES_MIN: u64 = 5 << 20;
/// Buckets that an account's administration key may have at once: S3's own number. Each costs some 500 bytes
/// of memory.
pub const OWN_BUCKETS_MAX: usize = 10_000;
/// S3's longest list page.
pub const LIST_KEYS_MAX: usize = 1000;
/// Contract, section 4: an answer of more files is a Fault.
pub const SEARCH_PAGE_FILES_MAX: u64 = 10_000;
/// Contract, section 5: before and after gunzip.
pub const SOAP_BODY_BYTES_MAX: usize = 1 << 20;
/// Contract, section 5.
pub const XML_DEPTH_MAX: usize = 64;
/// More attributes on one tag than any SOAP stack writes; quadratic checks start to hurt past it.
pub const XML_ATTRIBUTES_MAX: usize = 64;
/// Contract, section 5, and `design/security.md`.
pub const HTTP_HEAD_BYTES_MAX: usize = 64 << 10;
/// Contract, section 5: a request is read within this.
pub const SOAP_REQUEST_SECONDS_MAX: u64 = 30;
/// Contract, section 5: an idle connection lives this long.
pub const IDLE_SECONDS_MAX: u64 = 60;
/// A connection is without buffers after this: a camera that uploads one picture after the other is quicker.
pub const REST_AFTER_SECONDS: u64 = 2;
/// Connections of a plane at once: a camera and a phone for each of 10,000 sub-accounts. Each costs a descriptor
/// and, while it rests, some 2 KiB.
pub const CONNECTIONS_MAX: usize = 20_000;
/// `design/security.md`: heads arrive within this.
pub const HTTP_HEAD_SECONDS_MAX: u64 = 10;
/// Contract, section 6: an answer of the platform over this is a failure.
pub const CALLBACK_ANSWER_BYTES_MAX: usize = 64 << 10;
/// S3 XML bodies (complete, delete): 10,000 parts of some 200 bytes, or 1,000 escaped keys.
pub const S3_XML_BYTES_MAX: usize = 8 << 20;
/// Uploads and index changes that share one sync. Enough for 5,000 cameras that end together.
pub const COMMIT_BATCH_MAX: usize = 512;
/// Changes waiting for the committer; past it the planes answer 503.
pub const COMMIT_QUEUE_MAX: usize = 8192;
/// Memory that an upload fills while it is under way: a stride that is being gathered.
pub const UPLOAD_BUFFER_BYTES: u64 = 256 << 10;
/// Files that one index transaction of a clear deletes: some 10 ms of work, so that uploads
/// committing beside it hardly notice.
pub const SWEEP_FILES_PER_STEP_MAX: usize = 256;
/// Files that one index transaction of an overwrite deletes: some 3 ms of work. An overwrite takes
/// seconds, and every group of uploads waits for one such step meanwhile.
pub const OVERWRITE_FILES_PER_STEP_MAX: usize = 64;
/// Redirect chains, callback hosts and the like are given up after this many characters.
pub const URL_BYTES_MAX: usize = 2048;
/// Seconds after which whoever came during a stop comes back at the earliest: what a restart takes.
pub const COME_BACK_SECONDS_MIN: u16 = 2;
/// So many more at most, at random: ten thousand cameras do not come back in one second.
pub const COME_BACK_SECONDS_SPREAD: u16 = 8;

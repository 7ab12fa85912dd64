//! What the protocols say, as codecs: bytes to values and back. Absent: sockets, `async`, the engine.

pub mod china_time;
pub mod file_head;
pub mod form;
pub mod media;
pub mod post_policy;
pub mod range;
pub mod s3_checksum;
pub mod s3_time;
pub mod s3_xml;
pub mod sheet;
pub mod sig;
pub mod soap;
pub mod zip;

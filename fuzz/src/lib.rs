//! What is fuzzed: for each target a function that takes any bytes and asserts what must hold whatever they are.
//!
//! `fuzz_targets/` hands these functions to libFuzzer; `tests/it/fuzz.rs` runs the same ones over every committed input.

pub mod chunked;
pub mod configuration;
pub mod forms;
pub mod head;
pub mod index_rows;
pub mod portal;
pub mod range;
pub mod record_header;
pub mod s3_plane;
pub mod s3_xml;
pub mod shop;
pub mod signatures;
pub mod soap_envelope;
pub mod soap_plane;

/// A target: its name, and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// Every target, by name.
pub const TARGETS: [Target; 13] = [
    ("authorization", signatures::authorization),
    ("chunked", chunked::run),
    ("configuration", configuration::run),
    ("forms", forms::run),
    ("index_rows", index_rows::run),
    ("portal", portal::run),
    ("presigned", signatures::presigned),
    ("range", range::run),
    ("record_header", record_header::run),
    ("s3_plane", s3_plane::run),
    ("s3_xml", s3_xml::run),
    ("soap_envelope", soap_envelope::run),
    ("soap_plane", soap_plane::run),
];

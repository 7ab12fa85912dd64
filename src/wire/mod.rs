//! What the protocols say, as codecs: bytes to values and back. Absent: sockets, `async`, the engine.

pub mod sig;

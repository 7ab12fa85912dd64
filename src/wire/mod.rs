//! What the protocols say, as codecs: bytes to values and back. Absent: sockets, `async`, the engine.

pub mod china_time;
pub mod sig;
pub mod soap;

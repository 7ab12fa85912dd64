//! The JSON control API, served on the Unix socket in the data directory.

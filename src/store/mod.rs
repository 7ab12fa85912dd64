//! The store: the only room that knows redb, extents and fsync.

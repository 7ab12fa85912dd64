//! 录像检索, 图片检索: a camera's files found by day, time, lock and name, and what is done with many of them at once.

pub(in crate::portal) mod sought;

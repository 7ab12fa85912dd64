//! A world for tests: a clock that is set, repeatable chance, a disk that forgets what was not synced.

//! Listeners, limits and drain.

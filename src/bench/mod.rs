//! Load generator and its figures: a stranger that uses the wire.

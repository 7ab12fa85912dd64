//! Secrets that must be recoverable but not readable at rest.

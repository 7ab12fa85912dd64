//! The data plane: S3 over HTTP.

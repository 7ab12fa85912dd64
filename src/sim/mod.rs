//! Testers' stand-ins for the platform and the cameras: strangers that use the wire.

pub mod cameras;
pub mod client;
pub mod demo;
pub mod own_server;
pub mod platform;
pub mod selftest;

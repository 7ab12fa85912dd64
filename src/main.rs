//! The binary: everything is in the library.

/// Gives memory back to the system some seconds after a burst, which the system's own does not:
/// `docs/decisions/0017-who-makes-room-and-what-is-given-back.md`.
#[global_allocator]
static MEMORY: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    kandian::cli::main(std::env::args_os())
}

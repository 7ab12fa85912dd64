//! The binary: everything is in the library.

fn main() -> std::process::ExitCode {
    kandian::cli::main(std::env::args_os())
}

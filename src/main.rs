//! The `stowplan` command.

fn main() -> std::process::ExitCode {
    stowplan::cli::main()
}

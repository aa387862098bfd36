//! The program `cargo-torvyn`, which cargo runs as `cargo torvyn`.

fn main() -> std::process::ExitCode {
    cargo_torvyn::main()
}

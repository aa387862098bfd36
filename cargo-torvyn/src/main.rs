//! The `cargo torvyn` command.

fn main() {}

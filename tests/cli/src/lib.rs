//! Runs `cargo torvyn` for the tests of the command line, as a user does; and what other tests need of the system as well.

#![allow(clippy::unwrap_used, reason = "a failed `unwrap` fails the test")]

pub use self::program::{command, said, target, torvyn};
pub use self::project::{FAULTS, faulty, folder, folder_with_input, project};
pub use self::says::{assert_says, expect_test};
pub use self::small_disk::SmallDisk;

mod program;
mod project;
mod says;
mod small_disk;

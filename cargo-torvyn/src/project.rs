//! The cargo side: the workspace and its packages.

pub(crate) mod add_member;
pub(crate) mod cargo;
pub(crate) mod scaffold;
pub(crate) mod toolchain;
pub(crate) mod workspace;

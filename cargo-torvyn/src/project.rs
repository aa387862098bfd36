//! The cargo side: the workspace, its packages, and the components that are built from them.

pub(crate) mod add_member;
pub(crate) mod cargo;
pub(crate) mod components;
pub(crate) mod scaffold;
pub(crate) mod toolchain;
pub(crate) mod workspace;

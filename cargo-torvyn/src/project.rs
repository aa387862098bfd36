//! Projects as cargo sees them: workspaces, packages, builds, the toolchain, and new projects.

pub(crate) mod add_member;
pub(crate) mod cargo;
pub(crate) mod scaffold;
pub(crate) mod toolchain;
pub(crate) mod workspace;

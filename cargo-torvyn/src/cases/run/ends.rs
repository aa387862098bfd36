//! What ends runs before their end.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use torvyn_runtime::Cut;

/// What ends a run before its end.
#[derive(Clone, Copy)]
pub(crate) struct Ends<'a> {
    /// Set once no more is to be begun.
    pub(crate) cancel: &'a Arc<AtomicBool>,
    /// Due once nothing is to go on.
    pub(crate) cut: &'a Cut,
}

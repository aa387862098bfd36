//! How runs are stopped before their end.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use torvyn_runtime::Cut;

/// The signals that stop a run before its end.
#[derive(Clone, Copy)]
pub(crate) struct Cancellation<'a> {
    /// Set when no more cases may start.
    pub(crate) cancel: &'a Arc<AtomicBool>,
    /// Due when running cases must stop at once.
    pub(crate) cut: &'a Cut,
}

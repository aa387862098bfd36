//! Functions `on-failure` and `skip`: the failure policy, and how a stage fails on one element of a batch and continues.

use wasmtime::StoreContextMut;
use wasmtime::component::{LinkerInstance, Resource};

use super::{Batch, Failure, FailurePolicy, Host};
use crate::payload::ElementSet;
use crate::pipeline::policy::{Policy, Then};

/// An element that a call failed on and skipped.
pub(crate) struct Skipped {
    /// Its index in the batch.
    pub(crate) index: u32,
    pub(crate) failure: Failure,
}

pub(super) fn link(types: &mut LinkerInstance<'_, Host>) -> wasmtime::Result<()> {
    types.func_wrap("on-failure", |store: StoreContextMut<'_, Host>, (): ()| Ok((store.data().policy,)))?;
    types.func_wrap("skip", skip)
}

fn skip(
    mut store: StoreContextMut<'_, Host>,
    (of, index, failure): (Resource<Batch>, u32, Failure),
) -> wasmtime::Result<(bool,)> {
    let host = store.data_mut();
    let there = (index as usize) < host.lent(&of)?.len();
    let new = host.skipped.iter().all(|skipped| skipped.index != index);
    let skips = there && new && host.policy == FailurePolicy::Skip && !matches!(failure, Failure::Fatal(_));
    if skips {
        host.skipped.push(Skipped { index, failure: short(failure) });
    }
    Ok((skips,))
}

/// Shortens the text of a failure: a stage can fill its memory with one, for each element of a batch.
fn short(mut failure: Failure) -> Failure {
    match &mut failure {
        Failure::InvalidInput(text)
        | Failure::Unavailable(text)
        | Failure::Internal(text)
        | Failure::Fatal(text)
        | Failure::LimitExceeded(text) => {
            let kept = text.floor_char_boundary(Skipped::LONGEST_TEXT);
            text.truncate(kept);
            text.shrink_to_fit();
        }
        Failure::DeadlineExceeded | Failure::OutOfBounds | Failure::BudgetExceeded => {}
    }
    failure
}

impl Skipped {
    /// Bytes kept of a failure's text. Reports show less, and then end with `…`.
    const LONGEST_TEXT: usize = 8 << 10;
}

impl Host {
    /// Whether the last call skipped elements it failed on.
    #[inline]
    pub(crate) fn has_skipped(&self) -> bool {
        !self.skipped.is_empty()
    }

    /// The elements that the last call skipped, among the first `count` of the batch.
    pub(crate) fn skipped(&self, count: u32) -> ElementSet {
        let skipped = self.skipped.iter().filter(|skipped| skipped.index < count);
        skipped.map(|skipped| skipped.index as usize).collect()
    }

    /// Takes the skipped elements, in the order of the batch, each with its failure.
    pub(crate) fn take_skipped(&mut self, count: u32) -> Vec<Skipped> {
        let mut skipped = std::mem::take(&mut self.skipped);
        skipped.retain(|skipped| skipped.index < count);
        skipped.sort_unstable_by_key(|skipped| skipped.index);
        skipped
    }
}

impl From<Policy> for FailurePolicy {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy { retry: Some(_), .. } => FailurePolicy::Retry,
            Policy { then: Then::Skip | Then::DeadLetter, .. } => FailurePolicy::Skip,
            Policy { then: Then::Stop, .. } => FailurePolicy::Stop,
        }
    }
}

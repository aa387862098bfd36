//! The input and the outputs of a flow in a test: elements from memory, and elements that are collected.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use torvyn_runtime::endpoint::{Input, Output, Pull, Pulled};
use torvyn_runtime::payload::element::Metadata;
use torvyn_runtime::payload::{Batch, ElementRef, Pool};

use crate::Element;

/// An input that delivers elements from memory.
pub(crate) struct MemoryInput(std::vec::IntoIter<(Bytes, Metadata)>);

impl MemoryInput {
    pub(crate) fn new(elements: Vec<(Bytes, Metadata)>) -> MemoryInput {
        MemoryInput(elements.into_iter())
    }
}

impl Input for MemoryInput {
    fn pull(&mut self, pull: &mut Pull<'_>) -> io::Result<Pulled> {
        for (payload, metadata) in self.0.by_ref() {
            if !pull.give_with(pull.pool.adopt(payload), metadata) {
                return Ok(Pulled::More);
            }
        }
        Ok(Pulled::End)
    }
}

/// An output that collects elements. Clones share the collection.
#[derive(Clone, Default)]
pub(crate) struct MemoryOutput(Arc<Mutex<Vec<Element>>>);

impl MemoryOutput {
    fn elements(&self) -> MutexGuard<'_, Vec<Element>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn take(&self) -> Vec<Element> {
        std::mem::take(&mut self.elements())
    }
}

impl Output for MemoryOutput {
    fn push(&mut self, batch: &Batch) -> io::Result<()> {
        let mut collected = self.elements();
        for element in batch.iter() {
            collected.push(copy(element)?);
        }
        Ok(())
    }

    fn complete(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn written(&self) -> u64 {
        self.elements().iter().map(|element| element.payload.len() as u64).sum()
    }
}

/// Copies an element out of the memory of the flow, of which nothing may be held at the end.
pub(crate) fn copy(element: ElementRef<'_>) -> io::Result<Element> {
    let payload = element.payload().to_vec(&Pool::default())?;
    let (sequence, timestamp, deadline) = (element.sequence(), element.timestamp(), element.deadline());
    Ok(Element { payload, sequence, timestamp, deadline, attributes: element.attributes().clone() })
}

//! The two ends of a flow in a test: elements from memory, and elements that are kept.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use torvyn_runtime::endpoint::{Input, Output, Pull, Pulled};
use torvyn_runtime::payload::Pool;
use torvyn_runtime::payload::element::{self, Metadata};

use crate::Element;

/// Elements from memory.
pub(crate) struct Given(std::vec::IntoIter<(Bytes, Metadata)>);

impl Given {
    pub(crate) fn new(elements: Vec<(Bytes, Metadata)>) -> Given {
        Given(elements.into_iter())
    }
}

impl Input for Given {
    fn pull(&mut self, pull: &mut Pull<'_>) -> io::Result<Pulled> {
        for (payload, metadata) in self.0.by_ref() {
            if !pull.give_with(pull.pool.adopt(payload), metadata) {
                return Ok(Pulled::More);
            }
        }
        Ok(Pulled::End)
    }
}

/// Keeps the elements it gets. Its clones keep them together.
#[derive(Clone, Default)]
pub(crate) struct Kept(Arc<Mutex<Vec<Element>>>);

impl Kept {
    fn elements(&self) -> MutexGuard<'_, Vec<Element>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn take(&self) -> Vec<Element> {
        std::mem::take(&mut self.elements())
    }
}

impl Output for Kept {
    fn push(&mut self, elements: &[element::Element]) -> io::Result<()> {
        let mut kept = self.elements();
        for element in elements {
            kept.push(copied(element)?);
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

/// In memory of its own: at the end of a flow nothing of its memory may be held.
pub(crate) fn copied(element: &element::Element) -> io::Result<Element> {
    let payload = element.payload.to_vec(&Pool::default())?;
    let &element::Element { sequence, timestamp, .. } = element;
    Ok(Element { payload, sequence, timestamp, deadline: element.deadline(), attributes: element.attributes().clone() })
}

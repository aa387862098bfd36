//! What a stage makes of a call: elements passed on by handle, and elements written.

use std::marker::PhantomData;
use std::mem;

use crate::batch::Element;
use crate::bindings::lifecycle::types::{self, Failure};
use crate::world::CanWrite;

/// In the `sizes` of an output: the element is passed on by handle.
pub(crate) const BY_HANDLE: u64 = u64::MAX;
/// In the `lineage` of an output: the element comes from none of the batch.
const NO_LINEAGE: u32 = u32::MAX;
/// In the `outputs` of an output: the element goes to output 0 alone.
pub(crate) const OUTPUT_0: u32 = 1;
/// Capacity that is kept from one call to the next, in bytes; an element may have needed much more once.
const KEPT_CAPACITY: usize = 1 << 20;

/// Elements being written, in order.
#[derive(Debug, Default)]
pub struct Writer {
    pub(crate) bytes: Vec<u8>,
    pub(crate) sizes: Vec<u64>,
    /// Empty, or as long as `sizes`.
    pub(crate) lineage: Vec<u32>,
    /// Empty, or as long as `sizes`.
    pub(crate) outputs: Vec<u32>,
}

impl Writer {
    /// Writes an element to output 0.
    pub fn write(&mut self, payload: &[u8]) {
        self.write_to(0, payload);
    }

    /// Writes an element to output `port`.
    ///
    /// # Panics
    ///
    /// Where `port` is above 31.
    pub fn write_to(&mut self, port: u32, payload: &[u8]) {
        self.bytes.extend_from_slice(payload);
        self.entry(payload.len() as u64, NO_LINEAGE, bit(port));
    }

    /// Writes an element of `len` bytes to output 0, in place: `fill` gets them zeroed.
    pub fn write_with(&mut self, len: usize, fill: impl FnOnce(&mut [u8])) {
        self.fill(len, fill);
        self.entry(len as u64, NO_LINEAGE, OUTPUT_0);
    }

    /// How many elements were written in this call.
    pub fn len(&self) -> usize {
        self.sizes.len()
    }

    /// Whether nothing was written in this call.
    pub fn is_empty(&self) -> bool {
        self.sizes.is_empty()
    }

    pub(crate) fn fill(&mut self, len: usize, fill: impl FnOnce(&mut [u8])) {
        let start = self.bytes.len();
        self.bytes.resize(start + len, 0);
        fill(&mut self.bytes[start..]);
    }

    #[inline]
    pub(crate) fn entry(&mut self, size: u64, lineage: u32, outputs: u32) {
        enter(&mut self.lineage, self.sizes.len(), lineage, NO_LINEAGE);
        enter(&mut self.outputs, self.sizes.len(), outputs, OUTPUT_0);
        self.sizes.push(size);
    }

    /// Hands all of it to the host, in one crossing.
    #[cfg(target_arch = "wasm32")]
    pub(crate) fn emit(&mut self) -> Result<types::Output, Failure> {
        crate::bindings::processor::payload_write::emit_all(&self.bytes, &self.sizes, &self.lineage, &self.outputs)
    }

    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn emit(&mut self) -> Result<types::Output, Failure> {
        unreachable!("natively, `testing` takes the elements from the writer")
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_CAPACITY);
        self.sizes.clear();
        self.lineage.clear();
        self.outputs.clear();
    }
}

/// Adds the entry at `len` to a column, which stays empty while all entries are what an empty one stands for.
#[inline]
fn enter(column: &mut Vec<u32>, len: usize, entry: u32, default: u32) {
    if !column.is_empty() || entry != default {
        column.resize(len, default);
        column.push(entry);
    }
}

#[inline]
fn bit(port: u32) -> u32 {
    1u32.checked_shl(port).expect("outputs are numbered from 0 to 31")
}

/// Where the elements of a batch go.
///
/// An element that is neither forwarded nor written from is dropped. Elements come out in the order of the calls made
/// here; those forwarded before anything was written in the same batch come in the order of the batch.
pub struct Output<'a, W> {
    current: u32,
    routes: Vec<u32>,
    /// Whether the elements are listed in `writer`; until something is written, `routes` says it all.
    listed: bool,
    writer: &'a mut Writer,
    world: PhantomData<W>,
}

impl<'a, W> Output<'a, W> {
    pub(crate) fn new(count: u32, writer: &'a mut Writer) -> Self {
        writer.clear();
        Output { current: 0, routes: vec![0; count as usize], listed: false, writer, world: PhantomData }
    }

    /// Makes `element` the one that the following calls are about. A per-element stage finds it done.
    #[inline(always)]
    pub fn at(&mut self, element: Element<'_, W>) -> &mut Self {
        self.current = element.index();
        self
    }

    /// Passes the element on to output 0, by handle.
    #[inline(always)]
    pub fn forward(&mut self) {
        self.forward_to(0);
    }

    /// Passes the element on to output `port`, by handle. It can go to several, and to each once.
    ///
    /// # Panics
    ///
    /// Where `port` is above 31.
    #[inline(always)]
    pub fn forward_to(&mut self, port: u32) {
        if self.listed {
            self.list_forward(port);
        } else {
            self.routes[self.current as usize] |= bit(port);
        }
    }

    fn list_forward(&mut self, port: u32) {
        let writer = &mut *self.writer;
        writer.outputs.resize(writer.sizes.len(), OUTPUT_0);
        match (writer.sizes.last(), writer.lineage.last(), writer.outputs.last_mut()) {
            (Some(&BY_HANDLE), Some(&from), Some(outputs)) if from == self.current => *outputs |= bit(port),
            _ => writer.entry(BY_HANDLE, self.current, bit(port)),
        }
    }

    /// From the first write on, what was forwarded before it is listed too.
    pub(crate) fn list(&mut self) {
        if !mem::replace(&mut self.listed, true) {
            for (index, &outputs) in self.routes.iter().enumerate().filter(|(_, outputs)| **outputs != 0) {
                self.writer.entry(BY_HANDLE, index as u32, outputs);
            }
        }
    }

    pub(crate) fn into_routes(self) -> Vec<u32> {
        self.routes
    }
}

impl<W: CanWrite> Output<'_, W> {
    /// Writes an element to output 0. It takes over the metadata of the current one.
    #[inline(always)]
    pub fn write(&mut self, payload: &[u8]) {
        self.write_to(0, payload);
    }

    /// Writes an element to output `port`. It takes over the metadata of the current one.
    ///
    /// # Panics
    ///
    /// Where `port` is above 31.
    pub fn write_to(&mut self, port: u32, payload: &[u8]) {
        self.list();
        self.writer.bytes.extend_from_slice(payload);
        self.writer.entry(payload.len() as u64, self.current, bit(port));
    }

    /// Writes an element of `len` bytes to output 0, in place: `fill` gets them zeroed.
    pub fn write_with(&mut self, len: usize, fill: impl FnOnce(&mut [u8])) {
        self.list();
        self.writer.fill(len, fill);
        self.writer.entry(len as u64, self.current, OUTPUT_0);
    }

    pub(crate) fn into_outcome(self) -> Result<types::Outcome, Failure> {
        if self.listed {
            self.writer.emit().map(types::Outcome::Output)
        } else {
            Ok(types::Outcome::Routes(self.routes))
        }
    }
}

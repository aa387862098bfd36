//! Collects the elements that a call makes, and hands them to the host.
//!
//! A host function makes many elements in one crossing, so entries are collected in [`Columns`] first. A world with
//! several ways to make elements must keep their order: before an element is made in another way, the collected entries
//! are emitted.
//!
//! Nothing here is generic, so that little else is compiled together with a stage: the smaller the code of the stage,
//! the more of it is inlined, and the more can be proven about it.

use crate::bindings::lifecycle::types::Failure;
use crate::columns::{Columns, bit};
use crate::host::{self, HostBuffer, HostLease, HostOutput, Lent};
use crate::lease::{Mode, Scope};

/// The elements that the current call makes.
#[derive(Default)]
pub struct OutputBuilder {
    pub(crate) columns: Columns,
    /// What the entries of `columns` are, in a world with several kinds of entries.
    pub(crate) kind: Option<EntryKind>,
    pub(crate) emit_fns: EmitFns,
    /// The index in `columns` of the first entry of the current element of the batch.
    current_start: usize,
    /// Emitted, of earlier elements of the batch.
    earlier: Option<HostOutput>,
    /// Emitted, of the current element: moves to `earlier` once that element is done.
    current: Option<HostOutput>,
    emitted_elements: usize,
    emitted_bytes: u64,
    failure: Option<Failure>,
}

/// What the entries of the columns are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryKind {
    /// Written, or forwarded by handle: `payload-write.emit-all`.
    Written,
    /// Parts of payloads: `payload-view.slice-all`. In a world that cannot cut, each part is a whole payload, and is
    /// forwarded from a lease.
    Parts,
}

/// Makes elements of all entries, and appends them to the output.
pub(crate) type EmitFn = fn(&Columns, Option<Lent<'_>>, &mut Option<HostOutput>) -> Result<(), Failure>;

/// The functions that emit the entries of each kind.
///
/// Each is set by the first call of the stage that needs it. A stage without such a call therefore has no code for it,
/// whatever the optimisation level, and its component does not import the host function.
#[derive(Clone, Copy, Default)]
pub(crate) struct EmitFns {
    pub(crate) written: Option<EmitFn>,
    pub(crate) parts: Option<EmitFn>,
}

/// Emits written and forwarded entries.
pub(crate) fn emit_written(
    columns: &Columns,
    lent: Option<Lent<'_>>,
    output: &mut Option<HostOutput>,
) -> Result<(), Failure> {
    append(output, host::emit_all(columns, lent)?);
    Ok(())
}

/// As [`emit_written`], for worlds that make elements in no other way: there is no output to append to.
pub(crate) fn emit_only_written(
    columns: &Columns,
    lent: Option<Lent<'_>>,
    output: &mut Option<HostOutput>,
) -> Result<(), Failure> {
    *output = Some(host::emit_all(columns, lent)?);
    Ok(())
}

/// Emits parts as views.
pub(crate) fn emit_parts(
    columns: &Columns,
    lent: Option<Lent<'_>>,
    output: &mut Option<HostOutput>,
) -> Result<(), Failure> {
    // Without a batch there is no payload to cut.
    append(output, lent.ok_or(Failure::OutOfBounds)?.slice_all(columns)?);
    Ok(())
}

/// Emits parts that are all whole payloads: takes a lease on their elements and forwards them from it.
pub(crate) fn emit_wholes(
    columns: &Columns,
    lent: Option<Lent<'_>>,
    output: &mut Option<HostOutput>,
) -> Result<(), Failure> {
    let mut indices = Vec::new();
    let mut places = Vec::new();
    for index in &columns.lineage {
        let known = indices.iter().position(|known| known == index);
        places.push(known.unwrap_or(indices.len()) as u32);
        if known.is_none() {
            indices.push(*index);
        }
    }
    let lease = lent.ok_or(Failure::OutOfBounds)?.take(&indices, Mode::Shared, Scope::Stage)?;
    append(output, lease.forward_all(&places, &columns.outputs)?);
    Ok(())
}

fn append(output: &mut Option<HostOutput>, more: HostOutput) {
    match output {
        Some(output) => host::append(output, more),
        None => *output = Some(more),
    }
}

impl OutputBuilder {
    /// Elements made so far in this call.
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.emitted_elements + self.columns.sizes.len()
    }

    /// Bytes of the payloads written so far in this call.
    pub(crate) fn bytes(&self) -> u64 {
        self.emitted_bytes + self.columns.bytes.len() as u64
    }

    pub(crate) fn clear(&mut self) {
        self.columns.clear();
        (self.kind, self.earlier, self.current, self.failure) = (None, None, None, None);
        self.current_start = 0;
        (self.emitted_elements, self.emitted_bytes) = (0, 0);
    }

    /// Starts the next element of the batch: entries from here on are made of it.
    #[inline(always)]
    pub(crate) fn begin_element(&mut self) {
        self.current_start = self.columns.sizes.len();
    }

    /// As [`begin_element`](OutputBuilder::begin_element), in a world with several ways to make elements.
    #[inline]
    pub(crate) fn begin_element_of_several(&mut self) {
        self.begin_element();
        if let Some(current) = self.current.take() {
            append(&mut self.earlier, current);
        }
    }

    /// Discards what was made of the current element. Returns whether anything was made of earlier ones.
    pub(crate) fn discard_current(&mut self) -> bool {
        self.columns.truncate(self.current_start);
        self.current = None;
        if self.current_start == 0 {
            self.kind = None;
        }
        self.current_start > 0 || self.earlier.is_some()
    }

    /// Makes `kind` the kind of the next entries. Emits the entries so far if they are of another kind.
    pub(crate) fn set_kind(&mut self, kind: EntryKind, lent: Option<Lent<'_>>) {
        if self.kind != Some(kind) {
            self.emit(lent);
            self.kind = Some(kind);
        }
    }

    /// Emits the collected entries. An error of the host is kept until the end of the call.
    fn emit(&mut self, lent: Option<Lent<'_>>) {
        let emit_fn = match self.kind.take() {
            Some(EntryKind::Written) => self.emit_fns.written,
            Some(EntryKind::Parts) => self.emit_fns.parts,
            None => None,
        };
        if let Some(emit_fn) = emit_fn {
            self.emitted_elements += self.columns.sizes.len();
            self.emitted_bytes += self.columns.bytes.len() as u64;
            let refused = self.emit_with(emit_fn, lent).err();
            self.failure = self.failure.take().or(refused);
            self.columns.clear();
            self.current_start = 0;
        }
    }

    /// Emits the entries of the current element separately, so that they can be discarded. Without a batch there is no
    /// current element.
    fn emit_with(&mut self, emit_fn: EmitFn, lent: Option<Lent<'_>>) -> Result<(), Failure> {
        if lent.is_none() {
            return emit_fn(&self.columns, lent, &mut self.earlier);
        }
        if self.current_start == 0 {
            return emit_fn(&self.columns, lent, &mut self.current);
        }
        let has_current = self.current_start < self.columns.sizes.len();
        let current = has_current.then(|| self.columns.split_off(self.current_start));
        emit_fn(&self.columns, lent, &mut self.earlier)?;
        current.map_or(Ok(()), |columns| emit_fn(&columns, lent, &mut self.current))
    }

    /// Appends elements that a host function made.
    pub(crate) fn append(&mut self, lent: Option<Lent<'_>>, elements: u32, bytes: u64, more: HostOutput) {
        self.emit(lent);
        append(if lent.is_some() { &mut self.current } else { &mut self.earlier }, more);
        self.emitted_elements += elements as usize;
        self.emitted_bytes += bytes;
    }

    /// Everything that was made in this call, in a world with several ways to make elements.
    pub(crate) fn finish(&mut self, lent: Option<Lent<'_>>) -> Result<Option<HostOutput>, Failure> {
        if lent.is_some() {
            self.begin_element_of_several();
        }
        self.emit(lent);
        match self.failure.take() {
            Some(failure) => Err(failure),
            None => Ok(self.earlier.take()),
        }
    }

    pub(crate) fn freeze(
        &mut self,
        lent: Option<Lent<'_>>,
        lineage: u32,
        port: u32,
        buffer: HostBuffer,
        len: u64,
    ) -> Result<(), Failure> {
        let output = buffer.freeze(lineage, bit(port), lent)?;
        self.append(lent, 1, len, output);
        Ok(())
    }

    pub(crate) fn join(&mut self, lent: Option<Lent<'_>>, port: u32, leases: &[&HostLease]) -> Result<(), Failure> {
        let output = host::join(leases, bit(port))?;
        self.append(lent, 1, 0, output);
        Ok(())
    }

    pub(crate) fn forward(
        &mut self,
        lent: Option<Lent<'_>>,
        lease: &HostLease,
        indices: &[u32],
        port: u32,
    ) -> Result<(), Failure> {
        let outputs = if port == 0 { Vec::new() } else { vec![bit(port); indices.len()] };
        let output = lease.forward_all(indices, &outputs)?;
        self.append(lent, indices.len() as u32, 0, output);
        Ok(())
    }
}

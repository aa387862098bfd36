//! Counts the copies of a stage per element: against its budget, before they are made, and against what is proven of it.

use super::payload_write::BY_HANDLE;
use crate::contract::{Bounds, Budget, Limited, Overrun};
use crate::payload::{Batch, ElementRef, ElementSet};

/// The copies of one stage.
#[derive(Clone)]
pub(crate) struct Meter {
    budget: Budget,
    bounds: Bounds,
    /// Whether copies beyond the proof are refused, and not only reported.
    is_strict: bool,
    /// Whether the stage is a source: it writes what it makes, and is lent no elements.
    is_source: bool,
    /// How often this call read the whole batch.
    whole: u32,
    /// What this call read besides, per element of the batch. Empty until it does, so a batch that is never read one by one
    /// costs nothing here.
    parts: Vec<ElementReads>,
    /// The most reads in `parts`, and the index of that element.
    most: (u32, usize),
    /// The elements that left the batch: reads of the whole batch do not include them.
    left: ElementSet,
    /// How often failed calls read each element of the batch; empty if none did.
    before: Vec<u32>,
    /// `before` for the next call.
    next_before: Vec<u32>,
    /// Writes of this call that belong to no element of the batch, as far as the host knows.
    unattributed: u64,
    /// How often this call wrote for each element of the batch; empty until it does.
    writes: Vec<u32>,
    /// Elements lent so far.
    lent: u64,
    /// Writes so far.
    written: u64,
    /// The first copy beyond the budget.
    over_budget: Option<Overrun>,
    /// The first copy beyond the proof.
    over_bound: Option<Overrun>,
    /// Whether anything was refused, for whatever reason.
    pub(crate) refused: bool,
    /// The most reads of one element, over all calls that lent it, failed calls included, and through leases.
    pub(crate) reads_max: u32,
    /// The most writes for one element, by `lineage`.
    pub(crate) writes_max: u32,
}

/// What was read of one element.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ElementReads {
    reads: u32,
    bytes: u64,
}

impl Meter {
    pub(crate) fn new(budget: Budget, bounds: Bounds, source: bool) -> Meter {
        Meter {
            budget,
            bounds,
            is_strict: false,
            is_source: source,
            whole: 0,
            parts: Vec::new(),
            most: (0, 0),
            left: ElementSet::EMPTY,
            before: Vec::new(),
            next_before: Vec::new(),
            unattributed: 0,
            writes: Vec::new(),
            lent: 0,
            written: 0,
            over_budget: None,
            over_bound: None,
            refused: false,
            reads_max: 0,
            writes_max: 0,
        }
    }

    /// Refuses copies beyond the proof from now on. The flow survives failed calls, so the proof must hold for those as well.
    pub(crate) fn hold_failed_calls(&mut self) {
        self.is_strict = true;
    }

    /// Begins a call that lends this many elements.
    #[inline]
    pub(crate) fn lend(&mut self, elements: usize) {
        self.lent += elements as u64;
        self.whole = 0;
        self.parts.clear();
        self.most = (0, 0);
        self.left = ElementSet::EMPTY;
        self.writes.clear();
        self.unattributed = 0;
        self.before.clear();
        std::mem::swap(&mut self.before, &mut self.next_before);
    }

    /// Prepares a call that retries elements; `before` says how often failed calls read each.
    pub(crate) fn retry_batch(&mut self, before: impl Iterator<Item = u32>) {
        self.next_before.clear();
        self.next_before.extend(before);
    }

    /// Counts `untouched` elements of a failed call as not lent: nothing may be written for them until they are lent again.
    pub(crate) fn take_back(&mut self, untouched: u64) {
        self.lent = self.lent.saturating_sub(untouched);
    }

    /// Takes the overruns of the call: beyond the budget, and beyond the proof.
    #[inline]
    pub(crate) fn overruns(&mut self) -> (Option<Overrun>, Option<Overrun>) {
        (self.over_budget.take(), self.over_bound.take())
    }

    /// Counts a read of `len` bytes of the element `index` of the batch, if it is allowed.
    pub(crate) fn read(&mut self, batch: &Batch, index: usize, len: u64) -> bool {
        let Some(element) = batch.get(index) else { return false };
        let after = self.read_so_far(element, index).and(len);
        if !self.may_read(element, after) {
            return false;
        }
        self.parts.resize(batch.len(), ElementReads::default());
        self.parts[index] = self.parts[index].and(len);
        if self.parts[index].reads > self.most.0 {
            self.most = (self.parts[index].reads, index);
        }
        self.note_reads(after.reads.saturating_add(self.read_before(index)));
        true
    }

    /// Counts a read of every payload of the batch, if all of them are allowed.
    pub(crate) fn read_all(&mut self, batch: &Batch) -> bool {
        if self.budget.reads.is_some() || self.budget.read_bytes.is_some() {
            let there = batch.iter().enumerate().filter(|(index, _)| !self.has_left(*index));
            let mut overruns = there.filter_map(|(index, element)| {
                let after = self.read_so_far(element, index).and(element.len() as u64);
                self.beyond_reads(element, after)
            });
            if let Some(overrun) = overruns.next() {
                return self.refuse(overrun);
            }
        }
        let most = self.whole.saturating_add(1).saturating_add(self.most.0);
        if let Some(overrun) = batch.get(self.most.1).and_then(|element| self.beyond_proof(element, most))
            && !self.allow_unproven(overrun)
        {
            return false;
        }
        self.whole = self.whole.saturating_add(1);
        self.note_reads(most);
        if !self.before.is_empty() {
            let there = (0..batch.len()).filter(|index| !self.has_left(*index));
            let most = there.map(|index| self.reads_of(index)).max();
            self.note_reads(most.unwrap_or_default());
        }
        true
    }

    /// Counts a read of `len` bytes of a held element that is not in the batch, if it is allowed. `so_far` was read since it was
    /// lent, and failed calls read it `before` times.
    pub(super) fn read_held(
        &mut self,
        element: ElementRef<'_>,
        so_far: &mut ElementReads,
        before: u32,
        len: u64,
    ) -> bool {
        let after = so_far.and(len);
        if !self.may_read(element, after) {
            return false;
        }
        *so_far = after;
        self.note_reads(after.reads.saturating_add(before));
        true
    }

    /// How often failed calls read the element `index` of the batch.
    pub(super) fn read_before(&self, index: usize) -> u32 {
        self.before.get(index).copied().unwrap_or_default()
    }

    /// How often this call and earlier failed calls read the element `index` of the batch.
    pub(crate) fn reads_of(&self, index: usize) -> u32 {
        let part = self.parts.get(index).map_or(0, |part| part.reads);
        let whole = if self.has_left(index) { 0 } else { self.whole };
        self.read_before(index).saturating_add(whole).saturating_add(part)
    }

    /// Whether this call copied anything of the element `index` of the batch, or may have.
    pub(crate) fn is_touched(&self, index: usize) -> bool {
        let written = self.unattributed > 0 || self.writes.get(index).is_some_and(|writes| *writes > 0);
        written || self.reads_of(index) > self.read_before(index)
    }

    /// Returns the element `index` to the batch, with what was read of it.
    pub(super) fn put_back(&mut self, elements: usize, index: usize, read: ElementReads) {
        self.parts.resize(elements, ElementReads::default());
        self.parts[index] = read;
    }

    /// What this call read of the element `index` of the batch, which has `len` bytes.
    pub(super) fn read_here(&self, index: usize, len: u64) -> ElementReads {
        let part = self.parts.get(index).copied().unwrap_or_default();
        let whole = u64::from(self.whole).saturating_mul(len);
        ElementReads { reads: part.reads.saturating_add(self.whole), bytes: part.bytes.saturating_add(whole) }
    }

    /// Removes the element `index`, of `len` bytes, from the batch. Returns what this call read of it.
    pub(super) fn leave(&mut self, index: usize, len: u64) -> ElementReads {
        let read = self.read_here(index, len);
        if let Some(part) = self.parts.get_mut(index) {
            *part = ElementReads::default();
        }
        let reads = self.parts.iter().enumerate().map(|(index, part)| (part.reads, index));
        self.most = reads.max().unwrap_or_default();
        self.left.insert(index);
        read
    }

    fn has_left(&self, index: usize) -> bool {
        self.left.contains(index)
    }

    fn read_so_far(&self, element: ElementRef<'_>, index: usize) -> ElementReads {
        self.read_here(index, element.len() as u64)
    }

    /// Whether the budget allows holding this many elements and payload bytes at once.
    pub(super) fn hold(&mut self, elements: u64, bytes: u64) -> bool {
        let held = (Limited::Leases, elements, self.budget.leases.map(u64::from));
        let of_bytes = (Limited::LeaseBytes, bytes, self.budget.lease_bytes);
        let overrun = [held, of_bytes].into_iter().find_map(|(what, count, limit)| {
            let limit = limit.filter(|limit| count > *limit)?;
            Some(Overrun { what, element: None, count, limit })
        });
        overrun.is_none_or(|overrun| self.refuse(overrun))
    }

    /// The overrun of the budget if this call has read this much of an element.
    fn beyond_reads(&self, element: ElementRef<'_>, read: ElementReads) -> Option<Overrun> {
        let reads = (Limited::Reads, u64::from(read.reads), self.budget.reads.map(u64::from));
        let bytes = (Limited::ReadBytes, read.bytes, self.budget.read_bytes);
        [reads, bytes].into_iter().find_map(|(what, count, limit)| {
            let limit = limit.filter(|limit| count > *limit)?;
            Some(Overrun { what, element: Some(element.sequence()), count, limit })
        })
    }

    /// Whether an element may be read so that this much was read since it was lent.
    fn may_read(&mut self, element: ElementRef<'_>, read: ElementReads) -> bool {
        if let Some(overrun) = self.beyond_reads(element, read) {
            return self.refuse(overrun);
        }
        match self.beyond_proof(element, read.reads) {
            Some(overrun) => self.allow_unproven(overrun),
            None => true,
        }
    }

    /// The overrun of the proof if an element was read this often.
    fn beyond_proof(&self, element: ElementRef<'_>, reads: u32) -> Option<Overrun> {
        let max = self.bounds.reads.max.filter(|max| reads > *max)?;
        Some(Overrun {
            what: Limited::Reads,
            element: Some(element.sequence()),
            count: reads.into(),
            limit: max.into(),
        })
    }

    /// Handles a copy beyond the proof, and returns whether it is allowed. Only a call that will not return can do this: nothing
    /// is proven of such calls. If the flow survives the failed call, the host enforces the proof. If it does not, the copy is
    /// allowed, because the failure itself is more useful than a refusal.
    fn allow_unproven(&mut self, overrun: Overrun) -> bool {
        self.over_bound.get_or_insert(overrun);
        self.refused |= self.is_strict;
        !self.is_strict
    }

    /// Refuses a copy beyond the budget. Only the first refusal is reported.
    fn refuse(&mut self, overrun: Overrun) -> bool {
        self.over_budget.get_or_insert(overrun);
        self.refused = true;
        false
    }

    fn note_reads(&mut self, reads: u32) {
        self.reads_max = self.reads_max.max(reads);
    }

    /// Counts `written` payloads, the entries of `sizes` that are not passed on by handle, if they are allowed.
    pub(crate) fn write(&mut self, batch: &Batch, sizes: &[u64], lineage: &[u32], written: u64) -> bool {
        if written == 0 {
            return true;
        }
        let all = self.written.saturating_add(written);
        let (most, attributed) = self.count_lineage(batch, sizes, lineage, u32::saturating_add);
        let beyond = |limit: Option<u32>| {
            let of_element = || of_element(batch, self.most_written(most), limit?);
            of_element().or_else(|| self.beyond_writes(limit, all))
        };
        let (over_budget, over_bound) = (beyond(self.budget.writes), beyond(self.bounds.writes.max));
        let allowed = match (over_budget, over_bound) {
            (Some(overrun), _) => self.refuse(overrun),
            (None, Some(overrun)) => self.allow_unproven(overrun),
            (None, None) => true,
        };
        if !allowed {
            self.count_lineage(batch, sizes, lineage, u32::saturating_sub);
            return false;
        }
        self.written = all;
        self.unattributed += written.saturating_sub(attributed);
        self.writes_max = self.writes_max.max(most);
        true
    }

    /// Whether a payload that was written `so_far` times may be written once more.
    pub(super) fn may_write(&mut self, so_far: u64) -> bool {
        let (count, limit) = (so_far.saturating_add(1), self.budget.writes);
        let here = limit.map(u64::from).filter(|limit| count > *limit).map(|limit| Overrun {
            what: Limited::Writes,
            element: None,
            count,
            limit,
        });
        let all = self.written.saturating_add(1);
        if let Some(overrun) = self.beyond_writes(limit, all).or(here) {
            return self.refuse(overrun);
        }
        self.beyond_writes(self.bounds.writes.max, all).is_none_or(|overrun| self.allow_unproven(overrun))
    }

    /// Counts one more write to a payload, if [`Meter::may_write`] allows it.
    pub(super) fn write_piece(&mut self, so_far: u64) -> bool {
        if !self.may_write(so_far) {
            return false;
        }
        self.written += 1;
        self.unattributed += 1;
        true
    }

    /// Attributes the `writes` of one payload, which are already counted, to the element `lineage` of the batch, if they are
    /// allowed.
    pub(super) fn writes_of(&mut self, batch: &Batch, lineage: u32, writes: u64) -> bool {
        let index = lineage as usize;
        if index >= batch.len() {
            // There is no lineage, or it breaks the contract, which is reported when the output is returned.
            return true;
        }
        self.writes.resize(batch.len(), 0);
        let writes = u32::try_from(writes).unwrap_or(u32::MAX);
        let most = (self.writes[index].saturating_add(writes), index);
        if let Some(overrun) = self.budget.writes.and_then(|limit| of_element(batch, most, limit)) {
            return self.refuse(overrun);
        }
        if let Some(overrun) = self.bounds.writes.max.and_then(|limit| of_element(batch, most, limit))
            && !self.allow_unproven(overrun)
        {
            return false;
        }
        self.writes[index] = most.0;
        self.writes_max = self.writes_max.max(most.0);
        true
    }

    /// The element of the batch with this many writes, the most.
    fn most_written(&self, most: u32) -> (u32, usize) {
        (most, self.writes.iter().position(|writes| *writes == most).unwrap_or_default())
    }

    /// Counts the writes per element of the batch. Returns the greatest count of those that were counted, and the number of writes
    /// that belong to an element.
    fn count_lineage(
        &mut self,
        batch: &Batch,
        sizes: &[u64],
        lineage: &[u32],
        count: impl Fn(u32, u32) -> u32,
    ) -> (u32, u64) {
        let (mut most, mut attributed) = (0, 0);
        if lineage.is_empty() {
            return (most, attributed);
        }
        self.writes.resize(batch.len(), 0);
        for (_, &index) in sizes.iter().zip(lineage).filter(|(size, _)| **size != BY_HANDLE) {
            // An index that is not in the batch breaks the contract, which is reported when the output is returned.
            if let Some(writes) = self.writes.get_mut(index as usize) {
                *writes = count(*writes, 1);
                attributed += 1;
                most = most.max(*writes);
            }
        }
        (most, attributed)
    }

    /// The overrun if `all` payloads written so far are too many for the elements lent so far.
    fn beyond_writes(&self, each: Option<u32>, all: u64) -> Option<Overrun> {
        let each = u64::from(each?);
        let limit = if self.is_source && each > 0 { u64::MAX } else { each.saturating_mul(self.lent) };
        (all > limit).then_some(Overrun { what: Limited::Writes, element: None, count: all, limit })
    }
}

/// The overrun if the element with the most writes has more than `limit`.
fn of_element(batch: &Batch, most: (u32, usize), limit: u32) -> Option<Overrun> {
    let (count, index) = most;
    let element = batch.get(index)?;
    (count > limit).then(|| Overrun {
        what: Limited::Writes,
        element: Some(element.sequence()),
        count: count.into(),
        limit: limit.into(),
    })
}

impl ElementReads {
    pub(super) fn reads(self) -> u32 {
        self.reads
    }

    /// With one more read of `len` bytes.
    fn and(self, len: u64) -> ElementReads {
        ElementReads { reads: self.reads.saturating_add(1), bytes: self.bytes.saturating_add(len) }
    }
}

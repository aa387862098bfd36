//! Counts the copies of a stage element by element: against its budget, before they are made, and against what is proven
//! of it.

use crate::analysis::{Bounds, Budget, Limited, Overrun};
use crate::element::Element;

use super::payload_write::BY_HANDLE;

/// The copies of one stage.
pub(crate) struct Meter {
    budget: Budget,
    bounds: Bounds,
    /// Of a source no element is lent: it writes what it makes.
    source: bool,
    /// Of each element of the current batch; empty until a payload is copied. So a batch that nobody looks into costs
    /// nothing here.
    elements: Vec<Spent>,
    /// Elements lent so far.
    lent: u64,
    /// Payloads written so far.
    written: u64,
    /// The first refusal for the budget.
    over_budget: Option<Overrun>,
    /// The first copy beyond what is proven.
    over_bound: Option<Overrun>,
    /// Whether anything was refused, for whatever reason.
    pub(crate) refused: bool,
    /// The most reads that an element had in a call.
    pub(crate) reads_max: u32,
    /// The most payloads that were written from an element, as `lineage` tells.
    pub(crate) writes_max: u32,
}

/// What was copied of and for one element.
#[derive(Clone, Copy, Default)]
struct Spent {
    reads: u32,
    read_bytes: u64,
    writes: u32,
}

impl Meter {
    pub(crate) fn new(budget: Budget, bounds: Bounds, source: bool) -> Meter {
        Meter {
            budget,
            bounds,
            source,
            elements: Vec::new(),
            lent: 0,
            written: 0,
            over_budget: None,
            over_bound: None,
            refused: false,
            reads_max: 0,
            writes_max: 0,
        }
    }

    /// Begins a call that is lent so many elements.
    #[inline]
    pub(crate) fn lend(&mut self, elements: usize) {
        self.lent += elements as u64;
        self.elements.clear();
    }

    /// What went wrong in the call: beyond the budget, and beyond what is proven.
    #[inline]
    pub(crate) fn overruns(&mut self) -> (Option<Overrun>, Option<Overrun>) {
        (self.over_budget.take(), self.over_bound.take())
    }

    /// Counts a read of `len` bytes of the element `index` of the batch, if the budget allows it.
    pub(crate) fn read(&mut self, batch: &[Element], index: usize, len: u64) -> bool {
        self.elements.resize(batch.len(), Spent::default());
        let spent = &mut self.elements[index];
        let now =
            Spent { reads: spent.reads.saturating_add(1), read_bytes: spent.read_bytes.saturating_add(len), ..*spent };
        if let Some(overrun) = beyond_reads(&self.budget, &now, &batch[index]) {
            self.over_budget.get_or_insert(overrun);
            self.refused = true;
            return false;
        }
        *spent = now;
        self.note_reads(now.reads, &batch[index]);
        true
    }

    /// Counts a read of every payload of the batch, if the budget allows all of them.
    pub(crate) fn read_all(&mut self, batch: &[Element]) -> bool {
        self.elements.resize(batch.len(), Spent::default());
        let after = |spent: &Spent, element: &Element| Spent {
            reads: spent.reads.saturating_add(1),
            read_bytes: spent.read_bytes.saturating_add(element.payload.len() as u64),
            ..*spent
        };
        let limited = self.budget.reads.is_some() || self.budget.read_bytes.is_some();
        let mut overruns = self
            .elements
            .iter()
            .zip(batch)
            .filter_map(|(spent, element)| beyond_reads(&self.budget, &after(spent, element), element));
        if limited && let Some(overrun) = overruns.next() {
            self.over_budget.get_or_insert(overrun);
            self.refused = true;
            return false;
        }
        let mut most = (0, 0);
        for (index, (spent, element)) in self.elements.iter_mut().zip(batch).enumerate() {
            *spent = after(spent, element);
            if spent.reads > most.0 {
                most = (spent.reads, index);
            }
        }
        if let Some(element) = batch.get(most.1) {
            self.note_reads(most.0, element);
        }
        true
    }

    fn note_reads(&mut self, reads: u32, element: &Element) {
        self.reads_max = self.reads_max.max(reads);
        if let Some(max) = self.bounds.reads.max.filter(|max| reads > *max) {
            self.over_bound.get_or_insert(Overrun {
                what: Limited::Reads,
                element: Some(element.sequence),
                count: reads.into(),
                limit: max.into(),
            });
        }
    }

    /// Counts `written` payloads, the entries of `sizes` that are not passed on by handle, if the budget allows them.
    pub(crate) fn write(&mut self, batch: &[Element], sizes: &[u64], lineage: &[u32], written: u64) -> bool {
        if written == 0 {
            return true;
        }
        let all = self.written.saturating_add(written);
        let most = self.count_lineage(batch, sizes, lineage, u32::saturating_add);
        let each = self.budget.writes.and_then(|limit| of_element(batch, most, limit));
        if let Some(overrun) = each.or_else(|| self.beyond_writes(self.budget.writes, all)) {
            self.count_lineage(batch, sizes, lineage, u32::saturating_sub);
            self.over_budget.get_or_insert(overrun);
            self.refused = true;
            return false;
        }
        self.written = all;
        self.writes_max = self.writes_max.max(most.0);
        let beyond = self.bounds.writes.max.and_then(|limit| of_element(batch, most, limit));
        self.over_bound = self.over_bound.or(beyond).or_else(|| self.beyond_writes(self.bounds.writes.max, all));
        true
    }

    /// Counts what is written from each element of the batch. Tells the most there are of one, and of which.
    fn count_lineage(
        &mut self,
        batch: &[Element],
        sizes: &[u64],
        lineage: &[u32],
        count: impl Fn(u32, u32) -> u32,
    ) -> (u32, usize) {
        let mut most = (0, 0);
        if lineage.is_empty() {
            return most;
        }
        self.elements.resize(batch.len(), Spent::default());
        for (_, &index) in sizes.iter().zip(lineage).filter(|(size, _)| **size != BY_HANDLE) {
            // An index that is not in the batch breaks the contract when the output is returned.
            if let Some(spent) = self.elements.get_mut(index as usize) {
                spent.writes = count(spent.writes, 1);
                if spent.writes > most.0 {
                    most = (spent.writes, index as usize);
                }
            }
        }
        most
    }

    /// Whether `all` the payloads written so far are too many for the elements lent so far.
    fn beyond_writes(&self, each: Option<u32>, all: u64) -> Option<Overrun> {
        let each = u64::from(each?);
        let limit = if self.source && each > 0 { u64::MAX } else { each.saturating_mul(self.lent) };
        (all > limit).then_some(Overrun { what: Limited::Writes, element: None, count: all, limit })
    }
}

/// What of the budget is used up, if an element had `spent` so much.
fn beyond_reads(budget: &Budget, spent: &Spent, element: &Element) -> Option<Overrun> {
    let reads = (Limited::Reads, u64::from(spent.reads), budget.reads.map(u64::from));
    let bytes = (Limited::ReadBytes, spent.read_bytes, budget.read_bytes);
    [reads, bytes].into_iter().find_map(|(what, count, limit)| {
        let limit = limit.filter(|limit| count > *limit)?;
        Some(Overrun { what, element: Some(element.sequence), count, limit })
    })
}

/// Whether the `most` payloads that were written from an element, and its index, are more than `limit`.
fn of_element(batch: &[Element], most: (u32, usize), limit: u32) -> Option<Overrun> {
    let (count, index) = most;
    let element = batch.get(index)?;
    (count > limit).then(|| Overrun {
        what: Limited::Writes,
        element: Some(element.sequence),
        count: count.into(),
        limit: limit.into(),
    })
}

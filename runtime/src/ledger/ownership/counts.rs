//! Counts per stage.

use smallvec::SmallVec;

use super::{Refusal, StageId};

/// A positive count for some stages, in the order of the stages. Two stages need no allocation: a flow makes one call at a
/// time, and more than two stages seldom lease the same buffer.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Counts(SmallVec<[(StageId, u32); 2]>);

impl Clone for Counts {
    fn clone(&self) -> Self {
        // Every transition makes a copy. Copying a slice is one memcpy; cloning a `SmallVec` is a loop.
        Counts(SmallVec::from_slice(&self.0))
    }
}

impl Counts {
    /// A count of one for one stage.
    pub(super) fn one(stage: StageId) -> Self {
        Counts(SmallVec::from_buf_and_len([(stage, 1); 2], 1))
    }

    fn place(&self, stage: StageId) -> Result<usize, usize> {
        self.0.binary_search_by_key(&stage, |&(stage, _)| stage)
    }

    /// The count of `stage`, 0 if it has none.
    pub fn get(&self, stage: StageId) -> u32 {
        self.place(stage).map_or(0, |place| self.0[place].1)
    }

    /// Whether no stage has a count.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether no stage except `stage` has a count.
    pub fn is_only(&self, stage: StageId) -> bool {
        self.0.iter().all(|&(other, _)| other == stage)
    }

    /// All stages with a count.
    pub fn iter(&self) -> impl Iterator<Item = (StageId, u32)> + '_ {
        self.0.iter().copied()
    }

    /// Adds one to the count of `stage`.
    pub(super) fn add(&mut self, stage: StageId) -> Result<(), Refusal> {
        match self.place(stage) {
            Ok(place) => self.0[place].1 = self.0[place].1.checked_add(1).ok_or(Refusal::TooMany)?,
            Err(place) => self.0.insert(place, (stage, 1)),
        }
        Ok(())
    }

    /// Subtracts one from the count of `stage`. Returns false if it has none.
    pub(super) fn subtract(&mut self, stage: StageId) -> bool {
        let Ok(place) = self.place(stage) else { return false };
        self.0[place].1 -= 1;
        if self.0[place].1 == 0 {
            self.0.remove(place);
        }
        true
    }

    /// Removes the count of `stage`. Returns false if it has none.
    pub(super) fn remove(&mut self, stage: StageId) -> bool {
        self.place(stage).map(|place| self.0.remove(place)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAGES: [StageId; 3] = [StageId(0), StageId(1), StageId(7)];

    #[test]
    fn two_stages_need_no_allocation() {
        let mut counts = Counts::default();
        for stage in [STAGES[2], STAGES[0], STAGES[2]] {
            counts.add(stage).unwrap();
        }
        assert!(!counts.0.spilled());
        assert_eq!(counts.iter().collect::<Vec<_>>(), [(STAGES[0], 1), (STAGES[2], 2)]);
        counts.add(STAGES[1]).unwrap();
        assert_eq!(STAGES.map(|stage| counts.get(stage)), [1, 1, 2]);
        assert!(counts.subtract(STAGES[2]) && counts.remove(STAGES[1]) && counts.subtract(STAGES[0]));
        assert!(!counts.subtract(STAGES[0]) && !counts.remove(STAGES[1]));
        assert!(counts.is_only(STAGES[2]) && !counts.is_only(STAGES[0]) && !counts.is_empty());
    }

    #[test]
    fn refuses_counts_beyond_32_bits() {
        let mut counts = Counts([(STAGES[0], u32::MAX)].into_iter().collect());
        assert_eq!(counts.add(STAGES[0]), Err(Refusal::TooMany));
        assert_eq!(counts.get(STAGES[0]), u32::MAX);
    }
}

//! Sets of elements of one batch.

use std::ops::{BitAnd, BitOr, BitOrAssign, Not};

/// The most elements of a batch.
pub(crate) const MAX_BATCH: usize = 256;

/// Elements of one batch, by their indices below [`MAX_BATCH`]: one bit for each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ElementSet([u64; WORDS]);

const WORDS: usize = MAX_BATCH / 64;

impl ElementSet {
    /// No elements.
    pub(crate) const EMPTY: ElementSet = ElementSet([0; WORDS]);
    /// All elements that a batch can have.
    pub(crate) const ALL: ElementSet = ElementSet([u64::MAX; WORDS]);

    /// The elements from `index` on.
    pub(crate) fn from_index_on(index: usize) -> ElementSet {
        !ElementSet::first(index)
    }

    /// The first `count` elements.
    pub(crate) fn first(count: usize) -> ElementSet {
        let word = |word: usize| match count.saturating_sub(64 * word) {
            0 => 0,
            count @ 1..64 => (1 << count) - 1,
            _ => u64::MAX,
        };
        ElementSet(std::array::from_fn(word))
    }

    /// Adds an element. An index that no batch has is ignored.
    #[inline]
    pub(crate) fn insert(&mut self, index: usize) {
        if let Some(word) = self.0.get_mut(index / 64) {
            *word |= 1 << (index % 64);
        }
    }

    #[inline]
    pub(crate) fn contains(&self, index: usize) -> bool {
        self.0.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 != 0)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        *self == ElementSet::EMPTY
    }

    /// The number of elements.
    #[inline]
    pub(crate) fn len(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// The least index.
    pub(crate) fn least(&self) -> Option<usize> {
        let word = self.0.iter().position(|word| *word != 0)?;
        Some(64 * word + self.0[word].trailing_zeros() as usize)
    }
}

impl BitOr for ElementSet {
    type Output = ElementSet;

    #[inline]
    fn bitor(self, other: ElementSet) -> ElementSet {
        ElementSet(std::array::from_fn(|word| self.0[word] | other.0[word]))
    }
}

impl BitOrAssign for ElementSet {
    fn bitor_assign(&mut self, other: ElementSet) {
        *self = *self | other;
    }
}

impl BitAnd for ElementSet {
    type Output = ElementSet;

    #[inline]
    fn bitand(self, other: ElementSet) -> ElementSet {
        ElementSet(std::array::from_fn(|word| self.0[word] & other.0[word]))
    }
}

impl Not for ElementSet {
    type Output = ElementSet;

    #[inline]
    fn not(self) -> ElementSet {
        ElementSet(self.0.map(|word| !word))
    }
}

impl FromIterator<usize> for ElementSet {
    #[inline]
    fn from_iter<I: IntoIterator<Item = usize>>(indices: I) -> ElementSet {
        let mut set = ElementSet::EMPTY;
        indices.into_iter().for_each(|index| set.insert(index));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indices(set: ElementSet) -> Vec<usize> {
        (0..2 * MAX_BATCH).filter(|index| set.contains(*index)).collect()
    }

    #[test]
    fn holds_every_index_of_a_batch() {
        for index in [0, 1, 63, 64, 65, 127, 128, 255] {
            let set = ElementSet::from_iter([index]);
            assert_eq!((indices(set), set.len(), set.least()), (vec![index], 1, Some(index)));
            assert_eq!(indices(ElementSet::first(index)), (0..index).collect::<Vec<_>>());
            assert_eq!(indices(ElementSet::from_index_on(index)), (index..MAX_BATCH).collect::<Vec<_>>());
        }
        assert_eq!((ElementSet::first(MAX_BATCH), ElementSet::from_index_on(0)), (ElementSet::ALL, ElementSet::ALL));
        assert!(ElementSet::from_iter([MAX_BATCH, usize::MAX]).is_empty());
        assert_eq!((ElementSet::EMPTY.least(), ElementSet::ALL.len()), (None, MAX_BATCH as u64));
    }

    #[test]
    fn combines_sets() {
        let (one, two) = (ElementSet::from_iter([1, 70, 200]), ElementSet::from_iter([70, 201]));
        assert_eq!(indices(one | two), [1, 70, 200, 201]);
        assert_eq!(indices(one & two), [70]);
        assert_eq!(indices(one & !two), [1, 200]);
    }
}

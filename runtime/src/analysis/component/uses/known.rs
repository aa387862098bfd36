//! What is known about a value, about the stack memory, and about both at a place in the code.
//!
//! Values that may be pointers into the list or addresses on the stack are never forgotten. Everything else is
//! forgotten where two paths with different values merge.

use std::collections::BTreeMap;

/// What is known about a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// Only that it is not one of `List`, `ListAndLength` and `Stack`.
    Other,
    Constant(u64),
    /// The length of a list that the call returned, which is not 0.
    Length,
    /// The result of a comparison; with the greatest length of the payload if it holds, and if it fails.
    Test {
        held: Option<u32>,
        failed: Option<u32>,
    },
    /// An address on the stack, at this distance from the initial stack pointer; `None` for any.
    Stack(Option<u32>),
    /// An address in the metadata of the batch, or this address together with the length of the metadata.
    Metadata,
    /// An unchanged number from the metadata.
    Size,
    /// A possible pointer into a list that the call returned, at this distance from its first byte; `None` for any.
    List {
        at: Option<u32>,
        /// The list may be from an earlier call than the last.
        old: bool,
    },
    /// The pointer to the list together with its length, in the upper half.
    ListAndLength {
        old: bool,
    },
}

/// What is known about memory: parts of the stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Memory {
    /// By address: the number of bytes, and what is known about them.
    cells: BTreeMap<u32, (u32, Known)>,
    /// The stack pointer.
    pub(super) top: Known,
    /// Whether an address of the stack was stored outside the stack.
    pub(super) escaped: bool,
}

/// What is known at a place in the code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    pub(super) locals: Vec<Known>,
    pub(super) stack: Vec<Known>,
    pub(super) memory: Memory,
    /// Whether the call has returned a list that is not empty and has not been freed. States with and without such a
    /// list are not merged.
    pub(super) has_new_list: bool,
    /// The greatest length of the payload, if it is known.
    pub(super) longest: Option<u32>,
    /// Whether the call may have been made again since the function was entered.
    pub(super) called_again: bool,
}

impl Known {
    pub(super) const ANY_LIST: Known = Known::List { at: None, old: true };

    pub(super) fn is_list(self) -> bool {
        matches!(self, Known::List { .. } | Known::ListAndLength { .. })
    }

    fn is_old(self) -> bool {
        matches!(self, Known::List { old: true, .. } | Known::ListAndLength { old: true })
    }

    /// What holds for both values.
    pub(super) fn join(self, other: Known) -> Known {
        match (self, other) {
            (a, b) if a == b => a,
            (Known::List { at: a, old: x }, Known::List { at: b, old: y }) => {
                Known::List { at: a.filter(|_| a == b), old: x || y }
            }
            (a, b) if a.is_list() && b.is_list() => Known::ANY_LIST,
            (Known::List { at, old }, _) | (_, Known::List { at, old }) => Known::List { at, old },
            (a, b) if a.is_list() || b.is_list() => Known::ANY_LIST,
            (Known::Stack(_), _) | (_, Known::Stack(_)) => Known::Stack(None),
            (Known::Test { held, .. }, Known::Constant(0)) | (Known::Constant(0), Known::Test { held, .. }) => {
                Known::Test { held, failed: None }
            }
            (Known::Test { failed, .. }, Known::Constant(_)) | (Known::Constant(_), Known::Test { failed, .. }) => {
                Known::Test { held: None, failed }
            }
            (Known::Test { held: a, failed: x }, Known::Test { held: b, failed: y }) => {
                let most = |a: Option<u32>, b| a.zip(b).map(|(a, b): (u32, u32)| a.max(b));
                Known::Test { held: most(a, b), failed: most(x, y) }
            }
            _ => Known::Other,
        }
    }

    /// Whether the value is not 0, if that is known.
    pub(super) fn truth(self) -> Option<bool> {
        match self {
            Known::Constant(value) => Some(value != 0),
            Known::Length => Some(true),
            _ => None,
        }
    }
}

impl Memory {
    pub(super) fn new() -> Memory {
        Memory { cells: BTreeMap::new(), top: Known::Stack(Some(0)), escaped: false }
    }

    /// The number of parts.
    pub(super) fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether a part may be a pointer into a list.
    pub(super) fn has_list(&self) -> bool {
        self.cells.values().any(|(_, known)| known.is_list())
    }

    /// Whether a range contains a value.
    pub(super) fn holds(&self, at: u32, width: u32, known: Known) -> bool {
        self.overlapping(at, width).any(|cell| self.cells[&cell].1 == known)
    }

    pub(super) fn load(&self, at: u32, width: u32) -> Known {
        match self.cells.get(&at) {
            Some((same, known)) if *same == width => return *known,
            Some((4, Known::List { at: Some(0), old })) if width == 8 && self.is_length(at.wrapping_add(4)) => {
                return Known::ListAndLength { old: *old };
            }
            // Together with its length.
            Some((4, Known::Metadata)) if width == 8 => return Known::Metadata,
            _ => {}
        }
        if self.overlapping(at, width).any(|cell| self.cells[&cell].1.is_list()) {
            return Known::ANY_LIST;
        }
        match self.overlapping(at, width).any(|cell| matches!(self.cells[&cell].1, Known::Stack(_))) {
            true => Known::Stack(None),
            false => Known::Other,
        }
    }

    pub(super) fn store(&mut self, at: u32, width: u32, known: Known) {
        self.clear(at, width);
        match known {
            Known::Other => {}
            Known::ListAndLength { old } => {
                self.cells.insert(at, (4, Known::List { at: Some(0), old }));
                self.cells.insert(at.wrapping_add(4), (4, Known::Length));
            }
            Known::Metadata => {
                self.cells.insert(at, (4, known));
            }
            known => {
                self.cells.insert(at, (width, known));
            }
        }
    }

    /// Copies from one place of the stack to another.
    pub(super) fn copy(&mut self, to: u32, from: u32, width: u32) {
        let copied: Vec<_> = self.overlapping(from, width).map(|cell| (cell, self.cells[&cell])).collect();
        self.clear(to, width);
        for (cell, (size, known)) in copied {
            let whole = cell.wrapping_sub(from) < width && cell.wrapping_sub(from).saturating_add(size) <= width;
            if whole {
                self.cells.insert(to.wrapping_add(cell.wrapping_sub(from)), (size, known));
            } else if known.is_list() {
                self.cells.insert(to, (width, Known::ANY_LIST));
            }
        }
    }

    /// Forgets a range that is overwritten.
    pub(super) fn clear(&mut self, at: u32, width: u32) {
        let cleared: Vec<u32> = self.overlapping(at, width).collect();
        cleared.iter().for_each(|cell| {
            self.cells.remove(cell);
        });
    }

    /// Forgets everything from an address upward; everything for `None`.
    pub(super) fn forget(&mut self, from: Option<u32>) {
        self.cells.retain(|at, (_, known)| {
            known.is_list() || matches!(known, Known::Stack(_)) || from.is_some_and(|from| (*at as i32) < from as i32)
        });
    }

    /// Forgets everything below the stack pointer.
    pub(super) fn forget_below_top(&mut self) {
        if let Known::Stack(Some(top)) = self.top {
            self.cells.retain(|at, _| *at as i32 >= top as i32);
        }
    }

    fn is_length(&self, at: u32) -> bool {
        matches!(self.cells.get(&at), Some((4, Known::Length)))
    }

    fn overlapping(&self, at: u32, width: u32) -> impl Iterator<Item = u32> {
        let overlaps = move |(cell, (size, _)): &(&u32, &(u32, Known))| {
            cell.wrapping_sub(at) < width || at.wrapping_sub(**cell) < *size
        };
        self.cells.iter().filter(overlaps).map(|(cell, _)| *cell)
    }

    fn join(&mut self, other: &Memory) {
        let at: Vec<u32> = self.cells.keys().chain(other.cells.keys()).copied().collect();
        for at in at {
            let known = match (self.cells.get(&at), other.cells.get(&at)) {
                (Some((a, x)), Some((b, y))) if a == b => Some((*a, x.join(*y))),
                (Some((a, x)), Some((b, y))) => {
                    let either = x.join(*y);
                    (either.is_list()).then_some((*a.max(b), Known::ANY_LIST))
                }
                (Some((size, one)), None) | (None, Some((size, one))) => Some((*size, one.join(Known::Other))),
                (None, None) => None,
            };
            match known.filter(|(_, known)| *known != Known::Other) {
                Some(cell) => self.cells.insert(at, cell),
                None => self.cells.remove(&at),
            };
        }
        self.top = self.top.join(other.top);
        self.escaped |= other.escaped;
    }
}

impl State {
    /// Merges the state of another path to the same place. Returns whether less is known now.
    pub(super) fn join(&mut self, other: &State) -> bool {
        let before = self.clone();
        let values = self.locals.iter_mut().chain(&mut self.stack);
        for (known, other) in values.zip(other.locals.iter().chain(&other.stack)) {
            *known = known.join(*other);
        }
        self.memory.join(&other.memory);
        self.called_again |= other.called_again;
        self.longest = self.longest.zip(other.longest).map(|(a, b)| a.max(b));
        *self != before
    }

    /// The state if a condition holds, or fails.
    pub(super) fn assuming(&self, condition: Known, holds: bool) -> State {
        let mut state = self.clone();
        if let Known::Test { held, failed } = condition {
            let most = if holds { held } else { failed };
            state.longest = most.map(|most| self.longest.map_or(most, |known| known.min(most))).or(self.longest);
        }
        state
    }

    /// The size of the state.
    pub(super) fn size(&self) -> usize {
        self.locals.len() + self.stack.len() + self.memory.len()
    }

    /// The last list has been freed: no program reads it any more.
    pub(super) fn drop_list(&mut self) {
        self.has_new_list = false;
        for known in self.all() {
            if known.is_list() && !known.is_old() {
                *known = Known::Other;
            }
        }
    }

    /// The call has returned a new list: all known lists are old now.
    pub(super) fn age_lists(&mut self) {
        self.called_again = true;
        for known in self.all() {
            match known {
                Known::List { old, .. } | Known::ListAndLength { old } => *old = true,
                _ => {}
            }
        }
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Known> {
        let cells = self.memory.cells.values_mut().map(|(_, known)| known);
        self.locals.iter_mut().chain(&mut self.stack).chain(cells)
    }
}

//! The size classes of a pool: which memory waits for reuse, how much of it is kept, and how each class was used.

use serde::Serialize;

/// The smallest size class in bytes; the others are the powers of two above it.
const SMALLEST: usize = 4 << 10;
/// The largest size class in bytes. Larger blocks are allocated individually and not kept.
const LARGEST: usize = 64 << 20;
const CLASSES: usize = (LARGEST / SMALLEST).ilog2() as usize + 1;
/// A shortage is reported only if at least this many blocks were allocated needlessly.
const ENOUGH: u64 = 16;
/// A shortage is reported only if the reuse rate is below this.
const GOOD_REUSE: f64 = 0.8;

/// How much memory a pool keeps for reuse. Memory returned beyond that is freed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolSettings {
    /// Bytes kept in total over all classes without a limit of their own.
    pub keep: u64,
    /// The limit of each class that has its own, in bytes.
    rooms: [Option<u64>; CLASSES],
}

impl Default for PoolSettings {
    fn default() -> Self {
        PoolSettings { keep: 32 << 20, rooms: [None; CLASSES] }
    }
}

impl PoolSettings {
    /// The block size of each class, from the smallest to the largest.
    pub fn classes() -> impl Iterator<Item = u64> {
        (0..CLASSES).map(|class| (SMALLEST << class) as u64)
    }

    /// Keeps up to `room` bytes in the class with blocks of `bytes` bytes, independently of the other classes. Returns whether
    /// there is such a class.
    #[must_use = "where there is no such class nothing has changed"]
    pub fn keep_in_class(&mut self, bytes: u64, room: u64) -> bool {
        let class = PoolSettings::classes().position(|class| class == bytes);
        if let Some(class) = class {
            self.rooms[class] = Some(room);
        }
        class.is_some()
    }
}

/// How a pool was used.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PoolUse {
    /// Blocks handed out.
    pub allocated: u64,
    /// Blocks that came back to wait for reuse.
    pub returned: u64,
    /// Reused blocks ÷ blocks handed out; `None` if none was handed out.
    pub reuse_rate: Option<f64>,
    /// Buffers that are not released: blocks, and memory or files that inputs brought.
    pub live_at_end: u64,
    /// Every class that was used, smallest first; then, if there were any, the blocks of no class.
    pub classes: Vec<ClassUse>,
}

/// How one class of a pool was used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ClassUse {
    /// The size of its blocks; `None` for blocks larger than any class, or of an exact size.
    pub bytes: Option<u64>,
    /// Blocks handed out.
    pub taken: u64,
    /// Of these, reused blocks.
    pub reused: u64,
    /// Blocks that came back to wait for reuse.
    pub returned: u64,
    /// Blocks that came back and were freed, because the class was full.
    pub freed: u64,
    /// Blocks in use.
    pub live: u64,
    /// The most blocks in use at once.
    pub most_live: u64,
}

impl ClassUse {
    /// Blocks that were allocated although as many had been freed before. With room for all that were ever in use at once, there
    /// would be none.
    pub fn allocated_again(&self) -> u64 {
        if self.bytes.is_none() { 0 } else { (self.taken - self.reused).saturating_sub(self.most_live) }
    }
}

/// A class that keeps too little memory: blocks were freed for lack of room and then allocated again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shortage {
    /// The size of its blocks.
    pub class: u64,
    /// The bytes that the class has to keep so that none is freed: the most that were in use at once.
    pub room: u64,
    /// Blocks of the class that were allocated again.
    pub allocated_again: u64,
    /// The reuse rate of all classes.
    pub reuse_rate: f64,
    /// What the reuse rate would be with that room.
    pub reuse_rate_then: f64,
}

impl PoolUse {
    /// The class that caused the most repeated allocations, if these are why less than 80 % of the blocks were reused: most fresh
    /// blocks were allocated again, and at least 16. `None` if few blocks were handed out, or if as many were in use at once as
    /// were allocated.
    pub fn shortage(&self) -> Option<Shortage> {
        let reuse_rate = self.reuse_rate.filter(|rate| *rate < GOOD_REUSE)?;
        let again: u64 = self.classes.iter().map(ClassUse::allocated_again).sum();
        let fresh: u64 = self.classes.iter().map(|class| class.taken - class.reused).sum();
        if again < ENOUGH || 2 * again <= fresh {
            return None;
        }
        let class = self.classes.iter().max_by_key(|class| class.allocated_again())?;
        let then = (self.allocated - fresh + class.allocated_again()) as f64 / self.allocated as f64;
        Some(Shortage {
            class: class.bytes?,
            room: class.bytes? * class.most_live,
            allocated_again: class.allocated_again(),
            reuse_rate,
            reuse_rate_then: then,
        })
    }
}

/// The memory of a pool that waits for reuse, by class.
pub(super) struct Classes {
    settings: PoolSettings,
    classes: [Waiting; CLASSES],
    /// The blocks of no class.
    other: ClassUse,
    /// Bytes that wait in classes without a limit of their own.
    kept: u64,
}

#[derive(Default)]
struct Waiting {
    waiting: Vec<Vec<u8>>,
    usage: ClassUse,
}

impl Default for Classes {
    fn default() -> Self {
        Classes::new(PoolSettings::default())
    }
}

impl Classes {
    pub(super) fn new(settings: PoolSettings) -> Classes {
        Classes { settings, classes: Default::default(), other: ClassUse::default(), kept: 0 }
    }

    /// Counts a block that is handed out. Returns waiting memory of its class; `None` if the caller must allocate it.
    pub(super) fn take(&mut self, class: Option<Class>) -> Option<Vec<u8>> {
        let Some(Class(class)) = class else {
            self.other.take(false);
            return None;
        };
        let memory = self.classes[class].waiting.pop();
        self.classes[class].usage.take(memory.is_some());
        if memory.is_some() && self.settings.rooms[class].is_none() {
            self.kept -= (SMALLEST << class) as u64;
        }
        memory
    }

    /// Takes memory back. Returns memory that is not kept, so the caller can free it after the lock is released.
    pub(super) fn give_back(&mut self, mut memory: Vec<u8>, class: Option<Class>) -> Option<Vec<u8>> {
        let Some(Class(class)) = class else {
            self.other.give_back(false);
            return Some(memory);
        };
        let bytes = (SMALLEST << class) as u64;
        let waiting = self.classes[class].waiting.len() as u64;
        let fits = match self.settings.rooms[class] {
            Some(room) => (waiting + 1) * bytes <= room,
            None => self.kept + bytes <= self.settings.keep,
        };
        self.classes[class].usage.give_back(fits);
        if !fits {
            return Some(memory);
        }
        if self.settings.rooms[class].is_none() {
            self.kept += bytes;
        }
        memory.clear();
        self.classes[class].waiting.push(memory);
        None
    }

    pub(super) fn usage(&self) -> PoolUse {
        let classes = PoolSettings::classes().zip(&self.classes);
        let classes = classes.map(|(bytes, class)| ClassUse { bytes: Some(bytes), ..class.usage });
        let classes: Vec<_> = classes.chain([self.other]).filter(|class| class.taken > 0).collect();
        let sum = |count: fn(&ClassUse) -> u64| classes.iter().map(count).sum::<u64>();
        let (allocated, reused) = (sum(|class| class.taken), sum(|class| class.reused));
        PoolUse {
            allocated,
            returned: sum(|class| class.returned),
            reuse_rate: (allocated > 0).then(|| reused as f64 / allocated as f64),
            live_at_end: sum(|class| class.live),
            classes,
        }
    }
}

impl ClassUse {
    fn take(&mut self, reused: bool) {
        self.taken += 1;
        self.reused += u64::from(reused);
        self.live += 1;
        self.most_live = self.most_live.max(self.live);
    }

    fn give_back(&mut self, kept: bool) {
        self.live -= 1;
        self.returned += u64::from(kept);
        self.freed += u64::from(!kept);
    }
}

/// A size class, by its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Class(usize);

impl Class {
    /// The smallest class with blocks of at least `len` bytes.
    pub(super) fn fitting(len: usize) -> Option<Class> {
        let log = (len <= LARGEST).then(|| len.max(SMALLEST).next_power_of_two().ilog2())?;
        Some(Class((log - SMALLEST.ilog2()) as usize))
    }

    /// The size of its blocks.
    pub(super) fn bytes(self) -> usize {
        SMALLEST << self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes this many blocks of `len` at once and returns them.
    fn round(classes: &mut Classes, at_once: usize, len: usize) {
        let class = Class::fitting(len);
        let taken: Vec<_> = (0..at_once).map(|_| classes.take(class).unwrap_or_default()).collect();
        taken.into_iter().for_each(|memory| drop(classes.give_back(memory, class)));
    }

    /// Runs this many rounds.
    fn used(settings: PoolSettings, rounds: usize, at_once: usize, len: usize) -> PoolUse {
        let mut classes = Classes::new(settings);
        (0..rounds).for_each(|_| round(&mut classes, at_once, len));
        classes.usage()
    }

    fn keeping(keep: u64, class: u64, room: u64) -> PoolSettings {
        let mut settings = PoolSettings { keep, ..PoolSettings::default() };
        assert!(settings.keep_in_class(class, room));
        settings
    }

    #[test]
    fn takes_the_smallest_class_that_fits() {
        let sizes = [0, 1, 4096, 4097, 8192, LARGEST, LARGEST + 1];
        let classes = sizes.map(|size| Class::fitting(size).map(|class| class.0));
        assert_eq!(classes, [Some(0), Some(0), Some(0), Some(1), Some(1), Some(14), None]);
        let all: Vec<_> = PoolSettings::classes().collect();
        assert_eq!((all.len(), all[0], all[14]), (15, 4096, 64 << 20));
        assert!(!PoolSettings::default().keep_in_class(5000, 1 << 20));
    }

    #[test]
    fn bounds_the_kept_memory() {
        let usage = used(PoolSettings::default(), 1, 3, 16 << 20);
        let counts =
            ClassUse { bytes: Some(16 << 20), taken: 3, returned: 2, freed: 1, most_live: 3, ..ClassUse::default() };
        assert_eq!((usage.classes, usage.returned, usage.live_at_end), (vec![counts], 2, 0));
        let larger = used(PoolSettings::default(), 2, 1, LARGEST + 1);
        let counts = ClassUse { bytes: None, taken: 2, freed: 2, most_live: 1, ..ClassUse::default() };
        assert_eq!(larger.classes, [counts]);
    }

    #[test]
    fn classes_can_have_their_own_limit() {
        let mut classes = Classes::new(keeping(8 << 10, 8 << 10, 16 << 10));
        let mut used = |at_once: usize, len: usize| {
            round(&mut classes, at_once, len);
            let usage = classes.usage();
            let class = usage.classes.iter().find(|class| class.bytes == Some(len as u64)).unwrap();
            (class.returned, class.freed)
        };
        assert_eq!(used(3, 8 << 10), (2, 1), "16 KiB are its room");
        assert_eq!(used(3, 4 << 10), (2, 1), "8 KiB are that of all others, whatever it keeps");
        assert_eq!(used(1, 16 << 10), (0, 1), "and they are in use");
        assert_eq!(used(3, 8 << 10), (4, 2));
    }

    #[test]
    fn reports_a_class_that_allocates_again() {
        let short = |keep| PoolSettings { keep, ..PoolSettings::default() };
        let usage = used(short(128 << 10), 100, 4, 128 << 10);
        // 4 in the first round, and in each later round the 3 that were freed.
        assert_eq!((usage.classes[0].freed, usage.classes[0].allocated_again()), (300, 297));
        let shortage = usage.shortage().unwrap();
        assert_eq!((shortage.class, shortage.room, shortage.allocated_again), (128 << 10, 512 << 10, 297));
        assert_eq!((shortage.reuse_rate, shortage.reuse_rate_then), (99.0 / 400.0, 396.0 / 400.0));
        // With the suggested room, the prediction holds.
        let enough = used(keeping(0, shortage.class, shortage.room), 100, 4, 128 << 10);
        assert_eq!((enough.reuse_rate, enough.shortage()), (Some(shortage.reuse_rate_then), None));
    }

    #[test]
    fn few_blocks_or_many_at_once_are_no_shortage() {
        let short = || PoolSettings { keep: 0, ..PoolSettings::default() };
        assert!(used(short(), 17, 1, 4096).shortage().is_some());
        assert_eq!(used(short(), 16, 1, 4096).shortage(), None, "few");
        assert_eq!(used(PoolSettings::default(), 1, 1000, 4096).reuse_rate, Some(0.0));
        assert_eq!(used(short(), 1, 1000, 4096).shortage(), None, "all at once");
        assert_eq!(used(short(), 2, 1000, 4096).shortage(), None, "half of them at once");
        assert_eq!(used(short(), 1000, 1, LARGEST + 1).shortage(), None, "no class has room for them");
        assert_eq!(used(PoolSettings::default(), 1000, 1, 4096).shortage(), None, "nearly all were reused");
    }
}

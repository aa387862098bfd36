//! Tests long random histories of larger tables: several flows at a time, with stages that trap at any point.

use proptest::prelude::*;
use proptest::sample::Index;

use super::reference::{Named, Operation, Reference};
use super::{Buffers, Mode, Owner, StageId};

const BUFFERS: usize = 12;
const STAGES: usize = 6;
const FLOWS: usize = 3;

/// An operation before its buffers are chosen: most are drawn from the buffers in use.
#[derive(Debug, Clone)]
enum Draw {
    Acquire(Owner),
    Transfer(Index, Owner, Owner),
    /// By the current owner, so that it is seldom refused.
    TransferOwned(Index, Owner),
    Release(Index, Owner),
    ReleaseOwned(Index),
    Lend(StageId, Vec<Index>),
    Borrow(StageId, Index),
    EndCall(StageId),
    Lease(StageId, Index, Mode),
    EndLease(StageId, Index),
    Expire(StageId, Index),
    Abandon(StageId),
    /// Another operation, on a pooled buffer or with a stale id.
    Astray(Box<Draw>, Index, bool),
}

fn draw() -> impl Strategy<Value = Draw> {
    let stage = || prop_oneof![60 => 0..STAGES as u32, 1 => Just(STAGES as u32)].prop_map(StageId);
    let owner = || prop_oneof![2 => Just(Owner::Host), 1 => stage().prop_map(Owner::Stage)];
    let buffer = any::<Index>;
    let mode = || prop_oneof![3 => Just(Mode::Shared), 1 => Just(Mode::Exclusive)];
    let one = prop_oneof![
        12 => owner().prop_map(Draw::Acquire),
        1 => (buffer(), owner(), owner()).prop_map(|(buffer, by, to)| Draw::Transfer(buffer, by, to)),
        4 => (buffer(), owner()).prop_map(|(buffer, to)| Draw::TransferOwned(buffer, to)),
        1 => (buffer(), owner()).prop_map(|(buffer, by)| Draw::Release(buffer, by)),
        4 => buffer().prop_map(Draw::ReleaseOwned),
        8 => (stage(), prop::collection::vec(buffer(), 0..5)).prop_map(|(stage, lent)| Draw::Lend(stage, lent)),
        4 => (stage(), buffer()).prop_map(|(stage, buffer)| Draw::Borrow(stage, buffer)),
        6 => stage().prop_map(Draw::EndCall),
        6 => (stage(), buffer(), mode()).prop_map(|(stage, buffer, mode)| Draw::Lease(stage, buffer, mode)),
        8 => (stage(), buffer()).prop_map(|(stage, buffer)| Draw::EndLease(stage, buffer)),
        4 => (stage(), buffer()).prop_map(|(stage, buffer)| Draw::Expire(stage, buffer)),
        2 => stage().prop_map(Draw::Abandon),
    ];
    (one, prop::option::weighted(0.1, (buffer(), any::<bool>()))).prop_map(|(one, astray)| match astray {
        Some((place, is_stale)) => Draw::Astray(Box::new(one), place, is_stale),
        None => one,
    })
}

/// One flow: its table, and the expected state.
struct Flow {
    table: Buffers,
    state: Reference<BUFFERS, STAGES>,
}

#[derive(Debug, Default)]
struct Counts {
    accepted: u64,
    refused: u64,
}

impl Flow {
    /// A table in which each place was used once, so that stale ids exist.
    fn new() -> Self {
        let mut table = Buffers::new(STAGES);
        let acquired: Vec<_> = (0..BUFFERS).map(|_| table.acquire(Owner::Host).unwrap().transition.buffer).collect();
        for buffer in acquired {
            let _ = table.release(buffer, Owner::Host).unwrap();
        }
        Flow { table, state: Reference::POOLED }
    }

    fn named(&self, index: &Index) -> Named {
        let live: Vec<_> = (0..BUFFERS).filter(|&place| self.state.buffers[place].is_some()).collect();
        let place = if live.is_empty() { index.index(BUFFERS) } else { live[index.index(live.len())] };
        Named { place, is_stale: false }
    }

    fn owner(&self, buffer: Named) -> Owner {
        self.state.buffers[buffer.place].map_or(Owner::Host, |record| record.owner)
    }

    fn operation(&self, draw: &Draw) -> Operation {
        match draw {
            Draw::Acquire(owner) => Operation::Acquire(*owner),
            Draw::Transfer(buffer, by, to) => Operation::Transfer(self.named(buffer), *by, *to),
            Draw::TransferOwned(buffer, to) => {
                let buffer = self.named(buffer);
                Operation::Transfer(buffer, self.owner(buffer), *to)
            }
            Draw::Release(buffer, by) => Operation::Release(self.named(buffer), *by),
            Draw::ReleaseOwned(buffer) => {
                let buffer = self.named(buffer);
                Operation::Release(buffer, self.owner(buffer))
            }
            Draw::Lend(stage, lent) => Operation::Lend(*stage, lent.iter().map(|one| self.named(one)).collect()),
            Draw::Borrow(stage, buffer) => Operation::Borrow(*stage, self.named(buffer)),
            Draw::EndCall(stage) => Operation::EndCall(*stage),
            Draw::Lease(stage, buffer, mode) => Operation::Lease(*stage, self.named(buffer), *mode),
            Draw::EndLease(stage, buffer) => Operation::EndLease(*stage, self.named(buffer)),
            Draw::Expire(stage, buffer) => Operation::Expire(*stage, self.named(buffer)),
            Draw::Abandon(stage) => Operation::Abandon(*stage),
            Draw::Astray(draw, place, is_stale) => {
                let mut operation = self.operation(draw);
                // Only the last buffer is replaced: those that are lent before it must not stay lent.
                if let Some(last) = operation.last_buffer() {
                    *last = Named { place: place.index(BUFFERS), is_stale: *is_stale };
                }
                operation
            }
        }
    }

    fn hold(&mut self, operation: &Operation, counts: &mut Counts) {
        let is_full = self.state.buffers.iter().all(Option::is_some);
        if is_full && matches!(operation, Operation::Acquire(_)) {
            return;
        }
        let before = self.table.clone();
        match self.state.hold(&mut self.table, operation) {
            Some(next) => {
                self.state = next;
                counts.accepted += 1;
            }
            None => {
                assert_eq!(self.table, before, "{operation:?} was refused and changed something");
                counts.refused += 1;
            }
        }
    }

    /// Tears down all stages and releases what the host has: nothing is live then.
    fn end(&mut self, counts: &mut Counts) {
        for stage in (0..STAGES as u32).map(StageId) {
            self.hold(&Operation::Abandon(stage), counts);
        }
        for place in (0..BUFFERS).filter(|&place| self.state.buffers[place].is_some()).collect::<Vec<_>>() {
            self.hold(&Operation::Release(Named { place, is_stale: false }, Owner::Host), counts);
        }
        assert_eq!((self.state, self.table.live()), (Reference::POOLED, 0));
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "how much was tried is what the test is for")]
fn long_histories() {
    let mut counts = Counts::default();
    let histories = prop::collection::vec((0..FLOWS, draw()), 1..400);
    let config = ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() };
    let counted = std::cell::RefCell::new(&mut counts);
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let outcome = runner.run(&histories, |history| {
        let counts = &mut **counted.borrow_mut();
        let mut flows: [Flow; FLOWS] = std::array::from_fn(|_| Flow::new());
        for (flow, draw) in &history {
            let operation = flows[*flow].operation(draw);
            flows[*flow].hold(&operation, counts);
        }
        for flow in &mut flows {
            flow.end(counts);
        }
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    println!("flows={FLOWS} buffers={BUFFERS} stages={STAGES} accepted={} refused={}", counts.accepted, counts.refused);
    assert!(counts.accepted > counts.refused / 2, "most of what is drawn is worth trying: {counts:?}");
}

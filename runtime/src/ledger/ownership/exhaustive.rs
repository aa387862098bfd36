//! Tests every state that a small table can reach with every operation, legal or not.

use std::collections::{HashSet, VecDeque};

use super::reference::{Named, Operation, Reference};
use super::{Buffers, Mode, Owner, StageId};

/// Limits of the counts; without them the number of states is infinite.
struct Limits {
    borrows: u8,
    leases: u8,
}

impl Limits {
    /// Whether the result of an operation is within the limits.
    fn allow<const B: usize, const S: usize>(&self, state: &Reference<B, S>, operation: &Operation) -> bool {
        if let Operation::Acquire(_) = operation {
            return state.buffers.iter().any(Option::is_none);
        }
        let (next, _) = state.after(operation, None);
        next.buffers.iter().flatten().all(|record| {
            record.borrows.iter().all(|&count| count <= self.borrows)
                && record.shared.iter().all(|&count| count <= self.leases)
        })
    }
}

/// Computes the number of states by counting the combinations of their parts. A borrowed or leased buffer of the host may be
/// inherited or not; a stage neither borrows nor leases its own buffer.
fn states<const B: usize, const S: usize>(limits: &Limits) -> usize {
    let (borrows, leases) = (usize::from(limits.borrows) + 1, usize::from(limits.leases) + 1);
    // Buffers that only `stages` other than the owner can access, `calls` of which are in a call.
    let shared = |stages: usize, calls: usize| {
        borrows.pow(calls as u32) * leases.pow(stages as u32) + calls * borrows + (stages - calls)
    };
    let in_calls = |calls: usize| {
        let by_host = 2 * shared(S, calls) - 1;
        let by_stages = if calls > 0 { calls * shared(S - 1, calls - 1) } else { 0 };
        let by_others = if calls < S { (S - calls) * shared(S - 1, calls) } else { 0 };
        (1 + by_host + by_stages + by_others).pow(B as u32)
    };
    (0..1u32 << S).map(|calling| in_calls(calling.count_ones() as usize)).sum()
}

/// All operations on `B` buffers by `S` stages and by one that does not exist, with valid and stale ids.
fn operations<const B: usize, const S: usize>() -> Vec<Operation> {
    let stages = || (0..=S as u32).map(StageId);
    let owners = || std::iter::once(Owner::Host).chain(stages().map(Owner::Stage));
    let nobody = Owner::Stage(StageId(S as u32));
    let some = || owners().filter(move |&owner| owner != nobody);
    let good = |place| Named { place, is_stale: false };
    let stale = |place| Named { place, is_stale: true };
    let mut all: Vec<_> = owners().map(Operation::Acquire).collect();
    for place in 0..B {
        // One stage is enough for a stale id: it is refused before the stage matters.
        let by_all = stages().map(|stage| (good(place), stage)).chain([(stale(place), StageId(0))]);
        for (buffer, stage) in by_all {
            all.push(Operation::Borrow(stage, buffer));
            all.push(Operation::Lease(stage, buffer, Mode::Shared));
            all.push(Operation::Lease(stage, buffer, Mode::Exclusive));
            all.push(Operation::EndLease(stage, buffer));
            all.push(Operation::Expire(stage, buffer));
            all.push(Operation::Lend(stage, vec![buffer, buffer]));
        }
        all.push(Operation::Release(good(place), nobody));
        all.push(Operation::Transfer(good(place), nobody, Owner::Host));
        for by in some() {
            all.push(Operation::Release(good(place), by));
            all.push(Operation::Transfer(good(place), by, nobody));
            all.extend(some().map(|to| Operation::Transfer(good(place), by, to)));
        }
        all.push(Operation::Release(stale(place), Owner::Host));
        all.push(Operation::Transfer(stale(place), Owner::Host, Owner::Stage(StageId(0))));
    }
    for stage in stages() {
        all.extend([Operation::EndCall(stage), Operation::Abandon(stage)]);
        for subset in 0..1 << B {
            let buffers: Vec<_> = (0..B).filter(|place| subset >> place & 1 == 1).map(good).collect();
            // The valid buffers come first: they must not be lent if the last one is refused.
            if buffers.len() == B {
                all.push(Operation::Lend(stage, [&buffers[..], &[stale(0)]].concat()));
            }
            all.push(Operation::Lend(stage, buffers));
        }
    }
    all
}

#[expect(clippy::print_stdout, reason = "how much was tried is what the test is for")]
fn explore<const B: usize, const S: usize>(limits: &Limits) {
    let mut first = Buffers::new(S);
    let acquired: Vec<_> = (0..B).map(|_| first.acquire(Owner::Host).unwrap().transition.buffer).collect();
    for buffer in acquired {
        let _ = first.release(buffer, Owner::Host).unwrap();
    }
    let operations = operations::<B, S>();
    let mut seen = HashSet::from([Reference::<B, S>::POOLED]);
    let mut ahead = VecDeque::from([(first, Reference::<B, S>::POOLED)]);
    let (mut tried, mut accepted, mut refused) = (0u64, 0u64, 0u64);
    while let Some((table, state)) = ahead.pop_front() {
        let mut work = table.clone();
        for operation in &operations {
            if state.refusal(operation).is_none() && !limits.allow(&state, operation) {
                continue;
            }
            tried += 1;
            match state.hold(&mut work, operation) {
                None => {
                    refused += 1;
                    assert!(work.is_same(&table), "{operation:?} was refused and made {work:#?} of {table:#?}");
                }
                Some(next) => {
                    accepted += 1;
                    if seen.insert(next) {
                        ahead.push_back((work, next));
                    }
                    work = table.clone();
                }
            }
        }
    }
    let states = seen.len();
    println!("buffers={B} stages={S} states={states} operations={tried} accepted={accepted} refused={refused}");
    assert_eq!(states, self::states::<B, S>(limits), "every state was reached, and no other");
}

#[test]
fn three_buffers_and_two_stages() {
    explore::<3, 2>(&Limits { borrows: 1, leases: 2 });
}

#[test]
fn two_buffers_and_three_stages() {
    explore::<2, 3>(&Limits { borrows: 1, leases: 2 });
}

#[test]
fn two_buffers_borrowed_twice_and_leased_thrice() {
    explore::<2, 2>(&Limits { borrows: 2, leases: 3 });
}

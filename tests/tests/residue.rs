//! No stage can read what memory contained before: not through an element, a range, or anything held, sliced or joined.

#![allow(clippy::unwrap_used, reason = "a failed `unwrap` fails the test")]

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

use torvyn_runtime::endpoint::{Input, Output, Pull, Pulled};
use torvyn_runtime::payload::{Batch, Payload, Pool};
use torvyn_runtime::pipeline::graph::Capacity;
use torvyn_tests::guest::{Guest, HOLDER};
use torvyn_tests::{Collected, assert_settled, input, output, stage, start};

const SECRET: u8 = 0xA5;
/// The only byte that stages may see: every byte that is not secret has this value.
const PLAIN: u8 = 0x11;
/// Small classes, and one in the middle.
const CLASSES: [usize; 3] = [4 << 10, 8 << 10, 64 << 10];
const ROUNDS: usize = 1500;

/// Repeatedly: four secrets, which fill their blocks; then, when these have been released, two payloads, each twice,
/// which reuse the blocks.
#[derive(Default)]
struct Alternating {
    turn: usize,
    next: VecDeque<Payload>,
}

impl Alternating {
    fn make(&mut self, pool: &Pool) {
        let (round, plain) = (self.turn / 2, self.turn % 2 == 1);
        let class = CLASSES[round % 3];
        let made = |len: usize, byte: u8| {
            let mut block = pool.take(len);
            block.append(&vec![byte; len]).expect("the block was taken for so many");
            block.freeze()
        };
        if plain {
            let sizes = [0, 1, class - 1, class, class + 1];
            for len in [sizes[round / 3 % 5], sizes[round / 15 % 5]] {
                let payload = made(len, PLAIN);
                self.next.extend([payload.clone(), payload]);
            }
        } else {
            // All at once, so that each has its own block.
            self.next.extend([class, 2 * class, class, 2 * class].map(|len| made(len, SECRET)));
        }
        self.turn += 1;
    }
}

impl Input for Alternating {
    fn pull(&mut self, pull: &mut Pull<'_>) -> io::Result<Pulled> {
        if self.next.is_empty() {
            self.make(pull.pool);
        }
        while let Some(payload) = self.next.pop_front() {
            if !pull.give(payload) {
                break;
            }
        }
        Ok(if self.next.is_empty() && self.turn == 2 * ROUNDS { Pulled::End } else { Pulled::More })
    }
}

/// Counts the bytes that it gets, and those that nobody wrote.
#[derive(Clone, Default)]
struct Counted(Rc<Cell<(u64, u64)>>);

impl Output for Counted {
    fn push(&mut self, batch: &Batch) -> io::Result<()> {
        let pool = Pool::default();
        for element in batch.iter() {
            let bytes = element.payload().to_vec(&pool)?;
            let stale = bytes.iter().filter(|byte| **byte != PLAIN).count();
            let (seen, residue) = self.0.get();
            self.0.set((seen + bytes.len() as u64, residue + stale as u64));
        }
        Ok(())
    }

    fn complete(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn written(&self) -> u64 {
        self.0.get().0
    }
}

/// Each list that the host lowers is examined before the next one: they can all be in the same place.
const ONE_PLACE: &str = "(i32.const 65536)";

/// Reads the whole batch in one piece, which copies it, and writes that to a buffer that it discards. Drops the
/// secrets, which it recognises by their sequence numbers, and forwards the others.
const LEAVES: Guest<'static> = Guest {
    memory: "64",
    realloc: ONE_PLACE,
    init: "(drop (call $ok)) (i32.store (i32.const 20) (i32.const 1)) (i32.const 16)",
    work: "(local $entry i32) (local $buffer i32) (local $at i32) (local $len i32)
        (loop $next
          (i32.store (i32.add (i32.const 1024) (i32.mul (local.get $entry) (i32.const 4)))
            (i32.and (i32.const 1) (i32.shr_u
              (i32.load (i32.add (local.get $metadata)
                (i32.mul (i32.add (local.get $count) (local.get $entry)) (i32.const 8))))
              (i32.const 2))))
          (local.set $entry (i32.add (local.get $entry) (i32.const 1)))
          (br_if $next (i32.lt_u (local.get $entry) (local.get $count))))
        (call $read_all (local.get $batch) (i32.const 64))
        (if (i32.eqz (call $done)) (then unreachable))
        (local.set $at (i32.load (i32.const 68)))
        (local.set $len (i32.load (i32.const 72)))
        (local.set $buffer (call $room (i64.extend_i32_u (local.get $len))))
        (if (i32.eqz (call $write (local.get $buffer) (local.get $at) (local.get $len))) (then unreachable))
        (call $drop_buffer (local.get $buffer))
        (call $drop_batch (local.get $batch))
        (call $routes (i32.const 1024) (local.get $count))",
    ..HOLDER
};

/// Reads everything that can be read, and beyond: the whole batch, each element, its last byte, and each element again
/// through a lease, which is exclusive in every other call. Forwards all elements joined, the second half of each, and
/// a short payload in a larger buffer. At the end it sends to output 1 how many reads and bytes there were, and how
/// many of these bytes nobody wrote.
const READS: Guest<'static> = Guest {
    memory: "64",
    realloc: ONE_PLACE,
    fields: "(global $calls (mut i32) (i32.const 0))
        (global $reads (mut i64) (i64.const 0)) (global $bytes (mut i64) (i64.const 0))
        (global $residue (mut i64) (i64.const 0))
        ;; Looks at what was read, of so many elements.
        (func $look (param $elements i32)
          (local $at i32) (local $end i32)
          (if (i32.eqz (call $done)) (then unreachable))
          (local.set $at (i32.load (i32.const 68)))
          (local.set $end (i32.add (local.get $at) (i32.load (i32.const 72))))
          (global.set $reads (i64.add (global.get $reads) (i64.extend_i32_u (local.get $elements))))
          (global.set $bytes (i64.add (global.get $bytes) (i64.load32_u (i32.const 72))))
          (block $ended (loop $next
            (br_if $ended (i32.eq (local.get $at) (local.get $end)))
            (if (i32.ne (i32.load8_u (local.get $at)) (i32.const 0x11))
              (then (global.set $residue (i64.add (global.get $residue) (i64.const 1)))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br $next))))
        (func $size (param $entry i32) (result i64)
          (i64.load (i32.add (i32.const 8192) (i32.mul (local.get $entry) (i32.const 8)))))
        ;; Reads what is in the batch.
        (func $read_lent (param $batch i32) (param $count i32)
          (local $entry i32) (local $size i64)
          (call $read_all (local.get $batch) (i32.const 64))
          (call $look (local.get $count))
          (loop $next
            (local.set $size (call $size (local.get $entry)))
            (call $read_to (local.get $batch) (local.get $entry) (i64.const 0) (local.get $size))
            (call $look (i32.const 1))
            (if (i64.ne (local.get $size) (i64.const 0)) (then
              (call $read_to (local.get $batch) (local.get $entry)
                (i64.sub (local.get $size) (i64.const 1)) (i64.const 1))
              (call $look (i32.const 1))))
            (call $read_to (local.get $batch) (local.get $entry)
              (i64.const 0) (i64.add (local.get $size) (i64.const 1)))
            (call $expect_failure (i32.const 5))
            (call $read_to (local.get $batch) (local.get $entry) (local.get $size) (i64.const 1))
            (call $expect_failure (i32.const 5))
            (local.set $entry (i32.add (local.get $entry) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $entry) (local.get $count)))))
        (func $read_leased (param $lease i32) (param $count i32)
          (local $entry i32) (local $size i64)
          (loop $next
            (local.set $size (call $size (local.get $entry)))
            (call $lease_read (local.get $lease) (local.get $entry) (i64.const 0) (local.get $size) (i32.const 64))
            (call $look (i32.const 1))
            (call $lease_read (local.get $lease) (local.get $entry)
              (i64.const 0) (i64.add (local.get $size) (i64.const 1)) (i32.const 64))
            (call $expect_failure (i32.const 5))
            (local.set $entry (i32.add (local.get $entry) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $entry) (local.get $count)))))
        ;; The second half of each; the output.
        (func $halves (param $batch i32) (param $count i32) (result i32)
          (local $entry i32) (local $half i64)
          (call $count_up (i32.const 10240) (local.get $count))
          (loop $next
            (local.set $half (i64.shr_u (call $size (local.get $entry)) (i64.const 1)))
            (i64.store (i32.add (i32.const 12288) (i32.mul (local.get $entry) (i32.const 8))) (local.get $half))
            (i64.store (i32.add (i32.const 14336) (i32.mul (local.get $entry) (i32.const 8)))
              (i64.sub (call $size (local.get $entry)) (local.get $half)))
            (local.set $entry (i32.add (local.get $entry) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $entry) (local.get $count))))
          (call $slice_all (local.get $batch) (i32.const 10240) (local.get $count) (i32.const 12288) (local.get $count)
            (i32.const 14336) (local.get $count) (i32.const 0) (i32.const 0) (i32.const 64))
          (if (i32.eqz (call $done)) (then unreachable))
          (i32.load (i32.const 68)))
        (func $short (result i32)
          (local $buffer i32)
          (memory.fill (i32.const 20000) (i32.const 0x11) (i32.const 16))
          (local.set $buffer (call $room (i64.const 4096)))
          (if (i32.eqz (call $write (local.get $buffer) (i32.const 20000) (i32.const 16))) (then unreachable))
          (if (i32.eqz (call $frozen (local.get $buffer) (i32.const -1) (i32.const 1))) (then unreachable))
          (i32.load (i32.const 68)))",
    work: "(local $exclusive i32) (local $lease i32) (local $made i32)
        (memory.copy (i32.const 8192) (local.get $metadata) (i32.mul (local.get $count) (i32.const 8)))
        (local.set $exclusive (i32.and (global.get $calls) (i32.const 1)))
        (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        (local.set $lease (call $hold_first (local.get $batch) (local.get $count) (local.get $exclusive)))
        (call $read_leased (local.get $lease) (local.get $count))
        (local.set $made (call $join_one (local.get $lease)))
        (if (i32.eqz (local.get $exclusive)) (then
          (call $read_lent (local.get $batch) (local.get $count))
          (call $output_append (local.get $made) (call $halves (local.get $batch) (local.get $count)))))
        (call $output_append (local.get $made) (call $short))
        (call $drop_lease (local.get $lease))
        (call $drop_batch (local.get $batch))
        (call $output (local.get $made))",
    last: "(i64.store (i32.const 2048) (global.get $reads))
        (i64.store (i32.const 2056) (global.get $bytes))
        (i64.store (i32.const 2064) (global.get $residue))
        (i64.store (i32.const 2080) (i64.const 24))
        (i32.store (i32.const 2096) (i32.const 2))
        (if (i32.eqz (call $emit (i32.const 2048) (i32.const 24) (i32.const 2080) (i32.const 1)
            (i32.const 0) (i32.const 0) (i32.const 2096) (i32.const 1)))
          (then unreachable))
        (call $output (i32.load (i32.const 68)))",
    ..HOLDER
};

/// What the reading stage reports about itself: reads, bytes, and bytes of earlier payloads.
fn told(out: &Collected) -> [u64; 3] {
    let told = out.payloads().concat();
    assert_eq!(told.len(), 24);
    [0, 8, 16].map(|at| u64::from_le_bytes(told[at..at + 8].try_into().unwrap()))
}

#[test]
#[expect(clippy::print_stdout, reason = "how much was tried is part of the result")]
fn no_stage_reads_what_memory_held_before() {
    let (out, first, second) = (Counted::default(), Collected::default(), Collected::default());
    let (leaves, reads) = (LEAVES.file(), READS.file());
    // The second stage reads what the first one made.
    let parts = vec![
        input(Alternating::default()),
        stage("leaves", &leaves.path, &[]),
        stage("first", &reads.path, &[]).outputs(2),
        stage("second", &reads.path, &[]).outputs(2),
        output("out", out.clone()),
        output("of-first", first.clone()),
        output("of-second", second.clone()),
    ];
    let edges = [(0, 0, 1), (1, 0, 2), (2, 0, 3), (3, 0, 4), (2, 1, 5), (3, 1, 6)];
    let edges = edges.map(|(from, output, to)| (from, output, to, Capacity::default()));
    let account = start(parts, &edges).unwrap().0.run().unwrap();
    let (mut residue, mut bytes) = (out.0.get().1, 0);
    for (told, stage) in [told(&first), told(&second)].iter().zip(&account.stages[1..]) {
        let read = stage.copies.payload_read;
        assert_eq!(told[..2], [read.ops, read.bytes], "`{}` looked at all that it read", stage.name);
        (residue, bytes) = (told[2].saturating_add(residue), bytes + read.bytes);
    }
    let reuses: u64 = account.pool.classes.iter().map(|class| class.reused).sum();
    println!("reuses={reuses} bytes={bytes} residue={residue}");
    assert_eq!(residue, 0);
    assert!(reuses >= 10_000, "{:?}", account.pool);
    assert_eq!(account.stages[0].elements_dropped, 4 * ROUNDS as u64, "the secrets went no further");
    // The blocks were full of secrets: those of the input, and those into which batches were joined and written.
    for class in CLASSES {
        let used = account.pool.classes.iter().find(|used| used.bytes == Some(class as u64)).unwrap();
        assert!(used.reused >= ROUNDS as u64, "{used:?}");
    }
    assert_settled(&account);
}

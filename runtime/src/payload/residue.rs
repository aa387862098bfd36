//! Tests that nobody can read what a block held before: neither through a block nor through a payload made of it.

use bytes::Bytes;

use super::*;
use crate::ledger::Recorder;

/// Reuses of each class.
const REUSES: usize = 10_000;
const SECRET: u8 = 0xA5;
/// The byte that is written afterwards, which is not secret.
const WRITTEN: u8 = 0x11;

/// Takes a block of a class, writes `len` secret bytes and returns its memory to the pool.
fn leave_secret(pool: &Pool, bytes: usize, len: usize) {
    let mut block = pool.take(bytes);
    let piece = [SECRET; 4096];
    while block.written().len() < len {
        block.append(&piece[..block.room().min(piece.len())]).unwrap();
    }
    drop(block.freeze());
}

/// How many secret bytes can be read, whichever way a block is taken and used, after `len` bytes are written.
fn stale(pool: &Pool, bytes: usize, len: usize, file: &std::fs::File) -> usize {
    let secrets = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == SECRET).count();
    let mut block = pool.take(bytes);
    let mut found = secrets(block.written()) + secrets(block.as_ref());
    assert!(block.write_at(0, &[WRITTEN]).is_err() && block.write_at(block.capacity(), &[WRITTEN]).is_err());
    block.append(&vec![WRITTEN; len]).unwrap();
    // Reading at the end of a file adds nothing, and exposes nothing.
    assert_eq!(block.read_from(file).unwrap(), 0);
    found += secrets(block.written()) + secrets(block.as_ref());
    assert_eq!(block.written().len(), len);
    let payload = block.freeze();
    assert!(payload.slice(0, len + 1).is_none() && payload.slice(len, 1).is_none());
    found += secrets(payload.as_slice().unwrap());
    found += payload.pieces().unwrap().map(secrets).sum::<usize>();
    let all = payload.gather(0, len, pool).unwrap();
    assert_eq!(all.bytes.len(), len);
    found += secrets(&all.bytes);
    // In another used block, of which only a part is written.
    let rope = Payload::join([&payload, &Payload::default(), &pool.adopt(Bytes::from_static(&[WRITTEN])), &payload]);
    let gathered = rope.gather(0, rope.len(), pool).unwrap();
    assert_eq!(gathered.bytes.len(), 2 * len + 1);
    found + secrets(&gathered.bytes) + secrets(&rope.compact(pool).unwrap().to_vec(pool).unwrap())
}

#[test]
#[expect(clippy::print_stdout, reason = "how much was tried is part of the result")]
fn leaves_no_readable_residue_in_any_class() {
    let file = tempfile::tempfile().unwrap();
    let (mut classes, mut reuses, mut residue) = (0, 0, 0);
    for bytes in PoolSettings::classes().map(|bytes| bytes as usize) {
        let mut settings = PoolSettings::default();
        // Only one block is kept, so each block is the one before.
        assert!(settings.keep_in_class(bytes as u64, bytes as u64));
        let pool = Pool::new(settings, 1, Recorder::off());
        // The whole block once, and its beginning every time, because the written bytes overwrite the secret there.
        leave_secret(&pool, bytes, bytes);
        for round in 0..REUSES {
            leave_secret(&pool, bytes, 4096);
            let len = [0, 1, 17, 100][round % 4];
            residue += stale(&pool, bytes, len, &file);
        }
        let usage = pool.usage();
        let class = usage.classes.iter().find(|class| class.bytes == Some(bytes as u64)).unwrap();
        assert!(class.reused >= REUSES as u64, "{class:?}");
        (classes, reuses) = (classes + 1, reuses + class.reused);
    }
    println!("classes={classes} reuses={reuses} residue={residue}");
    assert_eq!(residue, 0);
}

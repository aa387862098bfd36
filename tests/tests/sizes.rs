//! Payloads from nothing to 16 MiB and beyond, with the exact copies that each path makes.

use torvyn_runtime::Error;
use torvyn_runtime::endpoint::{Discard, Generate};
use torvyn_tests::{Collected, input, output, programs, run, stage};

const SIZES: [usize; 9] = [0, 1, 64, 4095, 4096, 4097, 128 << 10, 1 << 20, 16 << 20];

/// How many elements of a size to run: enough for several batches, and not more than 64 MiB.
fn count(size: usize) -> u64 {
    (64usize << 20).checked_div(size).unwrap_or(1000).min(1000) as u64
}

#[test]
fn a_forwarding_stage_copies_no_payload_byte() {
    for size in SIZES.into_iter().filter(|size| *size > 0) {
        let count = count(size);
        let parts = vec![
            input(Generate::new(count, size)),
            stage("forward", programs::DROP_EMPTY, &[]),
            output("out", Discard),
        ];
        let account = run(parts).unwrap();
        assert_eq!((account.elements.entered, account.elements.left), (count, count), "{size} bytes");
        assert_eq!(account.copies.payload_bytes(), 0, "{size} bytes");
        assert_eq!(account.copies.payload_read.ops + account.copies.payload_write.ops, 0, "{size} bytes");
        assert_eq!(account.copies.host_serialize.bytes, 0, "{size} bytes");
        assert_eq!(account.amplification, Some(0.0));
    }
}

#[test]
fn a_transform_copies_every_byte_twice() {
    for size in SIZES {
        for program in [programs::UPPER, programs::UPPER_ON_DEMAND] {
            let count = count(size).min(200);
            let collected = Collected::default();
            let parts =
                vec![input(Generate::new(count, size)), stage("upper", program, &[]), output("out", collected.clone())];
            let account = run(parts).unwrap();
            let bytes = count * size as u64;
            let copies = account.copies;
            assert_eq!((copies.payload_read.ops, copies.payload_read.bytes), (count, bytes), "{size} bytes");
            assert_eq!((copies.payload_write.ops, copies.payload_write.bytes), (count, bytes), "{size} bytes");
            let expected: Vec<u8> = (b'A'..=b'Z').cycle().take(size).collect();
            assert!(collected.payloads().iter().all(|payload| *payload == expected), "{size} bytes");
        }
    }
}

#[test]
fn an_element_that_does_not_fit_into_the_stage_is_its_failure() {
    let parts = vec![input(Generate::new(1, 64 << 20)), stage("upper", programs::UPPER, &[]), output("out", Discard)];
    let Err(Error::Stage { stage, source, .. }) = run(parts) else { panic!("64 MiB of memory hold less than that") };
    assert_eq!(stage, "upper");
    assert!(source.to_string().contains("exceeded its memory limit of 64 MiB"), "{source}");
}

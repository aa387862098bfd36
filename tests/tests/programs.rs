//! Every guest program, through a real flow.

use torvyn_runtime::profile::Verdict;
use torvyn_tests::{Collected, Elements, for_each_program, input, output, programs, run, stage};

for_each_program!(assert_tested);

fn lines(text: &str) -> Elements {
    Elements::new(text.lines().map(|line| line.as_bytes().to_vec()))
}

#[test]
fn drop_empty() {
    let collected = Collected::default();
    let account = run(vec![
        input(lines("one\n\ntwo\n\n\nthree")),
        stage("drop", programs::DROP_EMPTY, &[]),
        output("out", collected.clone()),
    ])
    .unwrap();
    assert_eq!(collected.payloads(), [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()]);
    assert_eq!(collected.sequences(), [0, 2, 5]);
    let stage = &account.stages[0];
    assert_eq!((stage.elements_in, stage.elements_out, stage.elements_dropped), (6, 3, 3));
    assert_eq!(stage.verdict, Verdict::HandlePass);
    assert_eq!(account.copies.payload_bytes(), 0);
    assert_eq!(account.amplification, Some(0.0));
}

#[test]
fn upper() {
    let collected = Collected::default();
    let account =
        run(vec![input(lines("one\n\nzwölf")), stage("upper", programs::UPPER, &[]), output("out", collected.clone())])
            .unwrap();
    assert_eq!(collected.payloads(), [b"ONE".to_vec(), b"".to_vec(), "ZWöLF".as_bytes().to_vec()]);
    let copies = account.stages[0].copies;
    assert_eq!((copies.payload_read.ops, copies.payload_read.bytes), (3, 9));
    assert_eq!((copies.payload_write.ops, copies.payload_write.bytes), (3, 9));
    assert_eq!(account.amplification, Some(2.0));
}

//! The pool of a flow: what it keeps for reuse, and when it reports that this is too little.

#![allow(clippy::unwrap_used, reason = "a failed `unwrap` fails the test")]

use torvyn_runtime::endpoint::{Discard, Generate};
use torvyn_runtime::payload::PoolSettings;
use torvyn_runtime::{Account, Control};
use torvyn_tests::{assert_settled, input, output, programs, stage, start_with};

/// Writes 2,000 payloads of 60 KB, two in a batch, and drops them.
fn upper(pool: PoolSettings) -> Account {
    let parts = vec![input(Generate::new(2000, 60_000)), stage("upper", programs::UPPER, &[]), output("out", Discard)];
    let edges = [(0, 0, 1, Default::default()), (1, 0, 2, Default::default())];
    let account = start_with(parts, &edges, |control| Control { pool, ..control }).unwrap().0.run().unwrap();
    assert_settled(&account);
    account
}

fn keeping(keep: u64) -> PoolSettings {
    let mut settings = PoolSettings::default();
    settings.keep = keep;
    settings
}

#[test]
#[expect(clippy::print_stdout, reason = "how much was tried is part of the result")]
fn a_pool_without_room_says_how_much_it_needs() {
    let account = upper(keeping(0));
    let shortage = account.pool.shortage().unwrap();
    println!("reuse={:.3} then={:.3} {shortage:?}", shortage.reuse_rate, shortage.reuse_rate_then);
    let mut settings = keeping(0);
    assert!(settings.keep_in_class(shortage.class, shortage.room));
    let class =
        |account: &Account| *account.pool.classes.iter().find(|class| class.bytes == Some(shortage.class)).unwrap();
    let enough = upper(settings);
    assert_eq!((class(&account).reused, class(&account).returned), (0, 0));
    assert_eq!((class(&enough).freed, class(&enough).allocated_again()), (0, 0));
    assert_eq!(class(&enough).taken - class(&enough).reused, class(&enough).most_live);
}

#[test]
fn a_pool_with_room_says_nothing() {
    let account = upper(PoolSettings::default());
    assert_eq!(account.pool.shortage(), None);
    assert!(account.pool.reuse_rate.unwrap() > 0.8, "{:?}", account.pool);
}

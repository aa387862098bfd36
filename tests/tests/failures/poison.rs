//! One element on which a stage fails, at every place.

use torvyn_runtime::Stage;
use torvyn_tests::guest::{PROCESSOR, SINK};
use torvyn_tests::programs;

use super::*;

/// A sink that fails on elements of seven bytes, and reads the others, so its reads are the elements that it accepted.
fn sink(how: &str) -> Component {
    let work = format!(
        "(local $index i32) {}
        (call $read_all (local.get $batch) (i32.const 64))
        (call $drop_batch (local.get $batch)) (call $ok)",
        at_poison(how)
    );
    guest(Guest { work: &work, ..SINK })
}

#[test]
fn a_sink_that_fails_at_any_element() {
    const ELEMENTS: usize = 200;
    let (mut flows, mut lost, mut twice) = (0, 0, 0);
    for (how, component) in [("fail", sink(FAILS)), ("trap", sink(TRAPS))] {
        let traps = how == "trap";
        for k in 0..ELEMENTS {
            for (policy, failures) in
                [(STOP, 0), (SKIP, 1), (DEAD_LETTER, 1), (retry(2, Then::Skip), 3), (retry(1, Then::Stop), 0)]
            {
                let came = through(stage(&component).policy(policy), poisoned(ELEMENTS, &[k]));
                flows += 1;
                if policy.then == Then::Stop {
                    let error = came.error();
                    assert!(error.contains("stage `stage` failed in `push`"), "{error}");
                    assert!(policy == STOP || error.contains(&format!("at element {k}:")), "{error}");
                    continue;
                }
                let account = came.account();
                let sink = &account.stages[0];
                assert_eq!(sink.elements_in, ELEMENTS as u64);
                let taken = sink.copies.payload_read.ops;
                lost += (ELEMENTS as u64 - 1).saturating_sub(taken);
                twice += taken.saturating_sub(ELEMENTS as u64 - 1);
                let (skipped, dead) = if policy == DEAD_LETTER { (0, 1) } else { (1, 0) };
                assert_eq!((account.elements.skipped, account.elements.dead_letters), (skipped, dead));
                let used = sink.failures;
                // A batch with it fails first, unless it is alone from the beginning.
                assert!(used.calls == failures || used.calls == failures + 1, "{used:?}");
                assert_eq!((used.retries, used.skipped, used.dead_letters), (failures - 1, skipped, dead));
                assert_eq!(used.restarts, if traps { used.calls } else { 0 });
                let letters: Vec<_> = came.letters.iter().map(|letter| (letter.sequence, letter.attempt)).collect();
                assert_eq!(letters, if policy == DEAD_LETTER { vec![(k as u64, 1)] } else { vec![] });
            }
        }
    }
    println!("sink_flows={flows} lost={lost} twice={twice}");
    assert_eq!((lost, twice), (0, 0));
}

/// What `count` elements become without the one at `k`.
fn all_but(count: usize, k: usize) -> Vec<u64> {
    (0..count as u64).filter(|sequence| *sequence != k as u64).collect()
}

#[test]
fn a_processor_that_fails_at_any_element() {
    const ELEMENTS: usize = 130;
    for how in [FAILS, TRAPS] {
        let work = format!("(local $index i32) {} {}", at_poison(how), PROCESSOR.work);
        let component = guest(Guest { work: &work, ..PROCESSOR });
        for k in 0..ELEMENTS {
            let came = through(stage(&component).policy(DEAD_LETTER), poisoned(ELEMENTS, &[k]));
            assert_eq!(came.sequences, all_but(ELEMENTS, k), "in order, each once");
            assert_eq!(came.letters.len(), 1);
            assert_eq!((came.letters[0].sequence, &came.letters[0].payload[..]), (k as u64, &b"poison!"[..]));
            assert_eq!(came.letters[0].stage, "stage");
        }
    }
}

/// Several in a batch, adjacent and not.
#[test]
fn each_of_several_is_found() {
    let at = [0, 1, 2, 40, 62, 63, 64, 65, 99];
    for how in [FAILS, TRAPS] {
        let work = format!("(local $index i32) {} {}", at_poison(how), PROCESSOR.work);
        let came = through(stage(&guest(Guest { work: &work, ..PROCESSOR })).policy(DEAD_LETTER), poisoned(100, &at));
        let letters: Vec<_> = came.letters.iter().map(|letter| letter.sequence as usize).collect();
        assert_eq!(letters, at);
        assert_eq!(came.sequences.len(), 91);
        assert!(came.sequences.is_sorted(), "{:?}", came.sequences);
    }
}

/// Whichever stage continues, and with however many elements, the result for each element is the same.
#[test]
fn under_any_schedule() {
    const SEEDS: u64 = 200;
    let component = |how| {
        let work = format!("(local $index i32) {} {}", at_poison(how), PROCESSOR.work);
        guest(Guest { work: &work, ..PROCESSOR })
    };
    let components = [FAILS, TRAPS].map(component);
    for seed in 0..SEEDS {
        // Some of 150 elements, different ones for each seed.
        let at: Vec<usize> =
            (0..150).filter(|index| (index * 7 + seed as usize * 13) % 31 < seed as usize % 5).collect();
        for component in &components {
            let policy = if seed % 2 == 0 { DEAD_LETTER } else { retry(2, Then::DeadLetter) };
            let came = through_with(stage(component).policy(policy), poisoned(150, &at), |control| Control {
                schedule: Schedule::Seeded(seed),
                ..control
            });
            let expected: Vec<u64> = (0..150).filter(|index| !at.contains(&(*index as usize))).collect();
            assert_eq!(came.sequences, expected, "seed {seed}");
            let letters: Vec<_> = came.letters.iter().map(|letter| letter.sequence as usize).collect();
            assert_eq!(letters, at, "seed {seed}");
            assert!(came.letters.iter().all(|letter| letter.attempt == 1 + 2 * (seed % 2) as u32), "seed {seed}");
        }
    }
    println!("schedules seeds={SEEDS} flows={} lost=0 twice=0", 2 * SEEDS);
}

/// A real program with its proof: it reads each element once per call, so what is lent again is read again, within the
/// proof.
#[test]
fn one_poisoned_element_in_ten_thousand() {
    const ELEMENTS: usize = 10_000;
    const POISONED: usize = 7_777;
    let component = Component::load(engine(), programs::FAULTY.as_ref(), &limits()).unwrap();
    let lines = || (0..ELEMENTS).map(|index| if index == POISONED { "poison".to_string() } else { index.to_string() });
    for how in ["fail", "trap", "loop", "grow"] {
        for policy in [STOP, SKIP, DEAD_LETTER, retry(2, Then::DeadLetter)] {
            let part = stage_of("stage", &component, &[("how", how), ("at", "process")], limits()).policy(policy);
            let came = through(part, lines().collect());
            if policy == STOP {
                assert!(came.error().starts_with("stage `stage` failed in `process` at element"), "{}", came.error());
                continue;
            }
            assert_eq!(came.sequences, all_but(ELEMENTS, POISONED), "{how}, {policy:?}");
            let (account, used) = (came.account(), came.failures());
            assert_eq!(account.elements.left, ELEMENTS as u64 - 1);
            assert_eq!(account.stages[0].elements_in, ELEMENTS as u64);
            let dead = u64::from(policy != SKIP);
            assert_eq!((used.skipped, used.dead_letters), (1 - dead, dead));
            let letters: Vec<_> = came.letters.iter().map(|letter| (letter.sequence, letter.attempt)).collect();
            let attempts = policy.retry.map_or(1, |retry| retry.count + 1);
            // A stage that says where it failed reads the poison each time; the others read it in a batch first.
            assert_eq!(account.stages[0].reads_max, attempts + u32::from(how != "fail"), "{how}, {policy:?}");
            assert!(account.stages[0].reads_max <= policy.calls(Stage::MAX_BATCH));
            assert_eq!(letters, if dead == 1 { vec![(POISONED as u64, attempts)] } else { vec![] });
            println!(
                "poisoned how={how} policy={} retries={} elements={ELEMENTS} out={} calls_failed={} restarts={}",
                policy.then,
                used.retries,
                came.sequences.len(),
                used.calls,
                used.restarts
            );
        }
    }
}

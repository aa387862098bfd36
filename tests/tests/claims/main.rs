//! Random components: none copies more than its proven bounds.
//!
//! Each component is made from a seed, analysed, and run on the host, which counts. The bounds for one element and for
//! one call are compared with the counts of every element and every call. `CLAIMS=100000` runs more of them;
//! `CLAIMS_SEED=200000` beside it starts at that seed. `CLAIMS_SEED=7` alone runs one component.

#![expect(clippy::print_stdout, reason = "figures of what was compared")]

use std::collections::HashMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use bytes::Bytes;
use torvyn_runtime::analysis::Analysis;
use torvyn_runtime::contract::Bounds;
use torvyn_runtime::ledger::{Call, DEFAULT_CAPACITY, Reason, Record};
use torvyn_runtime::pipeline::graph::Capacity;
use torvyn_runtime::{Component, Error, Limits, Recorder};
use torvyn_tests::guest::ComponentFile;
use torvyn_tests::{Collected, Elements, engine, input, output, stage_of, start_recorded};

mod code;
mod generate;
mod near;
mod parts;

/// Components of an ordinary run.
const COMPONENTS: u64 = 2_000;
/// Elements of a flow: they arrive in batches of 1, 1, 2 and 4.
const ELEMENTS: usize = 8;

/// What a flow really copied.
#[derive(Debug)]
struct Counted {
    /// For each element, how often it was read.
    reads: Vec<u64>,
    /// For each call of `process` and `flush`, how many payloads it wrote.
    writes: Vec<u64>,
}

/// How many components there were, by result.
#[derive(Debug, Default)]
struct Tally {
    components: u64,
    /// Components without any bound, which are not run.
    unclaimed: u64,
    /// Components whose flow ended normally, so that there is something to compare.
    measured: u64,
    /// Components that read.
    reading: u64,
    /// Those of them whose reads are bounded.
    bounded: u64,
    exact: u64,
    /// Bounds that an element reaches.
    tight: u64,
    /// Components that wrote, and those of them whose writes in a call are bounded.
    writing: u64,
    bounded_writes: u64,
}

/// Runs a component. `None` if a call fails.
fn count(component: &Component) -> Option<Counted> {
    let limits = Limits { time: Duration::from_secs(5), ..Limits::default() };
    let payloads = (0..ELEMENTS).map(|_| Bytes::from_static(b"x"));
    let parts = vec![
        input(Elements::new(payloads)),
        // Without the bounds: with them, the host would stop the flow before it could count too much.
        stage_of("random", component, &[], limits).bounds(Bounds::unknown()),
        output("output", Collected::default()),
    ];
    let edges = [(0, 0, 1, Capacity::default()), (1, 0, 2, Capacity::default())];
    let recorder = Recorder::new(1, DEFAULT_CAPACITY);
    let account = match start_recorded(parts, &edges, recorder.clone()).and_then(|(flow, _)| flow.run()) {
        Ok(account) => account,
        Err(Error::Start { .. } | Error::Stage { .. }) => return None,
        Err(error) => panic!("{error:?}"),
    };
    let mut counted = Counted { reads: vec![0; ELEMENTS], writes: Vec::new() };
    let mut writes = 0;
    let ring = recorder.ring().expect("it records");
    assert_eq!(ring.lost(), 0, "every copy is there");
    for record in ring.iter() {
        match record {
            Record::Transfer(copy) if copy.node == 1 => match (copy.reason, copy.sequence()) {
                (Reason::PayloadRead, Some(sequence)) => counted.reads[sequence as usize] += 1,
                (Reason::PayloadWrite, _) => writes += 1,
                _ => {}
            },
            Record::Call(call) if call.node == 1 && matches!(call.call, Call::Process | Call::Flush) => {
                counted.writes.push(std::mem::take(&mut writes));
            }
            _ => {}
        }
    }
    let stage = &account.stages[0];
    assert_eq!(counted.reads.iter().sum::<u64>(), stage.copies.payload_read.ops, "the records are all reads");
    assert_eq!(counted.reads.iter().max().copied(), Some(u64::from(stage.reads_max)), "the host counts the same");
    assert_eq!(counted.writes.iter().sum::<u64>(), stage.copies.payload_write.ops, "the records are all writes");
    Some(counted)
}

/// Bounds that do not hold.
fn beyond(analysis: &Analysis, counted: &Counted) -> Vec<String> {
    let mut beyond = Vec::new();
    let (least, most) = (counted.reads.iter().min(), counted.reads.iter().max());
    if let Some(max) = analysis.reads.max.map(u64::from) {
        let is_exact = least == Some(&max) && most == Some(&max);
        if most > Some(&max) || (analysis.reads.exact && !is_exact) {
            beyond.push(format!("{:?}, and the elements were read {:?} times", analysis.reads, counted.reads));
        }
    }
    let written = counted.writes.iter().max().copied().unwrap_or(0);
    if analysis.emits.is_some_and(|emits| written > u64::from(emits)) || (analysis.writes.is_never() && written > 0) {
        beyond.push(format!("{:?} in a call, and the calls wrote {:?} payloads", analysis.emits, counted.writes));
    }
    beyond
}

/// Makes the component of a seed, and compares it with its bounds.
fn check(seed: u64, tally: &mut Tally) -> Result<(), String> {
    let text = generate::component(seed);
    let bytes = wat::parse_str(&text).map_err(|error| format!("the text is wrong: {error}"))?;
    let analysis = Analysis::parse(&bytes).map_err(|error| format!("it is refused: {error}"))?;
    tally.components += 1;
    if analysis.reads.max.is_none() && analysis.emits.is_none() {
        tally.unclaimed += 1;
        return Ok(());
    }
    let file = ComponentFile::new(&bytes);
    let component = Component::load(engine(), &file.path, &Limits::default())
        .map_err(|error| format!("it does not load: {error:?}"))?;
    let Some(counted) = count(&component) else { return Ok(()) };
    tally.measured += 1;
    if let Some(most) = counted.reads.iter().copied().max().filter(|most| *most > 0) {
        tally.reading += 1;
        tally.bounded += u64::from(analysis.reads.max.is_some());
        tally.tight += u64::from(analysis.reads.max.map(u64::from) == Some(most));
        tally.exact += u64::from(analysis.reads.exact);
    }
    if counted.writes.iter().any(|writes| *writes > 0) {
        tally.writing += 1;
        tally.bounded_writes += u64::from(analysis.emits.is_some());
    }
    let beyond = beyond(&analysis, &counted);
    if beyond.is_empty() { Ok(()) } else { Err(format!("claimed, and not true: {}", beyond.join("; "))) }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("`{name}` is a number, and not `{text}`")))
}

#[test]
fn no_random_component_copies_more_than_is_claimed() {
    let seeds: Range<u64> = match (number("CLAIMS_SEED"), number("CLAIMS")) {
        (Some(seed), count) => seed..seed + count.unwrap_or(1),
        (None, count) => 1..1 + count.unwrap_or(COMPONENTS),
    };
    let one = seeds.end - seeds.start == 1;
    let mut tally = Tally::default();
    let mut wrong: HashMap<u64, String> = HashMap::new();
    for seed in seeds {
        let found = catch_unwind(AssertUnwindSafe(|| check(seed, &mut tally)));
        if let Some(message) = found.unwrap_or_else(|_| Err("it panics".to_string())).err() {
            println!("seed={seed} {message}");
            wrong.insert(seed, message);
        }
        if one {
            println!("{}", generate::component(seed));
        }
    }
    let Tally { components, unclaimed, measured, reading, bounded, exact, tight, writing, bounded_writes } = tally;
    println!(
        "components={components} unclaimed={unclaimed} measured={measured} reading={reading} bounded={bounded} exact={exact} tight={tight} \
         writing={writing} bounded_writes={bounded_writes} below={}",
        wrong.len()
    );
    let mut seeds: Vec<_> = wrong.keys().copied().collect();
    seeds.sort_unstable();
    assert!(wrong.is_empty(), "run these again with `CLAIMS_SEED=…`: {seeds:?}");
    if !one {
        assert!(measured > components / 2, "most of them come to an end: {tally:?}");
        assert!(bounded > components / 20 && tight > bounded / 2, "there is something to compare: {tally:?}");
        assert!(bounded_writes > components / 20, "there is something to compare: {tally:?}");
    }
}

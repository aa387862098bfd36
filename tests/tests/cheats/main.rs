//! Guests that try to read or write more often than the analysis proves. Each runs on batches of one to sixty-four
//! elements, and the counts of the ledger are compared with the proof.

#![expect(clippy::print_stdout, reason = "a table of what is proven and what was measured")]

use std::time::{Duration, Instant};

use torvyn_runtime::Error;
use torvyn_runtime::analysis::Analysis;
use torvyn_runtime::contract::Bound;
use torvyn_tests::measure::{Measured, Specimen};

mod cheat;
mod indices;
mod loops;
mod modules;
mod random;
mod reach;
mod tables;
mod writes;

use cheat::{Cheat, Fate, processor};
use random::Maker;

/// Runs the guest, and asserts that it does what it is meant to do.
fn truth(cheat: &Cheat, bytes: &[u8]) -> Option<Measured> {
    let (elements, time) = if cheat.slow { (&[1][..], 60) } else { (&[1, 15, 127][..], 1) };
    let measured = match Specimen::load(bytes, &[], Duration::from_secs(time)) {
        Ok(specimen) => specimen.measure(elements),
        Err(Error::Compile { .. } | Error::Load { .. }) if cheat.fate == Fate::Refused => return None,
        Err(error) => panic!("{}: {error:?}", cheat.name),
    };
    let copies = measured.map(|measured| measured.reads + measured.writes);
    let fate = match copies {
        None => Fate::Traps,
        Some(0) => Fate::Spares,
        Some(_) => Fate::Copies,
    };
    assert_eq!(fate, cheat.fate, "{}: {measured:?}", cheat.name);
    if cheat.reads.is_some() {
        assert_eq!(measured.map(|measured| measured.reads), cheat.reads, "{}", cheat.name);
    }
    measured
}

/// Analyses and runs each guest, and asserts that the bounds hold.
fn hold(cheats: Vec<Cheat>) {
    let mut wrong = Vec::new();
    for cheat in cheats {
        let bytes = wat::parse_str(&cheat.text).unwrap_or_else(|error| panic!("{}: {error}", cheat.name));
        let measured = truth(&cheat, &bytes);
        let began = Instant::now();
        let analysis = match Analysis::parse(&bytes) {
            Ok(analysis) => analysis,
            Err(_) if cheat.fate == Fate::Refused => continue,
            Err(error) => panic!("{}: {error}", cheat.name),
        };
        let took = began.elapsed();
        let told = measured.map_or("nothing".to_string(), |measured| measured.to_string());
        let Analysis { reads, writes, emits, weaker, .. } = &analysis;
        println!(
            "guest={} proven=reads {} writes {} emits {emits:?} measured={told} weaker={weaker:?}",
            cheat.name,
            proven(*reads),
            proven(*writes)
        );
        let mut claims = measured.map_or_else(Vec::new, |measured| measured.beyond(*reads, *writes));
        if cheat.reachable && reads.is_never() && writes.is_never() {
            claims.push("never".to_string());
        }
        if took > Duration::from_secs(1) {
            claims.push(format!("after {took:?}"));
        }
        wrong.extend(claims.iter().map(|claim| format!("{}: {claim}; measured {told}", cheat.name)));
    }
    assert!(wrong.is_empty(), "claimed, and not true:\n{}", wrong.join("\n"));
}

fn proven(bound: Bound) -> String {
    let max = bound.max.map_or("?".to_string(), |max| max.to_string());
    let proof = bound.proof.map_or(String::new(), |proof| format!(" ({proof})"));
    format!("{}{max}{proof}", if bound.exact { "=" } else { "" })
}

#[test]
fn hidden_reads() {
    hold(reach::cheats());
    hold(tables::cheats());
}

#[test]
fn reads_elsewhere() {
    hold(modules::cheats());
}

#[test]
fn reads_in_loops() {
    hold(loops::cheats());
}

/// The analysis still finds a bound for an ordinary loop.
#[test]
fn plain_loops_have_the_bound_they_look_like() {
    for cheat in loops::plain().into_iter().chain(loops::peeled()).filter(|cheat| cheat.reads.is_some()) {
        assert_eq!(reads(&cheat.text).map(u64::from), cheat.reads, "{}", cheat.name);
    }
}

/// A read before a loop counts with those in the loop, unless it is proven to be of another element.
#[test]
fn reads_before_a_loop_count_unless_they_differ() {
    for (name, text) in loops::peeled_in_vain() {
        assert_eq!(reads(&text), Some(2), "{name}");
    }
}

fn reads(text: &str) -> Option<u32> {
    let bytes = wat::parse_str(text).expect("the text is in order");
    Analysis::parse(&bytes).expect("it can be analysed").reads.max
}

#[test]
fn reads_at_indices() {
    hold(indices::cheats());
}

#[test]
fn writes_that_add_up() {
    hold(writes::cheats());
}

/// The bounds of random code hold too, and not all random code is without a bound.
#[test]
fn random_guests() {
    let count = std::env::var("TORVYN_RANDOM_GUESTS").map_or(1000, |count| count.parse().expect("a number"));
    let seed =
        std::env::var("TORVYN_RANDOM_SEED").map_or(0x9e37_79b9_7f4a_7c15, |seed| seed.parse().expect("a number"));
    let mut maker = Maker::new(seed);
    let (mut bounded, mut met) = (0, 0);
    for number in 0..count {
        let (fields, work) = maker.guest();
        let bytes = wat::parse_str(processor(&fields, &work)).unwrap_or_else(|error| panic!("{error}: {work}"));
        let analysis = Analysis::parse(&bytes).expect("it can be analysed");
        let specimen = Specimen::load(&bytes, &[], Duration::from_secs(1)).expect("it loads");
        let Some(measured) = specimen.measure(&[1, 15]) else { continue };
        let beyond = measured.beyond(analysis.reads, analysis.writes);
        assert!(beyond.is_empty(), "{number}: claimed {beyond:?}, measured {measured}:\n{fields}\n{work}");
        bounded += usize::from(analysis.reads.max.is_some_and(|max| max > 0));
        met += usize::from(analysis.reads.max.is_some_and(|max| max > 0 && u64::from(max) == measured.reads));
    }
    println!("of {count} guests {bounded} have a bound, and {met} reach it");
    assert!(bounded > count / 5 && met > count / 20, "of {count} guests {bounded} have a bound, and {met} reach it");
}

//! Guests that try to read or write more often than the analysis proves. Each is run on batches of one to sixty-four
//! elements, and what the ledger says of it is held against the proof.

use std::time::Duration;

use torvyn_runtime::Error;
use torvyn_tests::measure::{Measured, Specimen};

mod cheat;
mod indices;
mod loops;
mod modules;
mod reach;
mod writes;

use cheat::{Cheat, Fate};

/// Runs the guest, and asserts that it is what it is meant to be.
fn truth(cheat: &Cheat, bytes: &[u8]) -> Option<Measured> {
    let (elements, time) = if cheat.slow { (&[1][..], 60) } else { (&[1, 16, 128][..], 1) };
    let measured = match Specimen::load(bytes, &[], Duration::from_secs(time)) {
        Ok(specimen) => specimen.measure(elements),
        Err(Error::Compile { .. }) if cheat.fate == Fate::Refused => return None,
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

fn hold(cheats: Vec<Cheat>) {
    for cheat in cheats {
        let bytes = wat::parse_str(&cheat.text).unwrap_or_else(|error| panic!("{}: {error}", cheat.name));
        let measured = truth(&cheat, &bytes);
        println!("guest={:<50} measured={measured:?}", cheat.name);
    }
}

#[test]
fn hidden_reads() {
    hold(reach::cheats());
}

#[test]
fn reads_elsewhere() {
    hold(modules::cheats());
}

#[test]
fn reads_in_loops() {
    hold(loops::cheats());
}

#[test]
fn reads_at_indices() {
    hold(indices::cheats());
}

#[test]
fn writes_that_add_up() {
    hold(writes::cheats());
}

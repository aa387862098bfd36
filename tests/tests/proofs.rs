//! What the analysis proves of the guest programs, compared with the ledger; and of damaged components.

#![expect(clippy::print_stdout, reason = "a table of what is proven and what was measured")]

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use torvyn_runtime::LoadError;
use torvyn_runtime::analysis::Analysis;
use torvyn_runtime::contract::Kind;
use torvyn_tests::guest::{PROCESSOR, SINK, TRANSFORM};
use torvyn_tests::measure::Specimen;
use torvyn_tests::mutation::mutated;
use torvyn_tests::programs;
use torvyn_tests::random::Random;

/// The settings that a program needs, or with which it copies most.
fn settings(program: &str) -> &'static [(&'static str, &'static str)] {
    match program {
        "blocks" | "numbers" => &[("count", "250")],
        "faulty" => &[("how", "print"), ("at", "process")],
        "inspect" => &[("needle", "x")],
        "reads_by_dyn" => &[("how", "twice")],
        "reads_by_pointer" => &[("which", "2")],
        "repeat" => &[("times", "3")],
        _ => &[],
    }
}

fn read(path: impl AsRef<Path>) -> Vec<u8> {
    std::fs::read(path).expect("the program is built")
}

fn analyse(bytes: &[u8]) -> Analysis {
    Analysis::parse(bytes).expect("a program can be analysed")
}

/// Payloads of different sizes, some of them with a meaning for some programs.
fn payloads() -> Vec<Bytes> {
    let mixed = ["", "a", "b2", "error", "a longer one", "xxxxxxxx"];
    (0..100).map(|number| Bytes::from(mixed[number * 7 % mixed.len()])).collect()
}

#[test]
fn no_program_copies_more_than_is_proven() {
    let mut wrong = Vec::new();
    for (name, path) in programs::ALL {
        let bytes = read(path);
        let analysis = analyse(&bytes);
        let specimen = Specimen::load(&bytes, settings(name), Duration::from_secs(1)).expect("a program loads");
        let (reads, writes) = (analysis.reads, analysis.writes);
        let measured = specimen.measure(&[1, 15, 127]);
        let told = measured.map_or("nothing".to_string(), |measured| measured.to_string());
        println!(
            "program={name} proven=reads {reads:?} writes {writes:?} measured={told} weaker={:?}",
            analysis.weaker
        );
        let mut beyond = measured.map_or_else(Vec::new, |measured| measured.beyond(reads, writes));
        if let Some(account) = specimen.flow(payloads())
            && analysis.profile.kind != Kind::Source
        {
            let copies = account.stages[0].copies;
            if reads.max.is_some_and(|max| account.stages[0].reads_max > max) {
                beyond.push(format!("at most {:?} reads, and one had {}", reads.max, account.stages[0].reads_max));
            }
            for (bound, ops) in [(reads, copies.payload_read.ops), (writes, copies.payload_write.ops)] {
                let most = bound.max.map(|max| u64::from(max) * account.stages[0].elements_in);
                if most.is_some_and(|most| ops > most || bound.exact && ops < most) {
                    beyond.push(format!("{most:?} copies, and there were {ops}"));
                }
            }
        }
        wrong.extend(beyond.iter().map(|claim| format!("{name}: {claim}; measured {told}")));
    }
    assert!(wrong.is_empty(), "claimed, and not true:\n{}", wrong.join("\n"));
}

/// A panic hook can read, although no call with a panic returns.
#[test]
fn what_only_a_panic_hook_reads_is_not_unread() {
    for program in [programs::READS_IN_HOOK, programs::READS_BY_DYN, programs::READS_BY_POINTER] {
        assert!(!analyse(&read(program)).reads.is_never(), "{program}");
    }
}

const SEVERAL: [&str; 5] = ["inspect", "reads_in_two_passes", "reads_twice", "upper", "upper_on_demand"];

/// The bounds do not depend on the profile that the templates give a project.
#[test]
fn bounds_survive_other_profiles() {
    let of = |folder: &Path| -> HashMap<&str, (Option<u32>, Option<u32>)> {
        let bounds = |name: &&'static str| {
            let analysis = analyse(&read(folder.join(format!("{name}.wasm"))));
            println!("{}/{name}: {:?} {:?} {:?}", folder.display(), analysis.reads, analysis.emits, analysis.weaker);
            (*name, (analysis.reads.max, analysis.emits))
        };
        SEVERAL.iter().map(bounds).collect()
    };
    let known = HashMap::from([
        ("inspect", (Some(1), Some(0))),
        ("reads_in_two_passes", (Some(2), Some(0))),
        ("reads_twice", (Some(2), Some(0))),
        ("upper", (Some(1), Some(1))),
        ("upper_on_demand", (Some(1), Some(1))),
    ]);
    let ours = Path::new(programs::INSPECT).parent().expect("it is in a folder");
    assert_eq!(of(ours), known, "with the profile of the templates");
    assert_eq!(of(Path::new(env!("PROGRAMS_AS_CARGO_DOES"))), known, "with cargo's own");
    assert_eq!(of(Path::new(env!("PROGRAMS_FOR_SIZE"))), known, "for size");
}

fn parse_in_time(bytes: &[u8], number: usize) -> Option<Analysis> {
    let began = Instant::now();
    let analysis = Analysis::parse(bytes).ok();
    assert!(began.elapsed() < Duration::from_secs(1), "mutation {number} took {:?}", began.elapsed());
    analysis
}

#[test]
fn mutations_of_a_program() {
    let original = read(programs::READS_IN_TWO_PASSES);
    let mut random = Random::new(0x5851_f42d_4c95_7f2d);
    let parsed = (0..2000).filter(|number| parse_in_time(&mutated(&original, *number, &mut random), *number).is_some());
    let parsed = parsed.count();
    assert!((1..1900).contains(&parsed), "{parsed} of 2000 mutations can be analysed");
    for len in (0..original.len()).step_by(37) {
        parse_in_time(&original[..len], len);
    }
}

/// False lengths in a file cost neither time nor memory.
#[test]
fn sections_that_are_longer_than_the_file() {
    let component = b"\0asm\x0d\0\x01\0";
    let longest = b"\xff\xff\xff\xff\x0f";
    let [custom, core_module, types] = [&[0][..], &[1], &[7]].map(|id| [component, id, longest].concat());
    let within = [&core_module, &b"\0asm\x01\0\0\0"[..], &[0, 0xff, 0xff, 0xff, 0xef, 0x0f]].concat();
    for (number, bytes) in [custom, core_module, types, within].iter().enumerate() {
        let began = Instant::now();
        let refused = Analysis::parse(bytes);
        assert!(matches!(refused, Err(LoadError::Malformed(_))), "{number}: {refused:?}");
        assert!(began.elapsed() < Duration::from_millis(100), "{number} took {:?}", began.elapsed());
    }
}

/// In a small component, most changes hit something important. The bounds of those that still run must hold.
#[test]
fn mutations_of_small_components() {
    let mut random = Random::new(0x1405_7b7e_f767_814f);
    let mut ran = 0;
    for guest in [TRANSFORM, PROCESSOR, SINK] {
        let original = wat::parse_str(guest.text()).expect("the text is in order");
        for number in 0..1000 {
            let bytes = mutated(&original, number, &mut random);
            let Some(analysis) = parse_in_time(&bytes, number) else { continue };
            let Ok(specimen) = Specimen::load(&bytes, &[], Duration::from_millis(20)) else { continue };
            let Some(measured) = specimen.measure(&[1, 3]) else { continue };
            ran += 1;
            let beyond = measured.beyond(analysis.reads, analysis.writes);
            assert!(beyond.is_empty(), "mutation {number}: claimed {beyond:?}, measured {measured}");
        }
    }
    assert!(ran > 50, "{ran} mutations run");
}

//! What can be proven about real compiled programs: the bounds must survive the compiler.

use std::path::Path;

use torvyn_runtime::analysis::{Analysis, Use};
use torvyn_runtime::contract::{Bound, Proof, TrackedImport};
use torvyn_tests::programs;

fn analysis(path: impl AsRef<Path>) -> Analysis {
    Analysis::parse(&std::fs::read(path).expect("the program is built")).expect("it is a stage")
}

/// The same program, built in the default release profile of cargo.
fn as_cargo_does(program: &str) -> Analysis {
    analysis(Path::new(env!("PROGRAMS_AS_CARGO_DOES")).join(program).with_extension("wasm"))
}

/// How a program uses what it reads, call by call.
fn uses(analysis: &Analysis) -> Vec<Use> {
    let reads = analysis.sites.iter().filter(|site| site.callee != TrackedImport::EmitAll);
    reads.map(|site| site.used).collect()
}

fn once() -> Bound {
    Bound { exact: false, ..Bound::at_most(1, Proof::Bounded) }
}

#[test]
fn a_world_without_payloads_is_absent_from_the_binary() {
    for program in [programs::DROP_EMPTY, programs::EVERY_OTHER, programs::STALL] {
        let analysis = analysis(program);
        assert_eq!(analysis.reads, Bound::never(Proof::Component), "{program}");
        assert_eq!(analysis.writes, Bound::never(Proof::Component), "{program}");
        assert!(analysis.sites.is_empty() && analysis.weaker.is_empty(), "{program}");
    }
}

#[test]
fn every_program_that_reads_is_bounded() {
    for program in [
        programs::DIGEST,
        programs::FAULTY,
        programs::INSPECT,
        programs::REPEAT,
        programs::SPLIT,
        programs::UPPER,
        programs::UPPER_ON_DEMAND,
    ] {
        let analysis = analysis(program);
        assert_eq!(analysis.reads, once(), "{program}: {:?}", analysis.weaker);
        assert_eq!(
            analysis.emits,
            Some(u32::from(analysis.profile.tracked_imports.contains(&TrackedImport::EmitAll))),
            "{program}"
        );
    }
}

#[test]
fn bounds_survive_the_profile_that_cargo_has_of_itself() {
    for program in ["digest", "inspect", "upper", "upper_on_demand"] {
        let analysis = as_cargo_does(program);
        assert_eq!(analysis.reads, once(), "{program}: {:?}", analysis.weaker);
        let function = analysis.sites[0].frames[0].function.as_deref();
        assert!(function.is_some(), "{program}: names are there without debug information");
    }
}

#[test]
fn a_source_writes_each_element_once() {
    for program in [programs::BLOCKS, programs::NUMBERS] {
        let analysis = analysis(program);
        assert_eq!(analysis.reads, Bound::never(Proof::Component), "{program}");
        assert_eq!((analysis.writes, analysis.emits), (Bound::exactly(1, Proof::Contract), Some(1)), "{program}");
    }
}

#[test]
fn a_site_is_told_down_to_the_line_of_its_author() {
    let analysis = analysis(programs::UPPER_ON_DEMAND);
    let read = analysis.sites.iter().find(|site| site.callee == TrackedImport::Read).expect("it reads");
    assert_eq!(read.export, "process");
    let author = |frame: &&torvyn_runtime::analysis::Frame| {
        frame.file.as_deref().is_some_and(|file| file.ends_with("upper_on_demand.rs"))
    };
    let frame = read.frames.iter().find(author).expect("the author's file is among the frames");
    let source = include_str!("../programs/examples/upper_on_demand.rs");
    let line = source.lines().nth(frame.line.expect("it has a line") as usize - 1);
    assert!(line.is_some_and(|line| line.contains("element.read()")), "{frame:?}");
    assert_eq!(frame.function.as_deref(), Some("process"));
}

/// The programs that use only a part of what they read, or nothing of it.
const USES: [(&str, Use); 3] = [("first_byte", Use::Within(1)), ("ignores", Use::Nothing), ("magic", Use::Within(2))];

#[test]
fn what_is_looked_at_is_told_in_both_profiles() {
    for (program, used) in USES {
        let built = Path::new(programs::MAGIC).with_file_name(program).with_extension("wasm");
        assert_eq!(uses(&analysis(built)), [used], "{program}");
        assert_eq!(uses(&as_cargo_does(program)), [used], "{program}");
    }
}

/// The programs that look at most at the lengths of what they read. Whether that is found depends on the compiler.
const ONLY_LENGTHS: [&str; 11] = [
    "ops",
    "ops_each",
    "ops_held",
    "reads_again",
    "reads_backwards",
    "reads_collected",
    "reads_in_drop",
    "reads_in_two_passes",
    "reads_nth",
    "reads_stepped",
    "reread",
];

#[test]
fn no_other_program_is_accused() {
    let (mut reads, mut accused) = (0, Vec::new());
    let built = Path::new(programs::MAGIC).parent().expect("it is in a folder");
    for entry in built.read_dir().expect("the programs are there") {
        let path = entry.expect("it can be read").path();
        let name = path.file_stem().and_then(|name| name.to_str()).expect("it has a name");
        // cargo keeps a second copy of each under a name with a hash.
        let is_other = !name.contains('-') && USES.iter().all(|(known, _)| *known != name);
        if is_other && path.extension().is_some_and(|extension| extension == "wasm") {
            let uses = uses(&analysis(&path));
            let is_known = |used: &Use| match used {
                Use::Unknown => true,
                Use::Nothing => ONLY_LENGTHS.contains(&name),
                Use::Within(_) => false,
            };
            if !uses.iter().all(is_known) {
                accused.push(format!("{name}: {uses:?}"));
            }
            reads += uses.len();
        }
    }
    assert!(accused.is_empty(), "{accused:?}");
    assert!(reads >= 8, "{reads}");
    for program in ["above", "digest", "inspect", "upper", "upper_on_demand"] {
        assert!(uses(&as_cargo_does(program)).iter().all(|used| *used == Use::Unknown), "{program}");
    }
}

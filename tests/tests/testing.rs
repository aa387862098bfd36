//! `torvyn-testing` as a black box: the guest programs in its stages and pipelines, packages that cargo builds for it,
//! and its errors.

#![allow(clippy::unwrap_used, reason = "a failed `unwrap` fails the test")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use torvyn_testing::runtime::endpoint::Generate;
use torvyn_testing::runtime::{self, StageError};
use torvyn_testing::{
    Element, Error, FailureKind, InjectedFault, Limits, Merge, Policy, Retry, Stage, Then, build_in, load,
};
use torvyn_tests::programs;

fn program(path: &str) -> Stage {
    load(path).expect("the program loads")
}

/// The error of a pipeline that is refused.
#[track_caller]
fn refused(ran: Result<torvyn_testing::Run, Error>) -> String {
    match ran {
        Err(Error::Pipeline(wrong)) => wrong,
        other => panic!("it is not refused: {other:?}"),
    }
}

#[test]
fn stages_take_from_outputs_of_others() {
    let split = program(programs::SPLIT).outputs(2);
    let upper = program(programs::UPPER);
    let run = split.then(&upper.from("split", 1)).run(["apple", "banana", "cherry", "date"]).unwrap();
    assert_eq!(run.output(0), ["apple", "cherry"]);
    assert_eq!(run.output(1), ["BANANA", "CHERRY"]);
    assert_eq!(run.output(1)[0].sequence, 1);
    assert_eq!(run.stage("split").elements_dropped, 1);
    assert_eq!(run.stage("upper").copies.payload_bytes(), 24);

    let all = program(programs::DROP_EMPTY).from("split", 0).from("upper", 0).merge(Merge::Sequence);
    let run = split.then(&upper.from("split", 1)).then(&all).run(["b", "a", "b"]).unwrap();
    assert_eq!(run.output(0), ["B", "a", "B"]);

    let run = upper.then(&program(programs::DROP_EMPTY).from("input", 0)).run(["", "x"]).unwrap();
    assert_eq!(run.output(0), ["", "X"]);
    assert_eq!(run.output(1), ["x"]);
    assert_eq!(upper.run(run.output(1)).unwrap().output(0), ["X"]);
}

#[test]
fn elements_have_attributes() {
    let route = program(programs::BY_ATTRIBUTE).with("name", "tenant").with("is", "a").outputs(2);
    let elements = [Element::new("one").with_attribute("tenant", "a"), Element::new("two"), Element::new("three")];
    let run = route.alone().run_elements(elements).unwrap();
    assert_eq!(run.output(0), ["one"]);
    assert_eq!(run.output(1), ["two", "three"]);
    assert_eq!(run.output(0)[0].attributes().iter().collect::<Vec<_>>(), [("routed", "yes"), ("tenant", "a")]);
    assert_eq!((run.output(1)[1].attribute("routed"), run.output(1)[1].sequence), (Some("no"), 2));

    let again = route.alone().run_elements(run.output(0).to_vec()).unwrap();
    assert_eq!(again.output(0)[0].attribute("tenant"), Some("a"));
    assert_eq!(route.run(run.output(0)).unwrap().output(1), ["one"], "by its payload alone");
}

#[test]
fn elements_come_from_components_and_inputs() {
    let numbers = program(programs::NUMBERS).with("count", 5).with("count", 3);
    assert_eq!(numbers.run_source().unwrap().output(0), ["1", "2", "3"]);
    let run = program(programs::EVERY_OTHER).alone().timeout(Duration::MAX).run_on(Generate::new(10, 4)).unwrap();
    assert_eq!((run.account().elements.entered, run.output(0).len()), (10, 5));

    assert!(refused(numbers.run(["1"])).contains("use `run_source`"));
    assert!(refused(program(programs::UPPER).run_source()).contains("use `run`"));
}

#[test]
fn what_is_no_pipeline_is_told() {
    let (upper, split) = (program(programs::UPPER), program(programs::SPLIT));
    let said = refused(upper.then(&upper).run(["x"]));
    assert_eq!(said, "duplicate stage name `upper`: rename one stage with `named`");
    let said = refused(upper.then(&split.from("uper", 0)).run(["x"]));
    assert_eq!(said, "`split` takes from unknown stage `uper`: the stages are `input`, `upper`, `split`");
    let said = refused(split.then(&upper.from("split", 1)).run(["x"]));
    assert_eq!(said, "`upper` takes from output 1 of `split`, which has 1: set the number with `outputs`");
    let said = refused(upper.then(&program(programs::NUMBERS).from("upper", 0)).run(["x"]));
    assert_eq!(said, "`numbers` is a source and cannot take elements");
    let said = refused(upper.from("split", 0).then(&split).run_source());
    assert_eq!(said, "the stages form a cycle: `split`, `upper`");
}

#[test]
fn a_failure_has_its_causes_and_the_log() {
    let faulty = program(programs::FAULTY).with("how", "trap").with("at", "process");
    let error = faulty.run(["fine", "poison"]).unwrap_err();
    assert!(error.to_string().starts_with("stage `faulty` failed in `process`"), "{error:?}");
    assert!(
        matches!(error.failure(), Some(runtime::Error::Stage { source: StageError::Trap { .. }, .. })),
        "{error:?}"
    );
    assert!(error.log("faulty").iter().any(|line| line.contains("told to trap in process")), "{error:?}");
    let report = format!("{error:?}");
    for part in ["caused by: wasm trap", "output of the stages:\n  faulty:", "told to trap in process"] {
        assert!(report.contains(part), "{part}: {report}");
    }

    let failing = faulty.with("how", "fail").run(["poison"]).unwrap_err();
    let line =
        "stage `faulty` failed in `process` at element 0: the stage returned invalid-input: told to fail in process";
    assert_eq!(format!("{failing:#}"), line);
    let printing = faulty.with("how", "print").with("at", "flush").run(["fine"]).unwrap();
    assert_eq!(printing.log("faulty"), ["printed in flush", "half a line"]);
}

#[test]
fn limits_hold_and_what_does_not_end_is_given_up() {
    let looping = program(programs::FAULTY).with("how", "loop").with("at", "init");
    let brief = Limits { time: Duration::from_millis(50), ..Limits::default() };
    let error = looping.limits(brief).run([""]).unwrap_err();
    assert!(
        matches!(error.failure(), Some(runtime::Error::Stage { source: StageError::Deadline { .. }, .. })),
        "{error:?}"
    );

    let endless = program(programs::NUMBERS).with("count", u64::MAX).alone().timeout(Duration::from_millis(50));
    let error = endless.run_source().unwrap_err();
    assert_eq!(error.to_string(), "the run timed out after 50 ms");
}

#[test]
fn policies_hold_and_time_goes_on_only_where_it_is_waited_for() {
    let retry = Some(Retry { count: 5, backoff: Duration::from_secs(20) });
    let upper = program(programs::UPPER).fault(1, 2, InjectedFault::Failure(FailureKind::Unavailable));
    let began = Instant::now();
    for _ in 0..2 {
        let run = upper.policy(Policy { retry, then: Then::Stop }).run(["one", "two"]).unwrap();
        assert_eq!(run.output(0), ["ONE", "TWO"]);
        assert_eq!(run.clock().unix_ns(), (946_684_800 + 20 + 40) * 1_000_000_000);
    }
    assert!(began.elapsed() < Duration::from_secs(20));

    let kept =
        upper.policy(Policy { retry: None, then: Then::DeadLetter }).alone().seed(7).run(["one", "two"]).unwrap();
    assert_eq!(kept.output(0), ["ONE"]);
    let [letter] = kept.dead_letters() else { panic!("there is one: {kept:?}") };
    assert_eq!((&*letter.stage, letter.attempt, letter.element.sequence), ("upper", 1, 1));
    assert!(letter.element == "two" && letter.reason.contains("unavailable"), "{letter:?}");

    let error = upper.run(["one", "two"]).unwrap_err();
    assert!(format!("{error:#}").contains("at element 1: the stage returned unavailable"), "{error:?}");
    let error = upper.run(["one"]).unwrap_err();
    assert_eq!(error.to_string(), "a fault was not injected: stage `upper` never got to element 1");
}

#[test]
#[should_panic(expected = "no stage `upppr`: the run has `upper`")]
fn a_stage_that_is_not_there() {
    program(programs::UPPER).run(["x"]).unwrap().stage("upppr");
}

#[test]
#[should_panic(expected = "no output 1: the run has 1")]
fn an_output_that_is_not_there() {
    program(programs::UPPER).run(["x"]).unwrap().output(1);
}

#[test]
fn files_that_are_not_components() {
    let folder = tempfile::tempdir().unwrap();
    let missing = load(folder.path().join("none.wasm")).err().unwrap();
    assert!(format!("{missing:?}").contains("none.wasm` does not exist\n  caused by: "), "{missing:?}");
    let text = folder.path().join("text.wasm");
    fs::write(&text, "(component)").unwrap();
    let error = load(&text).err().unwrap();
    assert!(format!("{error:#}").contains("expected a WebAssembly component"), "{error:?}");
}

/// A package that builds for the target and is not a stage.
fn package(folder: &Path, name: &str, library: &str, source: &str) {
    fs::create_dir_all(folder.join("src")).expect("a folder can be made");
    let text = format!("[package]\nname = \"{name}\"\nedition = \"2024\"\n[lib]\n{library}\n[workspace]\n");
    fs::write(folder.join("Cargo.toml"), text).expect("a file can be written");
    fs::write(folder.join("src/lib.rs"), source).expect("a file can be written");
}

#[test]
fn packages_that_make_no_component_that_runs() {
    let folder = tempfile::tempdir().unwrap();
    let built = |name: &str| build_in(folder.path(), name).err().expect("it is no stage");

    package(folder.path(), "rlib", "", "");
    assert!(matches!(built("rlib"), Error::NoComponent { .. }));
    let unknown = built("nobody");
    assert_eq!(unknown.to_string(), "cannot build package `nobody`");
    assert!(format!("{unknown:?}").contains("`nobody`") && format!("{unknown:?}").lines().count() > 1, "{unknown:?}");

    package(folder.path(), "broken", "crate-type = [\"cdylib\"]", "fn broken() -> u8 { \"text\" }");
    let broken = format!("{:?}", built("broken"));
    assert!(broken.contains("error[E0308]: mismatched types") && broken.contains("src/lib.rs:1:"), "{broken}");

    package(folder.path(), "command", "crate-type = [\"cdylib\"]", "");
    let command = built("command");
    assert!(matches!(command, Error::Load(_)), "{command:?}");

    let missing = build_in(folder.path().join("elsewhere"), "command").err().unwrap();
    assert!(matches!(missing, Error::Missing { .. }), "{missing:?}");
}

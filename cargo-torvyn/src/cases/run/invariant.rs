//! Checks an invariant of every case: a proof that turns out to be wrong is reported as an internal error of this program.

use std::path::Path;

use anstream::ColorChoice;
use torvyn_runtime::contract::{Bound, Bounds, Proof};
use torvyn_runtime::pipeline::graph::Role;

use wat_guests::stage as guest;

use crate::cases::run::cancellation::Cancellation;
use crate::cases::tests::parse_manifest;
use crate::cases::{Draft, Outcome};
use crate::cli::CargoArgs;
use crate::manifest::{Manifest, Pipeline, partition};
use crate::output::codes;
use crate::output::diagnostic::Diagnostics;
use crate::output::programs::OutputRequest;
use crate::output::shell::{Shell, Verbosity};
use crate::run::components::{Compiled, Components};

const CASES: &str = "[[test]]\nname = 'plain'\ninput.lines = ['a', 'b']\naccount.copies = 4\n\
                     [[test]]\nname = 'expected'\ninput.lines = ['a', 'b']\nfails = 'is proven'\n";

#[test]
fn exceeding_a_proof_fails_the_case_as_an_internal_error() {
    let stage = guest::TRANSFORM.file();
    let text = format!("[pipeline.main]\nstages = [{:?}]\n{CASES}", stage.path);
    let manifest = Manifest::parse(&text, Path::new("Torvyn.toml")).unwrap();
    let (cases, _) = partition(parse_manifest(&text, Path::new("Torvyn.toml")));
    let drafts: Vec<_> = cases.iter().map(|case| Draft::new(case, &manifest).unwrap()).collect();
    let pipelines: Vec<_> = drafts.iter().map(|draft| &draft.pipeline).collect();
    let mut shell = Shell::new(ColorChoice::Never, Verbosity::Quiet, OutputRequest::default());
    let (args, compiled) = (CargoArgs::default(), Compiled::default());
    let judge = |_: &Pipeline, _: &[Role]| Diagnostics::default();
    let components = Components::load(&pipelines, &judge, &args, &compiled, &mut shell).unwrap();
    let plans = drafts.into_iter().map(|draft| draft.plan(&components, false, &mut shell.sources).unwrap());
    let mut plans: Vec<_> = plans.collect();
    let (cancel, cut) = Default::default();
    let cancellation = Cancellation { cancel: &cancel, cut: &cut };
    let run = |plans: &[crate::cases::Plan<'_>]| -> Vec<Outcome> {
        plans.iter().map(|plan| plan.run(cancellation)).collect()
    };

    let [plain, expected] = &run(&plans)[..] else { panic!() };
    assert!(plain.found.is_empty(), "{:?}", plain.found);
    assert_eq!(expected.found.iter().next().unwrap().code, codes::MISSING_FAILURE);

    let never = Bound::never(Proof::CallGraph);
    plans.iter_mut().for_each(|plan| plan.stages[0].2 = Bounds::copying(never, never));
    for outcome in run(&plans) {
        let found = outcome.found.iter().next().unwrap();
        let told = format!("{}\n{}", found.message, found.notes.join("\n"));
        assert_eq!(found.code, codes::UNEXPECTED_FAILURE);
        assert!(told.contains("internal error, please report it") && told.contains("the proof"), "{told}");
        assert!(told.contains("an internal error of `cargo torvyn`"), "{told}");
    }
}

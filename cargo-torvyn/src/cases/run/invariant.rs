//! What every case is held to, whatever it expects: a proof that turns out to be wrong is a fault of this program.

use std::path::Path;

use anstream::ColorChoice;
use torvyn_runtime::contract::{Bound, Bounds, Proof};

use crate::cases::case::files::of_manifest;
use crate::cases::run::ends::Ends;
use crate::cases::{Draft, Outcome};
use crate::cli::CargoArgs;
use crate::config::manifest::{Manifest, sorted};
use crate::output::codes;
use crate::output::diagnostic::{Diagnostics, Sources};
use crate::output::programs::Asked;
use crate::output::shell::{Shell, Verbosity};
use crate::run::components::{Compiled, Components};

#[allow(dead_code, missing_docs, unreachable_pub, reason = "of what others need of it too")]
#[path = "../../../../tests/src/guest.rs"]
mod guest;

const CASES: &str = "[[test]]\nname = 'plain'\ninput.lines = ['a', 'b']\naccount.copies = 4\n\
                     [[test]]\nname = 'expected'\ninput.lines = ['a', 'b']\nfails = 'is proven'\n";

#[test]
fn more_than_is_proven_fails_the_case_and_is_ours() {
    let stage = guest::TRANSFORM.file();
    let text = format!("[pipeline.main]\nstages = [{:?}]\n{CASES}", stage.path);
    let manifest = Manifest::parse(&text, Path::new("Torvyn.toml")).unwrap();
    let (cases, _) = sorted(of_manifest(&text, Path::new("Torvyn.toml")));
    let drafts: Vec<_> = cases.iter().map(|case| Draft::new(case, &manifest).unwrap()).collect();
    let pipelines: Vec<_> = drafts.iter().map(|draft| &draft.pipeline).collect();
    let mut shell = Shell::new(ColorChoice::Never, Verbosity::Quiet, Asked::default());
    let (mut sources, compiled) = (Sources::default(), Compiled::default());
    let args = CargoArgs::default();
    let components =
        Components::of(&pipelines, &|_, _| Diagnostics::default(), &args, &compiled, &mut sources, &mut shell).unwrap();
    let plans = drafts.into_iter().map(|draft| draft.plan(&components, false, &mut sources).unwrap());
    let mut plans: Vec<_> = plans.collect();
    let (cancel, cut) = Default::default();
    let ends = Ends { cancel: &cancel, cut: &cut };
    let run = |plans: &[crate::cases::Plan<'_>]| -> Vec<Outcome> { plans.iter().map(|plan| plan.run(ends)).collect() };

    let [plain, expected] = &run(&plans)[..] else { panic!() };
    assert!(plain.found.is_empty(), "{:?}", plain.found);
    assert_eq!(expected.found.iter().next().unwrap().code, codes::MISSING_FAILURE);

    let never = Bound::never(Proof::CallGraph);
    plans.iter_mut().for_each(|plan| plan.stages[0].2 = Bounds::copying(never, never));
    for outcome in run(&plans) {
        let found = outcome.found.iter().next().unwrap();
        let told = format!("{}\n{}", found.message, found.notes.join("\n"));
        assert_eq!(found.code, codes::UNEXPECTED_FAILURE);
        assert!(told.contains("a fault of torvyn itself") && told.contains("the proof"), "{told}");
        assert!(told.contains("`cargo torvyn` broke a rule of its own"), "{told}");
    }
}

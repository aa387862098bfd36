//! A saved result of `check` to compare later results with: what was proven then must still be proven.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use torvyn_runtime::analysis::StageVerdict;
use torvyn_runtime::base::regular_file;

use super::subject::Subject;
use crate::exit::{Exit, Stop};
use crate::fs::atomic_file;
use crate::output::diagnostic::quoted;
use crate::output::failure;

/// The version of the file format.
const VERSION: u32 = 2;

/// The result of `check` in its saved form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Baseline {
    version: u32,
    /// Whether the components were built and analysed.
    built: bool,
    /// Sorted by name.
    stages: Vec<SavedStage>,
    /// Sorted by name.
    pipelines: Vec<SavedPipeline>,
}

/// What was proven of a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedStage {
    /// The package, or the path of the component.
    pub(crate) name: String,
    pub(crate) verdict: String,
    /// The most reads of one element; `None` if unbounded.
    pub(crate) reads: Option<u32>,
    /// The most writes for one element; `None` if unbounded.
    pub(crate) writes: Option<u32>,
    /// The most writes of one payload after the first; `None` if unbounded.
    pub(crate) pieces: Option<u32>,
    /// The most elements made from one without a write; `None` if unbounded.
    pub(crate) views: Option<u32>,
    /// Whether it could hold payloads.
    pub(crate) retains: bool,
    /// The imports that proofs depend on.
    pub(crate) imports: Vec<String>,
}

/// What was proven of a pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedPipeline {
    pub(crate) name: String,
    /// The most copies on the worst path; `None` if unbounded.
    pub(crate) copies: Option<u64>,
}

/// A stage or pipeline that was better in the baseline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Loss {
    /// The stage or pipeline.
    pub(crate) name: String,
    /// What is worse, as a phrase: "it was `handle-pass` and is now `read-only`".
    pub(crate) what: String,
    /// Imports that proofs depend on and that are not in the baseline.
    pub(crate) new_imports: Vec<String>,
}

impl Baseline {
    pub(crate) fn new(built: bool, mut stages: Vec<SavedStage>, mut pipelines: Vec<SavedPipeline>) -> Self {
        stages.sort_by(|a, b| a.name.cmp(&b.name));
        pipelines.sort_by(|a, b| a.name.cmp(&b.name));
        Baseline { version: VERSION, built, stages, pipelines }
    }

    /// Loads a baseline.
    ///
    /// # Errors
    ///
    /// A [`Stop`] if it does not exist or is not a baseline.
    pub(crate) fn load(path: &Path) -> Result<Self, Stop> {
        let text = regular_file::read_to_string(path).map_err(|error| {
            let stop = bad_baseline(format!("cannot read the baseline `{}`: {error}", path.display()));
            match error.kind() {
                ErrorKind::NotFound => {
                    stop.help(format!("create one with `cargo torvyn check --save-baseline {}`", path.display()))
                }
                _ => stop,
            }
        })?;
        let not_one = |why: String| {
            bad_baseline(format!("`{}` is not a baseline of `check`: {why}", path.display()))
                .help(format!("create a new one with `cargo torvyn check --save-baseline {}`", path.display()))
        };
        let baseline: Baseline = serde_json::from_str(&text).map_err(|error| not_one(error.to_string()))?;
        if baseline.version != VERSION {
            return Err(not_one(format!("expected version {VERSION}, found {}", baseline.version)));
        }
        Ok(baseline)
    }

    /// Writes the file, as a whole or not at all.
    ///
    /// # Errors
    ///
    /// The error of the system.
    pub(crate) fn save(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        atomic_file::write(path, text.as_bytes()).with_context(|| failure::not_written(path, "the baseline "))
    }

    /// Checks that the baseline and the check were made in the same way, both with `--built` or both without.
    ///
    /// # Errors
    ///
    /// A [`Stop`] if only one of them was made from built components.
    pub(crate) fn check_comparable(&self, built: bool) -> Result<(), Stop> {
        if self.built != built {
            let (message, help) = if self.built {
                ("the baseline was made with `--built`", "add `--built`")
            } else {
                ("the baseline was made without `--built`", "remove `--built`, or save a new baseline with it")
            };
            return Err(bad_baseline(message).help(help));
        }
        Ok(())
    }

    /// What is worse in `now` than in this baseline. Stages and pipelines that are in only one of the two are not compared.
    ///
    /// # Errors
    ///
    /// A [`Stop`] if they have no stage in common, so that nothing would be compared.
    pub(crate) fn losses(&self, now: &Baseline) -> Result<Vec<Loss>, Stop> {
        let known = |stage: &SavedStage| self.stages.iter().any(|then| then.name == stage.name);
        if !now.stages.is_empty() && !now.stages.iter().any(known) {
            let names: Vec<_> = self.stages.iter().map(|stage| stage.name.as_str()).collect();
            let help = match names[..] {
                [] => "save a new one with `--save-baseline`".to_string(),
                _ => format!("it contains {}; save a new one with `--save-baseline`", quoted(&names)),
            };
            return Err(bad_baseline("the baseline contains none of the checked stages").help(help));
        }
        let stages = self.stages.iter().filter_map(|then| {
            let now = now.stages.iter().find(|now| now.name == then.name)?;
            find_stage_loss(then, now)
        });
        let pipelines = self.pipelines.iter().filter_map(|then| {
            let now = now.pipelines.iter().find(|now| now.name == then.name)?;
            let what = describe_increase("copies on the worst path", then.copies, now.copies)?;
            Some(Loss { name: now.name.clone(), what, new_imports: Vec::new() })
        });
        Ok(stages.chain(pipelines).collect())
    }
}

impl SavedStage {
    /// The part of a verdict that a baseline keeps.
    pub(crate) fn new(subject: &Subject, verdict: &StageVerdict) -> SavedStage {
        let imports = match (&subject.analysis, &subject.contract) {
            (Some(analysis), _) => analysis.profile.tracked_imports.iter().map(ToString::to_string).collect(),
            (None, Some(contract)) => {
                let imported = contract.payloads.interfaces().into_iter().filter(|(_, has)| *has);
                imported.map(|(interface, _)| interface.to_string()).collect()
            }
            (None, None) => Vec::new(),
        };
        SavedStage {
            name: subject.name.clone(),
            verdict: verdict.verdict.to_string(),
            reads: verdict.reads.max,
            writes: verdict.writes.max,
            pieces: verdict.pieces.max,
            views: verdict.views.max,
            retains: verdict.retains,
            imports,
        }
    }
}

/// A baseline that cannot be used.
fn bad_baseline(message: impl Into<String>) -> Stop {
    Stop::new(Exit::Failed, message).code(failure::BAD_BASELINE)
}

fn find_stage_loss(then: &SavedStage, now: &SavedStage) -> Option<Loss> {
    let rank = |verdict: &str| ["handle-pass", "read-only", "rewrite"].iter().position(|known| *known == verdict);
    let bound = |bound: Option<u32>| bound.map(u64::from);
    let what = if rank(&now.verdict) > rank(&then.verdict) {
        format!("it was `{}` and is now `{}`", then.verdict, now.verdict)
    } else if now.retains && !then.retains {
        "it can now hold payloads beyond the call".to_string()
    } else {
        describe_increase("reads of one element", bound(then.reads), bound(now.reads))
            .or_else(|| describe_increase("writes for one element", bound(then.writes), bound(now.writes)))
            .or_else(|| {
                describe_increase("writes of one payload after the first", bound(then.pieces), bound(now.pieces))
            })
            .or_else(|| {
                describe_increase("elements made from one without a write", bound(then.views), bound(now.views))
            })?
    };
    let new_imports = now.imports.iter().filter(|import| !then.imports.contains(import)).cloned().collect();
    Some(Loss { name: now.name.clone(), what, new_imports })
}

/// Describes an increase; unbounded is more than any bound.
fn describe_increase(what: &str, then: Option<u64>, now: Option<u64>) -> Option<String> {
    let then = then?;
    match now {
        None => Some(format!("{what}: at most {then} before, now unbounded")),
        Some(now) if now > then => Some(format!("{what}: at most {then} before, now {now}")),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(verdict: &str, reads: Option<u32>, imports: &[&str]) -> SavedStage {
        let imports = imports.iter().map(ToString::to_string).collect();
        SavedStage {
            name: "a".to_string(),
            verdict: verdict.to_string(),
            reads,
            writes: Some(0),
            pieces: Some(0),
            views: Some(0),
            retains: false,
            imports,
        }
    }

    fn losses(then: SavedStage, now: SavedStage) -> Vec<Loss> {
        let one = |stage| Baseline::new(true, vec![stage], Vec::new());
        one(then).losses(&one(now)).unwrap()
    }

    #[test]
    fn reports_losses_with_the_new_imports() {
        let lost = losses(stage("handle-pass", Some(0), &[]), stage("read-only", Some(1), &["payload-read.read"]));
        assert_eq!(lost[0].what, "it was `handle-pass` and is now `read-only`");
        assert_eq!(lost[0].new_imports, ["payload-read.read"]);
        let lost = losses(stage("read-only", Some(1), &["x"]), stage("read-only", None, &["x"]));
        assert_eq!(lost[0].what, "reads of one element: at most 1 before, now unbounded");
        let holds = |then: SavedStage| SavedStage { retains: true, views: None, ..then };
        let still = || stage("handle-pass", Some(0), &[]);
        assert_eq!(losses(still(), holds(still()))[0].what, "it can now hold payloads beyond the call");
        assert!(losses(holds(still()), still()).is_empty());
        let views = losses(still(), SavedStage { views: None, ..still() });
        assert_eq!(views[0].what, "elements made from one without a write: at most 0 before, now unbounded");
        assert!(losses(stage("read-only", Some(2), &[]), stage("handle-pass", Some(0), &[])).is_empty());
        assert!(losses(stage("read-only", None, &[]), stage("read-only", Some(7), &[])).is_empty());
    }

    #[test]
    fn rejects_a_file_that_is_not_a_baseline() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("baseline.json");
        let error_of = |text: &str| {
            std::fs::write(&path, text).unwrap();
            Baseline::load(&path).unwrap_err().to_string()
        };
        assert!(error_of("{").contains("is not a baseline of `check`: EOF while parsing"));
        assert!(
            error_of(r#"{"version":2,"built":true,"stages":[],"pipelines":[],"x":1}"#).contains("unknown field `x`")
        );
        let other = r#"{"version":1,"built":true,"stages":[],"pipelines":[]}"#;
        assert!(error_of(other).contains("expected version 2, found 1"));
        let missing = Baseline::load(&folder.path().join("none.json")).unwrap_err();
        assert!(missing.help.unwrap().contains("--save-baseline"));
    }

    #[test]
    fn loads_what_it_saved_and_compares_only_comparable_baselines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("baseline.json");
        let built = Baseline::new(true, vec![stage("read-only", None, &["x"])], Vec::new());
        built.save(&path).unwrap();
        assert_eq!(Baseline::load(&path).unwrap(), built);
        assert!(built.check_comparable(true).is_ok());
        assert!(built.check_comparable(false).unwrap_err().help.unwrap().contains("--built"));
        let other = SavedStage { name: "b".to_string(), ..stage("read-only", None, &[]) };
        let other = Baseline::new(true, vec![other], Vec::new());
        assert!(built.losses(&other).unwrap_err().help.unwrap().contains("it contains `a`"));
        assert!(built.losses(&Baseline::new(true, Vec::new(), Vec::new())).unwrap().is_empty());
    }
}

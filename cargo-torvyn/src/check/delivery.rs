//! What a pipeline guarantees to deliver: whether everything that was taken from its input reaches its outputs at least once,
//! however a run ends.
//!
//! The host follows each element that a stage passes on, drops, or holds by a lease, and acknowledges an element to the input
//! only after its delivery. It cannot know what a stage keeps in its own memory: a stage that reads payloads and also writes some could keep
//! what it has read and deliver it later. A sink component could, too.

use std::fmt;
use std::ops::Range;

use serde::Serialize;
use torvyn_runtime::analysis::StageVerdict;
use torvyn_runtime::contract::{Bounds, Kind};

use super::replicas::is_declared_stateless;
use super::subject::Subject;
use crate::manifest::Pipeline;
use crate::output::codes;
use crate::output::diagnostic::Diagnostic;

/// What a pipeline guarantees to deliver.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Delivery {
    /// Whether a run goes on where the one before stopped, from what was delivered.
    pub(crate) resumes: bool,
    /// The stages that could keep what they have read, and are not declared stateless.
    pub(crate) unless_kept_by: Vec<String>,
    /// Their places in the manifest.
    #[serde(skip)]
    places: Vec<Range<usize>>,
}

impl Delivery {
    /// What a pipeline guarantees. `stages` are its own, in its order.
    pub(crate) fn new<'a>(
        pipeline: &Pipeline,
        stages: impl Iterator<Item = (&'a Subject, &'a StageVerdict)>,
    ) -> Delivery {
        let could_keep = pipeline
            .stages
            .iter()
            .zip(stages)
            .filter(|(stage, (subject, verdict))| could_keep(verdict) && !is_declared_stateless(stage, subject));
        let (unless_kept_by, places) = could_keep.map(|(stage, _)| (stage.name.clone(), stage.place())).unzip();
        let resumes = pipeline.input.as_ref().is_some_and(|input| input.resumes());
        Delivery { resumes, unless_kept_by, places }
    }

    /// Reports why the pipeline does not guarantee what it demands, as far as that depends on its stages.
    pub(crate) fn check(&self, pipeline: &Pipeline) -> Vec<Diagnostic> {
        let Some(demand) = &pipeline.at_least_once else { return Vec::new() };
        let mut found = Vec::new();
        for (name, place) in self.unless_kept_by.iter().zip(&self.places) {
            let message = format!("`{name}` could keep what it has read, and lose it when a run ends early");
            let label = "it reads payloads and writes others";
            let help = "declare `stateless = true`, if it keeps nothing from one element to the next";
            let unproven =
                Diagnostic::error(codes::UNPROVEN_DELIVERY, message).label(&pipeline.file, place.clone(), label);
            found.push(unproven.label(&pipeline.file, demand.clone(), "demanded here").help(help));
        }
        found
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.unless_kept_by.iter().map(|name| format!("`{name}`")).collect();
        match &names[..] {
            _ if !self.resumes => f.write_str("until the run ends"),
            [] => f.write_str("at least once"),
            [one] => write!(f, "at least once, if {one} keeps nothing"),
            [most @ .., last] => write!(f, "at least once, if {} and {last} keep nothing", most.join(", ")),
        }
    }
}

/// Whether a stage could keep what it reads, and deliver it later.
fn could_keep(verdict: &StageVerdict) -> bool {
    let Bounds { reads, writes, .. } = verdict.bounds();
    !reads.is_never() && (!writes.is_never() || verdict.kind == Kind::Sink)
}

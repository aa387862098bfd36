//! What a case runs with: all that could make its outcome another one. `--watch` runs a case where it is not what it was.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::{Table, Value};

use crate::cases::plan::Plan;
use crate::config::manifest::Manifest;
use crate::fs::watcher::{Snapshot, State};
use crate::output::diagnostic::Sources;
use crate::run::components::Components;

/// The folder of the contract and of the library that stages are written with.
const CONTRACT: &str = "wit";

/// What a case runs with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fingerprint {
    /// The case as it is written, wherever that is.
    case: Option<Value>,
    /// Its pipeline as it is written, where it is one of the manifest.
    pipeline: Option<Value>,
    /// The components, by their numbers.
    components: Vec<usize>,
    /// The files that it reads or is compared with, and what its packages declare.
    files: BTreeMap<PathBuf, State>,
    /// The files that elements are expected to be in, there or not.
    expects: BTreeSet<PathBuf>,
    common: Arc<Shared>,
    /// What the case that it is compared with runs with.
    other: Option<Box<Fingerprint>>,
}

/// What all cases run with.
#[derive(Debug, PartialEq)]
struct Shared {
    /// What the manifest says of every flow.
    runtime: Option<Value>,
    /// The contract, and what the workspace declares.
    files: BTreeMap<PathBuf, State>,
}

/// What the bases of all cases are made of.
pub(crate) struct Common<'a> {
    manifest: Table,
    shared: Arc<Shared>,
    now: &'a Snapshot,
}

impl<'a> Common<'a> {
    /// As it is in `now`.
    pub(crate) fn of(manifest: &Manifest, sources: &Sources, now: &'a Snapshot, components: &Components) -> Common<'a> {
        let manifest = table(sources, &manifest.path);
        let workspace = components.project().map(|project| project.manifest.as_path());
        let is_common = |path: &Path| Some(path) == workspace || path.iter().any(|part| part == CONTRACT);
        let files = now.filter(is_common).map(owned).collect();
        let shared = Arc::new(Shared { runtime: manifest.get("runtime").cloned(), files });
        Common { manifest, shared, now }
    }
}

impl Fingerprint {
    /// That of a case.
    pub(crate) fn of(plan: &Plan<'_>, common: &Common<'_>, sources: &Sources) -> Fingerprint {
        let written = table(sources, plan.case.file());
        let cases = written.get("test").and_then(Value::as_array).into_iter().flatten();
        let is_it = |case: &&Value| case.get("name").and_then(Value::as_str) == Some(&plan.case.name);
        let pipelines = common.manifest.get("pipeline");
        let (versions, packages) = plan.stages_as_loaded();
        let paths = plan.paths().into_iter().chain(packages);
        Fingerprint {
            case: cases.into_iter().find(is_it).cloned(),
            pipeline: pipelines.and_then(|pipelines| pipelines.get(&plan.pipeline.name)).cloned(),
            components: versions,
            files: paths.flat_map(|path| common.now.at(path)).map(owned).collect(),
            expects: plan.expected_files().map(Path::to_path_buf).collect(),
            common: common.shared.clone(),
            other: None,
        }
    }

    /// Adds to each case what the one that it is compared with runs with.
    pub(crate) fn with_others<'a, 'c: 'a>(
        bases: &mut HashMap<String, Fingerprint>,
        plans: impl Iterator<Item = &'a Plan<'c>>,
    ) {
        let alone = bases.clone();
        for plan in plans {
            let other = plan.case.compared_with().and_then(|other| alone.get(other)).cloned();
            if let Some(basis) = bases.get_mut(&plan.case.name) {
                basis.other = other.map(Box::new);
            }
        }
    }

    /// Takes a file as it is in `now`, where the case runs with it: a case has written it.
    pub(crate) fn renew(&mut self, path: &Path, now: &Snapshot) {
        if self.files.contains_key(path) || self.expects.contains(path) {
            self.files.extend(now.at(path).map(owned));
        }
    }
}

fn owned((path, state): (&Path, State)) -> (PathBuf, State) {
    (path.to_path_buf(), state)
}

/// What a file says, without where; it was read before, and nothing was wrong with it.
fn table(sources: &Sources, path: &Path) -> Table {
    sources.text(path).and_then(|text| toml::from_str(text).ok()).unwrap_or_default()
}

//! The fingerprint of a case: everything that can change its outcome. `--watch` runs a case if its fingerprint has changed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::{Table, Value};

use crate::cases::plan::Plan;
use crate::fs::watcher::{Snapshot, State};
use crate::manifest::Manifest;
use crate::output::diagnostic::Sources;
use crate::run::components::Components;

/// The folder of the contract and of the library that stages are written with.
const CONTRACT: &str = "wit";

/// Everything that can change the outcome of a case.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fingerprint {
    /// The case as it is written, wherever it is.
    case: Option<Value>,
    /// Its pipeline as it is written, if it is one of the manifest.
    pipeline: Option<Value>,
    /// The versions of its components.
    components: Vec<usize>,
    /// The files that it reads or compares with, and the manifests of its packages.
    files: BTreeMap<PathBuf, State>,
    /// The files of expected elements, existing or not.
    expects: BTreeSet<PathBuf>,
    common: Arc<Shared>,
    /// The fingerprint of the case that it is compared with.
    other: Option<Box<Fingerprint>>,
}

/// The part that all cases share.
#[derive(Debug, PartialEq)]
struct Shared {
    /// The `[runtime]` settings of the manifest.
    runtime: Option<Value>,
    /// The contract and the manifest of the workspace.
    files: BTreeMap<PathBuf, State>,
}

/// The source of the fingerprints of all cases.
pub(crate) struct Common<'a> {
    manifest: Table,
    shared: Arc<Shared>,
    now: &'a Snapshot,
}

impl<'a> Common<'a> {
    /// With the files as they are in `now`.
    pub(crate) fn new(
        manifest: &Manifest,
        sources: &Sources,
        now: &'a Snapshot,
        components: &Components,
    ) -> Common<'a> {
        let manifest = table(sources, &manifest.path);
        let workspace = components.project().map(|project| project.manifest.as_path());
        let is_common = |path: &Path| Some(path) == workspace || path.iter().any(|part| part == CONTRACT);
        let files = now.filter(is_common).map(owned).collect();
        let shared = Arc::new(Shared { runtime: manifest.get("runtime").cloned(), files });
        Common { manifest, shared, now }
    }
}

impl Fingerprint {
    /// The fingerprint of a case.
    pub(crate) fn new(plan: &Plan<'_>, common: &Common<'_>, sources: &Sources) -> Fingerprint {
        let written = table(sources, plan.case.file());
        let cases = written.get("test").and_then(Value::as_array).into_iter().flatten();
        let is_it = |case: &&Value| case.get("name").and_then(Value::as_str) == Some(&plan.case.name);
        let pipelines = common.manifest.get("pipeline");
        let (versions, packages) = plan.loaded_stages();
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

    /// Adds to each fingerprint that of the case it is compared with.
    pub(crate) fn add_others<'a, 'c: 'a>(
        fingerprints: &mut HashMap<String, Fingerprint>,
        plans: impl Iterator<Item = &'a Plan<'c>>,
    ) {
        let alone = fingerprints.clone();
        for plan in plans {
            let other = plan.case.compared_with().and_then(|other| alone.get(other)).cloned();
            if let Some(fingerprint) = fingerprints.get_mut(&plan.case.name) {
                fingerprint.other = other.map(Box::new);
            }
        }
    }

    /// Updates the state of a file that a case has written, if it belongs to this fingerprint.
    pub(crate) fn renew(&mut self, path: &Path, now: &Snapshot) {
        if self.files.contains_key(path) || self.expects.contains(path) {
            self.files.extend(now.at(path).map(owned));
        }
    }
}

fn owned((path, state): (&Path, State)) -> (PathBuf, State) {
    (path.to_path_buf(), state)
}

/// The parsed contents of a valid file that was read before.
fn table(sources: &Sources, path: &Path) -> Table {
    sources.text(path).and_then(|text| toml::from_str(text).ok()).unwrap_or_default()
}

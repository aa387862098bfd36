//! What is measured: a pipeline whose components are loaded, with its input, and with outputs that do not matter.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use tempfile::TempDir;
use torvyn_runtime::endpoint;
use torvyn_runtime::flow::Flow;
use torvyn_runtime::payload::PoolSettings;
use torvyn_runtime::pipeline::graph::Role;
use torvyn_runtime::{Body, Control};

use crate::cli::{CacheArgs, CargoArgs};
use crate::config::file_uses::FileUses;
use crate::endpoints::{Input, Output, output};
use crate::exit::{Exit, Stop};
use crate::manifest::{Pipeline, WiredNode};
use crate::output::failure;
use crate::output::shell::Shell;
use crate::process::interrupt::{self, Flows};
use crate::run::compile_cache;
use crate::run::components::{Compiled, Components};
use crate::run::run_pipeline::{self, Judged, Wired};

/// A pipeline that is ready to be started, any number of times.
pub(crate) struct Workload {
    /// With its outputs replaced.
    pub(crate) pipeline: Pipeline,
    pub(crate) judged: Judged,
    pool: PoolSettings,
    /// The files that the components were loaded and built from.
    pub(crate) files: FileUses,
}

/// The folders of the temporary files that stand in for output files. They are removed with this.
#[derive(Debug, Default)]
pub(crate) struct Scratch(Vec<TempDir>);

impl Scratch {
    /// An output in place of this one, which must not change: for a file, another one in the same folder that is written in the same
    /// way; nowhere for any other.
    ///
    /// # Errors
    ///
    /// If the folder cannot be written.
    pub(crate) fn replace(&mut self, replaced: &dyn Output) -> anyhow::Result<Arc<dyn Output>> {
        let path = replaced.path().filter(|path| !endpoint::is_device(path) && !endpoint::is_descriptor(path));
        let Some((path, framing)) = path.zip(replaced.framing()) else { return Ok(output::discard()) };
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let made = tempfile::Builder::new().prefix(".torvyn-bench-").tempdir_in(folder).with_context(|| {
            let message = format!("cannot write a temporary file to `{}`", folder.display());
            Stop::new(Exit::Failed, message).code(failure::OUTPUT_FAILED)
        })?;
        interrupt::remove_on_exit(made.path());
        let file = made.path().join("output");
        self.0.push(made);
        Ok(output::file(file, framing))
    }
}

impl Workload {
    /// Loads the components of `pipeline`, building those that are stale.
    ///
    /// # Errors
    ///
    /// Why the pipeline cannot run.
    pub(crate) fn new(
        pipeline: Pipeline,
        pool: PoolSettings,
        cargo: &CargoArgs,
        cache: &CacheArgs,
        has_budgets: bool,
        shell: &mut Shell,
    ) -> anyhow::Result<Workload> {
        let wire = |pipeline: &Pipeline, roles: &[Role]| pipeline.wire(roles).err().unwrap_or_default();
        let compiled = Compiled::with_cache(compile_cache::open(cache, shell)?);
        let components = Components::load(&[&pipeline], &wire, cargo, &compiled, shell)?;
        interrupt::check()?;
        let wired = Wired::new(&components, &pipeline, shell)?;
        let judged = wired.judge(&pipeline, has_budgets, &components.levels, shell)?;
        Ok(Workload { pipeline, judged, pool, files: components.file_uses() })
    }

    /// Drops what would go to standard output because the manifest declares no output. Returns the name of that output.
    pub(crate) fn drop_stdout(&mut self) -> Option<String> {
        let nodes = self.judged.wiring.nodes.iter_mut();
        let output = nodes.filter_map(|node| match node {
            WiredNode::Output(output) if output.is_stdout() => Some(output),
            _ => None,
        });
        let output = output.last()?;
        let name = output.name();
        *output = output::discard();
        Some(name)
    }

    /// The input of the host, if there is one.
    pub(crate) fn input(&self) -> Option<&dyn Input> {
        self.judged.wiring.nodes.iter().find_map(|node| match node {
            WiredNode::Input(input) => Some(&**input),
            WiredNode::Stage(_) | WiredNode::Output(_) => None,
        })
    }

    /// Opens the endpoints and starts all stages. What stages print is dropped, and so are dead letters.
    ///
    /// # Errors
    ///
    /// Why something could not be opened or started.
    pub(crate) fn start(&self, flows: &Flows, watch: &Watch<'_>, shell: &mut Shell) -> anyhow::Result<Flow> {
        let Judged { wiring, components, copies, .. } = &self.judged;
        let mut bodies = run_pipeline::bodies(wiring, &self.pipeline, components, copies, shell)?;
        if let Some(wrap) = watch.outputs {
            bodies = bodies.into_iter().map(|body| wrap_output(body, wrap)).collect();
        }
        let control = Control {
            cancel: flows.cancel(),
            cut: flows.cut(),
            pool: self.pool.clone(),
            recorder: watch.recorder.clone(),
            ..Control::default()
        };
        Flow::start(&wiring.graph, bodies, control).map_err(|error| self.explain(error, shell))
    }

    /// Adds to the failure of a flow where it happened.
    pub(crate) fn explain(&self, error: torvyn_runtime::Error, shell: &Shell) -> anyhow::Error {
        if let Err(stop) = interrupt::check() {
            return stop.into();
        }
        run_pipeline::add_endpoint_context(error, &self.judged.wiring, &self.pipeline, &shell.sources)
    }

    /// Whether the pipeline is a chain: an input of the host, stages of one output each, and an output of the host. Otherwise, why it
    /// is not.
    pub(crate) fn check_chain(&self) -> Result<(), String> {
        let nodes = &self.judged.wiring.nodes;
        let count = |is: fn(&WiredNode) -> bool| nodes.iter().filter(|node| is(node)).count();
        if count(|node| matches!(node, WiredNode::Input(_))) == 0 {
            return Err("a component makes the elements".to_string());
        }
        match count(|node| matches!(node, WiredNode::Output(_))) {
            0 => return Err("the elements end in a component".to_string()),
            1 => {}
            several => return Err(format!("the pipeline has {several} outputs")),
        }
        let edges = self.judged.wiring.graph.edges();
        let is_next = |to: usize| {
            let mut edges = edges.iter().filter(move |edge| edge.to == to);
            edges.next().is_some_and(|edge| edge.from + 1 == to) && edges.next().is_none()
        };
        if edges.len() + 1 == nodes.len() && (1..nodes.len()).all(is_next) {
            Ok(())
        } else {
            Err("the stages are not a chain, each after the one before".to_string())
        }
    }

    /// The files of the components, in the order of the stages.
    pub(crate) fn component_paths(&self) -> Vec<PathBuf> {
        self.judged.components.iter().map(|component| component.path().to_path_buf()).collect()
    }
}

/// Puts an output into another one.
pub(crate) type WrapOutput<'a> = dyn Fn(Box<dyn endpoint::Output>) -> Box<dyn endpoint::Output> + 'a;

/// How the flow of a round is watched.
#[derive(Default)]
pub(crate) struct Watch<'a> {
    pub(crate) recorder: torvyn_runtime::Recorder,
    /// Replaces each output.
    pub(crate) outputs: Option<&'a WrapOutput<'a>>,
}

fn wrap_output(body: Body, wrap: &WrapOutput<'_>) -> Body {
    match body {
        Body::Output(output) => Body::Output(wrap(output)),
        other => other,
    }
}

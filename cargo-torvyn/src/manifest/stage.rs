//! A stage of a pipeline: its component, configuration, limits and budget.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeValue;
use torvyn_runtime::Stage as RunningStage;
use torvyn_runtime::contract::Stamp;
use torvyn_runtime::pipeline::graph::{Capacity, MAX_OUTPUTS, Merge};

use super::feed::{self, Feed};
use super::on_failure::OnFailure;
use super::replicas::Replicas;
use super::{config, name, stamp};
use crate::config::budget::Budget;
use crate::config::ranges;
use crate::config::toml_reader::{Field, Report, Table};
use crate::output::codes;
use crate::output::diagnostic::Diagnostic;

/// The maximum number of elements in one call, if `batch` is not set.
const MAX_BATCH: usize = RunningStage::MAX_BATCH;

/// A stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stage {
    /// Unique in the pipeline.
    pub(crate) name: String,
    /// The component that runs in the stage.
    pub(crate) component: ComponentRef,
    /// The inputs of the stage, which are merged; ignored for a source component.
    pub(crate) from: Vec<Feed>,
    /// Which input is taken from next.
    pub(crate) merge: Merge,
    /// The deadline and trace that a source component stamps on its elements.
    pub(crate) stamp: Stamp,
    /// The names of its outputs; ignored for a sink component.
    pub(crate) outputs: Vec<String>,
    /// The configuration that the component gets at the start, in file order.
    pub(crate) config: Vec<(String, String)>,
    /// The resource limits.
    pub(crate) limits: Limits,
    /// The capacity of each edge into the stage.
    pub(crate) capacity: Capacity,
    /// The copy budget in this pipeline; the package of the component provides what is not set here.
    pub(crate) budget: Budget,
    /// What happens to an element that the stage fails on.
    pub(crate) on_failure: OnFailure,
    /// The maximum number of elements in one call.
    pub(crate) batch: usize,
    /// How many instances of the component take turns.
    pub(crate) replicas: Replicas,
    pub(super) places: Places,
}

/// A component as the manifest refers to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum ComponentRef {
    /// A package of the workspace.
    Package(String),
    /// A component file.
    Path(PathBuf),
}

/// The resource limits of a stage; the runtime's default applies to those not set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes of linear memory.
    pub(crate) memory: Option<u64>,
    /// Time limit of one call.
    pub(crate) time: Option<Duration>,
    /// Component handles that are live at once.
    pub(crate) handles: Option<u32>,
    /// Bytes of the component file.
    pub(crate) component_size: Option<u64>,
    /// Bytes of host memory that the held elements keep alive besides their own bytes.
    pub(crate) pinned_bytes: Option<u64>,
    /// Bytes of host memory for what the stage holds and creates, other than payloads.
    pub(crate) host_memory: Option<u64>,
    /// Bytes of memory that compiling its component may take.
    pub(crate) compile_memory: Option<u64>,
    /// Processor time that compiling its component may take.
    pub(crate) compile_time: Option<Duration>,
    /// Bytes of log lines per minute.
    pub(crate) log: Option<u64>,
}

/// The places of the parts of a stage in the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Places {
    /// The name, or the component that gives the name.
    pub(super) name: Range<usize>,
    /// The component, or the name that gives the component.
    pub(super) component: Range<usize>,
    /// The value of `from`, if present.
    pub(super) from: Option<Range<usize>>,
    /// The first of `deadline` and `trace`, if present.
    pub(super) stamp: Option<Range<usize>>,
    /// The outputs; empty if `outputs` is not present.
    pub(super) outputs: Vec<Range<usize>>,
}

/// A stage as written in the manifest: its `from` is resolved once all stages are known.
pub(super) struct Written<'a> {
    pub(super) stage: Stage,
    pub(super) from: Option<Field<'a>>,
}

impl<'a> Written<'a> {
    /// Reads an item of `stages`; none if the stage has neither a name nor a component.
    pub(super) fn read(field: &Field<'a>, report: &mut Report) -> Option<Self> {
        match field.value {
            DeValue::String(_) => Some(Written { stage: Stage::new(None, Some(field), report)?, from: None }),
            DeValue::Table(_) => {
                let known = [
                    "name",
                    "component",
                    "from",
                    "merge",
                    "deadline",
                    "trace",
                    "outputs",
                    "config",
                    "limits",
                    "capacity",
                    "budget",
                    "on-failure",
                    "batch",
                    "replicas",
                    "stateless",
                ];
                let table = field.table("a stage", &known, report)?;
                Written::read_table(&table, report)
            }
            _ => {
                field.wrong_type("a component or a table", report);
                None
            }
        }
    }

    fn read_table(table: &Table<'a>, report: &mut Report) -> Option<Self> {
        let (name, component) = (table.get("name"), table.get("component"));
        if name.is_none() && component.is_none() {
            table.report_missing(&["component", "name"], report);
        }
        let named = Stage::new(name.as_ref(), component.as_ref(), report);
        let outputs = table.get("outputs").map(|field| read_outputs(&field, report)).unwrap_or_default();
        let config = table.get("config").map(|field| config::read(&field, report)).unwrap_or_default();
        let limits = table.get("limits").and_then(|field| Limits::read(&field, report)).unwrap_or_default();
        let capacity = table.get("capacity").and_then(|field| read_capacity(&field, report)).unwrap_or_default();
        let budget = table.get("budget").and_then(|field| Budget::read_in_pipeline(&field, report)).unwrap_or_default();
        let on_failure = table.get("on-failure").and_then(|field| OnFailure::read(&field, report));
        let on_failure = on_failure.unwrap_or_default();
        let batch = table.get("batch").and_then(|field| field.count(&ranges::BATCH, report)).unwrap_or(MAX_BATCH);
        let replicas = Replicas::read(table, report);
        let from = table.get("from");
        let merge = feed::read_merge(table, report).unwrap_or_default();

        let stamp = stamp::read(table, report);

        let mut stage = Stage { merge, stamp, config, limits, capacity, budget, on_failure, batch, replicas, ..named? };
        stage.places.stamp = stamp::place(table);
        stage.places.from = from.as_ref().map(|field| field.span.clone());
        if !outputs.is_empty() {
            (stage.outputs, stage.places.outputs) = outputs.into_iter().unzip();
        }
        Some(Written { stage, from })
    }
}

impl Stage {
    /// Reads a stage that runs alone, in either form; it takes the input of its case.
    pub(crate) fn read_alone(field: &Field, report: &mut Report) -> Option<Stage> {
        let merge = field.value.as_table().and_then(|table| Field::find(table, "merge"));
        if let Some(merge) = merge {
            let message = "a stage that runs alone has one input, so there is nothing to merge";
            let diagnostic = Diagnostic::error(codes::NOTHING_TO_MERGE, message).label(report.file, merge.key_span, "");
            let help = "remove `merge`; to run the stage as in its pipeline, name it in `from` and `to`";
            report.found.push(diagnostic.help(help));
            return None;
        }
        let written = Written::read(field, report)?;
        if let Some(from) = written.from {
            let message = "a stage that runs alone takes the input of its case";
            let diagnostic = Diagnostic::error(codes::UNKNOWN_KEY, message).label(report.file, from.key_span, "");
            report.found.push(diagnostic.help("remove `from`"));
        }
        Some(written.stage)
    }

    /// Sets these configuration values. A value replaces the one with the same key.
    pub(crate) fn configure(&mut self, config: &[(String, String)]) {
        for (key, value) in config {
            match self.config.iter_mut().find(|(known, _)| known == key) {
                Some((_, old)) => old.clone_from(value),
                None => self.config.push((key.clone(), value.clone())),
            }
        }
    }

    /// A stage with only a name and a component. Either one is derived from the other if it is missing.
    fn new(name_field: Option<&Field>, component: Option<&Field>, report: &mut Report) -> Option<Self> {
        let component_field = component.or(name_field)?;
        let component = ComponentRef::new(component_field.text(report)?, report.folder());
        let (name, name_span) = match name_field {
            Some(field) => (field.text(report)?.to_string(), field.span.clone()),
            None => (component.stem(), component_field.span.clone()),
        };
        let refused = name::check(&name, &name_span, &[name::INPUT, name::OUTPUT], report);
        if let (Some(diagnostic), None) = (refused, name_field) {
            diagnostic.help = Some("give the stage a `name` of letters, digits, `-` and `_`".to_string());
        }
        Some(Stage {
            name,
            component,
            from: Vec::new(),
            merge: Merge::default(),
            stamp: Stamp::default(),
            outputs: vec![name::OUT.to_string()],
            config: Vec::new(),
            limits: Limits::default(),
            capacity: Capacity::default(),
            budget: Budget::default(),
            on_failure: OnFailure::default(),
            batch: MAX_BATCH,
            replicas: Replicas::ONE,
            places: Places {
                name: name_span,
                component: component_field.span.clone(),
                from: None,
                stamp: None,
                outputs: Vec::new(),
            },
        })
    }

    /// The place of the component in the manifest.
    pub(crate) fn place(&self) -> Range<usize> {
        self.places.component.clone()
    }

    /// The place of an output, or of the stage if `outputs` is not present.
    pub(super) fn output_place(&self, output: usize) -> Range<usize> {
        self.places.outputs.get(output).unwrap_or(&self.places.name).clone()
    }
}

impl ComponentRef {
    /// A path if the text contains a separator or ends in `.wasm`, which no package name does.
    fn new(text: &str, folder: &Path) -> Self {
        let is_path = text.contains(['/', '\\']) || text.ends_with(".wasm");
        if is_path { ComponentRef::Path(folder.join(text)) } else { ComponentRef::Package(text.to_string()) }
    }

    /// The default name of a stage with this component.
    fn stem(&self) -> String {
        match self {
            ComponentRef::Package(name) => name.clone(),
            ComponentRef::Path(path) => path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        }
    }
}

impl Limits {
    fn read(field: &Field, report: &mut Report) -> Option<Self> {
        let keys = [
            "memory",
            "time",
            "handles",
            "component-size",
            "pinned-bytes",
            "host-memory",
            "compile-memory",
            "compile-time",
            "log",
        ];
        let table = field.table("`limits`", &keys, report)?;
        let size = |key, range, report: &mut Report| table.get(key).and_then(|field| field.size(range, report));
        let duration = |key, range, report: &mut Report| table.get(key).and_then(|field| field.duration(range, report));
        Some(Limits {
            memory: size("memory", &ranges::MEMORY, report),
            time: duration("time", &ranges::CALL_TIME, report),
            handles: table.get("handles").and_then(|field| field.count(&ranges::HANDLES, report)),
            component_size: size("component-size", &ranges::COMPONENT_BYTES, report),
            pinned_bytes: size("pinned-bytes", &ranges::PINNED_BYTES, report),
            host_memory: size("host-memory", &ranges::HOST_MEMORY, report),
            compile_memory: size("compile-memory", &ranges::COMPILE_MEMORY, report),
            compile_time: duration("compile-time", &ranges::COMPILE_TIME, report),
            log: size("log", &ranges::LOG_BYTES, report),
        })
    }
}

/// The names in `outputs`, with their places.
fn read_outputs(field: &Field, report: &mut Report) -> Vec<(String, Range<usize>)> {
    let Some(mut items) = field.items(report) else {
        return Vec::new();
    };
    if items.is_empty() {
        let help = "omit `outputs` for a stage with one output and for a sink component".to_string();
        field.wrong(codes::EMPTY, "`outputs` is empty", "", report).help = Some(help);
    }
    if let Some(item) = items.get(MAX_OUTPUTS) {
        let message = format!("a stage can have at most {MAX_OUTPUTS} outputs, found {}", items.len());
        item.wrong(codes::TOO_MANY_OUTPUTS, message, "first one over the limit", report);
        // The loop below is quadratic.
        items.truncate(MAX_OUTPUTS);
    }
    let mut outputs: Vec<(String, Range<usize>)> = Vec::new();
    for item in items {
        let Some(name) = item.text(report) else {
            continue;
        };
        name::check(name, &item.span, &[], report);
        if let Some((_, first)) = outputs.iter().find(|(other, _)| other == name) {
            report.found.push(
                Diagnostic::error(codes::DUPLICATE_OUTPUT, format!("duplicate output `{name}`"))
                    .label(report.file, item.span.clone(), "")
                    .label(report.file, first.clone(), "first declared here"),
            );
        }
        outputs.push((name.to_string(), item.span));
    }
    outputs
}

fn read_capacity(field: &Field, report: &mut Report) -> Option<Capacity> {
    let table = field.table("`capacity`", &["elements", "bytes"], report)?;
    let default = Capacity::default();
    Some(Capacity {
        elements: table
            .get("elements")
            .map_or(Some(default.elements), |field| field.count(&ranges::CAPACITY_ELEMENTS, report))?,
        bytes: table.get("bytes").map_or(Some(default.bytes), |field| field.size(&ranges::CAPACITY_BYTES, report))?,
    })
}

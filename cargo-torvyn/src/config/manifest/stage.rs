//! A stage of a pipeline: which component it is, how it is set up, and what it may use.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeValue;
use torvyn_runtime::Stage as RunningStage;
use torvyn_runtime::contract::Stamp;
use torvyn_runtime::pipeline::graph::{Capacity, MAX_OUTPUTS, Merge};

use super::feed::{self, Feed};
use super::on_failure::OnFailure;
use super::{config, name, stamp};
use crate::config::budget::Budget;
use crate::config::ranges;
use crate::config::toml_reader::{Field, Report, Table};
use crate::output::codes;
use crate::output::diagnostic::Diagnostic;

/// The most elements of one call, of a stage that says nothing of it.
const MAX_BATCH: usize = RunningStage::MAX_BATCH;

/// A stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stage {
    /// Unique in the pipeline.
    pub(crate) name: String,
    /// What runs in it.
    pub(crate) component: ComponentRef,
    /// What it takes, merged; of no meaning for a source component.
    pub(crate) from: Vec<Feed>,
    /// Which of that it takes next.
    pub(crate) merge: Merge,
    /// What it stamps its elements with; for a source component.
    pub(crate) stamp: Stamp,
    /// The names of its outputs; of no meaning for a sink component.
    pub(crate) outputs: Vec<String>,
    /// What the component is told at the start, in the order of the file.
    pub(crate) config: Vec<(String, String)>,
    /// What it may use.
    pub(crate) limits: Limits,
    /// How much waits on each edge into it.
    pub(crate) capacity: Capacity,
    /// What it may copy here; where it says nothing, the package of the component does.
    pub(crate) budget: Budget,
    /// What becomes of an element that it fails at.
    pub(crate) on_failure: OnFailure,
    /// The most elements of one call.
    pub(crate) batch: usize,
    pub(super) places: Places,
}

/// A component, as the manifest names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum ComponentRef {
    /// A package of the workspace.
    Package(String),
    /// A component file.
    Path(PathBuf),
}

/// What a stage may use; the runtime's own limit where there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes of linear memory.
    pub(crate) memory: Option<u64>,
    /// Time for one element.
    pub(crate) time: Option<Duration>,
    /// Component handles alive at once.
    pub(crate) handles: Option<u32>,
    /// Bytes of the component file.
    pub(crate) component_size: Option<u64>,
    /// Bytes of host memory that what it holds keeps besides its own bytes.
    pub(crate) pinned_bytes: Option<u64>,
    /// Bytes of host memory for what it holds and makes besides payloads.
    pub(crate) host_memory: Option<u64>,
    /// Bytes of memory that compiling its component may take.
    pub(crate) compile_memory: Option<u64>,
    /// Processor time that compiling its component may take.
    pub(crate) compile_time: Option<Duration>,
    /// Bytes of lines that it prints in a minute.
    pub(crate) log: Option<u64>,
}

/// Where the manifest says what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Places {
    /// The name, or what it is taken from.
    pub(super) name: Range<usize>,
    /// The component, or the name it is taken from.
    pub(super) component: Range<usize>,
    /// The value of `from`, where it is written.
    pub(super) from: Option<Range<usize>>,
    /// The first of what its elements are stamped with, where it is written.
    pub(super) stamp: Option<Range<usize>>,
    /// The outputs, where they are written.
    pub(super) outputs: Vec<Range<usize>>,
}

/// A stage as it is written: its `from` is followed once all stages are known.
pub(super) struct Written<'a> {
    pub(super) stage: Stage,
    pub(super) from: Option<Field<'a>>,
}

impl<'a> Written<'a> {
    /// Reads an item of `stages`; none where the stage has no name to go on with.
    pub(super) fn read(field: &Field<'a>, report: &mut Report) -> Option<Self> {
        match field.value {
            DeValue::String(_) => Some(Written { stage: Stage::named(None, Some(field), report)?, from: None }),
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
            table.missing(&["component", "name"], report);
        }
        let named = Stage::named(name.as_ref(), component.as_ref(), report);
        let outputs = table.get("outputs").map(|field| read_outputs(&field, report)).unwrap_or_default();
        let config = table.get("config").map(|field| config::read(&field, report)).unwrap_or_default();
        let limits = table.get("limits").and_then(|field| Limits::read(&field, report)).unwrap_or_default();
        let capacity = table.get("capacity").and_then(|field| read_capacity(&field, report)).unwrap_or_default();
        let budget =
            table.get("budget").and_then(|field| Budget::of_pipeline_stage(&field, report)).unwrap_or_default();
        let on_failure = table.get("on-failure").and_then(|field| OnFailure::read(&field, report));
        let on_failure = on_failure.unwrap_or_default();
        let batch = table.get("batch").and_then(|field| field.count(&ranges::BATCH, report)).unwrap_or(MAX_BATCH);
        let from = table.get("from");
        let merge = feed::read_merge(table, report).unwrap_or_default();

        let stamp = stamp::read(table, report);

        let mut stage = Stage { merge, stamp, config, limits, capacity, budget, on_failure, batch, ..named? };
        stage.places.stamp = stamp::place(table);
        stage.places.from = from.as_ref().map(|field| field.span.clone());
        if !outputs.is_empty() {
            (stage.outputs, stage.places.outputs) = outputs.into_iter().unzip();
        }
        Some(Written { stage, from })
    }
}

impl Stage {
    /// Reads a stage that stands by itself, in either form; it takes what it is given.
    pub(crate) fn read_alone(field: &Field, report: &mut Report) -> Option<Stage> {
        let merge = field.value.as_table().and_then(|table| Field::of(table, "merge"));
        if let Some(merge) = merge {
            let message = "a stage alone takes from one input, and has nothing to merge";
            let diagnostic = Diagnostic::error(codes::NOTHING_TO_MERGE, message).label(report.file, merge.key_span, "");
            report
                .found
                .push(diagnostic.help("leave `merge` out; the stage of a pipeline runs as it is with `from` and `to`"));
            return None;
        }
        let written = Written::read(field, report)?;
        if let Some(from) = written.from {
            let message = "a stage alone takes the input of its case";
            let diagnostic = Diagnostic::error(codes::UNKNOWN_KEY, message).label(report.file, from.key_span, "");
            report.found.push(diagnostic.help("leave `from` out"));
        }
        Some(written.stage)
    }

    /// Puts these settings in the place of those of the same names, or beside the others.
    pub(crate) fn configure(&mut self, config: &[(String, String)]) {
        for (key, value) in config {
            match self.config.iter_mut().find(|(known, _)| known == key) {
                Some((_, old)) => old.clone_from(value),
                None => self.config.push((key.clone(), value.clone())),
            }
        }
    }

    /// A stage of its name and its component, either of which gives the other, and of nothing else.
    fn named(name_field: Option<&Field>, component: Option<&Field>, report: &mut Report) -> Option<Self> {
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
            places: Places {
                name: name_span,
                component: component_field.span.clone(),
                from: None,
                stamp: None,
                outputs: Vec::new(),
            },
        })
    }

    /// Where the manifest names its component.
    pub(crate) fn place(&self) -> Range<usize> {
        self.places.component.clone()
    }

    /// The place of an output of the stage, or of the stage where its outputs are not written.
    pub(super) fn output_place(&self, output: usize) -> Range<usize> {
        self.places.outputs.get(output).unwrap_or(&self.places.name).clone()
    }
}

impl ComponentRef {
    /// A path where it looks like one, for package names have none of these letters.
    fn new(text: &str, folder: &Path) -> Self {
        let is_path = text.contains(['/', '\\']) || text.ends_with(".wasm");
        if is_path { ComponentRef::Path(folder.join(text)) } else { ComponentRef::Package(text.to_string()) }
    }

    /// The name of a stage that has no other.
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

/// The names of `outputs` and where they are.
fn read_outputs(field: &Field, report: &mut Report) -> Vec<(String, Range<usize>)> {
    let Some(mut items) = field.items(report) else {
        return Vec::new();
    };
    if items.is_empty() {
        let help = "leave it out for one output, or for a sink component".to_string();
        field.wrong(codes::EMPTY, "`outputs` is empty", "", report).help = Some(help);
    }
    if let Some(item) = items.get(MAX_OUTPUTS) {
        let message = format!("a stage has at most {MAX_OUTPUTS} outputs, here are {}", items.len());
        item.wrong(codes::TOO_MANY_OUTPUTS, message, "the first too many", report);
        // Each is compared with those before it.
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
                Diagnostic::error(codes::DUPLICATE_OUTPUT, format!("two outputs are called `{name}`"))
                    .label(report.file, item.span.clone(), "")
                    .label(report.file, first.clone(), "the first"),
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

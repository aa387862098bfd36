//! A case as it is written in `[[test]]`: the pipeline or stage that it runs, its input, and what it expects.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeValue;

use crate::cases::case::account::ExpectedAccount;
use crate::cases::case::case_input::CaseInput;
use crate::cases::case::failure::ExpectedFailure;
use crate::cases::case::fault::CaseFault;
use crate::cases::case::speed::ExpectedSpeed;
use crate::cases::compare::dead_letters::ExpectedDeadLetters;
use crate::cases::compare::expected::Expected;
use crate::config::ranges;
use crate::config::spanned::Named;
use crate::config::toml_reader::{Field, Report, Table};
use crate::manifest::{Broken, Stage, read_config};
use crate::output::codes;
use crate::output::diagnostic::Diagnostic;

pub(crate) mod account;
pub(crate) mod arrivals;
pub(crate) mod case_input;
pub(crate) mod failure;
pub(crate) mod fault;
pub(crate) mod files;
pub(crate) mod speed;

/// How long a case may take without a `timeout`.
const TIMEOUT: Duration = Duration::from_secs(60);

/// When a case starts without a `clock`: 2000-01-01T00:00:00Z, in nanoseconds since the Unix epoch.
const BEGINS: u64 = 946_684_800_000_000_000;

/// A case.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// Its name, unique in a project.
    pub(crate) name: String,
    /// The pipeline or stage that runs.
    pub(crate) subject: Subject,
    /// The stages of the pipeline that take the input; empty to run it from its start.
    pub(crate) from: Vec<Named>,
    /// The last stage to run; `None` to run the pipeline to its end.
    pub(crate) to: Option<Named>,
    /// The input; `None` if the case declares none.
    pub(crate) input: Option<CaseInput>,
    /// Settings that override those of the stages.
    pub(crate) config: Vec<Config>,
    /// What is expected of the outputs, by name.
    pub(crate) outputs: Vec<(Named, Expected)>,
    /// What is expected of the lines that the stages print.
    pub(crate) log: Option<Expected>,
    /// What is expected of the account.
    pub(crate) account: ExpectedAccount,
    /// The expected failure, if any.
    pub(crate) fails: Option<ExpectedFailure>,
    /// The faults to inject into its stages.
    pub(crate) faults: Vec<CaseFault>,
    /// What is expected of the dead letters of its stages.
    pub(crate) letters: Vec<ExpectedDeadLetters>,
    /// The seed of its schedule; `None` for the normal schedule of flows.
    pub(crate) seed: Option<u64>,
    /// What is expected of its speed.
    pub(crate) speed: Option<ExpectedSpeed>,
    /// When it starts by its virtual clock, in nanoseconds since the Unix epoch.
    pub(crate) clock: u64,
    /// How long it may take, in real time.
    pub(crate) timeout: Duration,
    /// The file that the case is in.
    pub(crate) file: PathBuf,
    /// Where its name is.
    pub(crate) span: Range<usize>,
}

/// The pipeline or stage that a case runs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Subject {
    /// The pipeline of this name, or the default one.
    Pipeline(Option<Named>),
    /// A stage of a pipeline, alone.
    StageOf { pipeline: Named, stage: Named },
    /// A stage that the case declares itself, alone.
    Stage(Box<Stage>),
}

/// Settings of a stage.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Config {
    /// The stage; `None` if the case runs a single stage.
    pub(crate) stage: Option<Named>,
    pub(crate) pairs: Vec<(String, String)>,
}

impl Case {
    const KEYS: [&str; 17] = [
        "name",
        "pipeline",
        "stage",
        "from",
        "to",
        "input",
        "config",
        "faults",
        "clock",
        "seed",
        "expect",
        "dead-letters",
        "log",
        "account",
        "speed",
        "fails",
        "timeout",
    ];

    /// Reads `test`, an array of cases. Each broken case has its own diagnostics, and the others can run.
    pub(crate) fn read_all(field: &Field, report: &mut Report) -> Vec<Result<Case, Broken>> {
        let items = field.items(report).unwrap_or_default();
        let name = |item: &Field| match item.value {
            DeValue::Table(entries) => match Field::find(entries, "name").map(|name| name.value) {
                Some(DeValue::String(name)) => Some(name.to_string()),
                _ => None,
            },
            _ => None,
        };
        let read = |item: &Field| {
            let read = report.read_separately(|report| Case::read(item, report));
            read.map_err(|found| Broken { name: name(item), found })
        };
        items.iter().map(read).collect()
    }

    fn read(field: &Field, report: &mut Report) -> Option<Case> {
        let table = field.table("a case", &Case::KEYS, report)?;
        let name = table.need("name", report).and_then(|field| read_name(&field, report));
        let subject = read_subject(&table, report);
        let from = read_key(&table, "from", report, read_names);
        let to = read_key(&table, "to", report, read_named);
        if let Some(stage) = table.get("stage") {
            ["from", "to"].iter().for_each(|key| table.exclude(key, &stage, report));
        }
        let input = read_key(&table, "input", report, CaseInput::read);
        let fails = read_key(&table, "fails", report, ExpectedFailure::read);
        let account = read_key(&table, "account", report, ExpectedAccount::read);
        let log = read_key(&table, "log", report, Expected::read_log);
        let outputs = read_key(&table, "expect", report, read_outputs);
        let speed = read_key(&table, "speed", report, ExpectedSpeed::read);
        let timeout = read_key(&table, "timeout", report, |field, report| field.duration(&ranges::TIMEOUT, report));
        if let Some(fails) = table.get("fails") {
            ["account", "speed"].iter().for_each(|key| table.exclude(key, &fails, report));
        }
        let subject = subject?;
        let alone = !matches!(subject, Subject::Pipeline(_));
        let config = read_key(&table, "config", report, |field, report| read_configs(field, alone, report));
        let faults = read_key(&table, "faults", report, |field, report| CaseFault::read_all(field, alone, report));
        let letters = read_key(&table, "dead-letters", report, |field, report| {
            ExpectedDeadLetters::read_all(field, alone, report)
        });
        let clock = read_key(&table, "clock", report, |field, report| field.time(report));
        let seed = read_key(&table, "seed", report, |field, report| field.count(&ranges::ANY, report));
        let Named { name, span } = name?;
        Some(Case {
            name,
            subject,
            from: from?.unwrap_or_default(),
            to: to?,
            input: input?,
            config: config?.unwrap_or_default(),
            outputs: outputs?.unwrap_or_default(),
            log: log?,
            account: account?.unwrap_or_default(),
            fails: fails?,
            faults: faults?.unwrap_or_default(),
            letters: letters?.unwrap_or_default(),
            clock: clock?.unwrap_or(BEGINS),
            seed: seed?,
            speed: speed?,
            timeout: timeout?.unwrap_or(TIMEOUT),
            file: report.file.to_path_buf(),
            span,
        })
    }

    /// The cases whose names are duplicates.
    pub(crate) fn duplicates(cases: &[Case]) -> Vec<Broken> {
        let mut known: HashMap<&str, &Case> = HashMap::new();
        let mut found = Vec::new();
        for case in cases {
            let first = *known.entry(&case.name).or_insert(case);
            if !std::ptr::eq(first, case) {
                let message = format!("duplicate case name `{}`", case.name);
                let diagnostic = Diagnostic::error(codes::DUPLICATE_NAME, message)
                    .label(&case.file, case.span.clone(), "")
                    .label(&first.file, first.span.clone(), "first used here")
                    .help("give one of them another `name`");
                found.push(Broken { name: Some(case.name.clone()), found: diagnostic.into() });
            }
        }
        found
    }

    /// Whether only a part of the pipeline runs.
    pub(crate) fn is_part(&self) -> bool {
        !self.from.is_empty() || self.to.is_some()
    }

    /// A diagnostic at the name of the case.
    pub(crate) fn wrong(&self, code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(code, message).label(&self.file, self.span.clone(), "")
    }

    /// The case timed out.
    pub(crate) fn timed_out(&self) -> Diagnostic {
        let message = format!("timed out after {:?}", self.timeout);
        let help = "set a longer `timeout` in the case; a source that never ends needs a `config` that ends it";
        self.wrong(codes::TIMED_OUT, message).help(help)
    }

    /// The files that the case reads or compares with.
    pub(crate) fn paths(&self) -> Vec<&Path> {
        self.input.iter().flat_map(CaseInput::paths).chain(self.expected().flat_map(Expected::paths)).collect()
    }

    /// The files that `--bless` never writes: all but the files of expected elements.
    pub(crate) fn read_paths(&self) -> Vec<&Path> {
        self.input.iter().flat_map(CaseInput::paths).chain(self.expected().flat_map(Expected::read_paths)).collect()
    }

    /// The files of expected elements, which `--bless` updates.
    pub(crate) fn expected_files(&self) -> impl Iterator<Item = &Path> {
        self.expected().filter_map(Expected::file)
    }

    /// What is expected of the outputs, the log and the dead letters.
    fn expected(&self) -> impl Iterator<Item = &Expected> {
        let letters = self.letters.iter().map(|letters| &letters.elements);
        self.outputs.iter().map(|(_, expected)| expected).chain(&self.log).chain(letters)
    }

    /// The file that the case is in.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }
}

/// Reads an optional key. `None` if its value is invalid, which has been reported.
fn read_key<'a, T>(
    table: &Table<'a>,
    key: &str,
    report: &mut Report,
    read: impl FnOnce(&Field<'a>, &mut Report) -> Option<T>,
) -> Option<Option<T>> {
    match table.get(key) {
        Some(field) => read(&field, report).map(Some),
        None => Some(None),
    }
}

fn read_name(field: &Field, report: &mut Report) -> Option<Named> {
    let name = field.text(report)?;
    if name.chars().any(char::is_control) || name.trim() != name {
        let diagnostic =
            field.wrong(codes::BAD_NAME, format!("`{}` is not a valid case name", name.escape_debug()), "", report);
        diagnostic.help = Some("a case name is one line without spaces at either end".to_string());
        return None;
    }
    Some(Named { name: name.to_string(), span: field.span.clone() })
}

fn read_named(field: &Field, report: &mut Report) -> Option<Named> {
    Some(Named { name: field.text(report)?.to_string(), span: field.span.clone() })
}

/// Reads a name or an array of names.
fn read_names(field: &Field, report: &mut Report) -> Option<Vec<Named>> {
    match field.value {
        DeValue::Array(_) => field.nonempty_items(report)?.iter().map(|item| read_named(item, report)).collect(),
        DeValue::String(_) => Some(vec![read_named(field, report)?]),
        _ => {
            field.wrong_type("a stage or an array of stages", report);
            None
        }
    }
}

fn read_subject(table: &Table, report: &mut Report) -> Option<Subject> {
    let pipeline = read_key(table, "pipeline", report, read_named)?;
    let Some(stage) = table.get("stage") else { return Some(Subject::Pipeline(pipeline)) };
    match pipeline {
        Some(pipeline) => Some(Subject::StageOf { pipeline, stage: read_named(&stage, report)? }),
        None => Stage::read_alone(&stage, report).map(|stage| Subject::Stage(Box::new(stage))),
    }
}

fn read_outputs(field: &Field, report: &mut Report) -> Option<Vec<(Named, Expected)>> {
    let entries = field.entries(report)?;
    if let Some(field) = entries.iter().find(|field| {
        ["lines", "elements", "count", "json", "matches", "schema"].contains(&field.key) && !field.value.is_table()
    }) {
        let message = format!("`{}` must belong to an output", field.key);
        let diagnostic = Diagnostic::error(codes::WRONG_TYPE, message).label(report.file, field.key_span.clone(), "");
        report.found.push(diagnostic.help(format!("name the output: `expect.output.{}`", field.key)));
        return None;
    }
    let output = |field: &Field| {
        let name = Named { name: field.key.to_string(), span: field.key_span.clone() };
        Some((name, Expected::read(field, report)?))
    };
    entries.iter().map(output).collect()
}

/// Reads the settings of the single stage, or a table of settings for each named stage.
fn read_configs(field: &Field, alone: bool, report: &mut Report) -> Option<Vec<Config>> {
    if alone {
        return Some(vec![Config { stage: None, pairs: read_config(field, report) }]);
    }
    let mut configs = Vec::new();
    for field in field.entries(report)? {
        if !matches!(field.value, DeValue::Table(_)) {
            let label = "expected the name of a stage";
            let message = format!("`{}` must be the table of a stage", field.key);
            let diagnostic = Diagnostic::error(codes::WRONG_TYPE, message).label(report.file, field.key_span, label);
            report.found.push(diagnostic.help("write `config.STAGE = { … }` for a stage of the pipeline"));
            return None;
        }
        let stage = Named { name: field.key.to_string(), span: field.key_span.clone() };
        configs.push(Config { stage: Some(stage), pairs: read_config(&field, report) });
    }
    Some(configs)
}

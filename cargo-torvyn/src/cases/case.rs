//! A case, as it is written in `[[test]]`: of which pipeline or stage it is, what it gives, and what it expects.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeValue;

use crate::cases::case::account::ExpectedAccount;
use crate::cases::case::case_input::Given;
use crate::cases::case::failure::ExpectedFailure;
use crate::cases::case::fault::CaseFault;
use crate::cases::case::speed::ExpectedSpeed;
use crate::cases::compare::dead_letters::ExpectedDeadLetters;
use crate::cases::compare::expected::Expected;
use crate::config::manifest::{Broken, Stage, read_config};
use crate::config::ranges;
use crate::config::spanned::Named;
use crate::config::toml_reader::{Field, Report, Table};
use crate::output::codes;
use crate::output::diagnostic::Diagnostic;

pub(crate) mod account;
pub(crate) mod arrivals;
pub(crate) mod case_input;
pub(crate) mod failure;
pub(crate) mod fault;
pub(crate) mod files;
pub(crate) mod speed;

/// How long a case may take that says nothing of it.
const TIMEOUT: Duration = Duration::from_secs(60);

/// When a case begins that says nothing of it: 2000-01-01T00:00:00Z, in nanoseconds since the Unix epoch.
const BEGINS: u64 = 946_684_800_000_000_000;

/// A case.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Case {
    /// Unique in a project.
    pub(crate) name: String,
    /// What runs.
    pub(crate) subject: Subject,
    /// The stages of a pipeline that take the input; none where it is run from its beginning.
    pub(crate) from: Vec<Named>,
    /// The last stage of it; none where it is run to its end.
    pub(crate) to: Option<Named>,
    /// What it takes; none where nothing is written.
    pub(crate) input: Option<Given>,
    /// Settings in place of those of the stages.
    pub(crate) config: Vec<Config>,
    /// What is expected of outputs, by their names.
    pub(crate) outputs: Vec<(Named, Expected)>,
    /// What is expected of what the stages print.
    pub(crate) log: Option<Expected>,
    /// What is expected of the account.
    pub(crate) account: ExpectedAccount,
    /// The failure that is expected, where one is.
    pub(crate) fails: Option<ExpectedFailure>,
    /// What its stages suffer.
    pub(crate) faults: Vec<CaseFault>,
    /// What is expected of the elements that its stages fail at for good.
    pub(crate) letters: Vec<ExpectedDeadLetters>,
    /// Of the schedule that it runs under; none for the one that flows have.
    pub(crate) seed: Option<u64>,
    /// What is expected of its speed.
    pub(crate) speed: Option<ExpectedSpeed>,
    /// When it begins, in nanoseconds since the Unix epoch, by its own clock.
    pub(crate) clock: u64,
    /// How long it may take, by the clock on the wall.
    pub(crate) timeout: Duration,
    /// The file it is in.
    pub(crate) file: PathBuf,
    /// Where its name is.
    pub(crate) span: Range<usize>,
}

/// What runs in a case.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Subject {
    /// The pipeline of a name, or the default one.
    Pipeline(Option<Named>),
    /// A stage of a pipeline, alone.
    StageOf { pipeline: Named, stage: Named },
    /// A stage that the case has written down, alone.
    Stage(Box<Stage>),
}

/// Settings of a stage.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Config {
    /// The stage; none for the one that is alone.
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

    /// Reads `test`, an array of cases. What is wrong in one is told with it, and the others can run.
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
        let from = read_key(&table, "from", report, read_some_named);
        let to = read_key(&table, "to", report, read_named);
        if let Some(stage) = table.get("stage") {
            ["from", "to"].iter().for_each(|key| table.exclude(key, &stage, report));
        }
        let input = read_key(&table, "input", report, Given::read);
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
        let config = read_key(&table, "config", report, |field, report| read_config_of(field, alone, report));
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

    /// The cases that have the name of one before them.
    pub(crate) fn duplicates(cases: &[Case]) -> Vec<Broken> {
        let mut known: HashMap<&str, &Case> = HashMap::new();
        let mut found = Vec::new();
        for case in cases {
            let first = *known.entry(&case.name).or_insert(case);
            if !std::ptr::eq(first, case) {
                let message = format!("two cases are called `{}`", case.name);
                let diagnostic = Diagnostic::error(codes::DUPLICATE_NAME, message)
                    .label(&case.file, case.span.clone(), "")
                    .label(&first.file, first.span.clone(), "the first")
                    .help("give one of them another `name`");
                found.push(Broken { name: Some(case.name.clone()), found: diagnostic.into() });
            }
        }
        found
    }

    /// Whether a part of a pipeline runs.
    pub(crate) fn is_part(&self) -> bool {
        !self.from.is_empty() || self.to.is_some()
    }

    /// A problem at its name.
    pub(crate) fn wrong(&self, code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(code, message).label(&self.file, self.span.clone(), "")
    }

    /// It did not come to its end.
    pub(crate) fn timed_out(&self) -> Diagnostic {
        let message = format!("it did not come to its end within {:?}", self.timeout);
        let help =
            "where it needs longer, give the case a `timeout`; a source that never ends needs a `config` that ends it";
        self.wrong(codes::TIMED_OUT, message).help(help)
    }

    /// The files that it reads, and that it is compared with.
    pub(crate) fn paths(&self) -> Vec<&Path> {
        let expected = self.outputs.iter().map(|(_, expected)| expected).chain(&self.log).flat_map(Expected::paths);
        self.input.iter().flat_map(Given::paths).chain(expected).collect()
    }

    /// Those that are never written, which are not the files of expected elements.
    pub(crate) fn read_paths(&self) -> Vec<&Path> {
        let expected = self.outputs.iter().map(|(_, expected)| expected).chain(&self.log);
        let letters = self.letters.iter().map(|letters| &letters.elements);
        let expected = expected.chain(letters).flat_map(Expected::read_paths);
        self.input.iter().flat_map(Given::paths).chain(expected).collect()
    }

    /// The file that its places are in.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }
}

/// A key that need not be there: none where its value is wrong, which is reported then.
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
            field.wrong(codes::BAD_NAME, format!("`{}` cannot be a name", name.escape_debug()), "", report);
        diagnostic.help = Some("the name of a case is one line, without spaces around it".to_string());
        return None;
    }
    Some(Named { name: name.to_string(), span: field.span.clone() })
}

fn read_named(field: &Field, report: &mut Report) -> Option<Named> {
    Some(Named { name: field.text(report)?.to_string(), span: field.span.clone() })
}

/// A name, or an array of some.
fn read_some_named(field: &Field, report: &mut Report) -> Option<Vec<Named>> {
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
        let message = format!("`{}` of which output?", field.key);
        let diagnostic = Diagnostic::error(codes::WRONG_TYPE, message).label(report.file, field.key_span.clone(), "");
        report.found.push(diagnostic.help(format!("name the output: expect.output.{}", field.key)));
        return None;
    }
    let output = |field: &Field| {
        let name = Named { name: field.key.to_string(), span: field.key_span.clone() };
        Some((name, Expected::read(field, report)?))
    };
    entries.iter().map(output).collect()
}

/// The settings of the stage that is alone, or those of each stage that is named.
fn read_config_of(field: &Field, alone: bool, report: &mut Report) -> Option<Vec<Config>> {
    if alone {
        return Some(vec![Config { stage: None, pairs: read_config(field, report) }]);
    }
    let mut configs = Vec::new();
    for field in field.entries(report)? {
        if !matches!(field.value, DeValue::Table(_)) {
            let label = "here a stage is named";
            let message = format!("`{}` is no table of a stage", field.key);
            let diagnostic = Diagnostic::error(codes::WRONG_TYPE, message).label(report.file, field.key_span, label);
            report.found.push(diagnostic.help("write config.STAGE = { … } for a stage of the pipeline"));
            return None;
        }
        let stage = Named { name: field.key.to_string(), span: field.key_span.clone() };
        configs.push(Config { stage: Some(stage), pairs: read_config(&field, report) });
    }
    Some(configs)
}

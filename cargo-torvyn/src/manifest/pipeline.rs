//! A pipeline of the manifest: its input, its stages and its outputs, before anything is known of the components.

use std::ops::Range;
use std::path::{Path, PathBuf};

use torvyn_runtime::element::Stamp;

use super::feed::{self, Origin};
use super::input::Input;
use super::name;
use super::on_failure::OnFailure;
use super::output::{self, NamedOutput, Output};
use super::stage::{self, ComponentRef, Stage};
use crate::budget::PipelineBudget;
use crate::diagnostic::{Diagnostic, Diagnostics, Severity, quoted, suggestion};
use crate::table::{Field, Report};
use crate::{code, document};

/// The keys of a pipeline.
pub(super) const KEYS: &[&str] = &["input", "stages", "output", "budget"];

/// A pipeline.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pipeline {
    /// Unique in the manifest.
    pub(crate) name: String,
    /// Where elements come from; none where the manifest does not say.
    pub(crate) input: Option<Input>,
    /// What its elements are stamped with, whichever input is put in its place.
    pub(crate) stamp: Stamp,
    /// At least one, in the order of the file.
    pub(crate) stages: Vec<Stage>,
    /// Where elements go; none where the manifest does not say.
    pub(crate) outputs: Vec<NamedOutput>,
    /// What it may copy.
    pub(crate) budget: PipelineBudget,
    /// The manifest it is in.
    pub(crate) file: PathBuf,
    /// Its name in the manifest.
    pub(crate) span: Range<usize>,
    /// Where the manifest gives the input; an input that was put in its place has none.
    pub(super) input_span: Option<Range<usize>>,
}

impl Pipeline {
    /// Reads `[pipeline.NAME]`; none where something is wrong that leaves it without a shape.
    pub(super) fn read(field: &Field, report: &mut Report) -> Option<Self> {
        name::check(field.key, &field.key_span, &[], report);
        let table = field.table("a pipeline", KEYS, report)?;
        let input_field = table.get("input");
        let input = input_field.as_ref().and_then(|field| Input::read(field, report));
        let (input, stamp) = input.map_or_else(Default::default, |(input, stamp)| (Some(input), stamp));
        let outputs = table.get("output").map(|field| output::Written::read_all(&field, report)).unwrap_or_default();
        let budget = table.get("budget").map(|field| PipelineBudget::read(&field, report)).unwrap_or_default();
        let items = table.need("stages", report).and_then(|field| read_items(&field, report))?;
        let written: Vec<_> = items.iter().map(|item| stage::Written::read(item, report)).collect();
        // Indices and names of stages mean nothing while one of them could not be read.
        let written: Vec<_> = written.into_iter().collect::<Option<_>>()?;

        // A name that is not valid means something else in `from`, and what is said of that would hide what is wrong.
        if written.iter().any(|written| !name::is_of_stage(&written.stage.name)) {
            return None;
        }

        let (mut stages, stage_froms): (Vec<_>, Vec<_>) = written.into_iter().map(|w| (w.stage, w.from)).unzip();
        let (mut outputs, output_froms): (Vec<_>, Vec<_>) = outputs.into_iter().map(|w| (w.output, w.from)).unzip();
        let feeds: Vec<_> = (0..stages.len())
            .map(|index| feed::follow(stage_froms[index].as_ref(), Origin::before(index), &stages, report))
            .collect();
        stages.iter_mut().zip(feeds).for_each(|(stage, from)| stage.from = from);
        for (output, from) in outputs.iter_mut().zip(&output_froms) {
            output.from = feed::follow(from.as_ref(), Origin::before(stages.len()), &stages, report);
        }

        let pipeline = Pipeline {
            name: field.key.to_string(),
            input,
            stamp,
            stages,
            outputs,
            budget,
            file: report.file.to_path_buf(),
            span: field.key_span.clone(),
            input_span: input_field.map(|field| field.span),
        };
        report.found.extend(pipeline.duplicate_names());
        Some(pipeline)
    }

    fn duplicate_names(&self) -> Vec<Diagnostic> {
        let stages = self.stages.iter().map(|stage| (&stage.name, &stage.places.name));
        let outputs = self.outputs.iter().filter_map(|output| Some((&output.name, output.span.as_ref()?)));
        let names: Vec<_> = stages.chain(outputs).collect();
        let again = |(index, (name, second)): (usize, &(&String, &Range<usize>))| {
            let (_, first) = names[..index].iter().find(|(other, _)| other == name)?;
            Some(name::duplicate(&self.file, name, first, second))
        };
        names.iter().enumerate().filter_map(again).collect()
    }

    /// The packages of the workspace that the stages name and that are not in `known`.
    pub(crate) fn check_packages(&self, known: &[&str]) -> Diagnostics {
        let mut found = Diagnostics::default();
        for stage in &self.stages {
            if let ComponentRef::Package(package) = &stage.component
                && !known.contains(&package.as_str())
            {
                let message = format!("there is no package `{package}` in the workspace");
                found.push(
                    Diagnostic::error(code::UNKNOWN_PACKAGE, message)
                        .label(&self.file, stage.places.component.clone(), "")
                        .help(format!(
                            "{}; a path to a component has a `/` or ends in `.wasm`",
                            suggestion(package, "packages", known)
                        )),
                );
            }
        }
        found
    }

    /// The component files and the input that are not there, or are something else.
    pub(crate) fn check_paths(&self) -> Diagnostics {
        let mut found = self.check_components();
        let wrong = self.input.as_ref().and_then(Input::check_path);
        found.extend(wrong.map(|wrong| match &self.input_span {
            Some(place) => wrong.label(&self.file, place.clone(), ""),
            None => wrong,
        }));
        found.extend(self.check_dead_letters());
        found
    }

    /// What a run with the ends of the manifest would not find: where elements come from, and the folders of files that are
    /// written. They need not be there before.
    pub(crate) fn missing_paths(&self) -> Vec<Diagnostic> {
        let input = self.input.as_ref().and_then(Input::check_path).zip(self.input_span.clone());
        let input = input.map(|(wrong, place)| wrong.label(&self.file, place, ""));
        let outputs = self.outputs.iter().filter_map(|output| {
            let (Output::File { path, .. }, Some(place)) = (&output.output, &output.span) else { return None };
            Some(check_written(path)?.label(&self.file, place.clone(), ""))
        });
        let found = input.into_iter().chain(outputs).chain(self.check_dead_letters());
        found.map(|wrong| Diagnostic { severity: Severity::Warning, ..wrong }.note("`run` would stop here")).collect()
    }

    /// The files of dead letters that cannot be: they are made when the first letter comes.
    fn check_dead_letters(&self) -> Diagnostics {
        let mut found = Diagnostics::default();
        for OnFailure { dead_letters, place, .. } in self.stages.iter().map(|stage| &stage.on_failure) {
            let (Some(path), Some(place)) = (dead_letters, place) else { continue };
            found.extend(check_written(path).map(|wrong| wrong.label(&self.file, place.clone(), "")));
        }
        found
    }

    /// The component files that are not there, or are something else.
    pub(crate) fn check_components(&self) -> Diagnostics {
        let mut found = Diagnostics::default();
        for stage in &self.stages {
            if let ComponentRef::Path(path) = &stage.component {
                let wrong = document::check_path(path, false);
                found.extend(wrong.map(|wrong| wrong.label(&self.file, stage.places.component.clone(), "")));
            }
        }
        found
    }

    /// What is wrong with the component of a stage, in a few words each from the outermost cause to the innermost.
    pub(crate) fn bad_component(&self, stage: usize, causes: &[String]) -> Diagnostic {
        Diagnostic::error(code::BAD_COMPONENT, causes.join(": ")).label(
            &self.file,
            self.stages[stage].places.component.clone(),
            "",
        )
    }

    /// A pipeline of one stage, with an end at each of its outputs: called `output` where its outputs are not named, and
    /// otherwise `STAGE.OUTPUT`. `file` and `span` are where the stage is written.
    pub(crate) fn alone(name: &str, mut stage: Stage, file: &Path, span: Range<usize>) -> Pipeline {
        stage.from = feed::understood(Origin::Input);
        stage.merge = Default::default();
        stage.places.from = None;
        let end = |(index, output): (usize, &String)| NamedOutput {
            name: match stage.places.outputs.is_empty() {
                true => name::OUTPUT.to_string(),
                false => format!("{}.{output}", stage.name),
            },
            output: Output::Discard,
            from: feed::understood(Origin::Stage { stage: 0, output: index }),
            merge: Default::default(),
            span: None,
        };
        let outputs = stage.outputs.iter().enumerate().map(end).collect();
        let budget = PipelineBudget::default();
        Pipeline {
            name: name.to_string(),
            input: None,
            stamp: Stamp::default(),
            stages: vec![stage],
            outputs,
            budget,
            file: file.to_path_buf(),
            span,
            input_span: None,
        }
    }

    /// Puts an input in the place of the one of the manifest.
    #[must_use]
    pub(crate) fn with_input(mut self, input: Input) -> Self {
        self.input = Some(input);
        self.input_span = None;
        self
    }

    /// Puts an output in the place of the one of the manifest, which keeps its name and what it takes.
    ///
    /// # Errors
    ///
    /// Where the pipeline has several outputs.
    pub(crate) fn with_output(mut self, output: Output) -> Result<Self, Diagnostic> {
        match &mut self.outputs[..] {
            [] => {
                let from = feed::understood(Origin::before(self.stages.len()));
                let merge = Default::default();
                self.outputs.push(NamedOutput { name: name::OUTPUT.to_string(), output, from, merge, span: None });
            }
            [only] => (only.output, only.span) = (output, None),
            several => {
                let names: Vec<_> = several.iter().map(|output| output.name.as_str()).collect();
                let message = format!("`{}` has several outputs: {}", self.name, quoted(&names));
                let diagnostic = Diagnostic::error(code::SEVERAL_OUTPUTS, message);
                return Err(diagnostic
                    .label(&self.file, self.span.clone(), "")
                    .help("an output can be replaced where there is only one; say in the manifest where each goes"));
            }
        }
        Ok(self)
    }
}

/// What is wrong with the place of a file that is to be written; without a place in the manifest.
fn check_written(path: &Path) -> Option<Diagnostic> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    match path.is_dir() {
        true => Some(document::is_a_directory(path)),
        false => document::check_path(folder.unwrap_or(Path::new(".")), true),
    }
}

/// The items of `stages`, at least one.
fn read_items<'a>(field: &Field<'a>, report: &mut Report) -> Option<Vec<Field<'a>>> {
    let items = field.items(report)?;
    if items.is_empty() {
        let help = "name a component: stages = [\"router\"]".to_string();
        field.wrong(code::EMPTY, "`stages` is empty", "", report).help = Some(help);
        return None;
    }
    Some(items)
}

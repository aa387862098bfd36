//! A pipeline of the manifest: its input, stages and outputs, before the components are known.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::DeValue;
use torvyn_runtime::contract::Stamp;

use super::feed::{self, Origin};
use super::on_failure::OnFailure;
use super::output::{self, NamedOutput};
use super::stage::{self, ComponentRef, Stage};
use super::{from, input, name};
use crate::config::budget::PipelineBudget;
use crate::config::document;
use crate::config::file_uses::{Conflict, FileUses};
use crate::config::ranges::MAX_NODES;
use crate::config::toml_reader::{Field, Report};
use crate::endpoints::{self, Input, Output};
use crate::manifest::Unfit;
use crate::output::bad_component::BadComponent;
use crate::output::codes;
use crate::output::diagnostic::{Diagnostic, Diagnostics, Severity, quoted, suggestion};

/// The keys of a pipeline.
pub(super) const KEYS: &[&str] = &["input", "stages", "output", "budget", "delivery"];

/// A pipeline.
#[derive(Debug, Clone)]
pub(crate) struct Pipeline {
    /// Unique in the manifest.
    pub(crate) name: String,
    /// Where elements come from, if the manifest says.
    pub(crate) input: Option<Arc<dyn Input>>,
    /// The deadline and trace of its elements; they also apply to an input that replaces this one.
    pub(crate) stamp: Stamp,
    /// The stages, at least one, in file order.
    pub(crate) stages: Vec<Stage>,
    /// Where elements go; empty if the manifest does not say.
    pub(crate) outputs: Vec<NamedOutput>,
    /// The copy budget.
    pub(crate) budget: PipelineBudget,
    /// Where the manifest demands that everything is delivered at least once.
    pub(crate) at_least_once: Option<Range<usize>>,
    /// The path of its manifest.
    pub(crate) file: PathBuf,
    /// The place of its name in the manifest.
    pub(crate) span: Range<usize>,
    /// The place of the input in the manifest; none for an input that replaces it.
    pub(super) input_span: Option<Range<usize>>,
}

impl Pipeline {
    /// Reads `[pipeline.NAME]`; none if an error leaves the stages unknown.
    pub(super) fn read(field: &Field, report: &mut Report) -> Option<Self> {
        name::check(field.key, &field.key_span, &[], report);
        let table = field.table("a pipeline", KEYS, report)?;
        let input_field = table.get("input");
        let input = input_field.as_ref().and_then(|field| input::read(field, report));
        let (input, stamp) = input.map_or_else(Default::default, |(input, stamp)| (Some(input), stamp));
        let outputs = table.get("output").filter(|field| !has_too_many(field, "outputs", report));
        let outputs = outputs.map(|field| output::Written::read_all(&field, report)).unwrap_or_default();
        let budget = table.get("budget").map(|field| PipelineBudget::read(&field, report)).unwrap_or_default();
        let delivery = table.get("delivery");
        let delivery = delivery.filter(|field| field.choice(&["at-least-once"], report).is_some());
        if let Some(demand) = &delivery
            && !input.as_ref().is_some_and(|input| input.resumes())
        {
            let message = match &input {
                Some(input) => format!("{} is not read on from what was delivered", input.name()),
                None => "the pipeline has no input that is read on from what was delivered".to_string(),
            };
            let help = "read a file with a checkpoint: input = { file = \"FILE\", checkpoint = \"DIR\" }";
            demand.wrong(codes::UNPROVEN_DELIVERY, message, "demanded here", report).help = Some(help.to_string());
        }
        let at_least_once = delivery.map(|field| field.span);
        let items = table.need("stages", report).filter(|field| !has_too_many(field, "stages", report));
        let items = items.and_then(|field| read_items(&field, report))?;
        let written: Vec<_> = items.iter().map(|item| stage::Written::read(item, report)).collect();
        // Without all stages, `from` cannot be resolved.
        let written: Vec<_> = written.into_iter().collect::<Option<_>>()?;

        // An invalid name may mean something else in `from`; errors about that would hide the cause.
        if written.iter().any(|written| !name::is_stage_name(&written.stage.name)) {
            return None;
        }

        let (mut stages, stage_froms): (Vec<_>, Vec<_>) = written.into_iter().map(|w| (w.stage, w.from)).unzip();
        let (mut outputs, output_froms): (Vec<_>, Vec<_>) = outputs.into_iter().map(|w| (w.output, w.from)).unzip();
        let feeds: Vec<_> = (0..stages.len())
            .map(|index| from::resolve(stage_froms[index].as_ref(), Origin::before(index), &stages, report))
            .collect();
        stages.iter_mut().zip(feeds).for_each(|(stage, from)| stage.from = from);
        for (output, from) in outputs.iter_mut().zip(&output_froms) {
            output.from = from::resolve(from.as_ref(), Origin::before(stages.len()), &stages, report);
        }

        let pipeline = Pipeline {
            name: field.key.to_string(),
            input,
            stamp,
            stages,
            outputs,
            budget,
            at_least_once,
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

    /// Reports the packages that stages name and that are not in `known`. `unfit` says why a package of the workspace
    /// cannot be a stage.
    pub(crate) fn check_packages(&self, known: &[&str], unfit: impl Fn(&str) -> Option<Unfit>) -> Diagnostics {
        let mut found = Diagnostics::default();
        for stage in &self.stages {
            if let ComponentRef::Package(package) = &stage.component
                && !known.contains(&package.as_str())
            {
                if let Some(Unfit { why, help }) = unfit(package) {
                    let place = stage.places.component.clone();
                    let diagnostic = Diagnostic::error(codes::NOT_A_STAGE_PACKAGE, why).label(&self.file, place, "");
                    found.push(diagnostic.help(help));
                    continue;
                }
                let message = format!("there is no package `{package}` in the workspace");
                found.push(
                    Diagnostic::error(codes::UNKNOWN_PACKAGE, message)
                        .label(&self.file, stage.places.component.clone(), "")
                        .help(format!(
                            "{}; a path to a component contains `/` or ends in `.wasm`",
                            suggestion(package, "packages", known)
                        )),
                );
            }
        }
        found
    }

    /// Reports component files, inputs and dead-letter files that are missing or of the wrong kind, and files with conflicting
    /// uses.
    pub(crate) fn check_paths(&self) -> Diagnostics {
        let mut found = self.check_components();
        let wrong = self.input.as_ref().and_then(|input| input.check());
        found.extend(wrong.map(|wrong| match &self.input_span {
            Some(place) => wrong.label(&self.file, place.clone(), ""),
            None => wrong,
        }));
        found.extend(self.check_dead_letters());
        found.extend(self.same_files(self.input.as_deref(), &self.outputs));
        found
    }

    /// The files that the pipeline reads and writes, with this input and these outputs.
    fn file_uses(&self, input: Option<&dyn Input>, outputs: &[NamedOutput]) -> FileUses {
        let mut uses = input.map(Input::file_uses).unwrap_or_default().all_at(self.input_span.as_ref());
        uses.read("the manifest", &self.file);
        for stage in &self.stages {
            if let ComponentRef::Path(path) = &stage.component {
                uses.read("a component", path).at(Some(&stage.places.component));
            }
        }
        for NamedOutput { output, span, .. } in outputs {
            uses.extend(output.file_uses().all_at(span.as_ref()));
        }
        for OnFailure { dead_letters, place, .. } in self.stages.iter().map(|stage| &stage.on_failure) {
            if let Some(path) = dead_letters {
                uses.append("dead letters", path).at(place.as_ref());
            }
        }
        uses
    }

    /// The files that the pipeline reads and writes, as far as they do not depend on its components.
    pub(crate) fn declared_file_uses(&self) -> FileUses {
        self.file_uses(self.input.as_deref(), &self.outputs)
    }

    /// Reports files that are written and have another use too.
    pub(super) fn same_files(&self, input: Option<&dyn Input>, outputs: &[NamedOutput]) -> Vec<Diagnostic> {
        let mut uses = self.file_uses(input, outputs);
        uses.write_messages();
        let diagnostic = |conflict: Conflict<'_>| {
            let places = [(conflict.second, "used here"), (conflict.first, "and here")];
            // An input or output from an argument has no place in the manifest.
            let places = places.into_iter().filter_map(|(used, text)| Some((used.place.clone()?, text)));
            let diagnostic = Diagnostic::error(codes::SAME_FILE, conflict.message());
            places.fold(diagnostic, |diagnostic, (place, text)| diagnostic.label(&self.file, place, text))
        };
        uses.conflicts().map(diagnostic).collect()
    }

    /// Warns about an input that does not exist, and about output files whose folder does not exist. Both need to exist only
    /// when the pipeline runs.
    pub(crate) fn missing_paths(&self) -> Vec<Diagnostic> {
        let input = self.input.as_ref().and_then(|input| input.check()).zip(self.input_span.clone());
        let input = input.map(|(wrong, place)| wrong.label(&self.file, place, ""));
        let outputs = self.outputs.iter().filter_map(|output| {
            let place = output.span.clone()?;
            Some(output.output.check()?.label(&self.file, place, ""))
        });
        let found = input.into_iter().chain(outputs).chain(self.check_dead_letters());
        found
            .map(|wrong| Diagnostic { severity: Severity::Warning, ..wrong }.note("`cargo torvyn run` would fail here"))
            .collect()
    }

    /// Reports dead-letter files that cannot be created. They are created with the first dead letter.
    fn check_dead_letters(&self) -> Diagnostics {
        let mut found = Diagnostics::default();
        for OnFailure { dead_letters, place, .. } in self.stages.iter().map(|stage| &stage.on_failure) {
            let (Some(path), Some(place)) = (dead_letters, place) else { continue };
            found.extend(document::check_written(path).map(|wrong| wrong.label(&self.file, place.clone(), "")));
        }
        found
    }

    /// Reports component files that do not exist or are not regular files.
    pub(crate) fn check_components(&self) -> Diagnostics {
        let mut found = Diagnostics::default();
        for stage in &self.stages {
            if let ComponentRef::Path(path) = &stage.component {
                let wrong = document::check_regular(path);
                found.extend(wrong.map(|wrong| wrong.label(&self.file, stage.places.component.clone(), "")));
            }
        }
        found
    }

    /// A diagnostic for the component of a stage.
    pub(crate) fn bad_component(&self, stage: usize, wrong: &BadComponent) -> Diagnostic {
        let place = self.stages[stage].places.component.clone();
        wrong.diagnostic().label(&self.file, place, "")
    }

    /// A pipeline of a single stage, with a pipeline output for each output of the stage: called `output` if the stage's
    /// outputs have no names, and otherwise `STAGE.OUTPUT`. `file` and `span` are the place of the stage.
    pub(crate) fn alone(name: &str, mut stage: Stage, file: &Path, span: Range<usize>) -> Pipeline {
        stage.from = feed::implied(Origin::Input);
        stage.merge = Default::default();
        stage.places.from = None;
        let end = |(index, output): (usize, &String)| NamedOutput {
            name: match stage.places.outputs.is_empty() {
                true => name::OUTPUT.to_string(),
                false => format!("{}.{output}", stage.name),
            },
            output: endpoints::output::discard(),
            from: feed::implied(Origin::Stage { stage: 0, output: index }),
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
            at_least_once: None,
            file: file.to_path_buf(),
            span,
            input_span: None,
        }
    }

    /// Replaces the input of the manifest.
    #[must_use]
    pub(crate) fn with_input(mut self, input: Arc<dyn Input>) -> Self {
        self.input = Some(input);
        self.input_span = None;
        // The manifest demands it for its own input.
        self.at_least_once = None;
        self
    }

    /// Replaces the output of the manifest. The new output keeps its name and inputs.
    ///
    /// # Errors
    ///
    /// If the pipeline has several outputs.
    pub(crate) fn with_output(mut self, output: Arc<dyn Output>) -> Result<Self, Diagnostic> {
        match &mut self.outputs[..] {
            [] => {
                let from = feed::implied(Origin::before(self.stages.len()));
                let merge = Default::default();
                self.outputs.push(NamedOutput { name: name::OUTPUT.to_string(), output, from, merge, span: None });
            }
            [only] => (only.output, only.span) = (output, None),
            several => {
                let names: Vec<_> = several.iter().map(|output| output.name.as_str()).collect();
                let message = format!("`{}` has several outputs: {}", self.name, quoted(&names));
                let diagnostic = Diagnostic::error(codes::SEVERAL_OUTPUTS, message);
                return Err(diagnostic
                    .label(&self.file, self.span.clone(), "")
                    .help("only a single output can be replaced; set the destination of each output in the manifest"));
            }
        }
        Ok(self)
    }
}

/// Whether an array has more items than a pipeline can have; reports the first one over the limit.
fn has_too_many(field: &Field, what: &str, report: &mut Report) -> bool {
    let DeValue::Array(items) = field.value else { return false };
    let too_many = items.get(MAX_NODES);
    if let Some(item) = too_many {
        let message = format!("a pipeline can have at most {MAX_NODES} {what}, found {}", items.len());
        let diagnostic = Diagnostic::error(codes::TOO_MANY_STAGES, message);
        report.found.push(diagnostic.label(report.file, item.span(), "first one over the limit"));
    }
    too_many.is_some()
}

/// Reads the items of `stages`, at least one.
fn read_items<'a>(field: &Field<'a>, report: &mut Report) -> Option<Vec<Field<'a>>> {
    let items = field.items(report)?;
    if items.is_empty() {
        let help = "name a component: stages = [\"router\"]".to_string();
        field.wrong(codes::EMPTY, "`stages` is empty", "", report).help = Some(help);
        return None;
    }
    Some(items)
}

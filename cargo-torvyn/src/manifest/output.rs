//! The key `output` of a pipeline: the outputs of the host, with their names and what they take from.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use toml::de::DeValue;
use torvyn_runtime::endpoint::OutputFraming;
use torvyn_runtime::pipeline::graph::Merge;

use super::feed::{self, Feed};
use super::name;
use crate::config::toml_reader::{Field, Report};
use crate::endpoints::{Output, output};

/// An output of a pipeline, with its name in the graph and its inputs.
#[derive(Debug, Clone)]
pub(crate) struct NamedOutput {
    /// Unique in the pipeline.
    pub(crate) name: String,
    /// Where elements are written.
    pub(crate) output: Arc<dyn Output>,
    /// The inputs of the output, which are merged.
    pub(crate) from: Vec<Feed>,
    /// Which input is taken from next.
    pub(crate) merge: Merge,
    /// The place in the manifest; none for an output that the manifest does not declare.
    pub(super) span: Option<Range<usize>>,
}

/// An output as written in the manifest: its `from` is resolved once all stages are known.
pub(super) struct Written<'a> {
    pub(super) output: NamedOutput,
    pub(super) from: Option<Field<'a>>,
}

impl<'a> Written<'a> {
    /// Reads `output`: a path, a table, or an array of these.
    pub(super) fn read_all(field: &Field<'a>, report: &mut Report) -> Vec<Self> {
        match field.value {
            DeValue::Array(_) => {
                let items = field.items(report).unwrap_or_default();
                items.iter().enumerate().filter_map(|(index, item)| Written::read(index, item, report)).collect()
            }
            _ => Written::read(0, field, report).into_iter().collect(),
        }
    }

    fn read(index: usize, field: &Field<'a>, report: &mut Report) -> Option<Self> {
        let default_name =
            if index == 0 { name::OUTPUT.to_string() } else { format!("{}-{}", name::OUTPUT, index + 1) };
        let named = |name, output, merge, span| NamedOutput { name, output, from: Vec::new(), merge, span: Some(span) };
        match field.value {
            DeValue::String(_) => {
                let path = Path::new(field.text(report)?);
                let output = output::from_path(path, report.folder(), OutputFraming::default());
                Some(Written { output: named(default_name, output, Merge::default(), field.span.clone()), from: None })
            }
            DeValue::Table(_) => {
                let known = [&["name", "from", "merge"], &output::keys()[..]].concat();
                let table = field.table("an output", &known, report)?;
                let output = output::read(&table, report);
                let merge = feed::read_merge(&table, report).unwrap_or_default();
                let (name, span) = match table.get("name") {
                    Some(field) => {
                        let name = field.text(report)?;
                        name::check(name, &field.span, &[name::INPUT], report);
                        (name.to_string(), field.span)
                    }
                    None => (default_name, table.span.clone()),
                };
                Some(Written { output: named(name, output?, merge, span), from: table.get("from") })
            }
            _ => {
                field.wrong_type("a path, a table or an array of these", report);
                None
            }
        }
    }
}

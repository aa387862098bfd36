//! The key `input` of a pipeline: where elements come from that no source component makes, and what is stamped on them.

use std::path::Path;
use std::sync::Arc;

use toml::de::DeValue;
use torvyn_runtime::contract::Stamp;
use torvyn_runtime::endpoint::Framing;

use super::stamp;
use crate::config::toml_reader::{Field, Report};
use crate::endpoints::{Input, input};

/// Reads `input`: where elements come from, and their deadline and trace.
pub(super) fn read(field: &Field, report: &mut Report) -> Option<(Arc<dyn Input>, Stamp)> {
    match field.value {
        DeValue::String(_) => {
            let path = Path::new(field.text(report)?);
            Some((input::from_path(path, report.folder(), Framing::default()), Stamp::default()))
        }
        DeValue::Table(_) => {
            let known = [&input::keys()[..], &stamp::KEYS].concat();
            let table = field.table("an input", &known, report)?;
            let stamp = stamp::read(&table, report);
            input::read(&table, report).map(|input| (input, stamp))
        }
        _ => {
            field.wrong_type("a path or a table", report);
            None
        }
    }
}

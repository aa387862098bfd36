//! `discard`: nowhere. The elements are dropped.

use std::io;
use std::sync::Arc;

use torvyn_runtime::endpoint;

use super::{Kind, Output};
use crate::config::toml_reader::{Field, Report, Table};
use crate::endpoints::Keys;

pub(super) static KIND: Kind = Kind { keys: Keys { kind: "discard", options: &[] }, read };

/// Nowhere.
#[derive(Debug)]
pub(super) struct Discard;

fn read(field: &Field, _: &Table, report: &mut Report) -> Option<Arc<dyn Output>> {
    field.only_true(report)?;
    Some(Arc::new(Discard))
}

impl Output for Discard {
    fn name(&self) -> String {
        "nowhere".to_string()
    }

    fn open(&self) -> io::Result<Box<dyn endpoint::Output>> {
        Ok(Box::new(endpoint::Discard))
    }

    fn drops_elements(&self) -> bool {
        true
    }
}

//! `stdin`: standard input, split into elements.

use std::io;
use std::sync::Arc;

use torvyn_runtime::endpoint::{self, Framing, open_stdin};

use super::{Input, Kind, framing};
use crate::config::file_uses::FileUses;
use crate::config::toml_reader::{Field, Report, Table};
use crate::endpoints::Keys;
use crate::fs::standard_streams;

pub(super) static KIND: Kind =
    Kind { keys: Keys { kind: "stdin", options: &framing::KEYS }, is_repeatable: false, read };

/// Standard input.
#[derive(Debug)]
pub(super) struct Stdin {
    pub(super) framing: Framing,
}

fn read(field: &Field, table: &Table, report: &mut Report) -> Option<Arc<dyn Input>> {
    let framing = framing::read(table, report);
    field.only_true(report)?;
    Some(Arc::new(Stdin { framing: framing? }))
}

impl Input for Stdin {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn name(&self) -> String {
        "standard input".to_string()
    }

    fn open(&self) -> io::Result<Box<dyn endpoint::Input>> {
        standard_streams::check_stdin()?;
        Ok(Box::new(open_stdin(self.framing)?))
    }

    fn framing(&self) -> Option<Framing> {
        Some(self.framing)
    }

    fn file_uses(&self) -> FileUses {
        let mut uses = FileUses::default();
        uses.read_stdin("standard input");
        uses
    }
}

//! `stdout`: standard output.

use std::io;
use std::sync::Arc;

use torvyn_runtime::endpoint::{self, OutputFraming, open_stdout};

use super::{Kind, Output, framing};
use crate::config::file_uses::FileUses;
use crate::config::toml_reader::{Field, Report, Table};
use crate::endpoints::Keys;
use crate::fs::standard_streams;

pub(super) static KIND: Kind = Kind { keys: Keys { kind: "stdout", options: &framing::KEYS }, read };

/// Standard output.
#[derive(Debug)]
pub(super) struct Stdout {
    pub(super) framing: OutputFraming,
}

fn read(field: &Field, table: &Table, report: &mut Report) -> Option<Arc<dyn Output>> {
    let framing = framing::read(table, report);
    field.only_true(report)?;
    Some(Arc::new(Stdout { framing: framing? }))
}

impl Output for Stdout {
    fn name(&self) -> String {
        "standard output".to_string()
    }

    fn open(&self) -> io::Result<Box<dyn endpoint::Output>> {
        self.check_writable()?;
        Ok(Box::new(open_stdout(self.framing)?))
    }

    fn framing(&self) -> Option<OutputFraming> {
        Some(self.framing)
    }

    fn file_uses(&self) -> FileUses {
        let mut uses = FileUses::default();
        uses.write_stdout("standard output");
        uses
    }

    fn check_writable(&self) -> io::Result<()> {
        standard_streams::check_stdout()
    }

    fn is_stdout(&self) -> bool {
        true
    }
}

//! The arguments.

use std::path::PathBuf;

use wasmtime::{Result, bail};

/// What to measure, and how much of it.
pub(crate) struct Options {
    /// Rounds of every group; if `None`, 31 of those that run in this process and 9 of others.
    pub(crate) rounds: Option<usize>,
    /// Elements in a round; if `None`, as many as fill a round.
    pub(crate) elements: Option<u64>,
    /// Bytes of the files that processes work on, and of the long stream; if `None`, as many as each group wants.
    pub(crate) bytes: Option<u64>,
    /// Where these files are.
    pub(crate) folder: PathBuf,
    /// The program to measure; if `None`, the release build of this workspace, which is built first.
    pub(crate) program: Option<PathBuf>,
    /// A part of the titles of the groups to run.
    pub(crate) filter: String,
    /// A part of the names of their contenders.
    pub(crate) contender: String,
}

impl Options {
    pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            rounds: None,
            elements: None,
            bytes: None,
            folder: std::env::temp_dir(),
            program: None,
            filter: String::new(),
            contender: String::new(),
        };
        while let Some(arg) = args.next() {
            let mut value = || match args.next() {
                Some(value) => Ok(value),
                None => bail!("`{arg}` needs a value"),
            };
            let number = |value: String| match value.parse::<u64>() {
                Ok(number) if number > 0 => Ok(number),
                _ => bail!("`{arg}` needs a number of at least 1, not `{value}`"),
            };
            match arg.as_str() {
                "--rounds" => options.rounds = Some(usize::try_from(number(value()?)?)?),
                "--elements" => options.elements = Some(number(value()?)?),
                "--bytes" => options.bytes = Some(number(value()?)?),
                "--folder" => options.folder = value()?.into(),
                "--program" => options.program = Some(value()?.into()),
                "--contender" => options.contender = value()?,
                option if option.starts_with('-') => bail!(
                    "unknown option `{option}`: there are `--rounds N`, `--elements N`, `--bytes N`, `--folder PATH`, \
                     `--program PATH`, `--contender PART` and a part of a title"
                ),
                _ => options.filter = arg,
            }
        }
        Ok(options)
    }
}

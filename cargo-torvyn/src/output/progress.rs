//! What is shown while a flow runs: how far it is, on a terminal, and what its stages print. `console.rs` draws and writes it.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;

use torvyn_runtime::Account;
use torvyn_runtime::base::plural::counted;
use torvyn_runtime::base::text;
use torvyn_runtime::flow::Progress;
use torvyn_runtime::stage::log::{LogLine, LogSink};

use crate::output::bar::Drawn;
use crate::output::shell::{LogPrinter, Shell, Verbosity};

/// The progress of a flow, from its beginning to its end.
pub(crate) struct Bar {
    progress: Arc<Progress>,
    printer: LogPrinter,
}

impl Bar {
    /// A bar that fills at `total` payload bytes, or one without end. Only a terminal shows it.
    pub(crate) fn new(shell: &Shell, total: Option<u64>) -> Bar {
        let (progress, printer) = (Arc::<Progress>::default(), shell.log_printer());
        if shell.verbosity() != Verbosity::Quiet && io::stderr().is_terminal() {
            printer.console.draw(Some(Drawn::new(progress.clone(), total)));
        }
        Bar { progress, printer }
    }

    /// What the flow writes its progress into.
    pub(crate) fn progress(&self) -> Arc<Progress> {
        self.progress.clone()
    }

    /// Prints what stages print, a line each, on stderr: whatever else is kept quiet, that is what a stage has to say.
    pub(crate) fn log(&self) -> LogSink {
        let printer = self.printer.clone();
        Arc::new(move |line: LogLine<'_>| {
            let shown = String::from_utf8_lossy(line.text);
            let mut shown = text::visible(&shown, usize::MAX, false).into_owned();
            if line.left_out > 0 {
                shown += &format!("… ({})", counted(line.left_out, "more byte"));
            }
            printer.print(line.stage, &shown);
        })
    }

    /// Takes the bar away, and lets what stages printed be written, as long as somebody reads it. What was not.
    pub(crate) fn finish(self, shell: &Shell) -> Dropped {
        self.printer.console.draw(None);
        shell.finish();
        Dropped(self.printer.clone())
    }
}

/// Lines that stages printed and that nobody has read.
pub(crate) struct Dropped(LogPrinter);

impl Dropped {
    /// Adds them to what the stages printed.
    pub(crate) fn add_to(&self, account: &mut Account) {
        for stage in &mut account.stages {
            stage.log.dropped += self.0.console.dropped(&stage.name);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.printer.console.draw(None);
    }
}

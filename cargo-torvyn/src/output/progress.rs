//! The output while a flow runs: a progress bar on a terminal, and the log lines of stages. `console.rs` writes both.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;

use torvyn_runtime::Account;
use torvyn_runtime::base::plural::counted;
use torvyn_runtime::base::text;
use torvyn_runtime::flow::Progress;
use torvyn_runtime::stage::log::{LogLine, LogSink};

use crate::output::bar::Drawn;
use crate::output::shell::{LogPrinter, Shell, Verbosity};

/// The progress display of a flow, from its start to its end.
pub(crate) struct Bar {
    progress: Arc<Progress>,
    printer: LogPrinter,
}

impl Bar {
    /// A bar that ends at `total` payload bytes, or a spinner without a total. It is shown only on a terminal.
    pub(crate) fn new(shell: &Shell, total: Option<u64>) -> Bar {
        let (progress, printer) = (Arc::<Progress>::default(), shell.log_printer());
        if shell.verbosity() != Verbosity::Quiet && io::stderr().is_terminal() {
            printer.console.draw(Some(Drawn::new(progress.clone(), total)));
        }
        Bar { progress, printer }
    }

    /// The counters that the flow updates.
    pub(crate) fn progress(&self) -> Arc<Progress> {
        self.progress.clone()
    }

    /// A sink that prints the log lines of stages on stderr, even if quiet.
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

    /// Removes the bar and waits until the log lines of stages are written or stderr is given up. Returns the dropped lines.
    pub(crate) fn finish(self, shell: &Shell) -> Dropped {
        self.printer.console.draw(None);
        shell.finish();
        Dropped(self.printer.clone())
    }
}

/// Log lines of stages that were dropped.
pub(crate) struct Dropped(LogPrinter);

impl Dropped {
    /// Adds their numbers to the account.
    pub(crate) fn add_to(&self, account: &mut Account) {
        for stage in &mut account.stages {
            stage.log.dropped += self.0.console.take_dropped(&stage.name);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.printer.console.draw(None);
    }
}

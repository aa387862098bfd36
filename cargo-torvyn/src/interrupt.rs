//! Signals: the first ends the flow in order, the second ends the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::Context as _;
use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;

use crate::exit::Exit;

/// Watches for signals that ask the process to end.
pub(crate) struct Interrupt {
    flag: Arc<AtomicBool>,
    signal: Arc<AtomicUsize>,
    /// Whether the first signal ends the process too.
    at_once: Arc<AtomicBool>,
}

impl Interrupt {
    /// Watches from now on.
    ///
    /// # Errors
    ///
    /// Where the system refuses.
    pub(crate) fn watch() -> anyhow::Result<Interrupt> {
        let interrupt = Interrupt { flag: Arc::default(), signal: Arc::default(), at_once: Arc::default() };
        interrupt.register().context("could not watch for signals")?;
        Ok(interrupt)
    }

    fn register(&self) -> std::io::Result<()> {
        for (signal, exit) in [(SIGINT, Exit::Interrupted), (SIGTERM, Exit::Terminated)] {
            // In this order: the first signal finds the flag unset and sets it, the second finds it set.
            flag::register_conditional_shutdown(signal, i32::from(exit as u8), self.flag.clone())?;
            flag::register_conditional_shutdown(signal, i32::from(exit as u8), self.at_once.clone())?;
            flag::register(signal, self.flag.clone())?;
            flag::register_usize(signal, self.signal.clone(), signal as usize)?;
        }
        // A file that may not grow any more is an error of the write, not the end of the process.
        flag::register(SIGXFSZ, Arc::default())?;
        Ok(())
    }

    /// Whether the first signal is to end the process too, while there is nothing to end in order.
    pub(crate) fn at_once(&self, at_once: bool) {
        self.at_once.store(at_once, Ordering::Relaxed);
    }

    /// Set once the first signal has come.
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        self.flag.clone()
    }

    /// How the process is to end, if a signal has come.
    pub(crate) fn exit(&self) -> Option<Exit> {
        match self.signal.load(Ordering::Relaxed) as i32 {
            SIGINT => Some(Exit::Interrupted),
            SIGTERM => Some(Exit::Terminated),
            _ => None,
        }
    }
}

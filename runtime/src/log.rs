//! What a stage prints: its standard output and error, line by line.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// Bytes of a line that is not ended yet; a longer one is given out in pieces.
const LONGEST_LINE: usize = 8 << 10;
/// What a stage may write before it is asked to check again.
const PERMIT: usize = 64 << 10;

/// A line that a stage printed. It is whatever the stage wrote, control characters and invalid UTF-8 included.
#[derive(Debug, Clone, Copy)]
pub struct LogLine<'a> {
    /// The stage.
    pub stage: &'a str,
    /// The line, without its end.
    pub text: &'a [u8],
}

/// Takes what stages print.
pub type LogSink = Arc<dyn Fn(LogLine<'_>) + Send + Sync>;

/// One of the two streams of a stage.
#[derive(Clone)]
pub(crate) struct StageLog {
    stage: Arc<str>,
    sink: LogSink,
    partial: Arc<Mutex<Vec<u8>>>,
}

impl StageLog {
    pub(crate) fn new(stage: &str, sink: LogSink) -> Self {
        StageLog { stage: stage.into(), sink, partial: Arc::default() }
    }

    fn take(&self, bytes: &[u8]) {
        let mut partial = self.partial.lock().unwrap_or_else(PoisonError::into_inner);
        partial.extend_from_slice(bytes);
        let mut done = 0;
        while let Some(end) = memchr::memchr(b'\n', &partial[done..]) {
            self.give(&partial[done..done + end]);
            done += end + 1;
        }
        partial.drain(..done);
        if partial.len() > LONGEST_LINE {
            self.give(&partial);
            partial.clear();
        }
    }

    fn give(&self, text: &[u8]) {
        (self.sink)(LogLine { stage: &self.stage, text });
    }

    /// Gives out a last line that was not ended.
    pub(crate) fn finish(&self) {
        let rest = std::mem::take(&mut *self.partial.lock().unwrap_or_else(PoisonError::into_inner));
        if !rest.is_empty() {
            self.give(&rest);
        }
    }
}

impl IsTerminal for StageLog {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for StageLog {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for StageLog {
    async fn ready(&mut self) {}
}

impl OutputStream for StageLog {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PERMIT)
    }
}

impl AsyncWrite for StageLog {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

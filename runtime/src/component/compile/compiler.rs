//! The compiler process, from both sides.
//!
//! The request, on standard input of the child: [`MAGIC`], a random number, the limits, and the component. The
//! response, on its standard output: the same number, a byte for the kind of response, the length, and the machine code
//! or the reason for the refusal. Numbers are 64-bit, little-endian.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use rustix::process::{Resource, Rlimit, Signal, setrlimit};

use super::{Cache, MachineCode, new_engine};
use crate::base::text::format_bytes;
use crate::error::CompileError;
use crate::pipeline::limits::Limits;

/// The start of a request.
const MAGIC: &[u8; 16] = b"torvyn-compile-1";
/// The kinds of responses.
const MACHINE_CODE: u8 = 0;
const REFUSED: u8 = 1;
/// The size of the header of a response, in bytes.
const RESPONSE_HEADER: usize = 8 + 1 + 8;
/// The limit of wall-clock time, as a multiple of the limit of processor time: other processes may use the processors.
const WALL_FACTOR: u32 = 4;
/// Bytes of memory that the child may use besides those for compiling: for its threads and the component.
const BASE_MEMORY: u64 = 64 << 20;
/// The most bytes of the reason for a refusal.
const LONGEST_REFUSAL: usize = 4 << 10;

/// Starts this program again as the compiler process, and reads its response.
#[derive(Debug, Clone)]
pub struct Compiler {
    arguments: Vec<OsString>,
    cache: Option<Arc<Cache>>,
}

impl Compiler {
    /// With these arguments, the running program must call [`serve`] and nothing else.
    pub fn new(arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Compiler {
        Compiler { arguments: arguments.into_iter().map(Into::into).collect(), cache: None }
    }

    /// Takes components from this cache, and adds those that are compiled: also the small ones, which compile in this process.
    #[must_use]
    pub fn with_cache(self, cache: Option<Arc<Cache>>) -> Compiler {
        Compiler { cache, ..self }
    }

    pub(crate) fn cache(&self) -> Option<&Cache> {
        self.cache.as_deref()
    }

    /// Compiles a component in a compiler process.
    pub(crate) fn compile(&self, component: &[u8], limits: &Limits) -> Result<MachineCode, CompileError> {
        let nonce = new_nonce()?;
        let mut child = self.start()?;
        let (Some(mut request), Some(mut response)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(CompileError::Process("has no pipes".to_string()));
        };
        let child = Mutex::new(child);
        let (done, waiting) = mpsc::channel::<()>();
        let mut read = Vec::new();
        let most = limits.compile_memory.saturating_add(BASE_MEMORY);
        let timed_out = thread::scope(|scope| {
            let child = &child;
            let watchdog = scope.spawn(move || {
                let late = waiting.recv_timeout(limits.compile_time.saturating_mul(WALL_FACTOR))
                    == Err(mpsc::RecvTimeoutError::Timeout);
                // Also after a response: the child has nothing left to do.
                lock(child).kill().ok();
                late
            });
            // If the child ended early, its exit status says why.
            _ = write_request(&mut request, nonce, component, limits);
            drop(request);
            _ = response.by_ref().take(most).read_to_end(&mut read);
            drop(done);
            watchdog.join().unwrap_or(false)
        });
        let status = lock(&child).wait().map_err(|error| CompileError::Process(format!("was lost: {error}")))?;
        match parse_response(&read, nonce) {
            Some((MACHINE_CODE, code)) => Ok(MachineCode::from_own_child(code.to_vec())),
            Some((_, why)) => Err(CompileError::Refused(String::from_utf8_lossy(why).into_owned())),
            None if timed_out => Err(CompileError::Time { limit: limits.compile_time }),
            None => Err(explain_exit(status, limits)),
        }
    }

    fn start(&self) -> Result<Child, CompileError> {
        // The executable file of this process, even if another file has its name by now.
        let mut command = Command::new("/proc/self/exe");
        command.arg0("cargo-torvyn").args(&self.arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.spawn().map_err(|error| CompileError::Process(format!("could not be started: {error}")))
    }
}

fn lock(child: &Mutex<Child>) -> std::sync::MutexGuard<'_, Child> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}

fn new_nonce() -> Result<u64, CompileError> {
    getrandom::u64().map_err(|error| CompileError::Process(format!("cannot be given a random number: {error}")))
}

fn write_request(request: &mut impl Write, nonce: u64, component: &[u8], limits: &Limits) -> io::Result<()> {
    request.write_all(MAGIC)?;
    let seconds = limits.compile_time.as_secs().max(1);
    for number in [nonce, limits.compile_memory, seconds, component.len() as u64] {
        request.write_all(&number.to_le_bytes())?;
    }
    request.write_all(component)
}

/// The kind and the content of a response; `None` if it is not a complete response to this request.
fn parse_response(response: &[u8], nonce: u64) -> Option<(u8, &[u8])> {
    let (header, content) = response.split_at_checked(RESPONSE_HEADER)?;
    let number = |at: usize| Some(u64::from_le_bytes(header.get(at..at + 8)?.try_into().ok()?));
    (number(0)? == nonce && number(9)? == content.len() as u64).then_some((header[8], content))
}

/// Why a child ended without a response.
fn explain_exit(status: ExitStatus, limits: &Limits) -> CompileError {
    match status.signal().and_then(Signal::from_named_raw) {
        // A failed allocation aborts the process.
        Some(Signal::ABORT) => CompileError::Memory { limit: limits.compile_memory },
        Some(Signal::XCPU) => CompileError::Time { limit: limits.compile_time },
        // The system has less memory than the limit, or somebody killed the process.
        Some(Signal::KILL) => CompileError::Process(format!(
            "was killed: the system may have less memory than its limit of {} (`limits.compile-memory`)",
            format_bytes(limits.compile_memory)
        )),
        _ => CompileError::Process(format!("ended without a response ({status})")),
    }
}

/// Runs the compiler process: compiles the component of the request within its limits, and writes the response.
///
/// # Errors
///
/// If standard input is not a request, or the response cannot be written. Nothing is printed then.
pub fn serve() -> io::Result<()> {
    let mut request = io::stdin().lock();
    let mut magic = [0; MAGIC.len()];
    request.read_exact(&mut magic)?;
    if &magic != MAGIC {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no component to compile"));
    }
    let mut number = || -> io::Result<u64> {
        let mut bytes = [0; 8];
        request.read_exact(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    };
    let (nonce, memory, seconds, len) = (number()?, number()?, number()?, number()?);
    confine(memory.saturating_add(BASE_MEMORY).saturating_add(len), seconds)?;
    let mut component = Vec::with_capacity(usize::try_from(len).map_err(io::Error::other)?);
    request.take(len).read_to_end(&mut component)?;
    let compiled = new_engine()
        .map_err(|error| error.to_string())
        .and_then(|engine| MachineCode::compile(&engine, &component).map_err(|error| format!("{error:#}")));
    let (kind, content) = match &compiled {
        Ok(code) => (MACHINE_CODE, code.as_bytes()),
        Err(why) => (REFUSED, &why.as_bytes()[..why.len().min(LONGEST_REFUSAL)]),
    };
    let mut response = io::stdout().lock();
    response.write_all(&nonce.to_le_bytes())?;
    response.write_all(&[kind])?;
    response.write_all(&(content.len() as u64).to_le_bytes())?;
    response.write_all(content)?;
    response.flush()
}

/// Sets the limits of this process, irrevocably.
fn confine(memory: u64, seconds: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let exactly = |limit| Rlimit { current: Some(limit), maximum: Some(limit) };
    // The soft limit sends SIGXCPU, which tells the parent which limit was exceeded.
    let processor = Rlimit { current: Some(seconds), maximum: Some(seconds.saturating_add(5)) };
    // Limits writable memory only: reserved address space costs nothing.
    let kind = if cfg!(target_os = "linux") { Resource::Data } else { Resource::As };
    setrlimit(kind, exactly(memory))?;
    setrlimit(Resource::Cpu, processor)?;
    setrlimit(Resource::Core, exactly(0))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_incomplete_and_foreign_responses() {
        let mut response = 7u64.to_le_bytes().to_vec();
        response.push(MACHINE_CODE);
        response.extend(3u64.to_le_bytes());
        response.extend(b"abc");
        assert_eq!(parse_response(&response, 7), Some((MACHINE_CODE, &b"abc"[..])));
        assert_eq!(parse_response(&response, 8), None, "another request");
        for cut in 0..response.len() {
            assert_eq!(parse_response(&response[..cut], 7), None, "cut after {cut}");
        }
        response.push(0);
        assert_eq!(parse_response(&response, 7), None, "longer than announced");
    }

    #[test]
    fn explains_exit_statuses() {
        let limits = Limits::default();
        let why = |raw| explain_exit(ExitStatus::from_raw(raw), &limits).to_string();
        assert!(why(Signal::ABORT.as_raw()).contains("`limits.compile-memory`"));
        assert!(why(Signal::XCPU.as_raw()).contains("`limits.compile-time`"));
        assert!(why(Signal::KILL.as_raw()).contains("was killed"));
        assert!(why(1 << 8).contains("exit status: 1"));
    }
}

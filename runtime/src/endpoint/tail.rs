//! A file that is read from where the last run stopped, or followed while it grows, as `tail -F` does.
//!
//! Logs are rotated: the file is renamed and a new one gets its name, or it is copied and truncated. Either way the old content
//! is read to its end first. What follows in time is found among the files beside it that have its name and a number, such as
//! `app.log.1` and `app.log-20260314`, or `app.log.old`. A file is known by its number in the file system and its first bytes, not by its name.

use std::collections::{HashSet, VecDeque};
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{self, Seek as _, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::checkpoint::{Checkpoint, FileMark, Position};
use super::file_id::FileId;
use super::reader::{Framing, Reader, Ready};
use super::{Input, Pull, Pulled};
use crate::base::regular_file;
use crate::ledger::Kernel;
use crate::payload::Reads;

/// How long a file without its name may still be written: whoever writes a log opens the new one a moment after the old one
/// was renamed.
const GRACE: Duration = Duration::from_millis(500);
/// Names of compressed files end so.
const COMPRESSED: [&str; 5] = [".gz", ".zst", ".xz", ".bz2", ".lz4"];
/// The most files that were read last and are remembered, so that none is read twice.
const REMEMBERED: usize = 64;
/// How often the files beside a log are listed again because they were renamed meanwhile.
const LISTINGS: usize = 16;

/// How a [`Tail`] reads its file.
#[derive(Debug, Clone, Default)]
pub struct TailOptions {
    /// Waits for more at the end of the file, instead of ending there.
    pub follow: bool,
    /// Begins at the end of the file, unless a checkpoint says otherwise.
    pub from_end: bool,
    /// The folder of the checkpoint.
    pub checkpoint: Option<PathBuf>,
}

impl TailOptions {
    /// The files that are written for the checkpoint.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> + use<> {
        let folder = self.checkpoint.clone();
        folder.into_iter().flat_map(|folder| Checkpoint::FILES.map(|name| folder.join(name)))
    }
}

/// A file that is read on from a checkpoint, or followed.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    framing: Framing,
    options: TailOptions,
    checkpoint: Option<Checkpoint>,
    current: Option<Current>,
    /// What is read before the file of this name: files, and where to begin in them.
    next: VecDeque<(File, u64)>,
    /// The files that were read to their end last.
    done: VecDeque<FileMark>,
    /// Elements given so far.
    given: u64,
    /// Where the elements end that are not acknowledged: their number, and the position.
    positions: VecDeque<(u64, Position)>,
    reads: Reads,
}

/// The file that is being read.
#[derive(Debug)]
struct Current {
    reader: Reader<Growing>,
    mark: FileMark,
    /// Where reading began.
    begin: u64,
    /// Its size when it had no more to read, and when it was changed before that.
    quiet_at: Option<(u64, Option<SystemTime>)>,
    /// Since when another file has its name.
    renamed: Option<Instant>,
}

/// A file that may grow: it is ready while it has more than what was read.
#[derive(Debug)]
struct Growing(File);

impl AsFd for Growing {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Ready for Growing {
    fn ready(&mut self) -> io::Result<bool> {
        Ok(self.0.metadata()?.len() > self.0.stream_position()?)
    }
}

impl Current {
    fn open(mut file: File, begin: u64, framing: Framing, reads: &Reads) -> io::Result<Current> {
        let mark = FileMark::of(&file)?;
        file.seek(SeekFrom::Start(begin))?;
        let reader = Reader::new(Growing(file), framing, 0).counted(reads.clone());
        Ok(Current { reader, mark, begin, quiet_at: None, renamed: None })
    }

    fn file(&self) -> &File {
        &self.reader.source().0
    }

    /// Where the next element begins.
    fn position(&self) -> Position {
        Position { file: self.mark, offset: self.begin + self.reader.position() }
    }

    /// Whether the content that was read is gone, also if as much has been written since. That cannot be seen of a file that was
    /// empty.
    fn may_be_truncated(&self, metadata: &Metadata) -> io::Result<bool> {
        if metadata.len() < self.begin + self.reader.bytes_read() {
            return Ok(true);
        }
        let has_changed = self.quiet_at.is_some_and(|(size, _)| size != metadata.len());
        Ok(has_changed && (self.mark.is_empty() || !self.mark.has_beginning_of(self.file())?))
    }
}

impl Tail {
    /// Opens a regular file, which need not exist yet if it is followed.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or a checkpoint is of a file that is neither it nor beside it.
    pub fn open(path: &Path, framing: Framing, options: TailOptions) -> io::Result<Tail> {
        let checkpoint = options.checkpoint.as_deref().map(Checkpoint::open).transpose()?;
        let saved = checkpoint.as_ref().and_then(Checkpoint::saved);
        let mut tail = Tail {
            path: path.to_path_buf(),
            framing,
            options,
            checkpoint,
            current: None,
            next: VecDeque::new(),
            done: VecDeque::new(),
            given: 0,
            positions: VecDeque::new(),
            reads: Reads::default(),
        };
        let file = match regular_file::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && tail.options.follow => None,
            file => Some(file?),
        };
        match (saved, file) {
            (Some(position), file) => tail.resume(&position, file)?,
            (None, Some(file)) => {
                let begin = if tail.options.from_end { file.metadata()?.len() } else { 0 };
                tail.next.push_back((file, begin));
            }
            (None, None) => {}
        }
        Ok(tail)
    }

    /// Continues at a position: in this file, or in one beside it that had its name.
    fn resume(&mut self, position: &Position, file: Option<File>) -> io::Result<()> {
        let is_there = |file: &File| -> io::Result<bool> {
            Ok(file.metadata()?.len() >= position.offset && position.file.has_beginning_of(file)?)
        };
        if let Some(file) = file {
            let has_number = position.file.has_number_of(&file.metadata()?);
            if has_number && is_there(&file)? {
                self.next.push_back((file, position.offset));
                return Ok(());
            }
        }
        let beside = self.files_beside()?;
        let mut found = None;
        // A copy of a truncated file has another number.
        for needs_number in [true, false] {
            for (index, other) in beside.iter().enumerate().filter(|(_, other)| !other.is_compressed()) {
                let may_be = position.file.has_number_of(&other.metadata) || !needs_number && !position.file.is_empty();
                if found.is_none() && may_be && is_there(&other.file)? {
                    found = Some(index);
                }
            }
        }
        match found {
            Some(index) => {
                let mut later = beside.into_iter().skip(index);
                self.next.extend(later.next().map(|found| (found.file, position.offset)));
                self.read_next(later)
            }
            // Nothing was read of it.
            None if position.offset == 0 => Ok(()),
            None => {
                let message = format!(
                    "the file that was read up to byte {} is neither `{}` nor beside it; remove the checkpoint to begin anew",
                    position.offset,
                    self.path.display()
                );
                Err(io::Error::new(io::ErrorKind::NotFound, message))
            }
        }
    }

    /// Reads these files next.
    fn read_next(&mut self, files: impl Iterator<Item = Beside>) -> io::Result<()> {
        for beside in files {
            if beside.is_compressed() {
                let message = format!("`{}` was compressed before it was read", beside.path.display());
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
            self.next.push_back((beside.file, 0));
        }
        Ok(())
    }

    /// The files beside this one that may have had its name, oldest first.
    fn files_beside(&self) -> io::Result<Vec<Beside>> {
        let Some(name) = self.path.file_name() else { return Ok(Vec::new()) };
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut files: Vec<Beside> = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let other = entry.file_name();
            let rest = other.as_bytes().strip_prefix(name.as_bytes()).unwrap_or_default();
            // What else is beside a log is not a part of it: it may be our output.
            if !matches!(rest, [b'.' | b'-', b'0'..=b'9', ..] | b".old") {
                continue;
            }
            // What cannot be opened is no regular file, or was renamed or removed meanwhile.
            if let Ok(file) = regular_file::open(&entry.path()) {
                files.push(Beside::new(entry.path(), rest, file)?);
            }
        }
        // A file that was renamed while the folder was listed is in the list twice.
        let mut ids = HashSet::new();
        files.retain(|file| ids.insert(FileId::from_metadata(&file.metadata)));
        files.sort_by_key(|file| (file.modified, std::cmp::Reverse(file.number)));
        Ok(files)
    }

    /// The file that has the name now, and those beside it, as they were at one time. `None` if they change all the time.
    fn list(&self) -> io::Result<Option<(File, Vec<Beside>)>> {
        for _ in 0..LISTINGS {
            let named = regular_file::open(&self.path)?;
            let before = FileId::from_metadata(&named.metadata()?);
            let beside = self.files_beside()?;
            if FileId::from_path(&self.path) == before {
                return Ok(Some((named, beside)));
            }
        }
        Ok(None)
    }

    /// Whether a file was read to its end already.
    fn was_read(&self, file: &File) -> io::Result<bool> {
        let metadata = file.metadata()?;
        for mark in self.done.iter().filter(|mark| mark.has_number_of(&metadata)) {
            // The number of a removed file is used again.
            if mark.has_beginning_of(file)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Opens what is to be read next. Returns whether there is something.
    fn open_next(&mut self) -> io::Result<bool> {
        if self.current.is_some() {
            return Ok(true);
        }
        let (file, begin) = match self.next.pop_front() {
            Some(next) => next,
            None => match regular_file::open(&self.path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                file => {
                    let file = file?;
                    if !self.options.follow && self.was_read(&file)? {
                        return Ok(false);
                    }
                    (file, 0)
                }
            },
        };
        let current = Current::open(file, begin, self.framing, &self.reads)?;
        if let Some(checkpoint) = self.checkpoint.as_mut().filter(|checkpoint| checkpoint.saved().is_none()) {
            // A run that is killed before anything is delivered has begun here, too.
            checkpoint.save(current.position())?;
        }
        self.current = Some(current);
        Ok(true)
    }

    /// Decides what comes after a file that has no more to read now. Returns whether something does.
    fn move_on(&mut self, pull: &mut Pull<'_>) -> io::Result<bool> {
        let Some(current) = &mut self.current else { return Ok(false) };
        let metadata = current.file().metadata()?;
        if current.may_be_truncated(&metadata)? {
            return self.move_to_copy(pull).map(|()| true);
        }
        current.quiet_at = Some((metadata.len(), metadata.modified().ok()));
        if !self.next.is_empty() || !self.options.follow {
            return self.finish_file(pull).map(|()| true);
        }
        // A file without its name, and without a successor, is still the log.
        let has_name = fs::metadata(&self.path).map_or(true, |named| current.mark.has_number_of(&named));
        if has_name {
            current.renamed = None;
            return Ok(false);
        }
        let since = *current.renamed.get_or_insert_with(Instant::now);
        if since.elapsed() < GRACE {
            return Ok(false);
        }
        let (mark, since) = (current.mark, metadata.modified().ok());
        let Some((named, beside)) = self.list()? else { return Ok(false) };
        let named_id = FileId::from_metadata(&named.metadata()?);
        let mut later = Vec::new();
        // Compressing a file keeps its time: one of the same time is this one.
        let is_later =
            |file: &Beside| if file.is_compressed() { file.modified > since } else { file.modified >= since };
        for file in beside.into_iter().filter(|file| is_later(file) && !mark.has_number_of(&file.metadata)) {
            // The named one may have a second name.
            let is_named = FileId::from_metadata(&file.metadata) == named_id;
            if !is_named && !self.was_read(&file.file)? {
                later.push(file);
            }
        }
        self.read_next(later.into_iter())?;
        self.next.push_back((named, 0));
        self.finish_file(pull).map(|()| true)
    }

    /// Gives what is left of a file, closes it, and remembers it.
    fn finish_file(&mut self, pull: &mut Pull<'_>) -> io::Result<()> {
        let closed = self.close_file(pull)?;
        self.done.extend(closed);
        if self.done.len() > REMEMBERED {
            self.done.pop_front();
        }
        Ok(())
    }

    /// Gives what is left of a file, and closes it. Returns what it is recognized by.
    fn close_file(&mut self, pull: &mut Pull<'_>) -> io::Result<Option<FileMark>> {
        let Some(mut current) = self.current.take() else { return Ok(None) };
        current.reader.end(pull)?;
        self.note(pull, &current);
        Ok(Some(current.mark))
    }

    /// Begins a truncated file anew, after the rest of its copy, if there is one, and what was copied after that.
    fn move_to_copy(&mut self, pull: &mut Pull<'_>) -> io::Result<()> {
        let Some(current) = &self.current else { return Ok(()) };
        let (position, again) = (current.position(), current.file().try_clone()?);
        let truncated = again.metadata()?;
        let since = current.quiet_at.and_then(|(_, modified)| modified);
        // A copy that is compressed already had no more than what was read, but for what was written in the last moment.
        let mut beside: Vec<_> = self.files_beside()?.into_iter().filter(|other| !other.is_compressed()).collect();
        let mut copy = None;
        for (index, other) in beside.iter().enumerate() {
            let has_rest = other.metadata.len() >= position.offset && !position.file.is_empty();
            if has_rest && position.file.has_beginning_of(&other.file)? {
                copy = Some(index);
            }
        }
        let before = std::mem::take(&mut self.next);
        let later = match copy {
            // It also has what was read and not given.
            Some(index) => {
                self.current = None;
                let mut later = beside.split_off(index).into_iter();
                self.next.extend(later.next().map(|copy| (copy.file, position.offset)));
                later.collect()
            }
            None => {
                // Not remembered: by its number, it is the file that comes next.
                self.close_file(pull)?;
                beside.retain(|file| since.is_some() && file.modified >= since);
                beside
            }
        };
        // Copies that were made and truncated again meanwhile.
        for file in later.into_iter().filter(|file| file.modified <= truncated.modified().ok()) {
            let is_it = FileId::from_metadata(&file.metadata) == FileId::from_metadata(&truncated);
            if !is_it && !self.was_read(&file.file)? {
                self.next.push_back((file.file, 0));
            }
        }
        self.next.push_back((again, 0));
        self.next.extend(before);
        Ok(())
    }

    /// Notes where the elements of a pull end.
    fn note(&mut self, pull: &Pull<'_>, current: &Current) {
        let given = self.given + pull.given as u64;
        let is_more = self.positions.back().is_none_or(|(last, _)| *last < given);
        if self.checkpoint.is_some() && pull.given > 0 && is_more {
            self.positions.push_back((given, current.position()));
        }
    }

    fn pull_from_files(&mut self, pull: &mut Pull<'_>) -> io::Result<Pulled> {
        loop {
            if !self.open_next()? {
                return Ok(if self.options.follow { Pulled::Idle } else { Pulled::End });
            }
            let Some(mut current) = self.current.take() else { return Ok(Pulled::Idle) };
            if current.quiet_at.is_some() {
                let metadata = current.file().metadata()?;
                if current.may_be_truncated(&metadata)? {
                    self.current = Some(current);
                    self.move_to_copy(pull)?;
                    continue;
                }
            }
            let pulled = current.reader.pull(pull)?;
            if !pull.is_empty() {
                (current.quiet_at, current.renamed) = (None, None);
                if current.mark.is_short() {
                    current.mark = FileMark::of(current.file())?;
                }
            }
            self.note(pull, &current);
            self.current = Some(current);
            if pulled == Pulled::More {
                return Ok(pulled);
            }
            if !self.move_on(pull)? {
                return Ok(Pulled::Idle);
            }
            if !pull.is_empty() {
                return Ok(Pulled::More);
            }
        }
    }
}

impl Input for Tail {
    fn pull(&mut self, pull: &mut Pull<'_>) -> io::Result<Pulled> {
        if let Some(checkpoint) = &mut self.checkpoint {
            checkpoint.save_if_due()?;
        }
        let pulled = self.pull_from_files(pull);
        self.given += pull.given as u64;
        pulled
    }

    fn wants_acknowledgement(&self) -> bool {
        self.checkpoint.is_some()
    }

    fn acknowledge(&mut self, elements: u64) -> io::Result<()> {
        let mut delivered = None;
        while self.positions.front().is_some_and(|(given, _)| *given <= elements) {
            delivered = self.positions.pop_front();
        }
        match (&mut self.checkpoint, delivered) {
            (Some(checkpoint), Some((_, position))) => checkpoint.save(position),
            _ => Ok(()),
        }
    }

    fn kernel(&self) -> Kernel {
        Kernel { reads: self.reads.count(), ..Kernel::default() }
    }
}

/// A file that may have had the name of another.
struct Beside {
    path: PathBuf,
    file: File,
    metadata: Metadata,
    modified: Option<SystemTime>,
    /// The number in its name: of two that were modified at once, the greater is older.
    number: Option<u64>,
}

impl Beside {
    fn new(path: PathBuf, rest: &[u8], file: File) -> io::Result<Beside> {
        let metadata = file.metadata()?;
        let digits = rest.strip_prefix(b".").map(|rest| rest.split(|byte| *byte == b'.').next().unwrap_or_default());
        let number = digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        Ok(Beside { path, file, modified: metadata.modified().ok(), number, metadata })
    }

    fn is_compressed(&self) -> bool {
        let name = self.path.file_name().map(OsStr::as_bytes).unwrap_or_default();
        COMPRESSED.iter().any(|ending| name.ends_with(ending.as_bytes()))
    }
}

//! Checkpoints: up to where an input was delivered, kept in a folder that survives the process.
//!
//! The checkpoint before keeps another name until the new one is written, synchronized, and has appeared whole, so that there is
//! always one. A checksum tells a file that was damaged. While a process has a checkpoint, no other can open it.

use std::fmt::Write as _;
use std::fs::{self, File, Metadata, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::atomic_file::AtomicFile;
use crate::base::regular_file;

/// The first line of a checkpoint.
const TITLE: &str = "torvyn checkpoint 1";
const NAME: &str = "checkpoint";
const NAME_BEFORE: &str = "checkpoint.before";
const NAME_LOCK: &str = "lock";
/// The least time from one saved checkpoint to the next.
const PACE: Duration = Duration::from_millis(50);
/// That time is at least this many times as long as saving took, so that saving takes at most a twentieth of a run.
const SHARE: u32 = 20;
/// The most bytes of a file that its beginning tells it by.
const BEGINNING_BYTES: usize = 256;

/// What a file is recognized by, whatever its name is: its number in the file system, and its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileMark {
    pub(super) device: u64,
    pub(super) inode: u64,
    /// How many of its first bytes the hash is of.
    len: usize,
    /// The SHA-256 hash of these bytes.
    hash: [u8; 32],
}

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) file: FileMark,
    /// Bytes from the beginning of the file.
    pub(super) offset: u64,
}

impl FileMark {
    /// The mark of an open file, by at most as many bytes as it has now.
    pub(super) fn of(file: &File) -> io::Result<FileMark> {
        let metadata = file.metadata()?;
        let (bytes, len) = beginning(file, BEGINNING_BYTES)?;
        let hash = Sha256::digest(&bytes[..len]).into();
        Ok(FileMark { device: metadata.dev(), inode: metadata.ino(), len, hash })
    }

    /// Whether nothing but its number tells the file.
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether more bytes would tell the file better.
    pub(super) fn is_short(&self) -> bool {
        self.len < BEGINNING_BYTES
    }

    /// Whether a file is the one with this number in the file system.
    pub(super) fn has_number_of(&self, metadata: &Metadata) -> bool {
        (metadata.dev(), metadata.ino()) == (self.device, self.inode)
    }

    /// Whether a file begins with the same bytes.
    pub(super) fn has_beginning_of(&self, file: &File) -> io::Result<bool> {
        let (bytes, len) = beginning(file, self.len)?;
        Ok(len == self.len && Sha256::digest(&bytes[..len])[..] == self.hash)
    }
}

/// The first bytes of a file, at most `most`, and how many they are.
fn beginning(file: &File, most: usize) -> io::Result<([u8; BEGINNING_BYTES], usize)> {
    let (mut bytes, mut len) = ([0; BEGINNING_BYTES], 0);
    while len < most {
        match file.read_at(&mut bytes[len..most], len as u64) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((bytes, len))
}

/// The checkpoint of an input.
#[derive(Debug)]
pub(super) struct Checkpoint {
    folder: PathBuf,
    /// Locked for as long as it is open.
    _lock: File,
    saved: Option<Position>,
    /// When the next one is saved, at the earliest.
    next: Instant,
    /// What is to be saved then.
    pending: Option<Position>,
}

impl Checkpoint {
    /// The names of its files.
    pub(super) const FILES: [&str; 3] = [NAME, NAME_BEFORE, NAME_LOCK];

    /// Opens the checkpoint in a folder, which is created if it does not exist.
    ///
    /// # Errors
    ///
    /// If another process has it, or the checkpoint and the one before are both damaged.
    pub(super) fn open(folder: &Path) -> io::Result<Checkpoint> {
        let open = || -> io::Result<Checkpoint> {
            match fs::create_dir(folder) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            let lock = File::options().create(true).truncate(false).write(true).open(folder.join(NAME_LOCK))?;
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(io::Error::other("another run has it")),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            let saved = load(folder)?;
            Ok(Checkpoint { folder: folder.to_path_buf(), _lock: lock, saved, next: Instant::now(), pending: None })
        };
        open().map_err(|error| error_of(folder, &error))
    }

    /// Where a run before this one has come to.
    pub(super) fn saved(&self) -> Option<Position> {
        self.saved
    }

    /// Saves a position, unless one was saved a moment ago: then it is saved later.
    pub(super) fn save(&mut self, position: Position) -> io::Result<()> {
        self.pending = Some(position);
        self.save_if_due()
    }

    /// Saves the position that waits, if a moment has passed.
    pub(super) fn save_if_due(&mut self) -> io::Result<()> {
        if self.pending.is_none() {
            return Ok(());
        }
        let began = Instant::now();
        if began < self.next {
            return Ok(());
        }
        self.save_now()?;
        self.next = began + PACE.max(SHARE * began.elapsed());
        Ok(())
    }

    /// Saves the position that waits.
    pub(super) fn save_now(&mut self) -> io::Result<()> {
        let Some(position) = self.pending.take().filter(|position| self.saved != Some(*position)) else {
            return Ok(());
        };
        self.saved = Some(position);
        write(&self.folder, &position).map_err(|error| error_of(&self.folder, &error))
    }
}

impl Drop for Checkpoint {
    fn drop(&mut self) {
        // What could not be saved is delivered again.
        _ = self.save_now();
    }
}

fn error_of(folder: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("the checkpoint in `{}`: {error}", folder.display()))
}

fn write(folder: &Path, position: &Position) -> io::Result<()> {
    match fs::rename(folder.join(NAME), folder.join(NAME_BEFORE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let new = AtomicFile::create(&folder.join(NAME))?.synced();
    new.file().write_all(format(position).as_bytes())?;
    new.finish()
}

fn format(position: &Position) -> String {
    let Position { file, offset } = position;
    let (device, inode, len, hash) = (file.device, file.inode, file.len, hex(&file.hash));
    let mut text = format!("{TITLE}\ndevice {device}\ninode {inode}\nbeginning {len} {hash}\noffset {offset}\n");
    let sum = hex(&Sha256::digest(&text));
    text += &format!("sum {sum}\n");
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        _ = write!(text, "{byte:02x}");
        text
    })
}

/// The checkpoint in a folder, or the one before if that is missing or damaged.
fn load(folder: &Path) -> io::Result<Option<Position>> {
    let mut damaged = false;
    for name in [NAME, NAME_BEFORE] {
        match regular_file::read(&folder.join(name)) {
            Ok(bytes) => match parse(&bytes) {
                Some(position) => return Ok(Some(position)),
                None => damaged = true,
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    match damaged {
        false => Ok(None),
        true => {
            let message = format!(
                "`{NAME}` is damaged, and there is no `{NAME_BEFORE}` that is not; remove the folder to begin anew"
            );
            Err(io::Error::new(io::ErrorKind::InvalidData, message))
        }
    }
}

fn parse(bytes: &[u8]) -> Option<Position> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (body, sum) = text.strip_suffix('\n')?.rsplit_once("\nsum ")?;
    if hex(&Sha256::digest(format!("{body}\n"))) != sum {
        return None;
    }
    let mut lines = body.lines();
    if lines.next()? != TITLE {
        return None;
    }
    let mut value = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
    let (device, inode) = (value("device")?.parse().ok()?, value("inode")?.parse().ok()?);
    let (len, hash) = value("beginning")?.split_once(' ')?;
    let offset = value("offset")?.parse().ok()?;
    let len: usize = len.parse().ok().filter(|len| *len <= BEGINNING_BYTES)?;
    let digits = hash.as_bytes().chunks_exact(2).map(|digits| std::str::from_utf8(digits).ok());
    let bytes: Option<Vec<u8>> = digits.map(|digits| u8::from_str_radix(digits?, 16).ok()).collect();
    let hash = bytes?.try_into().ok()?;
    Some(Position { file: FileMark { device, inode, len, hash }, offset })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(offset: u64) -> Position {
        let file = FileMark { device: 1, inode: 2, len: 3, hash: Sha256::digest("abc").into() };
        Position { file, offset }
    }

    #[test]
    fn what_is_saved_is_loaded_by_the_next_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let mut first = Checkpoint::open(&path).unwrap();
        assert_eq!(first.saved(), None);
        first.save(position(7)).unwrap();
        let busy = Checkpoint::open(&path).unwrap_err();
        assert!(busy.to_string().contains("another run has it"), "{busy}");
        // Too soon to be saved at once.
        (8..100).for_each(|offset| first.save(position(offset)).unwrap());
        assert_eq!(parse(&fs::read(path.join(NAME)).unwrap()), Some(position(7)));
        drop(first);
        assert_eq!(Checkpoint::open(&path).unwrap().saved(), Some(position(99)));
    }

    #[test]
    fn every_damage_is_noticed_and_the_one_before_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let mut checkpoint = Checkpoint::open(folder.path()).unwrap();
        for offset in [1, 2] {
            checkpoint.save(position(offset)).unwrap();
            checkpoint.next = Instant::now();
        }
        drop(checkpoint);
        let whole = fs::read(folder.path().join(NAME)).unwrap();
        for at in 0..whole.len() {
            let mut other = whole.clone();
            other[at] ^= 1;
            fs::write(folder.path().join(NAME), &other).unwrap();
            assert_eq!(load(folder.path()).unwrap(), Some(position(1)), "byte {at}");
            fs::write(folder.path().join(NAME), &whole[..at]).unwrap();
            assert_eq!(load(folder.path()).unwrap(), Some(position(1)), "cut at {at}");
        }
        fs::write(folder.path().join(NAME_BEFORE), "nonsense").unwrap();
        fs::write(folder.path().join(NAME), "nonsense").unwrap();
        let error = Checkpoint::open(folder.path()).unwrap_err();
        assert!(error.to_string().contains("damaged"), "{error}");
        fs::remove_file(folder.path().join(NAME)).unwrap();
        fs::remove_file(folder.path().join(NAME_BEFORE)).unwrap();
        assert_eq!(Checkpoint::open(folder.path()).unwrap().saved(), None);
    }

    #[test]
    fn a_file_is_told_by_its_number_and_its_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "abc").unwrap();
        let mark = FileMark::of(&File::open(&path).unwrap()).unwrap();
        assert!(mark.is_short() && mark.has_number_of(&fs::metadata(&path).unwrap()));
        for (content, is_it) in [("abcdef", true), ("abd", false), ("ab", false)] {
            fs::write(&path, content).unwrap();
            assert_eq!(mark.has_beginning_of(&File::open(&path).unwrap()).unwrap(), is_it, "{content}");
        }
        fs::copy(&path, folder.path().join("b")).unwrap();
        assert!(!mark.has_number_of(&fs::metadata(folder.path().join("b")).unwrap()));
    }
}

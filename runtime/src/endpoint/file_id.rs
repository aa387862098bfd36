//! Identifies the file that a path leads to by what the system says it is, not by its name.
//!
//! A file has many names: `./a`, links, `..`, other hard links, `/dev/stdout`. Whoever writes a file has to know whether the
//! same file is also read, or written in another way.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, OFlags};

/// The most links that are followed, as in Linux.
const MAX_LINKS: usize = 40;

/// The identity of the file that a path leads to. Two paths of one file have equal identities.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FileId {
    /// The file exists.
    Existing {
        /// Its file system.
        device: u64,
        /// Its number in the file system.
        inode: u64,
    },
    /// The file does not exist, and would be created in this folder.
    New {
        /// The file system of the folder.
        device: u64,
        /// The number of the folder in the file system.
        folder: u64,
        /// The name of the file in the folder.
        name: OsString,
    },
    /// The folder does not exist, so nothing is known.
    Unknown(PathBuf),
}

impl FileId {
    /// The identity of the file that this path reads or writes. Links are followed, even if their target does not exist yet.
    pub fn from_path(path: &Path) -> FileId {
        if let Ok(file) = fs::metadata(path) {
            return FileId::from_metadata(&file);
        }
        let unknown = || FileId::Unknown(std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()));
        let Ok(Resolved::At { path, .. }) = resolve(path) else { return unknown() };
        let (Some(name), Ok(folder)) = (path.file_name(), fs::metadata(folder_of(&path))) else { return unknown() };
        FileId::New { device: folder.dev(), folder: folder.ino(), name: name.to_os_string() }
    }

    /// The identity of the file with this metadata.
    pub fn from_metadata(file: &Metadata) -> FileId {
        FileId::Existing { device: file.dev(), inode: file.ino() }
    }

    /// The identity of the folder that contains the file this path leads to, if it is known.
    pub fn from_folder_of(path: &Path) -> Option<FileId> {
        let Ok(Resolved::At { path, .. }) = resolve(path) else { return None };
        fs::metadata(folder_of(&path)).ok().map(|folder| FileId::from_metadata(&folder))
    }
}

/// Whether this is a character device, such as `/dev/null` or a terminal. Several can read and write it, and nothing is lost.
pub fn is_device(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.file_type().is_char_device())
}

/// Whether this names a descriptor that this process was given, such as `/dev/stdout`. Such a path is not opened again.
pub fn is_descriptor(path: &Path) -> bool {
    matches!(resolve(path), Ok(Resolved::Descriptor(_)))
}

/// Refuses the name of a descriptor that this process was not given: a file with that number is one of its own.
pub(super) fn check_given(path: &Path) -> io::Result<()> {
    match resolve(path) {
        Ok(Resolved::Descriptor(descriptor)) if !was_given(descriptor) => Err(rustix::io::Errno::BADF.into()),
        _ => Ok(()),
    }
}

/// What writing to a path means.
#[derive(Debug)]
pub(super) enum Resolved {
    /// Writing to a descriptor that this process was given, such as `/dev/stdout`.
    Descriptor(i32),
    /// Writing to a file, which may not exist yet. The last component of its path is not a link.
    At {
        path: PathBuf,
        /// Whether the path is a name that the system gives to an open file. The file cannot be replaced under such a name.
        is_alias: bool,
    },
}

/// Follows a path as opening it would.
///
/// # Errors
///
/// If links form a cycle, or the path names a folder.
pub(super) fn resolve(path: &Path) -> io::Result<Resolved> {
    let mut path = path.to_path_buf();
    let bytes = path.as_os_str().as_bytes();
    if (bytes.ends_with(b"/") || bytes.ends_with(b"/.")) && !path.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    for _ in 0..MAX_LINKS {
        if is_of_the_system(&path) {
            return Ok(match descriptor(&path) {
                Some(descriptor) => Resolved::Descriptor(descriptor),
                None => Resolved::At { path, is_alias: true },
            });
        }
        match fs::read_link(&path) {
            Ok(target) => path = folder_of(&path).join(target),
            Err(_) => return Ok(Resolved::At { path, is_alias: false }),
        }
    }
    Err(rustix::io::Errno::LOOP.into())
}

/// The folder of a file that may not exist.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whether it is in `/proc`, where a link can open something other than its text says.
fn is_of_the_system(path: &Path) -> bool {
    folder_of(path).canonicalize().is_ok_and(|folder| folder.starts_with("/proc") || folder.ends_with("dev/fd"))
}

/// The descriptor of this process that a path in `/proc` names.
fn descriptor(path: &Path) -> Option<i32> {
    let name = path.file_name()?.to_str()?;
    let number = name.parse().ok().filter(|number: &i32| number.to_string() == name)?;
    let folder = folder_of(path).canonicalize().ok()?;
    let own = Path::new("/proc").join(std::process::id().to_string());
    (folder.ends_with("fd") && (folder.starts_with(own) || folder == Path::new("/dev/fd"))).then_some(number)
}

/// Duplicates a descriptor that was given to this process for writing. The duplicate shares the position with the other users
/// of the file, and appends if they append.
///
/// # Errors
///
/// If it is closed or not open for writing.
pub(super) fn duplicate(descriptor: i32) -> io::Result<File> {
    if !was_given(descriptor) {
        return Err(rustix::io::Errno::BADF.into());
    }
    let owned = match descriptor {
        0 => io::stdin().as_fd().try_clone_to_owned(),
        1 => io::stdout().as_fd().try_clone_to_owned(),
        2 => io::stderr().as_fd().try_clone_to_owned(),
        other => duplicate_any(other),
    }?;
    let mode = rustix::fs::fcntl_getfl(&owned)? & OFlags::RWMODE;
    if mode == OFlags::RDONLY {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is not open for writing"));
    }
    Ok(owned.into())
}

#[cfg(target_os = "linux")]
fn duplicate_any(descriptor: i32) -> io::Result<OwnedFd> {
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

    // Nothing proves that this process has a descriptor with this number, so it is asked for as that of another process.
    let duplicated = pidfd_open(getpid(), PidfdFlags::empty())
        .and_then(|this| pidfd_getfd(this, descriptor, PidfdGetfdFlags::empty()));
    match duplicated {
        Err(rustix::io::Errno::BADF) => Err(rustix::io::Errno::BADF.into()),
        Ok(duplicated) => Ok(duplicated),
        // An older system, or one that forbids this.
        Err(_) => Ok(File::options().append(true).open(format!("/proc/self/fd/{descriptor}"))?.into()),
    }
}

/// Whether this process was started with a descriptor. The descriptors that it opens itself are close-on-exec; those that it was
/// given are not, or they would not have been inherited. If the system does not say, it is assumed.
#[cfg(target_os = "linux")]
fn was_given(descriptor: i32) -> bool {
    let text = match fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}")) {
        Ok(text) => text,
        // Asking takes a descriptor as well, which may be this one.
        Err(_) => return !Path::new("/proc/self/fdinfo").is_dir(),
    };
    let flags = text.lines().find_map(|line| u32::from_str_radix(line.strip_prefix("flags:")?.trim(), 8).ok());
    flags.is_none_or(|flags| flags & OFlags::CLOEXEC.bits() == 0)
}

#[cfg(not(target_os = "linux"))]
fn was_given(_: i32) -> bool {
    true
}

#[cfg(not(target_os = "linux"))]
fn duplicate_any(descriptor: i32) -> io::Result<OwnedFd> {
    Ok(File::options().append(true).open(format!("/dev/fd/{descriptor}"))?.into())
}

/// Checks that an existing file may be written.
pub(super) fn check_writable(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::access(path, Access::WRITE_OK)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn all_names_of_a_file_have_one_identity() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("sub")).unwrap();
        symlink("sub", at("other")).unwrap();
        for exists in [false, true] {
            if exists {
                fs::write(at("sub/it"), "").unwrap();
                fs::hard_link(at("sub/it"), at("hard")).unwrap();
            }
            symlink("other/../sub/it", at(&format!("link-{exists}"))).unwrap();
            symlink(format!("link-{exists}"), at(&format!("again-{exists}"))).unwrap();
            let id = FileId::from_path(&at("sub/it"));
            assert_eq!(matches!(id, FileId::Existing { .. }), exists);
            for name in ["sub/./it", "other/it", "sub/../sub/it", &format!("again-{exists}")] {
                assert_eq!(FileId::from_path(&at(name)), id, "{name}");
                assert_eq!(FileId::from_folder_of(&at(name)), Some(FileId::from_path(&at("sub"))), "{name}");
            }
            if exists {
                assert_eq!(FileId::from_path(&at("hard")), id);
            }
            assert_ne!(FileId::from_path(&at("it")), id);
        }
        assert!(matches!(FileId::from_path(&at("no/it")), FileId::Unknown(_)));
        symlink("loop", at("loop")).unwrap();
        assert!(resolve(&at("loop")).is_err() && matches!(FileId::from_path(&at("loop")), FileId::Unknown(_)));
    }

    #[test]
    fn distinguishes_descriptors_from_files() {
        let number = |path: &str| match resolve(Path::new(path)).unwrap() {
            Resolved::Descriptor(number) => Some(number),
            Resolved::At { .. } => None,
        };
        let own = format!("/proc/{}/fd/7", std::process::id());
        for (path, expected) in [
            ("/dev/stdout", Some(1)),
            ("/dev/stderr", Some(2)),
            ("/dev/fd/5", Some(5)),
            ("/proc/self/fd/12", Some(12)),
            ("/proc/thread-self/fd/3", Some(3)),
            (&own, Some(7)),
            ("/proc/self/fd/x", None),
            ("/proc/1/fd/1", None),
            ("/dev/null", None),
            ("1", None),
        ] {
            assert_eq!(number(path), expected, "{path}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn refuses_descriptors_that_this_process_opened() {
        use std::os::fd::AsRawFd as _;

        let own = tempfile::tempfile().unwrap();
        let refused = duplicate(own.as_raw_fd()).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(rustix::io::Errno::BADF.raw_os_error()));
        // A descriptor that a started program inherits.
        let given = rustix::io::dup(&own).unwrap();
        rustix::io::fcntl_setfd(&given, rustix::io::FdFlags::empty()).unwrap();
        duplicate(given.as_raw_fd()).unwrap();
    }
}

//! Files of expected elements that `--bless` writes anew. Where several cases name one file, it is written when all of them
//! have run and the same is to be in it; otherwise the case that ran last would say what the others expect.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::plan::Plan;

/// Links that are followed before there are too many, as Linux does.
const MAX_LINKS: usize = 40;

/// What is known of the files that are written anew.
#[derive(Debug, Default)]
pub(crate) struct Blessing {
    files: Mutex<HashMap<PathBuf, Shared>>,
}

/// A file that several expectations name.
#[derive(Debug, Default)]
struct Shared {
    /// How many they are.
    expected: usize,
    /// What is to be in the file: the case, which of its expectations it is, and the bytes.
    came: Vec<(String, usize, Vec<u8>)>,
}

/// What follows for the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It is to be written.
    Write,
    /// Others have not said what is to be in it.
    Wait,
    /// This case has something else in it.
    Differs(String),
}

impl Blessing {
    /// Of cases that are going to run.
    pub(crate) fn of<'a, 'c: 'a>(plans: impl IntoIterator<Item = &'a Plan<'c>>) -> Blessing {
        let mut files: HashMap<PathBuf, Shared> = HashMap::new();
        for plan in plans {
            plan.expected_files().for_each(|path| files.entry(identity(path)).or_default().expected += 1);
        }
        files.retain(|_, shared| shared.expected > 1);
        Blessing { files: Mutex::new(files) }
    }

    /// A case says what is to be in a file, as its expectation number `nth`.
    pub(super) fn offer(&self, path: &Path, case: &str, nth: usize, bytes: &[u8]) -> Decision {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(shared) = files.get_mut(&identity(path)) else { return Decision::Write };
        // One that is tried again says it again.
        shared.came.retain(|(other, other_nth, _)| (other.as_str(), *other_nth) != (case, nth));
        if let Some((other, ..)) = shared.came.iter().find(|(_, _, other)| other != bytes) {
            return Decision::Differs(other.clone());
        }
        shared.came.push((case.to_string(), nth, bytes.to_vec()));
        if shared.came.len() == shared.expected { Decision::Write } else { Decision::Wait }
    }
}

/// The same for two paths of one file, also where that is not there yet, or links lead to it.
fn identity(path: &Path) -> PathBuf {
    let mut path = path.to_path_buf();
    for _ in 0..MAX_LINKS {
        if let Ok(identity) = path.canonicalize() {
            return identity;
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let (folder, name) = (folder.to_path_buf(), path.file_name().map(OsStr::to_os_string));
        match fs::read_link(&path) {
            Ok(target) => path = folder.join(target),
            Err(_) => return folder.canonicalize().ok().zip(name).map_or(path, |(folder, name)| folder.join(name)),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_several_cases_is_written_when_they_agree() {
        let folder = tempfile::tempdir().unwrap();
        let (path, same) = (folder.path().join("x.txt"), folder.path().join("./x.txt"));
        let shared = Shared { expected: 3, came: Vec::new() };
        let blessing = Blessing { files: Mutex::new([(identity(&path), shared)].into()) };
        assert_eq!(blessing.offer(&path, "a", 0, b"1"), Decision::Wait);
        assert_eq!(blessing.offer(&same, "a", 1, b"1"), Decision::Wait);
        assert_eq!(blessing.offer(&path, "b", 0, b"2"), Decision::Differs("a".to_string()));
        // The last of them, tried again.
        assert_eq!(blessing.offer(&path, "b", 0, b"1"), Decision::Write);
        assert_eq!(blessing.offer(&folder.path().join("y.txt"), "b", 0, b"1"), Decision::Write);
    }

    #[test]
    fn a_link_is_the_file_that_it_leads_to_before_and_after_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link, other) = (folder.path().join("x"), folder.path().join("link"), folder.path().join("other"));
        std::os::unix::fs::symlink("other", &link).unwrap();
        std::os::unix::fs::symlink(&path, &other).unwrap();
        let before = [&path, &link, &other].map(|path| identity(path));
        assert!(before.iter().all(|identity| *identity == before[0]));
        fs::write(&path, "").unwrap();
        assert_eq!([&path, &link, &other].map(|path| identity(path)), before);
        // One that leads to itself.
        std::os::unix::fs::symlink("round", folder.path().join("round")).unwrap();
        identity(&folder.path().join("round"));
    }
}

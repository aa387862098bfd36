//! Files of expected elements that `--bless` writes anew. Where several cases name one file, it is written when all of them
//! have run and the same is to be in it; otherwise the case that ran last would say what the others expect.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

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
pub(crate) enum Decision {
    /// It is to be written.
    Write,
    /// Others have not said what is to be in it.
    Wait,
    /// This case has something else in it.
    Differs(String),
}

impl Blessing {
    /// Of the files that the expectations of cases name which are going to run, each as often as it is named.
    pub(crate) fn new<'a>(named: impl IntoIterator<Item = &'a Path>) -> Blessing {
        let mut files: HashMap<PathBuf, Shared> = HashMap::new();
        for path in named {
            files.entry(identity(path)).or_default().expected += 1;
        }
        files.retain(|_, shared| shared.expected > 1);
        Blessing { files: Mutex::new(files) }
    }

    /// A case says what is to be in a file, as its expectation number `nth`.
    pub(crate) fn offer(&self, path: &Path, case: &str, nth: usize, bytes: &[u8]) -> Decision {
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

/// The same for two paths of one file, also where that is not there yet.
fn identity(path: &Path) -> PathBuf {
    let of_new = || {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Some(folder.canonicalize().ok()?.join(path.file_name()?))
    };
    fs::canonicalize(path).ok().or_else(of_new).unwrap_or_else(|| path.to_path_buf())
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
}

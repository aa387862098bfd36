//! Files of expected elements that `--bless` writes anew. Where several cases name one file, it is written when all of them
//! have run and the same is to be in it; otherwise the case that ran last would say what the others expect.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use torvyn_runtime::endpoint::FileId;

/// What is known of the files that are written anew.
#[derive(Debug, Default)]
pub(crate) struct Blessing {
    files: Mutex<HashMap<FileId, Shared>>,
    /// Which file each path led to before any was written: what replaces a file is another one.
    ids: HashMap<PathBuf, FileId>,
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
        let (mut files, mut ids) = (HashMap::<FileId, Shared>::new(), HashMap::new());
        for path in named {
            let id = ids.entry(path.to_path_buf()).or_insert_with(|| FileId::from_path(path));
            files.entry(id.clone()).or_default().expected += 1;
        }
        files.retain(|_, shared| shared.expected > 1);
        Blessing { files: Mutex::new(files), ids }
    }

    /// A case says what is to be in a file, as its expectation number `nth`.
    pub(crate) fn offer(&self, path: &Path, case: &str, nth: usize, bytes: &[u8]) -> Decision {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = self.ids.get(path).and_then(|id| files.get_mut(id));
        let Some(shared) = shared else { return Decision::Write };
        // One that is tried again says it again.
        shared.came.retain(|(other, other_nth, _)| (other.as_str(), *other_nth) != (case, nth));
        if let Some((other, ..)) = shared.came.iter().find(|(_, _, other)| other != bytes) {
            return Decision::Differs(other.clone());
        }
        shared.came.push((case.to_string(), nth, bytes.to_vec()));
        if shared.came.len() == shared.expected { Decision::Write } else { Decision::Wait }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_several_cases_is_written_when_they_agree() {
        let folder = tempfile::tempdir().unwrap();
        let (path, same) = (folder.path().join("x.txt"), folder.path().join("./x.txt"));
        let blessing = Blessing::new([&*path, &*same, &*path]);
        assert_eq!(blessing.offer(&path, "a", 0, b"1"), Decision::Wait);
        assert_eq!(blessing.offer(&same, "a", 1, b"1"), Decision::Wait);
        assert_eq!(blessing.offer(&path, "b", 0, b"2"), Decision::Differs("a".to_string()));
        // The last of them, tried again.
        assert_eq!(blessing.offer(&path, "b", 0, b"1"), Decision::Write);
        assert_eq!(blessing.offer(&folder.path().join("y.txt"), "b", 0, b"1"), Decision::Write);
    }

    #[test]
    fn a_link_to_a_file_that_is_not_there_yet_is_that_file() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("new"), folder.path().join("link"));
        std::os::unix::fs::symlink("new", &link).unwrap();
        let blessing = Blessing::new([&*path, &*link]);
        assert_eq!(blessing.offer(&path, "a", 0, b"1"), Decision::Wait);
        assert_eq!(blessing.offer(&link, "b", 0, b"2"), Decision::Differs("a".to_string()));
        // What is written in between changes nothing.
        std::fs::write(&path, "1").unwrap();
        assert_eq!(blessing.offer(&link, "b", 0, b"1"), Decision::Write);
    }
}

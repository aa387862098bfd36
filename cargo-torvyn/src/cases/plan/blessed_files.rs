//! Files of expected elements that `--bless` updates. If several cases share a file, it is written when all of them have run
//! and agree on its contents. Otherwise the case that ran last would decide what the others expect.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use torvyn_runtime::endpoint::FileId;

/// The files to update.
#[derive(Debug, Default)]
pub(crate) struct BlessedFiles {
    files: Mutex<HashMap<FileId, Shared>>,
    /// The file behind each path before any was written, because an updated file has another id.
    ids: HashMap<PathBuf, FileId>,
}

/// A file that several expectations name.
#[derive(Debug, Default)]
struct Shared {
    /// How many expectations name it.
    expected: usize,
    /// A case that names it and does not run.
    not_run: Option<String>,
    /// The proposed contents: the case, the number of its expectation, and the bytes.
    proposed: Vec<(String, usize, Vec<u8>)>,
}

/// What to do with a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Write it.
    Write,
    /// Wait for other expectations that name it.
    Wait,
    /// This other case proposes different contents.
    Differs(String),
    /// This other case expects the file too, and does not run.
    NotRun(String),
}

impl BlessedFiles {
    /// The files that the expectations of the cases to run name, each as often as it is named, and those that other cases
    /// name.
    pub(crate) fn new<'a>(
        named: impl IntoIterator<Item = &'a Path>,
        others: impl IntoIterator<Item = (&'a str, &'a Path)>,
    ) -> BlessedFiles {
        let (mut files, mut ids) = (HashMap::<FileId, Shared>::new(), HashMap::new());
        for path in named {
            let id = ids.entry(path.to_path_buf()).or_insert_with(|| FileId::from_path(path));
            files.entry(id.clone()).or_default().expected += 1;
        }
        for (case, path) in others {
            if let Some(shared) = files.get_mut(&FileId::from_path(path)) {
                shared.not_run.get_or_insert_with(|| case.to_string());
            }
        }
        files.retain(|_, shared| shared.expected > 1 || shared.not_run.is_some());
        BlessedFiles { files: Mutex::new(files), ids }
    }

    /// A case proposes the contents of a file, by its expectation number `nth`.
    pub(crate) fn propose(&self, path: &Path, case: &str, nth: usize, bytes: &[u8]) -> Decision {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = self.ids.get(path).and_then(|id| files.get_mut(id));
        let Some(shared) = shared else { return Decision::Write };
        if let Some(other) = &shared.not_run {
            return Decision::NotRun(other.clone());
        }
        // A retried case proposes again.
        shared.proposed.retain(|(other, other_nth, _)| (other.as_str(), *other_nth) != (case, nth));
        if let Some((other, ..)) = shared.proposed.iter().find(|(_, _, other)| other != bytes) {
            return Decision::Differs(other.clone());
        }
        shared.proposed.push((case.to_string(), nth, bytes.to_vec()));
        if shared.proposed.len() == shared.expected { Decision::Write } else { Decision::Wait }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_a_shared_file_when_all_cases_agree() {
        let folder = tempfile::tempdir().unwrap();
        let (path, same) = (folder.path().join("x.txt"), folder.path().join("./x.txt"));
        let blessed_files = BlessedFiles::new([&*path, &*same, &*path], []);
        assert_eq!(blessed_files.propose(&path, "a", 0, b"1"), Decision::Wait);
        assert_eq!(blessed_files.propose(&same, "a", 1, b"1"), Decision::Wait);
        assert_eq!(blessed_files.propose(&path, "b", 0, b"2"), Decision::Differs("a".to_string()));
        // The last one, retried.
        assert_eq!(blessed_files.propose(&path, "b", 0, b"1"), Decision::Write);
        assert_eq!(blessed_files.propose(&folder.path().join("y.txt"), "b", 0, b"1"), Decision::Write);
    }

    #[test]
    fn a_file_of_a_case_that_does_not_run_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let [path, same, own] = ["x.txt", "./x.txt", "y.txt"].map(|name| folder.path().join(name));
        let blessed_files = BlessedFiles::new([&*path, &*own], [("b", &*same), ("c", folder.path())]);
        assert_eq!(blessed_files.propose(&path, "a", 0, b"1"), Decision::NotRun("b".to_string()));
        assert_eq!(blessed_files.propose(&own, "a", 1, b"1"), Decision::Write);
    }

    #[test]
    fn a_link_to_a_missing_file_counts_as_that_file() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("new"), folder.path().join("link"));
        std::os::unix::fs::symlink("new", &link).unwrap();
        let blessed_files = BlessedFiles::new([&*path, &*link], []);
        assert_eq!(blessed_files.propose(&path, "a", 0, b"1"), Decision::Wait);
        assert_eq!(blessed_files.propose(&link, "b", 0, b"2"), Decision::Differs("a".to_string()));
        // Writing the file in between changes nothing.
        std::fs::write(&path, "1").unwrap();
        assert_eq!(blessed_files.propose(&link, "b", 0, b"1"), Decision::Write);
    }
}

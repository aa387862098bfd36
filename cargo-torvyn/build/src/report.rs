//! [`Report`]: reads the messages of cargo about a build: one JSON object per line, `--message-format json`.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::TARGET;

/// The kind of target that cargo reports for a build script.
const BUILD_SCRIPT: &str = "custom-build";

/// A component that was built or is up to date.
#[derive(Debug, Clone)]
pub struct Component {
    /// The package ID, as cargo reports it.
    pub package: String,
    /// The path that cargo reports.
    pub path: PathBuf,
    /// Whether the file was up to date, and therefore not built again.
    pub fresh: bool,
    /// The contents of the file.
    pub bytes: Vec<u8>,
    /// The files that it was built from, including those of packages in other folders.
    pub sources: Vec<PathBuf>,
}

/// The messages of one run of cargo.
#[derive(Debug)]
pub struct Report {
    /// The folder for intermediate files, usually the target folder.
    build_dir: PathBuf,
    began: SystemTime,
    units: Vec<Unit>,
    /// The folders of packages with a build script, by package ID.
    folders: BTreeMap<String, PathBuf>,
}

/// One compilation of a package of the workspace or of another folder. Packages from a registry cannot change.
#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) package: String,
    pub(crate) fresh: bool,
    kind: Vec<String>,
    /// The files that it produced. The first one identifies the unit.
    files: Vec<PathBuf>,
    /// The identity of the first file when cargo reported it.
    identity: Option<Identity>,
    /// For a component, the path that cargo reports.
    shown: Option<PathBuf>,
    /// The folder of the package, if its build script does not declare which files it reads: it may read all.
    reads: Option<PathBuf>,
}

/// The identity of a file. It changes whenever the file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
    seconds: i64,
    nanoseconds: i64,
    size: u64,
}

#[derive(Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum Message {
    CompilerArtifact {
        package_id: String,
        target: Target,
        manifest_path: PathBuf,
        filenames: Vec<PathBuf>,
        fresh: bool,
    },
    BuildScriptExecuted {
        package_id: String,
        out_dir: PathBuf,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

impl Report {
    /// The report of a run that builds in `build_dir`: the target folder, unless cargo is configured to use two.
    pub fn new(build_dir: &Path) -> Report {
        Report {
            build_dir: build_dir.to_path_buf(),
            began: SystemTime::now(),
            units: Vec::new(),
            folders: BTreeMap::new(),
        }
    }

    /// Adds a line that cargo has printed. Must be called right after cargo has printed it.
    pub fn add(&mut self, line: &str) {
        let unit = match serde_json::from_str(line) {
            Ok(Message::CompilerArtifact { package_id, target, manifest_path, filenames, fresh }) => {
                if let Some(folder) = manifest_path.parent().filter(|_| target.is_build_script()) {
                    self.folders.insert(package_id.clone(), folder.to_path_buf());
                }
                Unit::new(package_id, target.kind, filenames, fresh, &self.build_dir)
            }
            Ok(Message::BuildScriptExecuted { package_id, out_dir }) => {
                let folder = self.folders.get(&package_id).cloned();
                Unit::script(package_id, &out_dir, folder, self.began)
            }
            _ => return,
        };
        if unit.package.starts_with("path+") || unit.package.contains("(path+") {
            self.units.push(unit);
        }
    }

    pub(crate) fn units(&self) -> &[Unit] {
        &self.units
    }
}

impl Unit {
    fn new(package: String, kind: Vec<String>, filenames: Vec<PathBuf>, fresh: bool, build_dir: &Path) -> Unit {
        let is_component = kind.iter().any(|kind| kind == "cdylib");
        let shown = filenames.iter().find(|file| file.extension().is_some_and(|it| it == "wasm"));
        let shown = shown.filter(|_| is_component).cloned();
        let built = shown.as_deref().map(|shown| find_built(shown, build_dir));
        let beside = filenames.first().filter(|_| kind.iter().any(|kind| kind == BUILD_SCRIPT));
        let beside = beside.map(|script| files_beside(script)).unwrap_or_default();
        let files: Vec<_> = built.into_iter().chain(filenames).chain(beside).collect();
        let identity = files.first().and_then(|file| Identity::of(file));
        Unit { package, fresh, kind, files, identity, shown, reads: None }
    }

    /// The run of a build script. Cargo does not report whether it has just run.
    fn script(package: String, out_dir: &Path, folder: Option<PathBuf>, began: SystemTime) -> Unit {
        let output = out_dir.with_file_name("output");
        let ran = fs::metadata(&output).and_then(|output| output.modified()).is_ok_and(|modified| modified >= began);
        let (kind, identity) = (vec!["build-script-executed".to_string()], Identity::of(&output));
        let reads = folder.filter(|_| !declares_inputs(&output));
        Unit { package, fresh: !ran, kind, files: vec![output], identity, shown: None, reads }
    }

    /// The file that identifies the unit.
    pub(crate) fn place(&self) -> &Path {
        self.files.first().map_or(Path::new(""), PathBuf::as_path)
    }

    pub(crate) fn files(&self) -> &[PathBuf] {
        &self.files
    }

    pub(crate) fn identity(&self) -> Option<Identity> {
        self.identity
    }

    /// A hash of the sources of a component and its dependencies; for a build script, of the files that it may have
    /// read. Must be called after cargo has ended.
    pub(crate) fn sources(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let listed = self.shown.as_deref().map(sources).unwrap_or_default();
        for path in listed.iter().chain(&self.reads) {
            hash_files(path, &mut hasher);
        }
        hasher.finish()
    }

    pub(crate) fn is_component(&self) -> bool {
        self.shown.is_some()
    }

    /// The component that the unit produced; `None` if the file has been replaced since.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub(crate) fn component(&self) -> io::Result<Option<Component>> {
        let Some(shown) = &self.shown else { return Ok(None) };
        let bytes = match fs::read(self.place()) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let message = format!("cannot read `{}`: {error}", self.place().display());
                return Err(io::Error::new(error.kind(), message));
            }
        };
        if self.identity.is_none() || Identity::of(self.place()) != self.identity {
            return Ok(None);
        }
        let (package, path, sources) = (self.package.clone(), shown.clone(), sources(shown));
        Ok(Some(Component { package, path, fresh: self.fresh, bytes, sources }))
    }

    /// The kinds of library or program.
    pub(crate) fn kind(&self) -> &[String] {
        &self.kind
    }
}

impl Target {
    fn is_build_script(&self) -> bool {
        self.kind.iter().any(|kind| kind == BUILD_SCRIPT)
    }
}

/// Whether a build script has declared the files or variables that it depends on. Otherwise cargo assumes that it
/// depends on all files of the package, and checks the newest modification time.
fn declares_inputs(output: &Path) -> bool {
    let text = fs::read(output).unwrap_or_default();
    let mut lines = text.split(|byte| *byte == b'\n');
    lines.any(|line| line.starts_with(b"cargo:rerun-if-") || line.starts_with(b"cargo::rerun-if-"))
}

/// Hashes a file, or all files in a folder, except hidden files, nested packages and caches.
fn hash_files(path: &Path, hasher: &mut DefaultHasher) {
    path.hash(hasher);
    if !path.is_dir() {
        // A missing file changes the hash too.
        fs::read(path).ok().hash(hasher);
        return;
    }
    let is_hidden = |path: &Path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    let is_apart = |path: &Path| path.join("Cargo.toml").is_file() || path.join("CACHEDIR.TAG").is_file();
    let mut inside: Vec<_> = entries(path).filter(|path| !is_hidden(path) && !is_apart(path)).collect();
    inside.sort();
    // Links to folders are skipped: they may form a cycle.
    inside.retain(|path| !(path.is_symlink() && path.is_dir()));
    inside.iter().for_each(|path| hash_files(path, hasher));
}

impl Identity {
    pub(crate) fn of(path: &Path) -> Option<Identity> {
        let from_metadata = |file: Metadata| Identity {
            device: file.dev(),
            inode: file.ino(),
            seconds: file.mtime(),
            nanoseconds: file.mtime_nsec(),
            size: file.size(),
        };
        fs::metadata(path).ok().map(from_metadata)
    }
}

/// Finds the file that the compiler wrote for the component at `shown`, which cargo links to it or, across file
/// systems, copies from it. Leftovers of a cargo with another folder layout are not mistaken for it.
fn find_built(shown: &Path, build_dir: &Path) -> PathBuf {
    let (Some(name), Some(profile)) = (shown.file_name(), shown.parent().and_then(Path::file_name)) else {
        return shown.to_path_buf();
    };
    let folder = build_dir.join(TARGET).join(profile);
    let file = |path: &Path| fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    let is_link = |path: &PathBuf| file(path).is_some_and(|built| Some(built) == file(shown));
    let is_copy = |path: &PathBuf| fs::read(path).is_ok_and(|built| fs::read(shown).is_ok_and(|shown| shown == built));
    let in_deps = [folder.join("deps").join(name)];
    let built = in_deps.iter().find(|path| is_link(path)).cloned();
    // Newer versions of cargo have a folder for each unit: `build/PACKAGE/HASH/out`.
    let in_units =
        || entries(&folder.join("build")).flat_map(|package| entries(&package)).map(|unit| unit.join("out").join(name));
    let built = built.or_else(|| in_units().find(is_link));
    let built = built.or_else(|| in_deps.iter().cloned().chain(in_units()).find(is_copy));
    built.unwrap_or_else(|| shown.to_path_buf())
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// All files beside a build script: cargo runs it through a link to the file that was built.
fn files_beside(script: &Path) -> Vec<PathBuf> {
    script.parent().into_iter().flat_map(entries).filter(|path| path.is_file()).collect()
}

/// The sources of a component and its dependencies, which cargo lists in a file beside it.
fn sources(shown: &Path) -> Vec<PathBuf> {
    parse_dependencies(&fs::read_to_string(shown.with_extension("d")).unwrap_or_default())
}

/// Parses the paths after the colon of each line in the format of `make`: spaces are escaped with a backslash.
fn parse_dependencies(text: &str) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for line in text.lines() {
        let Some((_, listed)) = line.split_once(": ") else { continue };
        let mut path = String::new();
        let mut letters = listed.chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '\\' if letters.peek() == Some(&' ') => path.extend(letters.next()),
                ' ' => paths.push(PathBuf::from(std::mem::take(&mut path))),
                letter => path.push(letter),
            }
        }
        paths.push(PathBuf::from(path));
    }
    paths.retain(|path| !path.as_os_str().is_empty());
    paths.sort();
    paths.dedup();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_dependencies_in_make_format() {
        let text = "/t/a.wasm: /w/my\\ stage/lib.rs /w/b.rs\n\n/t/a.rlib: /w/b.rs\n/w/b.rs:\n";
        assert_eq!(parse_dependencies(text), [Path::new("/w/b.rs"), Path::new("/w/my stage/lib.rs")]);
    }

    #[test]
    fn rewriting_a_file_changes_its_identity() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it");
        assert_eq!(Identity::of(&path), None);
        fs::write(&path, "1").unwrap();
        let first = Identity::of(&path).unwrap();
        assert_eq!(Identity::of(&path), Some(first));
        fs::hard_link(&path, folder.path().join("link")).unwrap();
        assert_eq!(Identity::of(&folder.path().join("link")), Some(first));
        fs::remove_file(&path).unwrap();
        fs::write(&path, "2").unwrap();
        assert_ne!(Identity::of(&path), Some(first));
    }
}

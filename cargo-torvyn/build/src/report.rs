//! What cargo reports of a build: a JSON object a line, `--message-format json`.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::TARGET;

/// What cargo calls the target that is a build script.
const BUILD_SCRIPT: &str = "custom-build";

/// A component that was built, or still is what was built.
#[derive(Debug, Clone)]
pub struct Component {
    /// The id of its package, as cargo has it.
    pub package: String,
    /// The file, where cargo names it.
    pub path: PathBuf,
    /// It was up to date and not built again.
    pub fresh: bool,
    /// All of the file.
    pub bytes: Vec<u8>,
    /// The files that it was built from, of its package and of packages in other folders.
    pub sources: Vec<PathBuf>,
}

/// What one run of cargo reports.
#[derive(Debug)]
pub struct Report {
    /// Where cargo keeps what it does not show, most often the target folder.
    build_dir: PathBuf,
    began: SystemTime,
    units: Vec<Unit>,
    /// The folders of the packages that have a build script, by their ids.
    folders: BTreeMap<String, PathBuf>,
}

/// One compilation of a package of the workspace, or of another folder: what comes from a registry cannot change.
#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) package: String,
    pub(crate) fresh: bool,
    kind: Vec<String>,
    /// The files that it made, the one that says whether it is as it was first.
    files: Vec<PathBuf>,
    /// How that file was when cargo reported it.
    identity: Option<Identity>,
    /// A component as cargo shows it.
    shown: Option<PathBuf>,
    /// The folder of the package, where a build script of it does not say which files it reads: it may read all.
    reads: Option<PathBuf>,
}

/// Which file is at a place. A file that is written anew has another one.
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
    /// Of a run that builds in `build_dir`: the target folder, unless cargo is told to use two.
    pub fn new(build_dir: &Path) -> Report {
        Report {
            build_dir: build_dir.to_path_buf(),
            began: SystemTime::now(),
            units: Vec::new(),
            folders: BTreeMap::new(),
        }
    }

    /// Takes a line that cargo has printed, as soon as it has.
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
        let built = shown.as_deref().map(|shown| built(shown, build_dir));
        let beside = filenames.first().filter(|_| kind.iter().any(|kind| kind == BUILD_SCRIPT));
        let beside = beside.map(|script| files_beside(script)).unwrap_or_default();
        let files: Vec<_> = built.into_iter().chain(filenames).chain(beside).collect();
        let identity = files.first().and_then(|file| Identity::of(file));
        Unit { package, fresh, kind, files, identity, shown, reads: None }
    }

    /// What a build script has said and made. Cargo does not report whether it ran just now.
    fn script(package: String, out_dir: &Path, folder: Option<PathBuf>, began: SystemTime) -> Unit {
        let said = out_dir.with_file_name("output");
        let ran = fs::metadata(&said).and_then(|said| said.modified()).is_ok_and(|said| said >= began);
        let (kind, identity) = (vec!["build-script-executed".to_string()], Identity::of(&said));
        let reads = folder.filter(|_| !says_what_it_reads(&said));
        Unit { package, fresh: !ran, kind, files: vec![said], identity, shown: None, reads }
    }

    /// The file that says whether it is as it was.
    pub(crate) fn place(&self) -> &Path {
        self.files.first().map_or(Path::new(""), PathBuf::as_path)
    }

    pub(crate) fn files(&self) -> &[PathBuf] {
        &self.files
    }

    pub(crate) fn identity(&self) -> Option<Identity> {
        self.identity
    }

    /// What the sources of a component hold, and those of the packages beneath; of a build script, what it may have read. To
    /// be asked when cargo has ended.
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

    /// The component that it made; none where the file is another one by now.
    ///
    /// # Errors
    ///
    /// Where it cannot be read.
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

    /// Which kinds of library or program it is.
    pub(crate) fn kind(&self) -> &[String] {
        &self.kind
    }
}

impl Target {
    fn is_build_script(&self) -> bool {
        self.kind.iter().any(|kind| kind == BUILD_SCRIPT)
    }
}

/// Whether a build script has named files or variables that it is to be run again for. Cargo takes all files of the package
/// for its input otherwise, and looks at the time of the newest.
fn says_what_it_reads(said: &Path) -> bool {
    let text = fs::read(said).unwrap_or_default();
    let mut lines = text.split(|byte| *byte == b'\n');
    lines.any(|line| line.starts_with(b"cargo:rerun-if-") || line.starts_with(b"cargo::rerun-if-"))
}

/// Hashes a file, or all files in a folder: but hidden ones, packages in it, and what can be made again.
fn hash_files(path: &Path, hasher: &mut DefaultHasher) {
    path.hash(hasher);
    if !path.is_dir() {
        // One that is gone makes a difference too.
        fs::read(path).ok().hash(hasher);
        return;
    }
    let is_hidden = |path: &Path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    let is_apart = |path: &Path| path.join("Cargo.toml").is_file() || path.join("CACHEDIR.TAG").is_file();
    let mut inside: Vec<_> = entries(path).filter(|path| !is_hidden(path) && !is_apart(path)).collect();
    inside.sort();
    // A link to a folder may lead back.
    inside.retain(|path| !(path.is_symlink() && path.is_dir()));
    inside.iter().for_each(|path| hash_files(path, hasher));
}

impl Identity {
    pub(crate) fn of(path: &Path) -> Option<Identity> {
        let of = |file: Metadata| Identity {
            device: file.dev(),
            inode: file.ino(),
            seconds: file.mtime(),
            nanoseconds: file.mtime_nsec(),
            size: file.size(),
        };
        fs::metadata(path).ok().map(of)
    }
}

/// Where the compiler has put a component that cargo shows elsewhere, by a link or, between file systems, by a copy. What
/// was left there by a cargo that keeps what it builds in other folders is not taken for it.
fn built(shown: &Path, build_dir: &Path) -> PathBuf {
    let (Some(name), Some(profile)) = (shown.file_name(), shown.parent().and_then(Path::file_name)) else {
        return shown.to_path_buf();
    };
    let folder = build_dir.join(TARGET).join(profile);
    let file = |path: &Path| fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    let is_link = |path: &PathBuf| file(path).is_some_and(|built| Some(built) == file(shown));
    let is_copy = |path: &PathBuf| fs::read(path).is_ok_and(|built| fs::read(shown).is_ok_and(|shown| shown == built));
    let in_deps = [folder.join("deps").join(name)];
    let built = in_deps.iter().find(|path| is_link(path)).cloned();
    // Of newer cargos each unit has a folder: `build/PACKAGE/HASH/out`.
    let in_units =
        || entries(&folder.join("build")).flat_map(|package| entries(&package)).map(|unit| unit.join("out").join(name));
    let built = built.or_else(|| in_units().find(is_link));
    let built = built.or_else(|| in_deps.iter().cloned().chain(in_units()).find(is_copy));
    built.unwrap_or_else(|| shown.to_path_buf())
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// A build script is run by a name that is a link to the file that was built.
fn files_beside(script: &Path) -> Vec<PathBuf> {
    script.parent().into_iter().flat_map(entries).filter(|path| path.is_file()).collect()
}

/// The sources of a component, which cargo lists in a file beside it: those of the packages beneath as well.
fn sources(shown: &Path) -> Vec<PathBuf> {
    dependencies(&fs::read_to_string(shown.with_extension("d")).unwrap_or_default())
}

/// The paths after the colon of each line, as `make` reads them: spaces in them follow a backslash.
fn dependencies(text: &str) -> Vec<PathBuf> {
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
    fn dependencies_are_read_as_make_reads_them() {
        let text = "/t/a.wasm: /w/my\\ stage/lib.rs /w/b.rs\n\n/t/a.rlib: /w/b.rs\n/w/b.rs:\n";
        assert_eq!(dependencies(text), [Path::new("/w/b.rs"), Path::new("/w/my stage/lib.rs")]);
    }

    #[test]
    fn a_file_that_is_written_again_is_another() {
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

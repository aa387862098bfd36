//! Makes projects from templates. Rendering is pure; [`write()`] then puts the files in place, all or none.
//!
//! A template is a folder of `templates/`: `template.toml`, the `files/` of its crate, and what a `project/` that stands
//! alone needs besides. What all have in common is in `templates/shared`. Knows nothing of cargo or the terminal.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use anyhow::{Context as _, bail};
use handlebars::Handlebars;
use include_dir::{Dir, include_dir};
use serde::{Deserialize, Serialize};

use crate::exit::{Exit, Stop};

pub(crate) mod name;

static TEMPLATES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates");
/// `wit/` as a project has it, but for the manifest of the guest library, which is in the shared templates.
static CONTRACT: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/contract");
/// The folder of `templates/` that is not a template.
const SHARED: &str = "shared";
/// How the name of a folder begins that a project is in until it is whole.
const UNFINISHED: &str = ".cargo-torvyn-";
/// The sticky bit, which such folders have.
const MARK: u32 = 0o1000;
/// Files of this ending are rendered, and lose it.
const RENDERED: &str = ".hbs";

static ALL: LazyLock<Vec<Template>> = LazyLock::new(|| {
    let folders = TEMPLATES.dirs().filter(|folder| folder.path() != Path::new(SHARED));
    let mut all: Vec<_> = folders.map(Template::load).collect();
    all.sort_by(|a, b| a.name.cmp(b.name));
    all
});

/// Something to begin from.
#[derive(Debug)]
pub(crate) struct Template {
    /// Its folder's name.
    pub(crate) name: &'static str,
    /// What `template.toml` says of it.
    pub(crate) about: About,
    folder: &'static Dir<'static>,
}

/// `template.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct About {
    /// `source`, `processor`, `sink` or `pipeline`.
    pub(crate) kind: String,
    /// One line.
    pub(crate) description: String,
    /// The world of the contract that the stage targets.
    world: Option<String>,
    /// What the stage may copy.
    budget: Option<Budget>,
    /// Templates of stages that become members of this one, each in the folder of its name.
    #[serde(default)]
    members: Vec<String>,
}

/// The budget that a stage of a template declares: reads and writes per element, and elements held at once.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Budget {
    reads: u32,
    writes: u32,
    leases: Option<u32>,
}

/// Where a project belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Alone: with the contract, the guest library and a pipeline of its own.
    Alone,
    /// In a workspace that has `torvyn-guest` among its dependencies.
    Member,
}

/// A file to be written: its path in the project, and what is in it.
#[derive(Debug)]
pub(crate) struct File {
    path: PathBuf,
    contents: Vec<u8>,
}

/// What template files are rendered with.
#[derive(Debug, Serialize)]
struct Values<'a> {
    name: &'a str,
    world: Option<&'a str>,
    budget: Option<&'a Budget>,
    members: &'a [String],
    standalone: bool,
    /// Of this program, which is also that of the guest library in it.
    version: &'static str,
}

impl Template {
    /// All templates, by name.
    pub(crate) fn all() -> &'static [Template] {
        &ALL
    }

    /// The template of that name.
    ///
    /// # Errors
    ///
    /// A [`Stop`] with usage that lists the known ones and names the nearest.
    pub(crate) fn find(name: &str) -> Result<&'static Template, Stop> {
        Template::all().iter().find(|template| template.name == name).ok_or_else(|| {
            let nearest = Template::all()
                .iter()
                .map(|template| (strsim::damerau_levenshtein(name, template.name), template.name))
                .min()
                .filter(|(distance, nearest)| *distance <= nearest.len() / 2);
            let hint = nearest.map_or_else(String::new, |(_, nearest)| format!("did you mean `{nearest}`? "));
            Stop::new(Exit::Usage, format!("unknown template `{}`", name.escape_debug()))
                .help(format!("{hint}the templates are {}", Template::known()))
        })
    }

    /// The names of all templates, for a sentence.
    pub(crate) fn known() -> String {
        let names: Vec<_> = Template::all().iter().map(|template| format!("`{}`", template.name)).collect();
        names.join(", ")
    }

    /// The folders of its packages, from its own.
    pub(crate) fn packages(&self) -> impl Iterator<Item = &str> {
        self.about.members.iter().map(String::as_str)
    }

    /// Whether it makes one crate, which can then be a member of a workspace.
    pub(crate) fn is_stage(&self) -> bool {
        self.about.members.is_empty()
    }

    #[expect(clippy::expect_used, reason = "what is embedded is checked by the tests of this crate")]
    fn load(folder: &'static Dir<'static>) -> Template {
        let name = folder.path().to_str().expect("names of templates are UTF-8");
        let about = folder.get_file(folder.path().join("template.toml")).and_then(include_dir::File::contents_utf8);
        let about = toml::from_str(about.expect("a template has a template.toml")).expect("template.toml parses");
        Template { name, about, folder }
    }

    /// The files of a project of that name.
    ///
    /// # Errors
    ///
    /// A template that names something it is not given.
    pub(crate) fn render(&self, name: &str, place: Place) -> anyhow::Result<Vec<File>> {
        let mut files = self.crate_files(name, place)?;
        for member in &self.about.members {
            let member_files = Template::find(member)?.crate_files(member, Place::Member)?;
            files.extend(member_files.into_iter().map(|file| File { path: Path::new(member).join(file.path), ..file }));
        }
        if place == Place::Alone {
            let values = self.values(name, place);
            files.extend(rendered(shared("project")?, &values)?);
            files.extend(rendered(&CONTRACT, &values)?.into_iter().map(in_wit));
            if let Some(folder) = self.part("project") {
                files.extend(rendered(folder, &values)?);
            }
        }
        Ok(files)
    }

    fn crate_files(&self, name: &str, place: Place) -> anyhow::Result<Vec<File>> {
        let values = self.values(name, place);
        let mut files = if self.is_stage() { rendered(shared("stage")?, &values)? } else { Vec::new() };
        files.extend(rendered(self.part("files").context("a template has files")?, &values)?);
        Ok(files)
    }

    fn part(&self, name: &str) -> Option<&'static Dir<'static>> {
        self.folder.get_dir(self.folder.path().join(name))
    }

    fn values<'a>(&'a self, name: &'a str, place: Place) -> Values<'a> {
        Values {
            name,
            world: self.about.world.as_deref(),
            budget: self.about.budget.as_ref(),
            members: &self.about.members,
            standalone: place == Place::Alone,
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

fn shared(part: &str) -> anyhow::Result<&'static Dir<'static>> {
    TEMPLATES.get_dir(Path::new(SHARED).join(part)).context("the shared templates are embedded")
}

fn in_wit(file: File) -> File {
    File { path: Path::new("wit").join(file.path), ..file }
}

/// The files of a folder and the folders in it, with paths from there.
fn rendered(folder: &'static Dir<'static>, values: &Values<'_>) -> anyhow::Result<Vec<File>> {
    let mut handlebars = Handlebars::new();
    handlebars.set_strict_mode(true);
    handlebars.register_escape_fn(handlebars::no_escape);

    let mut files = Vec::new();
    let mut folders = vec![folder];
    while let Some(next) = folders.pop() {
        folders.extend(next.dirs());
        for file in next.files() {
            let template = file.path().display();
            let path = file.path().strip_prefix(folder.path())?.to_str().context("names of templates are UTF-8")?;
            let path =
                handlebars.render_template(path, values).with_context(|| format!("in the name of {template}"))?;
            files.push(match path.strip_suffix(RENDERED) {
                None => File { path: path.into(), contents: file.contents().to_vec() },
                Some(path) => {
                    let text = file.contents_utf8().with_context(|| format!("{template} is not UTF-8"))?;
                    let text = handlebars.render_template(text, values).with_context(|| format!("in {template}"))?;
                    File { path: path.into(), contents: text.into_bytes() }
                }
            });
        }
    }
    Ok(files)
}

/// Writes the files to `destination`, which must not be there or be an empty folder. `finish` is called when they are
/// written and before they are in place, with the folder that they are in until then.
///
/// # Errors
///
/// Whatever stood in the way; then nothing is left of it.
pub(crate) fn write(
    destination: &Path,
    files: &[File],
    finish: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    refuse_to_overwrite(destination)?;
    let parent = match destination.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let existing = parent.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("."));
    remove_left_behind(existing);
    // Beside the destination, so that it is put in place by renaming; that does not go across file systems.
    let unfinished = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .tempdir_in(existing)
        .with_context(|| format!("could not write to `{}`", existing.display()))?;
    let _lock = mark(unfinished.path());
    let project = unfinished.path().join("project");
    for file in files {
        let path = project.join(&file.path);
        put(&path, &file.contents).with_context(|| format!("could not write `{}`", path.display()))?;
    }
    finish(&project)?;
    in_place(&project, destination, parent, existing)
        .with_context(|| format!("could not create `{}`", destination.display()))
}

/// Locks a folder for as long as this process lives, and marks it as one of ours by the sticky bit.
fn mark(unfinished: &Path) -> Option<fs::File> {
    let folder = fs::File::open(unfinished).ok()?;
    folder.try_lock().ok()?;
    folder.set_permissions(Permissions::from_mode(0o700 | MARK)).ok()?;
    Some(folder)
}

/// Removes the folders of runs that were killed. It is a kindness: a new project can be made beside them.
fn remove_left_behind(parent: &Path) {
    let is_ours = |entry: &fs::DirEntry| {
        entry.file_name().as_encoded_bytes().starts_with(UNFINISHED.as_bytes())
            && entry.metadata().is_ok_and(|folder| folder.is_dir() && folder.mode() & MARK != 0)
    };
    for entry in fs::read_dir(parent).into_iter().flatten().flatten().filter(is_ours) {
        let folder = fs::File::open(entry.path());
        if folder.is_ok_and(|folder| folder.try_lock().is_ok()) {
            fs::remove_dir_all(entry.path()).ok();
        }
    }
}

/// # Errors
///
/// Where something is at `destination` that is not an empty folder.
pub(crate) fn refuse_to_overwrite(destination: &Path) -> anyhow::Result<()> {
    match fs::symlink_metadata(destination) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("could not look at `{}`", destination.display())),
        Ok(found) if found.is_dir() && fs::read_dir(destination)?.next().is_none() => Ok(()),
        Ok(_) => bail!(
            Stop::new(Exit::Failed, format!("destination `{}` already exists", destination.display()))
                .help("name another folder; nothing is ever overwritten")
        ),
    }
}

fn put(path: &Path, contents: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, contents)
}

/// Renames the project to its destination, and takes back the folders made on the way there if that fails.
fn in_place(project: &Path, destination: &Path, parent: &Path, existing: &Path) -> io::Result<()> {
    let rename = || {
        fs::create_dir_all(parent)?;
        // Not everywhere does a folder take the place of an empty one.
        let was_empty = destination.is_dir();
        if was_empty {
            fs::remove_dir(destination)?;
        }
        fs::rename(project, destination).inspect_err(|_| {
            if was_empty {
                fs::create_dir(destination).ok();
            }
        })
    };
    rename().inspect_err(|_| {
        for made in parent.ancestors().take_while(|folder| *folder != existing) {
            // Only what is empty goes; the error to report is the one that led here.
            fs::remove_dir(made).ok();
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<'a>(files: &'a [File], path: &str) -> &'a str {
        let file = files.iter().find(|file| file.path == Path::new(path)).unwrap_or_else(|| panic!("{path}"));
        std::str::from_utf8(&file.contents).unwrap()
    }

    fn entries(folder: &Path) -> Vec<PathBuf> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    fn some_files() -> Vec<File> {
        Template::find("router").unwrap().render("logs", Place::Alone).unwrap()
    }

    #[test]
    fn what_a_killed_run_has_left_is_removed_by_the_next() {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name);
        for name in [".cargo-torvyn-left", ".cargo-torvyn-locked", ".cargo-torvyn-other"] {
            fs::create_dir_all(at(name).join("project")).unwrap();
        }
        drop(mark(&at(".cargo-torvyn-left")));
        let locked = mark(&at(".cargo-torvyn-locked"));
        write(&at("logs"), &some_files(), |_| Ok(())).unwrap();
        let mut left = entries(temp.path());
        left.sort();
        assert_eq!(left, [".cargo-torvyn-locked", ".cargo-torvyn-other", "logs"].map(at));
        assert!(locked.is_some());
    }

    #[test]
    fn every_template_renders_wherever_it_may_stand() {
        let names: Vec<_> = Template::all().iter().map(|template| template.name).collect();
        assert_eq!(names, ["aggregator", "inspector", "pipeline", "router", "sink", "source", "transform"]);
        for template in Template::all() {
            let files = template.render("logs", Place::Alone).unwrap();
            for file in ["README.md", "Torvyn.toml", ".gitignore", "wit/types.wit", "wit/guest/src/lib.rs"] {
                assert!(!text(&files, file).contains("{{"), "{file}");
            }
            if template.is_stage() {
                let files = template.render("logs", Place::Member).unwrap();
                let mut paths: Vec<_> = files.iter().map(|file| file.path.to_str().unwrap()).collect();
                paths.sort_unstable();
                assert_eq!(paths, ["Cargo.toml", "src/lib.rs"]);
                assert!(text(&files, "Cargo.toml").contains("torvyn-guest.workspace = true"));
            }
        }
    }

    #[test]
    fn a_pipeline_has_its_stages_as_members() {
        let files = Template::find("pipeline").unwrap().render("logs", Place::Alone).unwrap();
        let manifest: toml::Table = toml::from_str(text(&files, "Cargo.toml")).unwrap();
        for member in manifest["workspace"]["members"].as_array().unwrap() {
            let member = member.as_str().unwrap();
            let manifest: toml::Table = toml::from_str(text(&files, &format!("{member}/Cargo.toml"))).unwrap();
            assert_eq!(manifest["package"]["name"].as_str(), Some(member));
        }
    }

    #[test]
    fn the_contract_is_all_there() {
        let links = |of: &Dir<'_>| of.files().map(|file| file.path().to_owned()).collect::<Vec<_>>();
        let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
        let mut written: Vec<_> = entries(&wit).into_iter().filter(|path| path.is_file()).collect();
        written.sort_unstable();
        let written: Vec<_> = written.iter().map(|path| PathBuf::from(path.file_name().unwrap())).collect();
        assert_eq!(links(&CONTRACT), written);
    }

    /// A project has the manifest of the guest library that is rendered here, not the one it was developed with.
    #[test]
    fn the_guest_library_has_the_dependencies_it_was_developed_with() {
        let files = some_files();
        let rendered: toml::Table = toml::from_str(text(&files, "wit/guest/Cargo.toml")).unwrap();
        let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
        let ours: toml::Table = toml::from_str(&fs::read_to_string(ours).unwrap()).unwrap();
        let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit/guest/Cargo.toml");
        let guest: toml::Table = toml::from_str(&fs::read_to_string(guest).unwrap()).unwrap();

        let dependencies = rendered["dependencies"].as_table().unwrap();
        assert!(dependencies.keys().eq(guest["dependencies"].as_table().unwrap().keys()));
        for (name, dependency) in dependencies {
            assert_eq!(*dependency, ours["workspace"]["dependencies"][name], "{name}");
        }
        assert_eq!(rendered["package"]["version"], ours["workspace"]["package"]["version"]);
        assert_eq!(rendered["package"]["edition"], ours["workspace"]["package"]["edition"]);
    }

    #[test]
    fn an_unknown_template_is_told_its_neighbours() {
        let help = |name| Template::find(name).unwrap_err().help.unwrap();
        assert!(help("transfrom").starts_with("did you mean `transform`? the templates are `aggregator`, "));
        assert!(help("kubernetes").starts_with("the templates are "));
    }

    #[test]
    fn a_template_that_names_what_it_is_not_given_is_refused() {
        static BROKEN: Dir<'_> =
            Dir::new("", &[include_dir::DirEntry::File(include_dir::File::new("x.hbs", b"{{nmae}}"))]);
        let template = Template::find("router").unwrap();
        let error = rendered(&BROKEN, &template.values("logs", Place::Alone)).unwrap_err();
        assert!(format!("{error:#}").contains("nmae"), "{error:#}");
    }

    #[test]
    fn folders_are_made_on_the_way() {
        let temp = tempfile::tempdir().unwrap();
        let destination = temp.path().join("a/b/logs");
        write(&destination, &some_files(), |_| Ok(())).unwrap();
        assert!(destination.join("src/lib.rs").is_file());
        assert_eq!(entries(temp.path()), [temp.path().join("a")]);
    }

    #[test]
    fn an_empty_folder_is_taken_and_any_other_is_left_alone() {
        let temp = tempfile::tempdir().unwrap();
        let destination = temp.path().join("logs");
        fs::create_dir(&destination).unwrap();
        write(&destination, &some_files(), |_| Ok(())).unwrap();

        let error = write(&destination, &some_files(), |_| panic!("nothing is written")).unwrap_err();
        assert!(error.to_string().contains(destination.to_str().unwrap()));
        assert_eq!(entries(temp.path()), [destination]);
    }

    #[test]
    fn nothing_remains_of_a_project_that_was_not_finished() {
        let temp = tempfile::tempdir().unwrap();
        let failed = write(&temp.path().join("a/logs"), &some_files(), |project| {
            assert!(project.join("Cargo.toml").is_file());
            bail!("no git")
        });
        assert_eq!(failed.unwrap_err().to_string(), "no git");
        assert!(entries(temp.path()).is_empty());
    }

    #[test]
    fn nothing_remains_of_a_project_whose_place_was_taken_meanwhile() {
        let temp = tempfile::tempdir().unwrap();
        let destination = temp.path().join("logs");
        let failed = write(&destination, &some_files(), |_| Ok(fs::write(&destination, "mine")?));
        assert!(failed.unwrap_err().to_string().starts_with("could not create"));
        assert_eq!(entries(temp.path()), std::slice::from_ref(&destination));
        assert_eq!(fs::read_to_string(destination).unwrap(), "mine");
    }
}

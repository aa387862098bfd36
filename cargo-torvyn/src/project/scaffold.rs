//! Creates projects from templates. Rendering is pure; [`write()`] then puts the files in place, all or none.
//!
//! A template is a folder of `templates/`: `template.toml`, the `files/` of its crate, and in `project/` the additional files
//! of a separate project. `templates/shared` has what all templates share. Knows nothing of cargo or the terminal.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use anyhow::{Context as _, bail};
use handlebars::Handlebars;
use include_dir::{Dir, include_dir};
use serde::{Deserialize, Serialize};
use torvyn_runtime::contract::WIT;

use crate::exit::{Exit, Stop};

pub(crate) mod name;

static TEMPLATES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates");
/// The sources of the guest library. Its manifest is in the shared templates.
static GUEST: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/guest");
/// The folder of `templates/` that is not a template.
const SHARED: &str = "shared";
/// The prefix of the temporary folder that a project is written to.
const UNFINISHED: &str = ".cargo-torvyn-";
/// The sticky bit, which marks such folders.
const MARK: u32 = 0o1000;
/// Files with this ending are rendered and lose it.
const RENDERED: &str = ".hbs";

static ALL: LazyLock<Vec<Template>> = LazyLock::new(|| {
    let folders = TEMPLATES.dirs().filter(|folder| folder.path() != Path::new(SHARED));
    let mut all: Vec<_> = folders.map(Template::load).collect();
    all.sort_by(|a, b| a.name.cmp(b.name));
    all
});

/// A template for new projects.
#[derive(Debug)]
pub(crate) struct Template {
    /// The name of its folder.
    pub(crate) name: &'static str,
    /// The contents of its `template.toml`.
    pub(crate) about: About,
    folder: &'static Dir<'static>,
}

/// `template.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct About {
    /// `source`, `processor`, `sink` or `pipeline`.
    pub(crate) kind: String,
    /// A description of one line.
    pub(crate) description: String,
    /// The world of the contract that the stage targets.
    world: Option<String>,
    /// The copy budget of the stage.
    budget: Option<Budget>,
    /// The crates that the stage uses besides the guest library, each with its version.
    #[serde(default)]
    dependencies: BTreeMap<String, String>,
    /// Stage templates whose crates become members of this project, each in a folder of its name.
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

/// The place of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A separate project: with the contract, the guest library and a pipeline of its own.
    Alone,
    /// In a workspace that has `torvyn-guest` among its dependencies.
    Member,
}

/// A file to be written: its path in the project and its contents.
#[derive(Debug)]
pub(crate) struct File {
    path: PathBuf,
    contents: Vec<u8>,
}

impl File {
    fn new(path: impl Into<PathBuf>, contents: impl Into<Vec<u8>>) -> File {
        File { path: path.into(), contents: contents.into() }
    }

    /// The same file in `folder`.
    fn below(self, folder: &str) -> File {
        File { path: Path::new(folder).join(self.path), ..self }
    }
}

/// The values that template files are rendered with.
#[derive(Debug, Serialize)]
struct Values<'a> {
    name: &'a str,
    world: Option<&'a str>,
    budget: Option<&'a Budget>,
    dependencies: &'a BTreeMap<String, String>,
    members: &'a [String],
    standalone: bool,
    /// The version of this program and of its guest library.
    version: &'static str,
}

impl Template {
    /// All templates, by name.
    pub(crate) fn all() -> &'static [Template] {
        &ALL
    }

    /// Finds a template by name.
    ///
    /// # Errors
    ///
    /// A usage [`Stop`] that lists the templates and suggests the nearest name.
    pub(crate) fn find(name: &str) -> Result<&'static Template, Stop> {
        Template::all().iter().find(|template| template.name == name).ok_or_else(|| {
            let nearest = Template::all()
                .iter()
                .map(|template| (strsim::damerau_levenshtein(name, template.name), template.name))
                .min()
                .filter(|(distance, nearest)| *distance <= nearest.len() / 2);
            let hint = nearest.map_or_else(String::new, |(_, nearest)| format!("did you mean `{nearest}`? "));
            Stop::new(Exit::Usage, format!("unknown template `{}`", name.escape_debug()))
                .help(format!("{hint}the templates are {}", Template::names()))
        })
    }

    /// The names of all templates, for a sentence.
    pub(crate) fn names() -> String {
        let names: Vec<_> = Template::all().iter().map(|template| format!("`{}`", template.name)).collect();
        names.join(", ")
    }

    /// The folders of its packages, relative to its own.
    pub(crate) fn packages(&self) -> impl Iterator<Item = &str> {
        self.about.members.iter().map(String::as_str)
    }

    /// Whether it creates a single crate, which can be a member of a workspace.
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

    /// Renders the files of a project with this name.
    ///
    /// # Errors
    ///
    /// If a template uses an unknown value.
    pub(crate) fn render(&self, name: &str, place: Place) -> anyhow::Result<Vec<File>> {
        let mut files = self.crate_files(name, place)?;
        for member in &self.about.members {
            let member_files = Template::find(member)?.crate_files(member, Place::Member)?;
            files.extend(member_files.into_iter().map(|file| file.below(member)));
        }
        if place == Place::Alone {
            let values = self.values(name, place);
            files.extend(render_folder(shared("project")?, &values)?);
            files.extend(WIT.map(|(name, text)| File::new(Path::new("wit").join(name), text)));
            files.extend(render_folder(&GUEST, &values)?.into_iter().map(|file| file.below("wit/src")));
            if let Some(folder) = self.part("project") {
                files.extend(render_folder(folder, &values)?);
            }
        }
        Ok(files)
    }

    fn crate_files(&self, name: &str, place: Place) -> anyhow::Result<Vec<File>> {
        let values = self.values(name, place);
        let mut files = if self.is_stage() { render_folder(shared("stage")?, &values)? } else { Vec::new() };
        files.extend(render_folder(self.part("files").context("a template has files")?, &values)?);
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
            dependencies: &self.about.dependencies,
            members: &self.about.members,
            standalone: place == Place::Alone,
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

fn shared(part: &str) -> anyhow::Result<&'static Dir<'static>> {
    TEMPLATES.get_dir(Path::new(SHARED).join(part)).context("the shared templates are embedded")
}

/// Renders the files of a folder and its subfolders, with paths relative to the folder.
fn render_folder(folder: &'static Dir<'static>, values: &Values<'_>) -> anyhow::Result<Vec<File>> {
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
                None => File::new(path, file.contents()),
                Some(path) => {
                    let text = file.contents_utf8().with_context(|| format!("{template} is not UTF-8"))?;
                    let text = handlebars.render_template(text, values).with_context(|| format!("in {template}"))?;
                    File::new(path, text)
                }
            });
        }
    }
    Ok(files)
}

/// Writes the files to `destination`, which must not exist or be an empty folder. `finish` is called with the temporary
/// folder of the files, after they are written and before they are put in place.
///
/// # Errors
///
/// Why the project could not be written; then none of its files are left.
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
    // Next to the destination, because renaming does not work across file systems.
    let unfinished = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .tempdir_in(existing)
        .with_context(|| format!("could not write to `{}`", existing.display()))?;
    let _lock = mark(unfinished.path());
    let project = unfinished.path().join("project");
    for file in files {
        let path = project.join(&file.path);
        write_file(&path, &file.contents).with_context(|| format!("could not write `{}`", path.display()))?;
    }
    finish(&project)?;
    put_in_place(&project, destination, parent, existing)
        .with_context(|| format!("could not create `{}`", destination.display()))
}

/// Marks a folder as one of ours by the sticky bit, and locks it while this process lives.
fn mark(unfinished: &Path) -> Option<fs::File> {
    let folder = fs::File::open(unfinished).ok()?;
    folder.try_lock().ok()?;
    folder.set_permissions(Permissions::from_mode(0o700 | MARK)).ok()?;
    Some(folder)
}

/// Removes the folders of killed runs. Failures are ignored: such folders do no harm.
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

/// Refuses a destination that exists, unless it is an empty folder.
///
/// # Errors
///
/// If `destination` exists and is not an empty folder.
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

fn write_file(path: &Path, contents: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, contents)
}

/// Renames the project to its destination. If that fails, removes the folders that were created for it.
fn put_in_place(project: &Path, destination: &Path, parent: &Path, existing: &Path) -> io::Result<()> {
    let rename = || {
        fs::create_dir_all(parent)?;
        // Not every system can replace an empty folder by renaming.
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
            // Removes only empty folders. The error to report is that of the renaming.
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

    fn router_files() -> Vec<File> {
        Template::find("router").unwrap().render("logs", Place::Alone).unwrap()
    }

    #[test]
    fn removes_the_folders_of_killed_runs() {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name);
        for name in [".cargo-torvyn-left", ".cargo-torvyn-locked", ".cargo-torvyn-other"] {
            fs::create_dir_all(at(name).join("project")).unwrap();
        }
        drop(mark(&at(".cargo-torvyn-left")));
        let locked = mark(&at(".cargo-torvyn-locked"));
        write(&at("logs"), &router_files(), |_| Ok(())).unwrap();
        let mut left = entries(temp.path());
        left.sort();
        assert_eq!(left, [".cargo-torvyn-locked", ".cargo-torvyn-other", "logs"].map(at));
        assert!(locked.is_some());
    }

    #[test]
    fn renders_every_template_in_every_place() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
        let mut written = entries(&folder);
        written.retain(|path| path.join("template.toml").is_file());
        written.sort_unstable();
        let names: Vec<_> = Template::all().iter().map(|template| folder.join(template.name)).collect();
        assert_eq!(names, written);
        for template in Template::all() {
            let files = template.render("logs", Place::Alone).unwrap();
            for file in ["README.md", "Torvyn.toml", ".gitignore", "wit/types.wit", "wit/src/lib.rs"] {
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
    fn embeds_the_whole_contract() {
        let ours = entries(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit"));
        let is_wit = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "wit");
        let mut written: Vec<_> =
            ours.iter().filter(|path| is_wit(path)).map(|path| path.file_name().unwrap()).collect();
        written.sort_unstable();
        assert_eq!(WIT.map(|(name, _)| name).as_slice(), written);
    }

    /// The guest library of a project has a rendered manifest, not the one that it is developed with.
    #[test]
    fn the_rendered_manifest_of_the_guest_library_has_its_dependencies() {
        let files = router_files();
        let rendered: toml::Table = toml::from_str(text(&files, "wit/Cargo.toml")).unwrap();
        let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
        let ours: toml::Table = toml::from_str(&fs::read_to_string(ours).unwrap()).unwrap();
        let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit/Cargo.toml");
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
    fn suggests_the_nearest_template() {
        let help = |name| Template::find(name).unwrap_err().help.unwrap();
        assert!(help("transfrom").starts_with("did you mean `transform`? the templates are `"));
        assert!(help("kubernetes").starts_with("the templates are "));
    }

    #[test]
    fn rejects_a_template_with_an_unknown_value() {
        static BROKEN: Dir<'_> =
            Dir::new("", &[include_dir::DirEntry::File(include_dir::File::new("x.hbs", b"{{nmae}}"))]);
        let template = Template::find("router").unwrap();
        let error = render_folder(&BROKEN, &template.values("logs", Place::Alone)).unwrap_err();
        assert!(format!("{error:#}").contains("nmae"), "{error:#}");
    }

    #[test]
    fn creates_parent_folders() {
        let temp = tempfile::tempdir().unwrap();
        let destination = temp.path().join("a/b/logs");
        write(&destination, &router_files(), |_| Ok(())).unwrap();
        assert!(destination.join("src/lib.rs").is_file());
        assert_eq!(entries(temp.path()), [temp.path().join("a")]);
    }

    #[test]
    fn replaces_only_an_empty_folder() {
        let temp = tempfile::tempdir().unwrap();
        let destination = temp.path().join("logs");
        fs::create_dir(&destination).unwrap();
        write(&destination, &router_files(), |_| Ok(())).unwrap();

        let error = write(&destination, &router_files(), |_| panic!("nothing is written")).unwrap_err();
        assert!(error.to_string().contains(destination.to_str().unwrap()));
        assert_eq!(entries(temp.path()), [destination]);
    }

    #[test]
    fn leaves_nothing_of_an_unfinished_project() {
        let temp = tempfile::tempdir().unwrap();
        let failed = write(&temp.path().join("a/logs"), &router_files(), |project| {
            assert!(project.join("Cargo.toml").is_file());
            bail!("no git")
        });
        assert_eq!(failed.unwrap_err().to_string(), "no git");
        assert!(entries(temp.path()).is_empty());
    }

    #[test]
    fn leaves_nothing_if_the_destination_appears_meanwhile() {
        let temp = tempfile::tempdir().unwrap();
        let destination = temp.path().join("logs");
        let failed = write(&destination, &router_files(), |_| Ok(fs::write(&destination, "mine")?));
        assert!(failed.unwrap_err().to_string().starts_with("could not create"));
        assert_eq!(entries(temp.path()), std::slice::from_ref(&destination));
        assert_eq!(fs::read_to_string(destination).unwrap(), "mine");
    }
}

//! `cargo torvyn new`: creates a project from a template, and makes it a member of the enclosing workspace or a git
//! repository.

use std::path::{self, Component, Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs, io};

use anyhow::{Context as _, bail};
use clap::Args;

use crate::cli::Vcs;
use crate::exit::{Exit, Stop};
use crate::output::shell::Shell;
use crate::process::child;
use crate::project::add_member::{self, EnclosingWorkspace, NewProject};
use crate::project::scaffold::{self, Place, Template, name};

/// Create a project from a template
///
/// The project builds and tests with plain cargo. A stage that is created inside a project of the template `pipeline`
/// becomes a member of that project.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo torvyn new --list                       list the templates
  cargo torvyn new logs --template pipeline     create a workspace with a stage of each kind
  cargo torvyn new filter --template router     create a single stage
  cargo torvyn new stages/f1 --name first-filter -t inspector")]
pub(crate) struct NewArgs {
    /// The folder to create; the project takes its name
    #[arg(value_name = "NAME")]
    pub(crate) path: Option<PathBuf>,
    /// The template to use
    #[arg(short, long)]
    pub(crate) template: Option<String>,
    /// The name of the project [default: the name of the folder]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Version control to initialize [default: git, unless the folder is in a repository or git is not installed]
    #[arg(long)]
    pub(crate) vcs: Option<Vcs>,
    /// List the templates and exit
    #[arg(long, conflicts_with_all = ["path", "template", "name", "vcs"])]
    pub(crate) list: bool,
}

pub(crate) fn exec(args: NewArgs, shell: &mut Shell) -> anyhow::Result<Exit> {
    if args.list {
        return list(shell);
    }
    let destination = match args.path {
        Some(path) => path,
        None => ask_name(shell)?,
    };
    let name = project_name(args.name, &destination)?;
    name::check(&name)?;
    refuse_current_folder(&destination)?;
    scaffold::refuse_to_overwrite(&destination)?;
    let template = match &args.template {
        Some(template) => Template::find(template)?,
        None => ask_template(shell)?,
    };

    let destination = resolve(&destination)?;
    let surrounding = add_member::find_enclosing(&destination)?;
    let joins = surrounding.as_ref().filter(|around| around.has_guest && template.is_stage());
    let project = NewProject { name: &name, destination: &destination, template, vcs: args.vcs };
    project.refuse_collisions(surrounding.as_ref(), joins)?;
    let place = if joins.is_some() { Place::Member } else { Place::Alone };
    let kind = &template.about.kind;
    shell.status("Creating", format_args!("{kind} `{name}` from template `{}`", template.name))?;

    let manifest = joins.map(|around| around.with_member(&destination)).transpose()?;
    let with_git = place == Place::Alone && wants_git(args.vcs, &destination)?;
    scaffold::write(
        &destination,
        &template.render(&name, place)?,
        |project| {
            if with_git { git_init(project) } else { Ok(()) }
        },
    )?;
    if let Some(manifest) = manifest {
        manifest.write(shell).inspect_err(|_| {
            // Do not leave half of the work. The error to report is that of the manifest.
            fs::remove_dir_all(&destination).ok();
        })?;
    }
    print_next_steps(&name, &destination, template, surrounding.as_ref(), place, shell)?;
    Ok(Exit::Ok)
}

fn list(shell: &mut Shell) -> anyhow::Result<Exit> {
    for line in table() {
        shell.result(line)?;
    }
    Ok(Exit::Ok)
}

/// A line for each template: name, kind, description.
fn table() -> impl Iterator<Item = String> {
    let width =
        |of: fn(&Template) -> &str| Template::all().iter().map(|template| of(template).len()).max().unwrap_or(0);
    let (names, kinds) = (width(|template| template.name), width(|template| &template.about.kind));
    Template::all().iter().map(move |template| {
        let about = &template.about;
        format!("{:names$}  {:kinds$}  {}", template.name, about.kind, about.description)
    })
}

fn ask_name(shell: &mut Shell) -> anyhow::Result<PathBuf> {
    let missing = || Stop::new(Exit::Usage, "no project name given").help(HOW_TO_START);
    if !shell.can_ask() {
        bail!(missing());
    }
    let name = shell.ask("Name of the project:")?.filter(|name| !name.is_empty()).ok_or_else(missing)?;
    Ok(name.into())
}

const HOW_TO_START: &str =
    "type `cargo torvyn new NAME --template TEMPLATE`; `cargo torvyn new --list` shows the templates";

fn ask_template(shell: &mut Shell) -> anyhow::Result<&'static Template> {
    let missing = || {
        let help = format!("add `--template NAME`; the templates are {}", Template::names());
        Stop::new(Exit::Usage, "no template given").help(help)
    };
    if !shell.can_ask() {
        bail!(missing());
    }
    let templates: Vec<_> = table().enumerate().map(|(nth, line)| format!("{:>3}  {line}\n", nth + 1)).collect();
    let answer = shell.ask(&format!("{}Template, by name or number:", templates.concat()))?;
    let answer = answer.filter(|answer| !answer.is_empty()).ok_or_else(missing)?;
    let by_number = answer.parse::<usize>().ok().and_then(|nth| Template::all().get(nth.checked_sub(1)?));
    match by_number {
        Some(template) => Ok(template),
        None => Ok(Template::find(&answer)?),
    }
}

/// The name of `--name`, or else that of the folder.
fn project_name(name: Option<String>, destination: &Path) -> Result<String, Stop> {
    if let Some(name) = name {
        return Ok(name);
    }
    let shown = destination.display();
    let folder = match destination.file_name() {
        None => Err(Stop::new(Exit::Usage, format!("cannot derive a project name from `{shown}`"))),
        Some(folder) => {
            folder.to_str().ok_or_else(|| Stop::new(Exit::Usage, format!("the name of `{shown}` is not UTF-8")))
        }
    };
    folder.map(str::to_owned).map_err(|stop| stop.help("type `cargo torvyn new NAME`, or add `--name NAME`"))
}

/// Refuses the current folder: the project would replace it, and the terminal would stay in the old one.
fn refuse_current_folder(destination: &Path) -> anyhow::Result<()> {
    let is_current = matches!(
        (destination.canonicalize(), env::current_dir().and_then(|here| here.canonicalize())),
        (Ok(destination), Ok(here)) if destination == here
    );
    if is_current {
        let stop = Stop::new(Exit::Failed, format!("destination `{}` is the current folder", destination.display()));
        return Err(stop.help("name a folder that does not exist yet").into());
    }
    Ok(())
}

/// The absolute path without links and `..`, so that its ancestors are the folders around the project.
fn resolve(destination: &Path) -> io::Result<PathBuf> {
    let absolute = path::absolute(destination)?;
    let existing = absolute.ancestors().skip(1).find(|folder| folder.is_dir()).unwrap_or(&absolute);
    let mut resolved = existing.canonicalize()?;
    for part in absolute.strip_prefix(existing).into_iter().flat_map(Path::components) {
        match part {
            Component::ParentDir => drop(resolved.pop()),
            part => resolved.push(part),
        }
    }
    Ok(resolved)
}

/// Whether to create a git repository. Without `--vcs`, as in cargo: if git is installed and the folder is in no repository.
fn wants_git(vcs: Option<Vcs>, destination: &Path) -> anyhow::Result<bool> {
    let there = destination.ancestors().skip(1).find(|folder| folder.is_dir()).unwrap_or(Path::new("."));
    let inside = || {
        let mut git = Command::new("git");
        git.args(["rev-parse", "--is-inside-work-tree"]).current_dir(there);
        child::status(git.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))
    };
    match vcs {
        Some(vcs) => Ok(vcs == Vcs::Git),
        None => match inside() {
            Ok(status) => Ok(!status.success()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).context("could not run `git`"),
        },
    }
}

fn git_init(project: &Path) -> anyhow::Result<()> {
    let mut git = Command::new("git");
    git.args(["init", "--quiet"]).current_dir(project).stdin(Stdio::null());
    let status = child::status(&mut git).context("could not run `git`");
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => bail!(Stop::new(Exit::Failed, format!("`git init`: {status}")).help("add `--vcs none`")),
        Err(error) => Err(error),
    }
}

fn print_next_steps(
    name: &str,
    destination: &Path,
    template: &Template,
    surrounding: Option<&EnclosingWorkspace>,
    place: Place,
    shell: &mut Shell,
) -> io::Result<()> {
    if place == Place::Member {
        return shell.note(format_args!("to run it, add `{name}` to the stages of a pipeline in Torvyn.toml"));
    }
    if let Some(around) = surrounding {
        let root = around.root.display();
        shell.note(format_args!("`{name}` is a separate workspace inside the workspace `{root}`"))?;
    }
    let folder = env::current_dir().ok().and_then(|here| destination.strip_prefix(here).ok().map(Path::to_owned));
    let folder = folder.as_deref().unwrap_or(destination).display();
    let run = if template.about.kind == "source" { "cargo torvyn run" } else { "cargo torvyn run --input FILE" };
    shell.note(format_args!("to run it, type `cd {folder}` and `{run}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_that_of_the_folder_unless_given() {
        let name_of = |name: Option<&str>, path| project_name(name.map(str::to_owned), Path::new(path));
        assert_eq!(name_of(None, "logs").unwrap(), "logs");
        assert_eq!(name_of(None, "a/logs/").unwrap(), "logs");
        assert_eq!(name_of(None, "/tmp/logs").unwrap(), "logs");
        assert_eq!(name_of(None, "./logs/.").unwrap(), "logs");
        assert_eq!(name_of(Some("other"), "..").unwrap(), "other");
        for nameless in ["..", ".", "/", "logs/.."] {
            assert!(name_of(None, nameless).unwrap_err().help.is_some(), "{nameless}");
        }
    }

    #[test]
    fn resolves_links_and_parent_folders() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap();
        fs::create_dir(root.join("a")).unwrap();
        for (path, expected) in
            [("a/x", "a/x"), ("a/../x", "x"), ("a/new/x", "a/new/x"), ("new/x", "new/x"), ("new/../x", "x")]
        {
            assert_eq!(resolve(&root.join(path)).unwrap(), root.join(expected), "{path}");
        }
        assert_eq!(resolve(Path::new("x")).unwrap(), env::current_dir().unwrap().canonicalize().unwrap().join("x"));
    }
}

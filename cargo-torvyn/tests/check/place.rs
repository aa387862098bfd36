//! The folder that `check` is called from, what it selects, and how it ends.

use std::io::Read as _;
use std::process::Stdio;

use super::{Project, assert_has, command, said, told, torvyn};

#[test]
fn a_member_is_checked_alone_from_its_folder() {
    let project = Project::copy();
    project.edit("router/Cargo.toml", "world = \"router\"", "world = \"inspector\"");
    for folder in ["router", "router/src"] {
        let check = torvyn(&project.root.join(folder), &["check"]);
        assert_eq!(check.status.code(), Some(100));
        let wit = if folder == "router" { "::: ../wit/worlds.wit:13:10" } else { "::: ../../wit/worlds.wit:13:10" };
        let skipped = "pipelines `main`, `count`, `find` are not checked: not all of their stages are selected";
        assert_has(&told(&check), &[wit, skipped, "1 stage and 0 pipelines"]);
        assert!(!said(&check).contains(project.root.to_str().unwrap()), "{}", said(&check));
    }
    let elsewhere = tempfile::tempdir().unwrap();
    let manifest = project.root.join("router/Cargo.toml");
    let check = torvyn(elsewhere.path(), &["check", "--manifest-path", manifest.to_str().unwrap()]);
    assert_eq!(check.status.code(), Some(100));
    let there = project.root.join("router/Cargo.toml:12:1");
    assert_has(&told(&check), &[there.to_str().unwrap(), "1 stage and 0 pipelines"]);
    let manifest = project.root.join("Cargo.toml");
    let check = torvyn(elsewhere.path(), &["check", "--manifest-path", manifest.to_str().unwrap()]);
    assert_has(&told(&check), &["5 stages and 3 pipelines: 2 errors"]);
}

#[test]
fn packages_are_selected_as_with_cargo() {
    let project = Project::copy();
    assert_has(
        &project.told("check -p router -p transform", 0),
        &["`count`, `find` are not checked", "2 stages and 1 pipeline:"],
    );
    assert_has(
        &project.told("check --exclude router", 0),
        &["pipeline `main` is not checked", "4 stages and 2 pipelines"],
    );
    // With everything that cargo accepts: patterns, versions, package IDs.
    let router = format!("path+file://{}/router#0.1.0", project.root.canonicalize().unwrap().display());
    for spec in ["rout*", "router@0.1.0", "router@0", &router, "*outer", "router:0.1"] {
        assert_has(&project.told(&format!("check -p {spec} -p trans?orm"), 0), &["2 stages and 1 pipeline:"]);
    }
    assert_has(&project.told("check --exclude rout*", 0), &["4 stages and 2 pipelines"]);
    assert_has(
        &project.told("check --workspace --exclude none", 0),
        &["warning: excluded package `none` is not in", "5 stages"],
    );
    assert_has(
        &project.told("check -p none*", 101),
        &["no package matches `none*`", "the packages are `source`, `router`"],
    );
    assert_has(&project.told("check -p router@2", 101), &["no package `router@2`"]);
    assert_has(&project.told("check -p router@x", 2), &["`router@x` does not name a package", "is not a version"]);
    assert_has(&project.told("check -p ./router", 2), &["`./router` does not name a package", "a folder is `file:///"]);
    assert_has(&project.told("check -p ruoter", 101), &["no package `ruoter`", "the packages are `source`, `router`"]);
    assert_has(&project.told("check --bulit", 2), &["--built"]);
    let nothing = torvyn(&project.root.join("wit"), &["check"]);
    assert_eq!(nothing.status.code(), Some(4), "{}", said(&nothing));
    let nothing = tempfile::tempdir().unwrap();
    let check = torvyn(nothing.path(), &["check"]);
    assert_eq!(check.status.code(), Some(101));
    assert_has(&told(&check), &["could not find `Cargo.toml`", "cargo torvyn new NAME"]);
}

#[test]
fn what_a_run_would_not_find_is_told() {
    let project = Project::copy();
    let stages = "stages = ['router', { name = 'transform', on-failure = { dead-letter = 'letters/l' } }]";
    project.write("Torvyn.toml", &format!("[pipeline.main]\ninput = 'no.txt'\noutput = 'out/a.txt'\n{stages}\n"));
    let told = project.told("check", 0);
    assert_has(
        &told,
        &[
            "warning[not-found]: `no.txt` does not exist",
            "--> Torvyn.toml:2:9",
            "warning[not-found]: directory `out` does not exist",
            "--> Torvyn.toml:3:10",
            "warning[not-found]: directory `letters` does not exist",
            "`cargo torvyn run` would fail here",
            "1 pipeline: 3 warnings",
        ],
    );
    for folder in ["out", "letters"] {
        std::fs::create_dir(project.root.join(folder)).unwrap();
    }
    project.write("no.txt", "");
    assert_has(&project.told("check", 0), &["1 pipeline: no problems found"]);
}

#[test]
fn what_does_not_compile_is_left_to_the_compiler() {
    let project = Project::built();
    project.edit("router/src/lib.rs", "element.size()", "element.sise()");
    let told = project.told("check --built -p router", 101);
    assert_has(&told, &["no method named `sise`"]);
    assert!(!told.contains("Checked"), "{told}");
}

#[test]
fn a_reader_that_has_read_enough_does_not_hide_what_was_found() {
    let project = Project::copy();
    project.edit("router/Cargo.toml", "world = \"router\"", "world = \"inspector\"");
    for format in ["json", "sarif"] {
        let mut check = command(&project.root, &["check", "--message-format", format]);
        let mut check = check.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = [0];
        check.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let output = check.wait_with_output().unwrap();
        assert_eq!((first, output.status.code()), ([b'{'], Some(100)), "{}", said(&output));
        assert!(!said(&output).contains("Broken pipe"), "{}", said(&output));
    }
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let check = command(&project.root, &["check", "--message-format", "json"]).stdout(full).output().unwrap();
    assert_eq!(check.status.code(), Some(101));
    assert_has(&said(&check), &["could not write to stdout", "No space left"]);
}

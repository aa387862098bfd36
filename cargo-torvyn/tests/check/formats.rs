//! Findings for programs: as messages of rustc and as SARIF.

use cargo_metadata::{Message, diagnostic::DiagnosticLevel};
use serde_json::{Value, json};

use super::Project;

fn project() -> Project {
    let project = Project::copy();
    project.edit("router/Cargo.toml", "world = \"router\"", "world = \"inspector\"");
    project
}

#[test]
fn editors_read_findings_as_those_of_rustc() {
    let project = project();
    let output = project.run("check --message-format json", 100);
    let messages: Vec<_> = Message::parse_stream(&output.stdout[..]).map(Result::unwrap).collect();
    let found: Vec<_> = messages
        .iter()
        .filter_map(|message| match message {
            Message::CompilerMessage(message) => Some(message),
            _ => None,
        })
        .collect();
    let [stage, pipeline] = found[..] else { panic!("{found:?}") };
    assert_eq!(stage.target.name, "router");
    assert_eq!(stage.message.level, DiagnosticLevel::Error);
    assert_eq!(stage.message.code.as_ref().unwrap().code, "over-budget-contract");
    let primary = stage.message.spans.iter().find(|span| span.is_primary).unwrap();
    assert_eq!((primary.file_name.as_str(), primary.line_start, primary.column_start), ("router/Cargo.toml", 12, 1));
    assert_eq!(primary.text[0].text, "reads = 0");
    let files: Vec<_> = stage.message.spans.iter().map(|span| span.file_name.as_str()).collect();
    assert_eq!(files, ["router/Cargo.toml", "router/Cargo.toml", "wit/worlds.wit"]);
    assert!(
        stage.message.rendered.as_ref().unwrap().starts_with("error[over-budget-contract]: world `inspector` lets")
    );
    assert_eq!(pipeline.target.name, "pipelines");
    assert_eq!(pipeline.message.spans[0].file_name, "Torvyn.toml");
}

#[test]
fn code_hosts_take_paths_from_the_work_tree_of_git() {
    let project = Project::copy();
    let below = project.root.join("services/logs");
    super::restore(super::scaffolded(), &below);
    project.edit("services/logs/router/Cargo.toml", "world = \"router\"", "world = \"inspector\"");
    std::fs::create_dir(project.root.join(".git")).unwrap();
    std::fs::write(project.root.join(".git/HEAD"), "ref: refs/heads/main\n").unwrap();
    for folder in [&below, &below.join("transform")] {
        let output = super::torvyn(folder, &["check", "-p", "router", "--message-format", "sarif"]);
        let log: Value = serde_json::from_slice(&output.stdout).unwrap();
        let place = &log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"];
        assert_eq!(place["uri"], "services/logs/router/Cargo.toml", "from {}", folder.display());
        let root = log["runs"][0]["originalUriBaseIds"]["%SRCROOT%"]["uri"].as_str().unwrap();
        assert_eq!(root, format!("file://{}/", project.root.display()));
    }
}

#[test]
fn code_hosts_read_findings_as_sarif() {
    let output = project().run("check --message-format sarif", 100);
    let log: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let result = &run["results"][0];
    assert_eq!((&result["ruleId"], &result["level"]), (&json!("over-budget-contract"), &json!("error")));
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"], json!({"uri": "router/Cargo.toml", "uriBaseId": "%SRCROOT%"}));
    assert_eq!((&place["region"]["startLine"], &place["region"]["startColumn"]), (&json!(12), &json!(1)));
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let rule = &rules[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
    assert_eq!(rule["id"], "over-budget-contract");
    assert!(rule["help"]["markdown"].as_str().unwrap().contains("## What to do"));
    assert_eq!(run["results"].as_array().unwrap().len(), 2);

    let clean: Value = serde_json::from_slice(&Project::copy().run("check --message-format sarif", 0).stdout).unwrap();
    assert_eq!(clean["runs"][0]["results"], json!([]));
}

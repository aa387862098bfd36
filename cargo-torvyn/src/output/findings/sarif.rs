//! Diagnostics as a SARIF 2.1.0 log, the format in which code hosts accept findings of tools. The rules are the codes of
//! findings, with their pages of the guide. A failed command becomes a notification of the tool, not a result.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use serde_json::{Map, Value, json};

use crate::exit::Exit;
use crate::output::diagnostic::{Diagnostic, Diagnostics, Label, Severity, Sources};
use crate::output::explanation;
use crate::output::failure::FailureRecord;
use crate::output::region::Region;
use crate::output::viewpoint::{Viewpoint, repository, without_dots};

/// The base of the paths of results: the git work tree, or else the folder of the workspace. Code hosts resolve paths from
/// there, whatever its URI is.
const ROOT: &str = "%SRCROOT%";
/// The fingerprint name that code hosts look for.
const FINGERPRINT: &str = "primaryLocationLineHash";
/// The URL of the guide pages in the published package.
const PAGES: &str =
    concat!("https://docs.rs/crate/", env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"), "/source/codes/");

/// The results of a log.
#[derive(Debug, Clone)]
pub(crate) struct Results {
    results: Vec<Value>,
    seen: Viewpoint,
}

impl Results {
    /// Converts diagnostics, with paths relative to `seen`.
    pub(crate) fn new(found: &Diagnostics, sources: &Sources, seen: Viewpoint) -> Self {
        let codes = explanation::findings();
        let index = |diagnostic: &Diagnostic| codes.iter().position(|(code, ..)| *code == diagnostic.code);
        let mut fingerprints: HashMap<u64, usize> = HashMap::new();
        let results = found.iter().map(|diagnostic| {
            let hash = hash(diagnostic, sources, &seen);
            let nth = fingerprints.entry(hash).and_modify(|nth| *nth += 1).or_insert(1);
            let mut result = result(diagnostic, index(diagnostic), sources, &seen);
            result["partialFingerprints"] = json!({ FINGERPRINT: format!("{hash:016x}:{nth}") });
            result
        });
        Results { results: results.collect(), seen }
    }

    /// Empty results. `here` is the current folder, `folder` the folder that is checked.
    pub(crate) fn empty(here: &Path, folder: &Path) -> Self {
        let folder = without_dots(&here.join(folder));
        Results { results: Vec::new(), seen: Viewpoint::new(here, repository(&folder)) }
    }
}

/// The log of one run, with its exit and its failures besides the findings.
pub(crate) fn log(found: &Results, exit: Exit, failures: &[FailureRecord]) -> Value {
    let rules: Vec<_> = explanation::findings().iter().map(|(code, level, about)| rule(code, level, about)).collect();
    let kinds: Vec<_> = explanation::failures().iter().map(|(code, _, about)| descriptor(code, about)).collect();
    let notifications: Vec<_> = failures.iter().map(|failure| notification(failure, &found.seen)).collect();
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "cargo-torvyn",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
                "notifications": kinds,
            } },
            "invocations": [{
                "executionSuccessful": matches!(exit, Exit::Ok | Exit::Findings),
                "exitCode": exit as u8,
                "exitCodeDescription": exit.outcome(),
                "toolExecutionNotifications": notifications,
            }],
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": { ROOT: { "uri": format!("file://{}/", escaped(&found.seen.root).trim_end_matches('/')) } },
            "results": found.results,
        }],
    })
}

fn rule(code: &str, level: &str, about: &str) -> Value {
    let mut rule = descriptor(code, about);
    rule["defaultConfiguration"] = match level {
        "allow" => json!({ "enabled": false, "level": "note" }),
        "warn" => json!({ "enabled": true, "level": "warning" }),
        _ => json!({ "enabled": true, "level": "error" }),
    };
    rule
}

fn descriptor(code: &str, about: &str) -> Value {
    let page = explanation::find(code).unwrap_or(about);
    json!({
        "id": code,
        "shortDescription": { "text": about },
        "fullDescription": { "text": about },
        "help": { "text": page, "markdown": page },
        "helpUri": format!("{PAGES}{}", explanation::page_name(code)),
    })
}

/// A failure of the command as a notification.
fn notification(failure: &FailureRecord, seen: &Viewpoint) -> Value {
    let mut text = failure.message.clone();
    // Writing to a string cannot fail.
    failure.causes.iter().for_each(|cause| _ = write!(text, "\ncaused by: {cause}"));
    failure.notes.iter().for_each(|note| _ = write!(text, "\nnote: {note}"));
    failure.help.iter().for_each(|help| _ = write!(text, "\nhelp: {help}"));
    let mut notification = json!({
        "descriptor": { "id": failure.code },
        "level": "error",
        "message": { "text": text },
    });
    if let Some(place) = &failure.place {
        let mut physical = json!({ "artifactLocation": artifact(&seen.path(Path::new(&place.file))) });
        if let (Some(line), Some(column)) = (place.line, place.column) {
            physical["region"] = json!({ "startLine": line, "startColumn": column });
        }
        notification["locations"] = json!([{ "physicalLocation": physical }]);
    }
    notification
}

/// A hash that does not change when lines are added or removed above: of the code, the file and the text of the first line.
fn hash(diagnostic: &Diagnostic, sources: &Sources, seen: &Viewpoint) -> u64 {
    let label = diagnostic.labels.first();
    let file = label.map(|label| seen.path(&label.file)).unwrap_or_default();
    let line = label.and_then(|label| {
        let region = Region::new(sources.text(&label.file)?, &label.span);
        region.lines.first().map(|line| line.trim().to_string())
    });
    // Without a place in a text, use the message.
    let line = line.as_deref().unwrap_or(&diagnostic.message);
    let parts = [diagnostic.code.as_bytes(), file.as_os_str().as_encoded_bytes(), line.as_bytes()];
    fnv1a(parts.into_iter().flat_map(|part| part.iter().chain(&[0])))
}

/// 64-bit FNV-1a. It is stable across releases, unlike the hasher of the standard library.
fn fnv1a<'a>(bytes: impl Iterator<Item = &'a u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn result(diagnostic: &Diagnostic, rule: Option<usize>, sources: &Sources, seen: &Viewpoint) -> Value {
    let mut locations = diagnostic.labels.iter().map(|label| location(label, sources, seen));
    let mut result = json!({
        "ruleId": diagnostic.code,
        "level": match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        "message": { "text": text(diagnostic) },
        "locations": locations.next().into_iter().collect::<Vec<_>>(),
    });
    let related: Vec<_> = locations.collect();
    if !related.is_empty() {
        result["relatedLocations"] = related.into();
    }
    if let Some(rule) = rule {
        result["ruleIndex"] = rule.into();
    }
    result
}

/// The message, notes and help of a diagnostic, one per line.
fn text(diagnostic: &Diagnostic) -> String {
    let mut text = diagnostic.message.clone();
    // Writing to a string cannot fail.
    diagnostic.notes.iter().for_each(|note| _ = write!(text, "\nnote: {note}"));
    diagnostic.help.iter().for_each(|help| _ = write!(text, "\nhelp: {help}"));
    text
}

fn location(label: &Label, sources: &Sources, seen: &Viewpoint) -> Value {
    let artifact = artifact(&seen.path(&label.file));
    let mut physical = Map::from_iter([("artifactLocation".to_string(), artifact)]);
    if let Some(text) = sources.text(&label.file) {
        let region = Region::new(text, &label.span);
        physical.insert(
            "region".to_string(),
            json!({
                "startLine": region.start.0,
                "startColumn": region.start.1,
                "endLine": region.end.0,
                "endColumn": region.end.1,
                "snippet": { "text": &text[region.bytes] },
            }),
        );
    }
    let mut location = json!({ "physicalLocation": physical });
    if !label.text.is_empty() {
        location["message"] = json!({ "text": label.text });
    }
    location
}

fn artifact(path: &Path) -> Value {
    match path.is_absolute() {
        true => json!({ "uri": format!("file://{}", escaped(path)) }),
        false => json!({ "uri": escaped(path), "uriBaseId": ROOT }),
    }
}

/// Bytes that a path of a URI keeps: the unreserved characters of RFC 3986, and `/`.
const UNESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Percent-encodes a path for a URI.
fn escaped(path: &Path) -> String {
    percent_encode(path.as_os_str().as_encoded_bytes(), UNESCAPED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Place;
    use crate::output::failure;

    /// The SARIF 2.1.0 objects that are used here: name, required properties, and further properties used here. The schema
    /// does not allow other properties.
    const OBJECTS: &[(&str, &[&str], &[&str])] = &[
        ("log", &["version", "runs"], &["$schema"]),
        ("run", &["tool"], &["columnKind", "invocations", "originalUriBaseIds", "results"]),
        ("invocation", &["executionSuccessful"], &["exitCode", "exitCodeDescription", "toolExecutionNotifications"]),
        ("notification", &["message"], &["descriptor", "level", "locations"]),
        ("reportingDescriptorReference", &["id"], &[]),
        ("tool", &["driver"], &[]),
        ("toolComponent", &["name"], &["version", "semanticVersion", "rules", "notifications"]),
        (
            "reportingDescriptor",
            &["id"],
            &["shortDescription", "fullDescription", "help", "helpUri", "defaultConfiguration"],
        ),
        ("reportingConfiguration", &[], &["enabled", "level"]),
        ("multiformatMessageString", &["text"], &["markdown"]),
        (
            "result",
            &["message"],
            &["ruleId", "ruleIndex", "level", "locations", "relatedLocations", "partialFingerprints"],
        ),
        ("location", &[], &["physicalLocation", "message"]),
        ("physicalLocation", &["artifactLocation"], &["region"]),
        ("artifactLocation", &[], &["uri", "uriBaseId"]),
        ("region", &[], &["startLine", "startColumn", "endLine", "endColumn", "snippet"]),
        ("message", &["text"], &[]),
        ("artifactContent", &[], &["text"]),
    ];

    /// The types of properties that are objects or arrays of objects.
    const PARTS: &[(&str, &str, &str)] = &[
        ("log", "runs", "run"),
        ("run", "tool", "tool"),
        ("run", "results", "result"),
        ("run", "invocations", "invocation"),
        ("invocation", "toolExecutionNotifications", "notification"),
        ("notification", "descriptor", "reportingDescriptorReference"),
        ("notification", "message", "message"),
        ("notification", "locations", "location"),
        ("toolComponent", "notifications", "reportingDescriptor"),
        ("tool", "driver", "toolComponent"),
        ("toolComponent", "rules", "reportingDescriptor"),
        ("reportingDescriptor", "shortDescription", "multiformatMessageString"),
        ("reportingDescriptor", "fullDescription", "multiformatMessageString"),
        ("reportingDescriptor", "help", "multiformatMessageString"),
        ("reportingDescriptor", "defaultConfiguration", "reportingConfiguration"),
        ("result", "message", "message"),
        ("result", "locations", "location"),
        ("result", "relatedLocations", "location"),
        ("location", "physicalLocation", "physicalLocation"),
        ("location", "message", "message"),
        ("physicalLocation", "artifactLocation", "artifactLocation"),
        ("physicalLocation", "region", "region"),
        ("region", "snippet", "artifactContent"),
    ];

    fn validate(kind: &str, value: &Value) {
        if let Value::Array(items) = value {
            return items.iter().for_each(|item| validate(kind, item));
        }
        let (_, required, optional) = OBJECTS.iter().find(|(name, ..)| *name == kind).unwrap();
        let object = value.as_object().unwrap_or_else(|| panic!("{kind}: {value}"));
        for key in *required {
            assert!(object.contains_key(*key), "{kind} has no `{key}`: {value}");
        }
        for (key, value) in object {
            assert!(required.contains(&key.as_str()) || optional.contains(&key.as_str()), "{kind} has `{key}`");
            match PARTS.iter().find(|(within, name, _)| (*within, *name) == (kind, key)) {
                Some((.., part)) => validate(part, value),
                None => match key.as_str() {
                    "startLine" | "startColumn" | "endLine" | "endColumn" => assert!(value.as_u64().unwrap() >= 1),
                    "ruleIndex" | "exitCode" => assert!(value.is_u64()),
                    "level" => assert!(["none", "note", "warning", "error"].contains(&value.as_str().unwrap())),
                    "enabled" | "executionSuccessful" => assert!(value.is_boolean()),
                    "partialFingerprints" => assert!(value.as_object().unwrap().values().all(Value::is_string)),
                    "originalUriBaseIds" => validate("artifactLocation", &value[ROOT]),
                    _ => assert!(value.is_string(), "{kind}.{key}: {value}"),
                },
            }
        }
    }

    fn logged() -> Value {
        let mut sources = Sources::default();
        sources.add("ä b/Cargo.toml", "# größe\nreads = 0\n");
        let mut found = Diagnostics::default();
        found.push(
            Diagnostic::error("over-budget-component", "`router` reads")
                .label(Path::new("ä b/Cargo.toml"), 18..19, "declared here")
                .label(Path::new("/lib/src/lib.rs"), 3..4, "called here")
                .label(Path::new("b.rs"), 3..4, "")
                .note("inlined into `process`")
                .help("do not"),
        );
        found.push(Diagnostic::warning("cycle", "in no file"));
        let failure = FailureRecord {
            place: Some(Place { file: "a/src/lib.rs".to_string(), line: Some(3), column: Some(7) }),
            help: Some("mend it".to_string()),
            ..FailureRecord::new(failure::BUILD_FAILED, "cargo could not build")
        };
        log(&Results::new(&found, &sources, Viewpoint::new("/w s", "/w s")), Exit::Failed, &[failure])
    }

    #[test]
    fn log_matches_the_schema() {
        validate("log", &logged());
    }

    #[test]
    fn results_have_rule_places_and_full_text() {
        let log = logged();
        let run = &log["runs"][0];
        assert_eq!(run["originalUriBaseIds"][ROOT]["uri"], "file:///w%20s/");
        let result = &run["results"][0];
        assert_eq!((&result["ruleId"], &result["level"]), (&json!("over-budget-component"), &json!("error")));
        let rule = &run["tool"]["driver"]["rules"][result["ruleIndex"].as_u64().unwrap() as usize];
        assert_eq!(rule["id"], result["ruleId"]);
        assert!(rule["help"]["markdown"].as_str().unwrap().starts_with("## over-budget-component\n"));
        assert_eq!(result["message"]["text"], "`router` reads\nnote: inlined into `process`\nhelp: do not");

        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"], json!({ "uri": "%C3%A4%20b/Cargo.toml", "uriBaseId": ROOT }));
        let region =
            json!({ "startLine": 2, "startColumn": 9, "endLine": 2, "endColumn": 10, "snippet": { "text": "0" } });
        assert_eq!(place["region"], region);
        let related = &result["relatedLocations"];
        assert_eq!(related[0]["physicalLocation"]["artifactLocation"], json!({ "uri": "file:///lib/src/lib.rs" }));
        assert_eq!((&related[0]["message"]["text"], related.as_array().unwrap().len()), (&json!("called here"), 2));
        assert_eq!(run["results"][1]["locations"], json!([]));
    }

    #[test]
    fn failed_command_becomes_a_notification() {
        let log = logged();
        let invocation = &log["runs"][0]["invocations"][0];
        let expected = json!({
            "executionSuccessful": false, "exitCode": 101, "exitCodeDescription": "failed",
            "toolExecutionNotifications": [{
                "descriptor": { "id": "build-failed" },
                "level": "error",
                "message": { "text": "cargo could not build\nhelp: mend it" },
                "locations": [{ "physicalLocation": {
                    "artifactLocation": { "uri": "a/src/lib.rs", "uriBaseId": ROOT },
                    "region": { "startLine": 3, "startColumn": 7 },
                } }],
            }],
        });
        assert_eq!(*invocation, expected);
        let found = Results::empty(Path::new("/nowhere"), Path::new(""));
        let succeeds = |exit| super::log(&found, exit, &[])["runs"][0]["invocations"][0]["executionSuccessful"].clone();
        assert_eq!([Exit::Ok, Exit::Findings, Exit::Usage].map(succeeds), [json!(true), json!(true), json!(false)]);
    }

    #[test]
    fn fingerprints_survive_moved_lines() {
        let print = |text: &str, at: &str| {
            let mut sources = Sources::default();
            sources.add("Cargo.toml", text);
            let mut found = Diagnostics::default();
            for (start, _) in text.match_indices(at) {
                found.push(Diagnostic::error("cycle", "it is").label(Path::new("Cargo.toml"), start..start + 1, ""));
            }
            let results = Results::new(&found, &sources, Viewpoint::new("/w", "/w")).results;
            let prints = results.iter().map(|result| result["partialFingerprints"][FINGERPRINT].clone());
            prints.collect::<Vec<_>>()
        };
        let before = print("reads = 0\n", "reads");
        assert_eq!(before, print("# new\n\n  reads = 0\n", "reads"));
        assert_ne!(before, print("reads = 1\n", "reads"));
        let twice = print("reads = 0\nreads = 0\n", "reads");
        assert_eq!(twice[0], before[0]);
        assert_ne!(twice[0], twice[1]);
        // From the definition of the hash.
        assert_eq!(fnv1a(b"foobar".iter()), 0x8594_4171_f739_67e8);
        // Code hosts store fingerprints across versions.
        assert_eq!(before, ["2033b8b4bc8441cd:1"]);
    }

    #[test]
    fn every_code_has_a_rule_or_a_descriptor() {
        let log = logged();
        let rules = log["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
        let ids: Vec<_> = rules.iter().map(|rule| rule["id"].as_str().unwrap()).collect();
        let codes: Vec<_> = explanation::lints().into_iter().chain(crate::output::codes::ALL.iter().copied()).collect();
        assert_eq!(ids, codes);
        let kinds = log["runs"][0]["tool"]["driver"]["notifications"].as_array().unwrap();
        let ids: Vec<_> = kinds.iter().map(|kind| kind["id"].as_str().unwrap()).collect();
        assert_eq!(ids, failure::ALL);
        let page = |name: &str| {
            format!("https://docs.rs/crate/cargo-torvyn/{}/source/codes/{name}", env!("CARGO_PKG_VERSION"))
        };
        assert!(kinds.iter().all(|kind| kind["helpUri"] == page("failures.md").as_str()));
        let wide = rules.iter().find(|rule| rule["id"] == "wide-world").unwrap();
        assert_eq!(wide["defaultConfiguration"], json!({ "enabled": true, "level": "warning" }));
        assert_eq!(wide["helpUri"], page("lints.md").as_str());
        let cycle = rules.iter().find(|rule| rule["id"] == "cycle").unwrap();
        assert_eq!(cycle["helpUri"], page("manifest.md").as_str());
    }
}

//! Diagnostics as a log of SARIF 2.1.0, the format in which code hosts take what tools find. The rules are all codes with
//! their pages of the guide.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::Viewpoint;
use super::region::Region;
use crate::diagnostic::{Diagnostic, Diagnostics, Label, Severity, Sources};
use crate::explanation;

/// What paths of results are relative to: the folder of the workspace.
const ROOT: &str = "%SRCROOT%";

/// The log of one run.
pub(crate) fn sarif(found: &Diagnostics, sources: &Sources, seen: &Viewpoint) -> Value {
    let codes = explanation::all();
    let rules: Vec<_> = codes.iter().map(|(code, level, about)| rule(code, level, about)).collect();
    let index = |diagnostic: &Diagnostic| codes.iter().position(|(code, ..)| *code == diagnostic.code);
    let results: Vec<_> = found.iter().map(|diagnostic| result(diagnostic, index(diagnostic), sources, seen)).collect();
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "cargo-torvyn",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": { ROOT: { "uri": format!("file://{}/", escaped(&seen.root)) } },
            "results": results,
        }],
    })
}

fn rule(code: &str, level: &str, about: &str) -> Value {
    let page = explanation::of(code).unwrap_or(about);
    let configuration = match level {
        "allow" => json!({ "enabled": false, "level": "note" }),
        "warn" => json!({ "enabled": true, "level": "warning" }),
        _ => json!({ "enabled": true, "level": "error" }),
    };
    json!({
        "id": code,
        "shortDescription": { "text": about },
        "fullDescription": { "text": about },
        "help": { "text": page, "markdown": page },
        "defaultConfiguration": configuration,
    })
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

/// All that is said, a line each.
fn text(diagnostic: &Diagnostic) -> String {
    let mut text = diagnostic.message.clone();
    // Writing to a string cannot fail.
    diagnostic.notes.iter().for_each(|note| _ = write!(text, "\nnote: {note}"));
    diagnostic.help.iter().for_each(|help| _ = write!(text, "\nhelp: {help}"));
    text
}

fn location(label: &Label, sources: &Sources, seen: &Viewpoint) -> Value {
    let path = seen.path(&label.file);
    let artifact = match path.is_absolute() {
        true => json!({ "uri": format!("file://{}", escaped(&path)) }),
        false => json!({ "uri": escaped(&path), "uriBaseId": ROOT }),
    };
    let mut physical = Map::from_iter([("artifactLocation".to_string(), artifact)]);
    if let Some(text) = sources.text(&label.file) {
        let region = Region::of(text, &label.span);
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

/// A path as the path of a URI.
fn escaped(path: &Path) -> String {
    let mut escaped = String::new();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(*byte))
            }
            // Writing to a string cannot fail.
            _ => _ = write!(escaped, "%{byte:02X}"),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the schema of SARIF 2.1.0 says of the objects that are used here: how each is called, what it must have,
    /// and what else it has here. The schema allows no other properties than it lists.
    const OBJECTS: &[(&str, &[&str], &[&str])] = &[
        ("log", &["version", "runs"], &["$schema"]),
        ("run", &["tool"], &["columnKind", "originalUriBaseIds", "results"]),
        ("tool", &["driver"], &[]),
        ("toolComponent", &["name"], &["version", "semanticVersion", "rules"]),
        ("reportingDescriptor", &["id"], &["shortDescription", "fullDescription", "help", "defaultConfiguration"]),
        ("reportingConfiguration", &[], &["enabled", "level"]),
        ("multiformatMessageString", &["text"], &["markdown"]),
        ("result", &["message"], &["ruleId", "ruleIndex", "level", "locations", "relatedLocations"]),
        ("location", &[], &["physicalLocation", "message"]),
        ("physicalLocation", &["artifactLocation"], &["region"]),
        ("artifactLocation", &[], &["uri", "uriBaseId"]),
        ("region", &[], &["startLine", "startColumn", "endLine", "endColumn", "snippet"]),
        ("message", &["text"], &[]),
        ("artifactContent", &[], &["text"]),
    ];

    /// What is in an object or an array of them.
    const PARTS: &[(&str, &str, &str)] = &[
        ("log", "runs", "run"),
        ("run", "tool", "tool"),
        ("run", "results", "result"),
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
                    "ruleIndex" => assert!(value.is_u64()),
                    "level" => assert!(["none", "note", "warning", "error"].contains(&value.as_str().unwrap())),
                    "enabled" => assert!(value.is_boolean()),
                    "originalUriBaseIds" => validate("artifactLocation", &value[ROOT]),
                    _ => assert!(value.is_string(), "{kind}.{key}: {value}"),
                },
            }
        }
    }

    fn log() -> Value {
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
        sarif(&found, &sources, &Viewpoint::new("/w s", "/w s"))
    }

    #[test]
    fn it_has_what_the_schema_wants_and_nothing_else() {
        validate("log", &log());
    }

    #[test]
    fn a_result_has_its_rule_its_places_and_all_that_is_said() {
        let log = log();
        let run = &log["runs"][0];
        assert_eq!(run["originalUriBaseIds"][ROOT]["uri"], "file:///w%20s/");
        let result = &run["results"][0];
        assert_eq!((&result["ruleId"], &result["level"]), (&json!("over-budget-component"), &json!("error")));
        let rule = &run["tool"]["driver"]["rules"][result["ruleIndex"].as_u64().unwrap() as usize];
        assert_eq!(rule["id"], result["ruleId"]);
        assert!(rule["help"]["markdown"].as_str().unwrap().starts_with("# over-budget-component\n"));
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
    fn every_code_is_a_rule() {
        let log = log();
        let rules = log["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
        let ids: Vec<_> = rules.iter().map(|rule| rule["id"].as_str().unwrap()).collect();
        let codes: Vec<_> = crate::lint::Lint::CODES.iter().chain(crate::code::ALL).copied().collect();
        assert_eq!(ids, codes);
        let wide = rules.iter().find(|rule| rule["id"] == "wide-world").unwrap();
        assert_eq!(wide["defaultConfiguration"], json!({ "enabled": true, "level": "warning" }));
    }
}

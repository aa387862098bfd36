//! Resolves `from` to stages and outputs.

use toml::de::DeValue;

use super::feed::{Feed, Origin, implied};
use super::name;
use super::stage::Stage;
use crate::config::toml_reader::{Field, Report};
use crate::output::codes;
use crate::output::diagnostic::suggestion;

/// Resolves the value of `from`, a name or an array of names, or uses `default` if `from` is missing.
pub(super) fn resolve(written: Option<&Field>, default: Origin, stages: &[Stage], report: &mut Report) -> Vec<Feed> {
    let Some(field) = written else {
        return implied(default);
    };
    let names = match field.value {
        DeValue::String(_) => vec![field.clone()],
        DeValue::Array(_) => field.items(report).unwrap_or_default(),
        _ => {
            field.wrong_type("a name or an array of names", report);
            return Vec::new();
        }
    };
    let mut feeds: Vec<Feed> = Vec::new();
    for field in names {
        let Some(origin) = field.text(report).and_then(|name| find(name, &field, stages, report)) else {
            continue;
        };
        if feeds.iter().any(|feed| feed.origin == origin) {
            let message = "duplicate entry in `from`: each element would arrive twice";
            field.wrong(codes::DUPLICATE_FROM, message, "already listed", report).help = Some("remove it".to_string());
        }
        feeds.push(Feed { origin, span: Some(field.span) });
    }
    feeds
}

fn find(written: &str, field: &Field, stages: &[Stage], report: &mut Report) -> Option<Origin> {
    let (stage_name, output_name) = match written.split_once('.') {
        Some((stage, output)) => (stage, Some(output)),
        None => (written, None),
    };
    let stage = stages.iter().position(|stage| stage.name == stage_name);
    let known: Vec<&str> = match stage {
        Some(stage) => stages[stage].outputs.iter().map(String::as_str).collect(),
        None if stage_name == name::INPUT => Vec::new(),
        None => {
            let known: Vec<_> =
                [name::INPUT].into_iter().chain(stages.iter().map(|stage| stage.name.as_str())).collect();
            let help = suggestion(stage_name, "stages", &known);
            let message = format!("there is no stage `{stage_name}`");
            field.wrong(codes::UNKNOWN_STAGE, message, "", report).help = Some(help);
            return None;
        }
    };
    let output = match output_name {
        None => Some(0),
        Some(name) => known.iter().position(|known| *known == name),
    };
    let Some(output) = output else {
        let named = output_name.unwrap_or_default();
        let message = format!("`{stage_name}` has no output `{named}`");
        let help = match stage {
            Some(_) => suggestion(named, "outputs", &known),
            None => format!("write `{}` without an output name", name::INPUT),
        };
        field.wrong(codes::UNKNOWN_OUTPUT, message, "", report).help = Some(help);
        return None;
    };
    Some(stage.map_or(Origin::Input, |stage| Origin::Stage { stage, output }))
}

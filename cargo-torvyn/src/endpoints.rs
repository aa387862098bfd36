//! The inputs and outputs of the host as people declare them. Each kind has a file of its own, with its keys, its name in
//! messages, its check before a run, the files that it uses, and how it is opened; `input` and `output` list the kinds.
//! `torvyn_runtime::endpoint` moves the elements.

use crate::config::toml_reader::{Field, Report, Table};

pub(crate) use input::Input;
pub(crate) use output::Output;

pub(crate) mod input;
pub(crate) mod output;

/// The keys of a kind of input or output, in its table.
pub(crate) struct Keys {
    /// Chooses the kind.
    pub(crate) kind: &'static str,
    /// May stand beside it. Kinds can share an option.
    pub(crate) options: &'static [&'static str],
}

/// The keys of some kinds: those that choose a kind, then the options.
fn keys(kinds: &[&Keys]) -> Vec<&'static str> {
    kinds.iter().map(|keys| keys.kind).chain(options(kinds)).collect()
}

/// The options of some kinds, each once.
fn options(kinds: &[&Keys]) -> Vec<&'static str> {
    let mut options = Vec::new();
    for option in kinds.iter().flat_map(|keys| keys.options) {
        if !options.contains(option) {
            options.push(*option);
        }
    }
    options
}

/// The field that chooses one of the kinds. Reports if none or several are present, and the options that the kind does not
/// have.
fn choose<'a>(kinds: &[&Keys], table: &Table<'a>, report: &mut Report) -> Option<Field<'a>> {
    let names: Vec<_> = kinds.iter().map(|keys| keys.kind).collect();
    let field = table.need_one(&names, report)?;
    let has = |option: &&str| kinds.iter().any(|keys| keys.kind == field.key && keys.options.contains(option));
    options(kinds).iter().filter(|option| !has(option)).for_each(|option| table.exclude(option, &field, report));
    Some(field)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_kind_is_in_the_guide() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("guide/src/reference/manifest.md");
        let page = fs::read_to_string(page).unwrap();
        let section = |title: &str| page.split("\n## ").find(|section| section.starts_with(title)).unwrap();
        let all = [("Inputs\n", input::all_keys()), ("Outputs\n", output::all_keys())];
        for (title, keys) in all {
            let rows = section(title).lines().filter_map(|line| line.strip_prefix("| `{ ")?.split(' ').next());
            let rows: BTreeSet<_> = rows.collect();
            let kinds: BTreeSet<_> = keys.iter().map(|keys| keys.kind).collect();
            assert_eq!(kinds.len(), keys.len(), "each kind has a key of its own");
            assert_eq!(rows, kinds);
        }
    }
}

//! The stable codes of errors in `Torvyn.toml`, in case files, in the Torvyn tables of a `Cargo.toml` and in WIT, and of test
//! cases that fail. The codes of lints are in `check::lints`, the codes of failed commands and flows in `failure`.

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        $($(#[$doc])* pub(crate) const $name: &str = $code;)*
        /// Every code, once.
        pub(crate) const ALL: &[&str] = &[$($name),*];
    };
}
pub(crate) use codes;

codes! {
    /// The file does not exist.
    NOT_FOUND = "not-found";
    /// The path is a directory, but must be a file.
    IS_A_DIRECTORY = "is-a-directory";
    /// The path is a file, but must be a directory.
    NOT_A_DIRECTORY = "not-a-directory";
    /// The file cannot be read.
    UNREADABLE = "unreadable";
    /// The file is not a component that can run as a stage.
    BAD_COMPONENT = "bad-component";
    /// The manifest is not UTF-8.
    NOT_UTF8 = "not-utf8";
    /// The manifest is not TOML.
    SYNTAX = "syntax";
    /// An unknown key.
    UNKNOWN_KEY = "unknown-key";
    /// A required key, or all of several alternatives, are missing.
    MISSING_KEY = "missing-key";
    /// Keys that conflict.
    CONFLICTING_KEYS = "conflicting-keys";
    /// A value of the wrong type.
    WRONG_TYPE = "wrong-type";
    /// A value that is not one of the allowed ones.
    UNKNOWN_VALUE = "unknown-value";
    /// An unknown lint.
    UNKNOWN_LINT = "unknown-lint";
    /// A table is inherited from the workspace, which does not declare it.
    NOT_IN_WORKSPACE = "not-in-workspace";
    /// An empty string, array or table.
    EMPTY = "empty";
    /// A number that is out of range.
    BAD_NUMBER = "bad-number";
    /// An invalid size, or one that is out of range.
    BAD_SIZE = "bad-size";
    /// An invalid duration, or one that is out of range.
    BAD_DURATION = "bad-duration";
    /// An invalid timestamp.
    BAD_TIME = "bad-time";
    /// An invalid attribute of an element.
    BAD_ATTRIBUTE = "bad-attribute";
    /// An invalid `traceparent` of the W3C Trace Context.
    BAD_TRACEPARENT = "bad-traceparent";
    /// A limit or capacity of 0.
    ZERO = "zero";
    /// Two values of `config` have the same flattened key.
    DUPLICATE_CONFIG = "duplicate-config";
    /// An invalid name.
    BAD_NAME = "bad-name";
    /// A reserved name.
    RESERVED_NAME = "reserved-name";
    /// Two stages or outputs of a pipeline, or two cases, have the same name.
    DUPLICATE_NAME = "duplicate-name";
    /// Two outputs of a stage have the same name.
    DUPLICATE_OUTPUT = "duplicate-output";
    /// More outputs than a stage can have.
    TOO_MANY_OUTPUTS = "too-many-outputs";
    /// More stages or outputs than a pipeline can have.
    TOO_MANY_STAGES = "too-many-stages";
    /// An unknown pipeline.
    UNKNOWN_PIPELINE = "unknown-pipeline";
    /// Several pipelines, and none is the default.
    NO_DEFAULT_PIPELINE = "no-default-pipeline";
    /// An unknown package of the workspace.
    UNKNOWN_PACKAGE = "unknown-package";
    /// A package that does not build the component of a stage.
    NOT_A_STAGE_PACKAGE = "not-a-stage-package";
    /// An unknown stage of the pipeline.
    UNKNOWN_STAGE = "unknown-stage";
    /// An unknown output of the stage.
    UNKNOWN_OUTPUT = "unknown-output";
    /// `from` has a duplicate entry.
    DUPLICATE_FROM = "duplicate-from";
    /// `merge` with a single input.
    NOTHING_TO_MERGE = "nothing-to-merge";
    /// A stage or output without an input.
    NO_INPUT = "no-input";
    /// An output of a stage that is not connected.
    UNCONNECTED_OUTPUT = "unconnected-output";
    /// Stages that form a cycle.
    CYCLE = "cycle";
    /// `from` on a source component.
    FROM_ON_SOURCE = "from-on-source";
    /// `from` names a sink component.
    FROM_SINK = "from-sink";
    /// `outputs` on a sink component.
    OUTPUTS_ON_SINK = "outputs-on-sink";
    /// `deadline` or `trace` on a stage that is not a source.
    NOT_A_SOURCE = "not-a-source";
    /// `replicas` of a stage that is no processor, can hold elements, or is not declared stateless.
    REPLICAS_WITH_STATE = "replicas-with-state";
    /// A pipeline demands that everything is delivered at least once, and that is not proven.
    UNPROVEN_DELIVERY = "unproven-delivery";
    /// `on-failure` of a source component skips or keeps elements.
    SOURCE_CANNOT_SKIP = "source-cannot-skip";
    /// An input that nothing takes from.
    UNUSED_INPUT = "unused-input";
    /// A file or standard output is written twice, or read and written.
    SAME_FILE = "same-file";
    /// `--output` replaces the output of a pipeline that has several.
    SEVERAL_OUTPUTS = "several-outputs";
    /// Elements of a case whose times are not in order.
    OUT_OF_ORDER = "out-of-order";
    /// Bytes that are not valid in the encoding of their key.
    BAD_ENCODING = "bad-encoding";
    /// Stages that do not form a part of a pipeline.
    NOT_A_PART = "not-a-part";
    /// An invalid regular expression.
    BAD_PATTERN = "bad-pattern";
    /// An invalid JSON Schema.
    BAD_SCHEMA = "bad-schema";
    /// The output of a case is not as expected.
    UNEXPECTED_OUTPUT = "unexpected-output";
    /// The run report of a case is not as expected.
    UNEXPECTED_ACCOUNT = "unexpected-account";
    /// A case took longer per element, relative to another case, than expected.
    UNEXPECTED_SPEED = "unexpected-speed";
    /// The case to compare with does not exist or cannot be compared with.
    UNKNOWN_CASE = "unknown-case";
    /// A case failed unexpectedly, or in another way than expected.
    UNEXPECTED_FAILURE = "unexpected-failure";
    /// A case was expected to fail, but did not.
    MISSING_FAILURE = "missing-failure";
    /// An injected fault of a case did not occur.
    FAULT_NOT_REACHED = "fault-not-reached";
    /// Dead letters are expected of a stage that does not keep any.
    NO_DEAD_LETTERS = "no-dead-letters";
    /// A case timed out.
    TIMED_OUT = "timed-out";
    /// The WIT of a stage is missing or cannot be read.
    WIT_MISSING = "wit-missing";
    /// A syntax error in WIT.
    WIT_SYNTAX = "wit-syntax";
    /// WIT refers to something that does not exist.
    WIT_UNRESOLVED = "wit-unresolved";
    /// No world is declared, and WIT does not have exactly one.
    NO_WORLD = "no-world";
    /// An unknown world.
    UNKNOWN_WORLD = "unknown-world";
    /// The world belongs to another version of the contract.
    WRONG_VERSION = "wrong-version";
    /// The contract's WIT in the project differs from the contract.
    CHANGED_CONTRACT = "changed-contract";
    /// The world is not that of a stage.
    NOT_A_STAGE = "not-a-stage";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_is_unique_and_tested() {
        let all: BTreeSet<_> = ALL.iter().copied().collect();
        assert_eq!(all.len(), ALL.len());
        assert!(crate::output::explanation::lints().iter().all(|lint| !all.contains(lint)));
        assert!(all.iter().all(|code| code.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')));
        let mut produced = crate::manifest::tests::codes();
        produced.extend(crate::config::settings::tests::codes());
        produced.extend(crate::check::subject_codes());
        produced.extend(crate::cases::tests::codes());
        assert_eq!(produced, all);
    }
}

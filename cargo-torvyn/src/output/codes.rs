//! The codes of everything `Torvyn.toml`, files of cases and the tables of Torvyn in a `Cargo.toml` can be told off for, and
//! of what is not as a case expects: stable names, listed once. Those of what `check` finds are in `lint`, and those of
//! commands and flows that failed in `failure`.

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        $($(#[$doc])* pub(crate) const $name: &str = $code;)*
        /// Every code, once.
        pub(crate) const ALL: &[&str] = &[$($name),*];
    };
}
pub(crate) use codes;

codes! {
    /// The file is not there.
    NOT_FOUND = "not-found";
    /// A directory, where a file is needed.
    IS_A_DIRECTORY = "is-a-directory";
    /// A file, where a directory is needed.
    NOT_A_DIRECTORY = "not-a-directory";
    /// The system does not let us read the file.
    UNREADABLE = "unreadable";
    /// The file is not a component that can run as a stage.
    BAD_COMPONENT = "bad-component";
    /// The manifest is not UTF-8.
    NOT_UTF8 = "not-utf8";
    /// The manifest is not TOML.
    SYNTAX = "syntax";
    /// A key that means nothing here.
    UNKNOWN_KEY = "unknown-key";
    /// A key that is needed, or one of several, is not there.
    MISSING_KEY = "missing-key";
    /// Keys that exclude one another.
    CONFLICTING_KEYS = "conflicting-keys";
    /// A value of another type.
    WRONG_TYPE = "wrong-type";
    /// A value that is none of the few that are allowed.
    UNKNOWN_VALUE = "unknown-value";
    /// A lint that is not known.
    UNKNOWN_LINT = "unknown-lint";
    /// A table is to be taken over from a workspace that does not have it.
    NOT_IN_WORKSPACE = "not-in-workspace";
    /// A list or text with nothing in it.
    EMPTY = "empty";
    /// A number that is negative or too great.
    BAD_NUMBER = "bad-number";
    /// A size that is not bytes or a number with a unit.
    BAD_SIZE = "bad-size";
    /// A duration that is not a number with a unit.
    BAD_DURATION = "bad-duration";
    /// A date or time that is no moment from 1970 on.
    BAD_TIME = "bad-time";
    /// An attribute that no element can have.
    BAD_ATTRIBUTE = "bad-attribute";
    /// A text that is not a `traceparent` of the W3C Trace Context.
    BAD_TRACEPARENT = "bad-traceparent";
    /// A limit or capacity of nothing.
    ZERO = "zero";
    /// Two values of `config` come out under one key.
    DUPLICATE_CONFIG = "duplicate-config";
    /// A name with letters names do not have.
    BAD_NAME = "bad-name";
    /// A name that means something else.
    RESERVED_NAME = "reserved-name";
    /// Two stages or outputs of a pipeline with one name.
    DUPLICATE_NAME = "duplicate-name";
    /// Two outputs of a stage with one name.
    DUPLICATE_OUTPUT = "duplicate-output";
    /// More outputs than a stage can have.
    TOO_MANY_OUTPUTS = "too-many-outputs";
    /// More stages or outputs than a pipeline can have.
    TOO_MANY_STAGES = "too-many-stages";
    /// A pipeline that is not there.
    UNKNOWN_PIPELINE = "unknown-pipeline";
    /// Several pipelines, and none is the default.
    NO_DEFAULT_PIPELINE = "no-default-pipeline";
    /// A package that is not in the workspace.
    UNKNOWN_PACKAGE = "unknown-package";
    /// A package that builds no component of a stage.
    NOT_A_STAGE_PACKAGE = "not-a-stage-package";
    /// A stage that is not in the pipeline.
    UNKNOWN_STAGE = "unknown-stage";
    /// An output that the stage does not have.
    UNKNOWN_OUTPUT = "unknown-output";
    /// One `from` names one output twice.
    DUPLICATE_FROM = "duplicate-from";
    /// A choice among inputs where there is only one.
    NOTHING_TO_MERGE = "nothing-to-merge";
    /// A stage or output that nothing feeds.
    NO_INPUT = "no-input";
    /// An output of a stage that goes nowhere.
    UNCONNECTED_OUTPUT = "unconnected-output";
    /// Stages that send to one another in a circle.
    CYCLE = "cycle";
    /// A source component is told to take elements.
    FROM_ON_SOURCE = "from-on-source";
    /// Elements are taken from a sink component.
    FROM_SINK = "from-sink";
    /// A sink component is told to have outputs.
    OUTPUTS_ON_SINK = "outputs-on-sink";
    /// A deadline or a trace for elements that do not begin there.
    NOT_A_SOURCE = "not-a-source";
    /// A source component is told to leave out elements that it fails at.
    NOTHING_TO_LEAVE_OUT = "nothing-to-leave-out";
    /// An input that nothing takes from.
    UNUSED_INPUT = "unused-input";
    /// A file or standard output is written twice, or read and written.
    SAME_FILE = "same-file";
    /// One output was to be replaced where there are several.
    SEVERAL_OUTPUTS = "several-outputs";
    /// Elements that do not come in the order in which they are written.
    OUT_OF_ORDER = "out-of-order";
    /// Bytes that are not written as their key says.
    BAD_ENCODING = "bad-encoding";
    /// Stages of a pipeline that are no part of it by themselves.
    NOT_A_PART = "not-a-part";
    /// A text that is no regular expression.
    BAD_PATTERN = "bad-pattern";
    /// A file that is no JSON Schema.
    BAD_SCHEMA = "bad-schema";
    /// What came out of a case is not what it expects.
    UNEXPECTED_OUTPUT = "unexpected-output";
    /// The account of a case is not what it expects.
    UNEXPECTED_ACCOUNT = "unexpected-account";
    /// A case took longer for an element, against another, than it expects.
    UNEXPECTED_SPEED = "unexpected-speed";
    /// The case to compare with is none.
    UNKNOWN_CASE = "unknown-case";
    /// A case failed, and was expected not to, or otherwise.
    UNEXPECTED_FAILURE = "unexpected-failure";
    /// A case did not fail, and was expected to.
    MISSING_FAILURE = "missing-failure";
    /// A fault that a case has a stage suffer never came.
    FAULT_NEVER_CAME = "fault-never-came";
    /// Dead letters are expected of a stage that leaves none.
    NO_DEAD_LETTERS = "no-dead-letters";
    /// A case did not come to its end.
    TIMED_OUT = "timed-out";
    /// The WIT of a stage is not there, or cannot be read.
    WIT_MISSING = "wit-missing";
    /// A file of WIT is not WIT.
    WIT_SYNTAX = "wit-syntax";
    /// WIT speaks of something that is not there.
    WIT_UNRESOLVED = "wit-unresolved";
    /// No world is declared, and there is not just one.
    NO_WORLD = "no-world";
    /// There is no such world.
    UNKNOWN_WORLD = "unknown-world";
    /// The world is of another version of the contract.
    WRONG_VERSION = "wrong-version";
    /// The WIT of the contract is not the contract.
    CHANGED_CONTRACT = "changed-contract";
    /// The world is not one of a stage.
    NOT_A_STAGE = "not-a-stage";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_is_unique_and_comes_up() {
        let all: BTreeSet<_> = ALL.iter().copied().collect();
        assert_eq!(all.len(), ALL.len());
        assert!(all.iter().all(|code| code.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')));
        let mut produced = crate::config::manifest::tests::codes();
        produced.extend(crate::config::settings::tests::codes());
        produced.extend(crate::check::subject_codes());
        produced.extend(crate::cases::tests::codes());
        assert_eq!(produced, all);
    }
}

//! Expected elements: how cases write them, and how they are compared with the actual elements.

pub(crate) mod amount;
pub(crate) mod capture;
pub(crate) mod dead_letters;
pub(crate) mod decimal;
pub(crate) mod diff;
pub(crate) mod element;
pub(crate) mod element_match;
pub(crate) mod expectation;
pub(crate) mod expected;
pub(crate) mod json;
pub(crate) mod literal;
pub(crate) mod metadata;
pub(crate) mod pattern;
pub(crate) mod schema;
pub(crate) mod search;

//! Nothing: the stages are the examples.

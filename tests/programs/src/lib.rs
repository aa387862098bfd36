//! What programs have in common; each is an example of this package.

pub mod ops;

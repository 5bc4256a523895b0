//! The repository's own rules, as tests: who may name whom, how long a file may be, what the documents promise.

mod dependencies;
mod documents;
mod sources;
mod tree;

//! The repository's own rules, as tests: who may name whom, how files are named and import each other, what the documents promise.

mod circles;
mod dependencies;
mod documents;
mod sources;
mod tree;

//! The rules of the repository, as tests: which crates and files may name each other, how files are named, and what
//! the documents promise.

mod circles;
mod dependencies;
mod documents;
mod sources;
mod tree;

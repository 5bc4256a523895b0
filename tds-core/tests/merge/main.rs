//! The merge of a push: examples, and laws over arbitrary edits on both sides.

mod edits;
mod examples;
mod laws;

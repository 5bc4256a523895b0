//! Conformance cases for stores, and helpers for tests.

//! The store in memory: for examples, tests and simulation.

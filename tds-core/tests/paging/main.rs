//! Reading lists whose records change while they are read.

mod contradictions;
mod list;
mod moving;

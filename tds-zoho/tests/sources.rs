//! Lists and whole records, from a simulated organization.

#[path = "sources/changes.rs"]
mod changes;
#[path = "sources/envelopes.rs"]
mod envelopes;
#[path = "sources/fetching.rs"]
mod fetching;
#[path = "sources/images.rs"]
mod images;
#[path = "sources/listing.rs"]
mod listing;
#[path = "sources/probing.rs"]
mod probing;
mod support;

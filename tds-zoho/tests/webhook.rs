//! What Zoho pushes: signatures, and what follows from a body.

#[path = "webhook/bodies.rs"]
mod bodies;
#[path = "webhook/contents.rs"]
mod contents;
#[path = "webhook/diagnosis.rs"]
mod diagnosis;
#[path = "webhook/places.rs"]
mod places;
#[path = "webhook/properties.rs"]
mod properties;
#[path = "webhook/selected.rs"]
mod selected;
#[path = "webhook/signatures.rs"]
mod signatures;
#[path = "webhook/simulated.rs"]
mod simulated;
mod support;

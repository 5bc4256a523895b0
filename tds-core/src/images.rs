//! Images of records: which images are due, what counts as an image, and the ports of the download.
//!
//! Runs of type `images` download them; see [`ImageDownloads`](crate::engine::ImageDownloads).

mod due;
mod file;
mod kind;
mod ports;

pub use self::{
    due::{Due, KeptImage, RETRY_AFTER, ShownImage, due},
    file::{ImageFile, key_of},
    kind::ImageKind,
    ports::{Candidate, Fetched, ImageFiles, ImageRecord, ImageRecords, ImageSource, Look},
};

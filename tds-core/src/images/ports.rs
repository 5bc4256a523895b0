//! What a download of images needs from outside: the source, the rows of images, and the place of the files.

use async_trait::async_trait;

use super::{ImageFile, KeptImage, ShownImage};
use crate::{
    error::Result,
    queue::Lane,
    record::{EntityType, RecordId},
};

/// What the source returns for the image of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// A file, and the media type that the source states.
    File {
        /// The bytes. Whether they are an image is checked later.
        bytes: Vec<u8>,
        /// The stated media type.
        content_type: Option<String>,
    },
    /// The record has no image, or does not exist.
    Absent,
}

/// Reads images from the source.
#[async_trait]
pub trait ImageSource: Send + Sync {
    /// Reads the image of one record. An answer that describes an error is an error, and never a file.
    ///
    /// # Errors
    /// `Permanent`: the source refuses this image, or the file is too long. `Transient`: the source fails for this
    /// image and works for others. `Throttled` and `AuthPaused`: the source cannot be asked for any image now.
    async fn fetch(&self, id: &RecordId, lane: Lane) -> Result<Fetched>;
}

/// A record with an image, or of whose image something is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The record.
    pub id: RecordId,
    /// What the record shows.
    pub shown: ShownImage,
    /// What is kept; `None` if the image was never looked at.
    pub kept: Option<KeptImage>,
}

/// The result of a look at an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// The file is kept.
    Kept {
        /// The media type.
        content_type: &'static str,
        /// The length of the file in bytes.
        byte_size: i64,
        /// The SHA-256 of the file, in hex.
        sha256: String,
        /// Where the file is, as a URL.
        location: String,
    },
    /// The source has no image, although the record shows one. Nothing of an earlier file stays in the row.
    Absent,
    /// The image could not be kept. What was kept before stays in the row.
    Failed {
        /// What went wrong.
        error: String,
    },
    /// The record has no image any more. The row becomes a tombstone, and still says where the last file is.
    Removed,
}

/// The result of a look, to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageRecord {
    /// The record.
    pub id: RecordId,
    /// What the record showed before its image was looked at.
    pub shown: ShownImage,
    /// The result.
    pub look: Look,
}

/// The rows of images.
///
/// # Contract
/// - A record has at most one row.
/// - [`ImageRecords::candidates`] returns each record that shows an image or has a row, deleted records included, in a
///   fixed order of ids that [`Candidate::id`] continues.
/// - A result replaces the row. Its time is that of the store's clock.
///
/// # Errors
/// A method fails only if the store cannot be reached.
#[async_trait]
pub trait ImageRecords: Send + Sync {
    /// Returns the entity type of the records.
    fn entity(&self) -> &EntityType;

    /// Returns at most `limit` candidates after the record `after`; with `among`, only of these records.
    async fn candidates(
        &self,
        after: Option<&RecordId>,
        among: Option<&[RecordId]>,
        limit: usize,
    ) -> Result<Vec<Candidate>>;

    /// Stores the result of a look.
    async fn record(&self, record: &ImageRecord) -> Result<()>;
}

/// The place of the files.
#[async_trait]
pub trait ImageFiles: Send + Sync {
    /// Returns the URL below which all files are, with a slash at its end.
    fn base(&self) -> &str;

    /// Writes a file under its [key](ImageFile::key) and returns its URL. When this method returns, the file is there
    /// whatever happens to this process. A file that is there already is written again, with the same bytes.
    ///
    /// # Errors
    /// The file could not be written.
    async fn put(&self, file: ImageFile) -> Result<String>;

    /// Removes the file at a URL that [`ImageFiles::put`] returned. Returns false, and does nothing, if the URL is not
    /// below [the base](ImageFiles::base). A file that is gone already counts as removed.
    ///
    /// The caller makes sure that no row names the file. Only erasures remove files.
    ///
    /// # Errors
    /// The file could not be removed.
    async fn remove(&self, location: &str) -> Result<bool>;
}

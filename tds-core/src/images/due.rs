//! Decides whether an image has to be looked at: a pure function of what the record shows and what is kept.

use time::{Duration, OffsetDateTime};

/// The time after which an image that could not be kept is looked at again, although nothing changed.
pub const RETRY_AFTER: Duration = Duration::hours(24);

/// What a record shows of its image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShownImage {
    /// The id of the image at the source; `None` if the record shows none.
    pub document_id: Option<String>,
    /// The name of the file; `None` if the record shows none.
    pub name: Option<String>,
    /// The version of the record.
    pub version: Option<OffsetDateTime>,
    /// Whether the record is a tombstone.
    pub deleted: bool,
}

impl ShownImage {
    /// Returns true if the record has an image: an id or a name shows it.
    #[must_use]
    pub fn exists(&self) -> bool {
        !self.deleted && (self.document_id.is_some() || self.name.is_some())
    }
}

/// What is kept of the image of a record, from the last look at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptImage {
    /// The id of the image when it was looked at.
    pub document_id: Option<String>,
    /// The name of the file when it was looked at.
    pub name: Option<String>,
    /// The version of the record when its image was looked at.
    pub version: Option<OffsetDateTime>,
    /// When the image was looked at; `None` for a row that another program wrote.
    pub looked_at: Option<OffsetDateTime>,
    /// The SHA-256 of the file, in hex; `None` if no file was kept.
    pub sha256: Option<String>,
    /// Where the file is, as a URL; `None` if no file was kept.
    pub location: Option<String>,
    /// Whether the last look failed.
    pub failed: bool,
    /// Whether the image is marked as removed.
    pub deleted: bool,
}

/// What has to be done about an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing.
    Nothing,
    /// The image has to be read.
    Look,
    /// The record has no image any more: what is kept becomes a tombstone.
    Remove,
}

/// Decides what has to be done about an image. `base` is the URL below which the files are kept.
///
/// A source may keep the id and the name when an image is replaced, so a change of the record itself is also a reason
/// to look. A file below another base was kept before the store was changed.
#[must_use]
pub fn due(shown: &ShownImage, kept: Option<&KeptImage>, base: &str, now: OffsetDateTime) -> Due {
    let Some(kept) = kept.filter(|kept| !kept.deleted) else {
        return if shown.exists() { Due::Look } else { Due::Nothing };
    };
    if !shown.exists() {
        return Due::Remove;
    }
    let is_another = kept.document_id != shown.document_id || kept.name != shown.name;
    // The record may show an earlier version than before only after its row was restored. Its image is unknown then.
    let has_changed = kept.version != shown.version;
    let is_elsewhere = kept.location.as_deref().is_some_and(|location| !location.starts_with(base));
    let is_tried_again = kept.looked_at.is_none_or(|looked_at| kept.failed && now - looked_at >= RETRY_AFTER);
    if is_another || has_changed || is_elsewhere || is_tried_again { Due::Look } else { Due::Nothing }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-28 12:00 UTC);
    const BASE: &str = "s3://images/";

    fn shown() -> ShownImage {
        ShownImage {
            document_id: Some("46".to_owned()),
            name: Some("cable.jpg".to_owned()),
            version: Some(datetime!(2026-11-01 08:00 UTC)),
            deleted: false,
        }
    }

    fn kept() -> KeptImage {
        let ShownImage { document_id, name, version, .. } = shown();
        KeptImage {
            document_id,
            name,
            version,
            looked_at: Some(NOW - Duration::hours(1)),
            sha256: Some("ab".repeat(32)),
            location: Some(format!("{BASE}ab/abab.png")),
            failed: false,
            deleted: false,
        }
    }

    #[test]
    fn an_image_that_was_looked_at_is_not_read_again() {
        assert_eq!(due(&shown(), Some(&kept()), BASE, NOW + Duration::days(400)), Due::Nothing);
    }

    #[test]
    fn a_new_id_or_name_or_a_change_of_the_record_is_a_reason_to_look() {
        assert_eq!(due(&shown(), None, BASE, NOW), Due::Look);
        for changed in [
            ShownImage { document_id: Some("47".to_owned()), ..shown() },
            ShownImage { document_id: None, ..shown() },
            ShownImage { name: Some("cable-2.jpg".to_owned()), ..shown() },
            ShownImage { version: Some(datetime!(2026-11-01 08:01 UTC)), ..shown() },
            ShownImage { version: None, ..shown() },
        ] {
            assert_eq!(due(&changed, Some(&kept()), BASE, NOW), Due::Look, "{changed:?}");
        }
    }

    #[test]
    fn both_empty_or_a_deleted_record_means_removed_once() {
        let empty = ShownImage { document_id: None, name: None, ..shown() };
        let gone = ShownImage { deleted: true, ..shown() };
        for shown in [empty, gone] {
            assert_eq!(due(&shown, None, BASE, NOW), Due::Nothing);
            assert_eq!(due(&shown, Some(&kept()), BASE, NOW), Due::Remove);
            let tombstone = KeptImage { deleted: true, ..kept() };
            assert_eq!(due(&shown, Some(&tombstone), BASE, NOW), Due::Nothing);
        }
        let tombstone = KeptImage { deleted: true, ..kept() };
        assert_eq!(due(&shown(), Some(&tombstone), BASE, NOW), Due::Look, "the image came back");
    }

    #[test]
    fn a_failed_look_is_repeated_once_a_day_and_an_image_without_a_file_is_not() {
        let failed = |hours| KeptImage {
            failed: true,
            looked_at: Some(NOW - Duration::hours(hours)),
            sha256: None,
            location: None,
            ..kept()
        };
        assert_eq!(due(&shown(), Some(&failed(23)), BASE, NOW), Due::Nothing);
        assert_eq!(due(&shown(), Some(&failed(24)), BASE, NOW), Due::Look);
        let absent = KeptImage { failed: false, ..failed(48) };
        assert_eq!(due(&shown(), Some(&absent), BASE, NOW), Due::Nothing);
        let foreign = KeptImage { looked_at: None, ..kept() };
        assert_eq!(due(&shown(), Some(&foreign), BASE, NOW), Due::Look, "another program wrote the row");
    }

    #[test]
    fn a_file_of_an_earlier_store_is_read_again() {
        assert_eq!(due(&shown(), Some(&kept()), "file:///srv/images/", NOW), Due::Look);
    }
}

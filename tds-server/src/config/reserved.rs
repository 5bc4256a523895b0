//! Values that are checked at the start and that no part of this version reads yet, so that a configuration
//! that is right today stays right.

use std::time::Duration;

use super::lookup::Reader;

/// Checked, not yet used.
#[derive(Clone, Debug)]
pub struct ReservedConfig {
    /// `ZOHO_UNIQUE_FIELD`, default `cf_tds_id`. This version creates no records in Zoho.
    pub unique_field: String,
    /// `TDS_VERIFY_EVERY`, default `24h`. This version verifies nothing by itself.
    pub verify_every: Option<Duration>,
}

impl ReservedConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        reader.parse("TDS_IMAGE_STORE", (), "off; this version does not download product images", |text| {
            (text == "off").then_some(())
        });
        let accepted = "the API name of a custom field, such as cf_tds_id";
        Self {
            unique_field: reader.parse("ZOHO_UNIQUE_FIELD", "cf_tds_id".to_owned(), accepted, |text| {
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
                text.bytes().all(plain).then(|| text.to_owned())
            }),
            verify_every: reader.duration_or_off("TDS_VERIFY_EVERY", Duration::from_secs(86_400)),
        }
    }
}

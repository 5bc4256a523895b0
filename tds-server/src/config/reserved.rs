//! Variables that no part of this version reads. They belong to features that later versions have: records that TDS
//! creates in Zoho.
//!
//! The documented configuration contains these variables with their defaults and values, so operators may set them
//! now. `serve` therefore must not report them as unknown, and must not accept a value that a later version refuses.

use super::lookup::Reader;

/// Reports a wrong value of `ZOHO_UNIQUE_FIELD`.
pub(super) fn check(reader: &mut Reader<'_>) {
    let accepted = "the API name of a custom field, such as cf_tds_id";
    reader.parse("ZOHO_UNIQUE_FIELD", (), accepted, |text| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        text.bytes().all(plain).then_some(())
    });
}

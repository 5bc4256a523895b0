//! Variables that no part of this version reads. They belong to features that later versions have: records that TDS
//! creates in Zoho, and product images.
//!
//! The documented configuration contains these variables with their defaults and values, so operators may set them
//! now. `serve` therefore must not report them as unknown, and must not accept a value that a later version refuses.

use super::lookup::Reader;

/// Reports wrong values of `ZOHO_UNIQUE_FIELD` and `TDS_IMAGE_STORE`.
pub(super) fn check(reader: &mut Reader<'_>) {
    reader.parse("TDS_IMAGE_STORE", (), "off; this version does not download product images", |text| {
        (text == "off").then_some(())
    });
    let accepted = "the API name of a custom field, such as cf_tds_id";
    reader.parse("ZOHO_UNIQUE_FIELD", (), accepted, |text| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        text.bytes().all(plain).then_some(())
    });
}

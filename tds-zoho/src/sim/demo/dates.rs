//! The days of the shop's documents.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::items::overwrite;
use crate::sim::{literal::day, stamp};

/// Sets the day of a document, and the days that follow from it: an invoice is due fifteen days later.
pub(crate) fn date(document: &mut Value, at: OffsetDateTime) {
    let time = stamp(at);
    let changes = json!({"date": day(at), "created_time": time, "last_modified_time": time});
    overwrite(document, changes);
    let after = |days| day(at + time::Duration::days(days));
    let further = [
        ("due_date", after(15)),
        ("shipment_date", after(3)),
        ("delivery_date", after(10)),
        ("updated_time", time),
    ];
    for (key, value) in further {
        if document.get(key).is_some() {
            document[key] = json!(value);
        }
    }
}

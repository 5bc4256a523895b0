//! The guard of the tables of the mirror.

use tds_postgres::WriteGuard;

use super::lookup::Reader;

const VARIABLE: &str = "TDS_WRITE_GUARD";

/// What a person can do about an error of the guard.
const ADVICE: &str = "To let a program write here and have TDS bring its changes to Zoho, change the mode of the entity type \
                      (tds-server mode). To change single rows by hand, SET LOCAL tds.origin = 'remote' in the transaction. \
                      To turn this check off, set TDS_WRITE_GUARD=off.";

/// Reads `TDS_WRITE_GUARD`. A server stores the guard even if the variable is not set.
pub(super) fn read(reader: &mut Reader<'_>, serve: bool) -> Option<WriteGuard> {
    let refuses = reader.parse(VARIABLE, serve.then_some(true), "on or off", |text| match text {
        "on" => Some(Some(true)),
        "off" => Some(Some(false)),
        _ => None,
    });
    refuses.map(|refuses| WriteGuard { refuses, advice: ADVICE.to_owned() })
}

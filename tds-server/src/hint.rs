//! The commands and settings of this program that put a hint into practice.

use tds_core::hint::Hint;

/// Puts a hint into words: the command to run or the variable to change.
pub(crate) fn command(hint: &Hint) -> String {
    match hint {
        Hint::ConfirmDeletions(run) => {
            format!("if they are gone, release them with `tds-server runs confirm-deletions {run}`")
        }
        Hint::AcceptShortList(run) => format!(
            "if the source really has so few records, `tds-server runs resume {run}` continues and accepts the list"
        ),
        Hint::GrantPrivilege => "`tds-server check` says how to grant it".to_owned(),
        Hint::Settings(fields) => {
            let variables: Vec<String> = fields.iter().map(|field| variable(field)).collect();
            format!("see {}", variables.join(", "))
        }
    }
}

/// Returns the variable that sets a field of an adapter's configuration. The variables of Zoho are named as the fields.
fn variable(field: &str) -> String {
    match field {
        "url" => "DATABASE_URL".to_owned(),
        "bin_dir" => "PG_BIN_DIR".to_owned(),
        "data_dir" => "TDS_DATA_DIR".to_owned(),
        "max_connections" => "TDS_DB_CONNECTIONS".to_owned(),
        "readers" => "TDS_ERP_READERS".to_owned(),
        "custom_columns" => "TDS_CUSTOM_COLUMNS".to_owned(),
        of_zoho => format!("ZOHO_{}", of_zoho.to_uppercase()),
    }
}

#[cfg(test)]
mod tests {
    use tds_core::{
        error::{Error, ErrorKind, Retry},
        runs::RunId,
    };

    use super::*;

    #[test]
    fn every_hint_names_the_command_or_the_variable_at_the_end_of_the_error() {
        let cases = [
            (Hint::ConfirmDeletions(RunId(31)), "tds-server runs confirm-deletions 31"),
            (Hint::AcceptShortList(RunId(12)), "tds-server runs resume 12"),
            (Hint::GrantPrivilege, "tds-server check"),
            (Hint::Settings(&["max_connections"]), "TDS_DB_CONNECTIONS"),
            (Hint::Settings(&["data_dir"]), "TDS_DATA_DIR"),
            (Hint::Settings(&["readers"]), "TDS_ERP_READERS"),
            (Hint::Settings(&["bin_dir", "url"]), "see PG_BIN_DIR, DATABASE_URL"),
            (Hint::Settings(&["client_id", "data_center"]), "see ZOHO_CLIENT_ID, ZOHO_DATA_CENTER"),
            (
                Hint::Settings(&["client_secret", "refresh_token"]),
                "see ZOHO_CLIENT_SECRET, ZOHO_REFRESH_TOKEN",
            ),
            (Hint::Settings(&["organization_id", "api_url"]), "see ZOHO_ORGANIZATION_ID, ZOHO_API_URL"),
        ];
        for (hint, words) in cases {
            let cause = Error::new(ErrorKind::Config, Retry::Permanent, "cause").with_hint(hint);
            let text = Error::unavailable("doing").with_source(cause).explain(command);
            assert!(text.starts_with("doing: cause; ") && text.contains(words), "{text}");
        }
    }
}

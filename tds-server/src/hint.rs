//! The commands and settings of this program that put a hint into practice.

use tds_core::hint::Hint;

/// What is wrong with a database that is read-only, and what to do.
pub(crate) const READ_ONLY: &str = "the server is a standby, or default_transaction_read_only is on: let it accept \
                                    writes, or connect to the server that does";

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
        Hint::AcceptWrites => READ_ONLY.to_owned(),
        Hint::Settings(fields) => {
            let variables: Vec<&str> = fields.iter().map(|field| variable(field)).collect();
            let how = match variables.contains(&"ZOHO_REFRESH_TOKEN") {
                true => " (`tds-server auth --code CODE` makes a new token of a code of Zoho's API console)",
                false => "",
            };
            format!("see {}{how}", variables.join(", "))
        }
    }
}

/// Returns the variable that sets a field of an adapter's configuration. A field of an adapter that this program does
/// not know, which a program with entity types of its own may have, has no variable and is named itself.
fn variable(field: &'static str) -> &'static str {
    let of_zoho = tds_zoho::Setting::ALL.into_iter().find(|setting| setting.as_str() == field);
    let of_postgres = tds_postgres::Setting::ALL.into_iter().find(|setting| setting.as_str() == field);
    of_zoho.map(variable_of_zoho).or_else(|| of_postgres.map(variable_of_postgres)).unwrap_or(field)
}

fn variable_of_zoho(setting: tds_zoho::Setting) -> &'static str {
    use tds_zoho::Setting;
    match setting {
        Setting::ClientId => "ZOHO_CLIENT_ID",
        Setting::ClientSecret => "ZOHO_CLIENT_SECRET",
        Setting::RefreshToken => "ZOHO_REFRESH_TOKEN",
        Setting::OrganizationId => "ZOHO_ORGANIZATION_ID",
        Setting::DataCenter => "ZOHO_DATA_CENTER",
        Setting::ApiUrl => "ZOHO_API_URL",
        Setting::TokenKey => "ENCRYPTION_KEY",
        Setting::HiddenColumns => "TDS_HIDE_COLUMNS",
    }
}

fn variable_of_postgres(setting: tds_postgres::Setting) -> &'static str {
    use tds_postgres::Setting;
    match setting {
        Setting::Url => "DATABASE_URL",
        Setting::MaxConnections => "TDS_DB_CONNECTIONS",
        Setting::Readers => "TDS_ERP_READERS",
        Setting::Organization => "ZOHO_ORGANIZATION_ID",
        Setting::CustomColumns => "TDS_CUSTOM_COLUMNS",
        Setting::EngineSchema => "TDS_SCHEMA",
        Setting::MirrorSchema => "TDS_ERP_SCHEMA",
        Setting::BinDir => "PG_BIN_DIR",
        Setting::DataDir => "TDS_DATA_DIR",
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
    fn every_setting_of_an_adapter_has_its_own_name_and_a_variable_that_the_program_reads() {
        let known: Vec<String> = crate::cli::settings::variables().collect();
        let of_zoho = tds_zoho::Setting::ALL.map(tds_zoho::Setting::as_str);
        let of_postgres = tds_postgres::Setting::ALL.map(tds_postgres::Setting::as_str);
        let fields: Vec<&str> = of_zoho.into_iter().chain(of_postgres).collect();
        for field in &fields {
            let variable = variable(field);
            // A secret may be in the environment only, or in a file.
            let is_read =
                known.iter().any(|known| [variable, &format!("{variable}_FILE")].contains(&known.as_str()));
            assert!(is_read, "{field} is said to be set by {variable}, which the program does not read");
            assert_eq!(fields.iter().filter(|other| *other == field).count(), 1, "{field} is ambiguous");
        }
        assert_eq!(variable("of_another_adapter"), "of_another_adapter");
    }

    #[test]
    fn every_hint_names_the_command_or_the_variable_at_the_end_of_the_error() {
        let cases = [
            (Hint::ConfirmDeletions(RunId(31)), "tds-server runs confirm-deletions 31"),
            (Hint::AcceptShortList(RunId(12)), "tds-server runs resume 12"),
            (Hint::GrantPrivilege, "tds-server check"),
            (Hint::AcceptWrites, "default_transaction_read_only"),
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
            (Hint::Settings(&["refresh_token"]), "see ZOHO_REFRESH_TOKEN (`tds-server auth --code CODE`"),
            (Hint::Settings(&["token_key"]), "see ENCRYPTION_KEY"),
        ];
        for (hint, words) in cases {
            let cause = Error::new(ErrorKind::Config, Retry::Permanent, "cause").with_hint(hint);
            let text = Error::unavailable("doing").with_source(cause).explain(command);
            assert!(text.starts_with("doing: cause; ") && text.contains(words), "{text}");
        }
    }
}

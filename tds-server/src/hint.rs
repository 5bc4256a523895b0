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
        Hint::AllowConnections => "TDS_DB_CONNECTIONS limits their number".to_owned(),
        Hint::MendDataDirectory => "TDS_DATA_DIR names the directory".to_owned(),
        Hint::CorrectReaders => "TDS_ERP_READERS names the readers".to_owned(),
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
            (Hint::AllowConnections, "TDS_DB_CONNECTIONS"),
            (Hint::MendDataDirectory, "TDS_DATA_DIR"),
            (Hint::CorrectReaders, "TDS_ERP_READERS"),
        ];
        for (hint, words) in cases {
            let cause = Error::new(ErrorKind::Config, Retry::Permanent, "cause").with_hint(hint);
            let text = Error::unavailable("doing").with_source(cause).explain(command);
            assert!(text.starts_with("doing: cause; ") && text.contains(words), "{text}");
        }
    }
}

//! `schema print | exposures`.

use std::collections::BTreeSet;

use clap::{Args, Subcommand};
use tds_postgres::{Access, MigrationSettings, schema_script};

use super::{
    exit::{CommandResult, Failure},
    lookup::Lookup,
    output::{self, Column},
    settings::{ACCESS, DATABASE, Given, MIRROR, SCHEMAS, flags},
    store::{existing, of_organization, quiet_config},
};
use crate::{config::Need, http::dto};

/// Print the schema as a script, or show which roles have privileges that they should not have
#[derive(Args)]
pub(crate) struct SchemaArgs {
    #[command(subcommand)]
    action: SchemaAction,
}

#[derive(Subcommand)]
enum SchemaAction {
    /// Print the statements that migrate executes on an empty database, as a script
    #[command(
        args = flags(&[MIRROR, ACCESS, SCHEMAS]),
        after_help = "Example:\n  tds-server schema print | psql --set ON_ERROR_STOP=1 \"$DATABASE_URL\"\n\n\
        The command needs no database. After the script has run, migrate finds nothing to do."
    )]
    Print,
    /// Show which roles can read or change tables that they should not; exit with status 1 if there are any
    #[command(args = flags(&[ACCESS, DATABASE]), after_help = "Example:\n  tds-server schema exposures --json\n\n\
        An exposure is a privilege of everybody (PUBLIC) or of the roles anon and authenticated of a web API. The\n\
        privileges of other roles are listed with --json. tds-server migrate revokes exposures. What is not an object\n\
        of TDS, such as a view of your own that reads its tables, is never changed: TO CLOSE says what to run.")]
    Exposures {
        /// Print the result as JSON
        #[arg(long)]
        json: bool,
    },
}

impl SchemaArgs {
    pub(crate) async fn run(self, flags: Given) -> CommandResult {
        let lookup = Lookup::load(flags)?;
        let config = quiet_config(&lookup, Need::Database)?;
        let SchemaAction::Exposures { json } = self.action else {
            let settings = MigrationSettings {
                readers: &config.erp_readers,
                custom_columns: &config.custom_columns,
                write_guard: config.write_guard.as_ref(),
                ..MigrationSettings::default()
            };
            return output::data(&schema_script(&settings, config.database.schemas()));
        };
        let (storage, place) = existing(&config.database).await?;
        let found = match of_organization(&storage, &config).await {
            Ok(()) => storage.database.exposures(&config.erp_readers).await.map_err(Failure::from),
            Err(failure) => Err(failure),
        };
        storage.close().await;
        let found = found?;
        let open = !found.exposures.is_empty();
        if json {
            output::json(&dto::ExposureReport::from((open, found.clone())))?;
        } else if open {
            output::data(&output::table(COLUMNS, &found.exposures))?;
        }
        if open {
            return Err(Failure::failed(format!("{place}: {}", advice(&found.exposures))));
        }
        output::talk(&format!(
            "{place}: {}",
            closed(&found.granted, &config.erp_readers, config.database.schemas().mirror.as_str())
        ));
        Ok(())
    }
}

/// Returns who has privileges although nothing is open. A role that is no longer named keeps what it was granted.
fn closed(granted: &[Access], readers: &[String], mirror: &str) -> String {
    let roles: BTreeSet<&str> = granted.iter().map(|access| access.role.as_str()).collect();
    let is_named = |role: &&str| {
        readers.iter().any(|reader| reader == role)
            || ["tds_reader", "tds_writer"].iter().any(|group| role.starts_with(group))
    };
    let (named, others): (Vec<&str>, Vec<&str>) = roles.into_iter().partition(is_named);
    let mut text = "closed to everybody but the owner".to_owned();
    if !named.is_empty() {
        text += &format!(" and the named roles ({})", named.join(", "));
    }
    if !others.is_empty() {
        let from: Vec<String> = others.iter().map(|role| format!("\"{role}\"")).collect();
        let from = from.join(", ");
        text += &format!(
            ", and to {}, which TDS_ERP_READERS does not name: name these roles, or, if nobody gave them privileges on \
             purpose, run as the owner REVOKE ALL ON ALL TABLES IN SCHEMA \"{mirror}\" FROM {from}; REVOKE ALL ON SCHEMA \
             \"{mirror}\" FROM {from} (--json lists the privileges)",
            others.join(", ")
        );
    }
    text
}

/// Returns how many privileges are open, and who closes them.
fn advice(open: &[Access]) -> String {
    let foreign = open.iter().filter(|access| access.remedy.is_some()).count();
    let count = open.len();
    if foreign == 0 {
        return format!(
            "{count} privileges are open; run tds-server migrate as the owner of the tables, which revokes them"
        );
    }
    let own = if foreign == count {
        String::new()
    } else {
        "run tds-server migrate as the owner of the tables, which revokes those on objects of TDS, and "
            .to_owned()
    };
    format!(
        "{count} privileges are open; {own}run the statements of the last column as the owners of the objects, because TDS changes no objects of others"
    )
}

const COLUMNS: &[Column<Access>] = &[
    ("ROLE", |access| access.role.clone()),
    ("KIND", |access| access.kind.clone()),
    ("OBJECT", |access| access.object.clone()),
    ("PRIVILEGES", |access| access.privileges.join(", ")),
    ("TO CLOSE", |access| access.remedy.clone().unwrap_or_else(|| "tds-server migrate".to_owned())),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_that_is_no_longer_named_is_told_apart_from_those_that_are() {
        let access = |role: &str| Access {
            role: role.to_owned(),
            object: "erp.invoices".to_owned(),
            kind: "table".to_owned(),
            privileges: vec!["SELECT".to_owned()],
            remedy: None,
        };
        let granted = ["grafana", "reader1", "reader1", "tds_reader"].map(access);
        let told = |readers: &[&str]| {
            closed(&granted, &readers.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>(), "erp")
        };
        assert_eq!(
            told(&["grafana", "reader1"]),
            "closed to everybody but the owner and the named roles (grafana, reader1, tds_reader)"
        );
        let left = told(&["grafana"]);
        assert!(left.contains("(grafana, tds_reader), and to reader1, which TDS_ERP_READERS"), "{left}");
        assert!(left.contains("REVOKE ALL ON SCHEMA \"erp\" FROM \"reader1\""), "{left}");
        assert_eq!(closed(&[], &[], "erp"), "closed to everybody but the owner");
    }
}

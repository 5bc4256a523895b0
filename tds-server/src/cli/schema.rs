//! `schema print | exposures`.

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
        let named: std::collections::BTreeSet<&str> =
            found.granted.iter().map(|access| access.role.as_str()).collect();
        let besides = if named.is_empty() {
            String::new()
        } else {
            format!(" and the named roles ({})", named.into_iter().collect::<Vec<_>>().join(", "))
        };
        output::talk(&format!("{place}: closed to everybody but the owner{besides}"));
        Ok(())
    }
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
        "{count} privileges are open; {own}run the statements of the last column, because TDS changes no objects of others"
    )
}

const COLUMNS: &[Column<Access>] = &[
    ("ROLE", |access| access.role.clone()),
    ("KIND", |access| access.kind.clone()),
    ("OBJECT", |access| access.object.clone()),
    ("PRIVILEGES", |access| access.privileges.join(", ")),
    ("TO CLOSE", |access| access.remedy.clone().unwrap_or_else(|| "tds-server migrate".to_owned())),
];

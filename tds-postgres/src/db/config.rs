//! How to reach the database: the URL, and how the connections are divided.

use std::{fmt, str::FromStr as _};

use sqlx::postgres::PgConnectOptions;
use tds_core::{
    error::{Error, Result},
    hint::Hint,
};

use super::{schemas::Schemas, setting::Setting};

/// The port of Supabase's pooler in transaction mode.
const SUPABASE_TRANSACTION_PORT: u16 = 6543;

/// The setting that names the database.
pub(crate) const URL: Hint = Hint::Settings(&[Setting::Url.as_str()]);

/// The configuration of the database connections.
#[derive(Clone)]
pub struct DatabaseConfig {
    /// The URL of the database: `postgres://user:password@host:port/name?sslmode=…`. `pgbouncer=true`, port 6543 or
    /// `statement-cache-capacity=0` announce a pooler in transaction mode.
    /// [`Database::connect`](crate::Database::connect) detects other poolers by a test.
    pub url: String,
    /// The maximum number of connections of this process, at least 1. With 2 or more connections, one or two of them
    /// are reserved for pushed events. With 3 or more connections, one connection listens for the notifications of
    /// other processes, unless a pooler in transaction mode is in use.
    pub max_connections: u32,
    /// The name of the connections in `pg_stat_activity`.
    pub application_name: String,
    /// The schemas of the organization.
    pub schemas: Schemas,
}

impl DatabaseConfig {
    /// Returns a configuration with ten connections that are named `tds`, and the default schemas.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            max_connections: 10,
            application_name: "tds".to_owned(),
            schemas: Schemas::default(),
        }
    }
}

impl fmt::Debug for DatabaseConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL contains the password, so the output names only the target.
        formatter
            .debug_struct("DatabaseConfig")
            .field(
                "target",
                &Address::parse(&self.url).map_or_else(|_| "?".to_owned(), |address| address.target),
            )
            .field("max_connections", &self.max_connections)
            .field("application_name", &self.application_name)
            .field("schemas", &self.schemas)
            .finish_non_exhaustive()
    }
}

/// The parts of the URL.
pub(crate) struct Address {
    pub(crate) options: PgConnectOptions,
    /// `host:port/name`.
    pub(crate) target: String,
    pub(crate) pooled: bool,
}

impl Address {
    pub(crate) fn parse(url: &str) -> Result<Self> {
        // The parser's own message may quote the URL, and the URL contains the password.
        let wrong = || {
            let message = "the URL of the database is no PostgreSQL URL: expected \
                           postgres://user:password@host:5432/name";
            Error::config(message).with_hint(URL)
        };
        if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
            return Err(wrong());
        }
        let (url, mut pooled) = without_pooler_flag(url);
        pooled |= url.contains("statement-cache-capacity=0");
        let options = PgConnectOptions::from_str(&url).map_err(|_| wrong())?;
        pooled |= options.get_port() == SUPABASE_TRANSACTION_PORT;
        let name = options.get_database().unwrap_or_else(|| options.get_username());
        let target = format!("{}:{}/{name}", options.get_host(), options.get_port());
        Ok(Self { options, target, pooled })
    }
}

/// Removes `pgbouncer=…` from the URL: other programs understand this parameter, the driver does not.
fn without_pooler_flag(url: &str) -> (String, bool) {
    let Some((base, query)) = url.split_once('?') else { return (url.to_owned(), false) };
    let (flags, rest): (Vec<&str>, Vec<&str>) =
        query.split('&').partition(|pair| pair.split('=').next() == Some("pgbouncer"));
    let pooled =
        flags.iter().any(|flag| flag.eq_ignore_ascii_case("pgbouncer=true") || *flag == "pgbouncer=1");
    (if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) }, pooled)
}

/// How the connections of a process are divided.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shares {
    pub(crate) work: u32,
    /// The connections for pushed events. 0: pushed events use the `work` connections.
    pub(crate) ingest: u32,
    pub(crate) listens: bool,
}

impl Shares {
    pub(crate) fn of(connections: u32, pooled: bool) -> Self {
        let listens = connections >= 3 && !pooled;
        let rest = connections.max(1) - u32::from(listens);
        let ingest = match rest {
            0 | 1 => 0,
            2..=6 => 1,
            _ => 2,
        };
        Self { work: rest - ingest, ingest, listens }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pooler_flag_is_taken_out_and_the_rest_stays() {
        let (url, pooled) = without_pooler_flag("postgres://a@h/db?sslmode=require&pgbouncer=true");
        assert_eq!((url.as_str(), pooled), ("postgres://a@h/db?sslmode=require", true));
        assert_eq!(without_pooler_flag("postgres://a@h/db"), ("postgres://a@h/db".to_owned(), false));
    }

    #[test]
    fn connections_are_shared_out_and_never_more_than_allowed() {
        let shares = |connections, pooled| {
            let shares = Shares::of(connections, pooled);
            (shares.listens, shares.ingest, shares.work)
        };
        assert_eq!(shares(0, false), (false, 0, 1));
        assert_eq!(shares(1, false), (false, 0, 1));
        assert_eq!(shares(2, false), (false, 1, 1));
        assert_eq!(shares(3, false), (true, 1, 1));
        assert_eq!(shares(3, true), (false, 1, 2));
        assert_eq!(shares(10, false), (true, 2, 7));
    }

    #[test]
    fn the_port_of_supabases_transaction_pooler_is_known() {
        let address = Address::parse("postgres://u:p@h:6543/postgres").expect("a URL");
        assert!(address.pooled);
        assert_eq!(address.target, "h:6543/postgres");
    }

    #[test]
    fn no_text_shows_the_password() {
        let config = DatabaseConfig::new("postgres://u:hunter2@h/db");
        assert!(!format!("{config:?}").contains("hunter2"));
        for wrong in ["mysql://u:hunter2@h/db", "postgres://u:hunter2@h:port/db", "hunter2"] {
            let error = Address::parse(wrong).err().expect("refused");
            assert!(!error.chain().contains("hunter2") && error.hint() == Some(&URL), "{error}");
        }
    }
}

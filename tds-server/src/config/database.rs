//! The database to use.

use std::{
    borrow::Cow,
    fmt::Write as _,
    path::{Path, PathBuf},
};

use reqwest::Url;
use tds_postgres::{DatabaseConfig, SchemaName, Schemas};

use super::lookup::Reader;

/// The most connections that one process opens, unless `TDS_DB_CONNECTIONS` says otherwise.
const CONNECTIONS: u32 = 10;

/// An existing database or a private cluster.
#[derive(Clone, Debug)]
pub enum DatabaseChoice {
    /// `DATABASE_URL`, or `DB_HOST`, `DB_PORT` (5432), `DB_NAME`, `DB_USER`, `DB_PASSWORD`.
    Url(DatabaseConfig),
    /// Neither is set: TDS starts and stops a private cluster.
    Embedded(ClusterPlace),
}

/// The location of the private cluster.
#[derive(Clone, Debug)]
pub struct ClusterPlace {
    /// `TDS_DATA_DIR`, default `.tds`.
    pub data_dir: PathBuf,
    /// `PG_BIN_DIR`: the directory of `initdb` and `postgres`. `None`: TDS looks for the programs itself.
    pub bin_dir: Option<PathBuf>,
    /// `TDS_DB_CONNECTIONS`, default 10.
    pub max_connections: u32,
    /// `TDS_SCHEMA` and `TDS_ERP_SCHEMA`.
    pub schemas: Schemas,
}

/// Returns the directory below `TDS_DATA_DIR` in which a demo keeps its cluster.
pub(crate) fn demo_directory(data_dir: &Path) -> PathBuf {
    data_dir.join("demo")
}

impl DatabaseChoice {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let max_connections = reader.number("TDS_DB_CONNECTIONS", CONNECTIONS, 2, 500);
        let data_dir = reader.text("TDS_DATA_DIR").map_or_else(|| PathBuf::from(".tds"), PathBuf::from);
        let bin_dir = reader.text("PG_BIN_DIR").map(PathBuf::from);
        if let Some(directory) = bin_dir.as_ref().filter(|directory| !directory.is_dir()) {
            let found = format!("\"{}\"", directory.display());
            reader.error("PG_BIN_DIR", found, "the directory with PostgreSQL's binaries (initdb, postgres)");
        }
        let schemas = schemas(reader);
        let url = reader.secret_text("DATABASE_URL");
        let from_parts = parts(reader);
        if url.is_some() && from_parts.is_some() {
            reader.error("DB_HOST", "it together with DATABASE_URL", "one of the two");
        }
        if let Some(url) = &url {
            check_url(reader, url);
        }
        match url.or(from_parts) {
            Some(url) => Self::Url(DatabaseConfig { max_connections, schemas, ..DatabaseConfig::new(url) }),
            None => Self::Embedded(ClusterPlace { data_dir, bin_dir, max_connections, schemas }),
        }
    }

    /// Returns the schemas of the organization.
    pub(crate) fn schemas(&self) -> &Schemas {
        match self {
            Self::Url(config) => &config.schemas,
            Self::Embedded(place) => &place.schemas,
        }
    }
}

fn schemas(reader: &mut Reader<'_>) -> Schemas {
    let engine = schema_name(reader, "TDS_SCHEMA");
    let default = Schemas::default().mirror;
    let mirror = schema_name(reader, "TDS_ERP_SCHEMA").unwrap_or(default);
    if engine.as_ref() == Some(&mirror) {
        let found = format!("\"{mirror}\", the schema of the mirror (TDS_ERP_SCHEMA)");
        reader.error("TDS_SCHEMA", found, "another schema than that of the mirror");
    }
    if mirror.as_str() == "public" {
        reader.error("TDS_ERP_SCHEMA", "\"public\"".to_owned(), "a schema that only the mirror uses");
    }
    Schemas { engine, mirror }
}

fn schema_name(reader: &mut Reader<'_>, variable: &str) -> Option<SchemaName> {
    let text = reader.text(variable)?;
    let name = text.parse();
    if name.is_err() {
        const ACCEPTED: &str =
            "1 to 63 letters, digits or underscores, the first no digit, and no name of PostgreSQL (pg_…)";
        reader.error(variable, format!("\"{text}\""), ACCEPTED);
    }
    name.ok()
}

fn check_url(reader: &mut Reader<'_>, url: &str) {
    const ACCEPTED: &str = "postgres://user:password@host:5432/name";
    // The value holds a password, so only the part before "://" is shown.
    match url.split_once("://") {
        Some(("postgres" | "postgresql", rest)) if !rest.is_empty() => match Url::parse(url) {
            Ok(url) => check_tls(reader, &url),
            Err(error) => reader.error("DATABASE_URL", format!("a URL with an error: {error}"), ACCEPTED),
        },
        Some((scheme, _)) => {
            reader.error("DATABASE_URL", format!("a value that begins with {scheme}://"), ACCEPTED)
        }
        None => reader.error("DATABASE_URL", "a value that is not a URL", ACCEPTED),
    }
}

fn check_tls(reader: &mut Reader<'_>, url: &Url) {
    const MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
    let is_unknown = |(key, mode): &(Cow<'_, str>, Cow<'_, str>)| {
        matches!(&**key, "sslmode" | "ssl-mode") && !MODES.contains(&mode.to_lowercase().as_str())
    };
    if let Some((key, mode)) = url.query_pairs().find(is_unknown) {
        reader.error("DATABASE_URL", format!("{key}={mode}"), format!("one of {}", MODES.join(", ")));
    }
}

/// Returns a URL made from `DB_HOST` and the other `DB_*` variables, or `None` if `DB_HOST` is unset.
fn parts(reader: &mut Reader<'_>) -> Option<String> {
    const COMPANIONS: [&str; 3] = ["DB_PORT", "DB_NAME", "DB_USER"];
    let host = reader.text("DB_HOST");
    let password = reader.secret_text("DB_PASSWORD");
    let Some(host) = host else {
        if let Some(set) = COMPANIONS.into_iter().find(|name| reader.text(name).is_some()) {
            reader.error("DB_HOST", format!("nothing, although {set} is set"), "the database's host name");
        }
        return None;
    };
    let port = reader.number("DB_PORT", 5432_u32, 1, 65_535);
    let mut required = |name: &str| {
        reader.text(name).unwrap_or_else(|| {
            reader.error(name, "nothing", "a value, because DB_HOST is set");
            String::new()
        })
    };
    let (name, user) = (encode(&required("DB_NAME")), encode(&required("DB_USER")));
    let password = password.map(|password| format!(":{}", encode(&password))).unwrap_or_default();
    let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host };
    // A path is the directory of a Unix socket.
    let host = if host.starts_with('/') { encode(&host) } else { host };
    Some(format!("postgres://{user}{password}@{host}:{port}/{name}"))
}

/// Percent-encodes every character except letters, digits and `-._~`.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

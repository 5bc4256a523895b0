//! A flag for every variable of the configuration. The values of flags and of the environment are read through the
//! same lookup, so that the same rules check both and the same messages report errors.

use std::collections::HashMap;

use clap::{Arg, ArgMatches};

/// A setting: its flag, its variable, and its help text.
pub(crate) type Setting = (&'static str, &'static str, &'static str);

/// The values of flags, by the variable that each flag stands for.
pub(crate) type Given = HashMap<String, String>;

const HEADING: &str = "Settings (the value's name is the variable that does the same)";

/// The secrets. Each may also come from a file, which the variable with the suffix `_FILE` names.
const SECRETS: [&str; 8] = [
    "DATABASE_URL",
    "DB_PASSWORD",
    "TDS_ADMIN_TOKEN",
    "ZOHO_CLIENT_SECRET",
    "ZOHO_REFRESH_TOKEN",
    "ENCRYPTION_KEY",
    "ZOHO_WEBHOOK_SECRET",
    "TDS_WEBHOOK_KEY",
];

/// The settings of a server.
pub(crate) const SERVER: [&[Setting]; 6] = [SERVE, WEBHOOK, ZOHO, WORKER, ACCESS, DATABASE];

/// Returns every variable that is a setting.
pub(crate) fn variables() -> impl Iterator<Item = String> {
    let named = SERVER.into_iter().flatten().map(|(_, variable, _)| (*variable).to_owned());
    named.chain(SECRETS.iter().map(|name| format!("{name}_FILE")))
}

/// Returns the flags of these settings.
pub(crate) fn flags(groups: &[&'static [Setting]]) -> Vec<Arg> {
    let flag = |(flag, variable, help): &Setting| {
        Arg::new(*variable).long(*flag).value_name(*variable).help(*help).help_heading(HEADING)
    };
    groups.iter().copied().flatten().map(flag).collect()
}

/// Returns the settings that were given as flags of the command.
pub(crate) fn given(mut matches: &ArgMatches) -> Given {
    while let Some((_, command)) = matches.subcommand() {
        matches = command;
    }
    let value = |variable: &str| matches.try_get_one::<String>(variable).ok().flatten().cloned();
    variables().filter_map(|variable| value(&variable).map(|value| (variable, value))).collect()
}

macro_rules! settings {
    ($($(#[$about:meta])* $group:ident { $($flag:literal $variable:literal $help:literal,)* })*) => {
        $($(#[$about])*
        pub(crate) const $group: &[Setting] = &[$(($flag, $variable, $help)),*];)*
    };
}

settings! {
    /// The database and the filter of the log.
    DATABASE {
        "database-url" "DATABASE_URL" "PostgreSQL, as postgres://user:password@host:5432/name; without it a private cluster is used",
        "db-host" "DB_HOST" "Instead of the URL: the database's host",
        "db-port" "DB_PORT" "Its port [default: 5432]",
        "db-name" "DB_NAME" "The database's name",
        "db-user" "DB_USER" "The database's user",
        "db-password" "DB_PASSWORD" "The user's password (visible to others on this machine: prefer the variable)",
        "db-connections" "TDS_DB_CONNECTIONS" "Connections that this process opens at most [default: 10]",
        "data-dir" "TDS_DATA_DIR" "Where the private cluster lives [default: .tds]",
        "pg-bin-dir" "PG_BIN_DIR" "Where initdb and postgres are [default: looked for]",
        "log" "RUST_LOG" "What is logged, such as info or info,tds_zoho=debug [default: info]",
        "log-format" "TDS_LOG_FORMAT" "text or json [default: text]",
    }

    /// The roles that may read the tables of TDS.
    ACCESS {
        "erp-readers" "TDS_ERP_READERS" "Roles of the database that may read schema erp, comma separated [default: none]",
    }

    /// The access to Zoho.
    ZOHO {
        "zoho-client-id" "ZOHO_CLIENT_ID" "The OAuth client's id",
        "zoho-client-secret" "ZOHO_CLIENT_SECRET" "The OAuth client's secret (visible to others on this machine: prefer the variable)",
        "zoho-refresh-token" "ZOHO_REFRESH_TOKEN" "The OAuth refresh token (visible to others on this machine: prefer the variable)",
        "zoho-organization-id" "ZOHO_ORGANIZATION_ID" "The organization's id",
        "zoho-data-center" "ZOHO_DATA_CENTER" "us, eu, in, au, jp, ca, sa, cn, uk, ae or sg [default: us]",
        "zoho-accounts-url" "ZOHO_ACCOUNTS_URL" "Base URL of Zoho's accounts server [default: of the data centre]",
        "zoho-api-url" "ZOHO_API_URL" "Base URL of Zoho's API [default: what the token answer says]",
        "zoho-requests-per-minute" "ZOHO_REQUESTS_PER_MINUTE" "Requests in any 60 seconds [default: 100]",
        "zoho-max-concurrency" "ZOHO_MAX_CONCURRENCY" "Requests in flight [default: 5]",
        "outage-probe" "TDS_OUTAGE_PROBE" "First wait before Zoho is asked again while it refuses the account [default: 1m]",
        "zoho-daily-limit" "ZOHO_DAILY_LIMIT" "Calls a day [default: none]",
        "zoho-unique-field" "ZOHO_UNIQUE_FIELD" "Unique custom field of records made by TDS (reserved) [default: cf_tds_id]",
        "encryption-key" "ENCRYPTION_KEY" "32 bytes, base64: all copies share one access token, sealed with this key [default: none]",
    }

    /// How the queue is processed.
    WORKER {
        "workers" "TDS_WORKERS" "Concurrent batches; 0 serves HTTP only [default: 4]",
        "max-attempts" "TDS_MAX_ATTEMPTS" "Attempts before the dead letters [default: 8]",
        "retry-base" "TDS_RETRY_BASE" "Shortest wait before a retry [default: 2s]",
        "retry-max" "TDS_RETRY_MAX" "Longest wait before a retry [default: 15m]",
        "lease" "TDS_LEASE" "A worker that stops renewing loses its items after this [default: 60s]",
    }

    /// How webhooks prove authentic.
    WEBHOOK {
        "webhook-secret" "ZOHO_WEBHOOK_SECRET" "HMAC key(s), comma separated (visible to others on this machine: prefer the variable)",
        "webhook-key" "TDS_WEBHOOK_KEY" "What the header X-Webhook-Key must carry too",
    }

    /// The settings that only a server needs.
    SERVE {
        "bind" "TDS_BIND" "Listen address [default: 127.0.0.1:8000]",
        "metrics-bind" "TDS_METRICS_BIND" "Listen address of /metrics alone [default: the main one]",
        "app-env" "APP_ENV" "development or production [default: development]",
        "admin-token" "TDS_ADMIN_TOKEN" "Bearer token(s) of the operator API, comma separated, each optionally name:token",
        "allowed-hosts" "ALLOWED_HOSTS" "Accepted Host values, comma separated [default: any]",
        "allow-unsigned-webhooks" "TDS_ALLOW_UNSIGNED_WEBHOOKS" "true: without a webhook secret, take bodies as they come (development only)",
        "committers" "TDS_COMMITTERS" "Commits of webhooks under way at once [default: 2]",
        "commit-events" "TDS_COMMIT_EVENTS" "Webhooks of one commit at most [default: 256]",
        "incremental-every" "TDS_INCREMENTAL_EVERY" "How often changes are read, or off [default: 15m]",
        "full-every" "TDS_FULL_EVERY" "How often everything is read, or off [default: 24h]",
        "stock-every" "TDS_STOCK_EVERY" "How often stock is read, or off [default: 30m]",
        "prices-every" "TDS_PRICES_EVERY" "How often price lists are read, or off [default: 1h]",
        "probe-every" "TDS_PROBE_EVERY" "How often it is tried what the lists of Zoho can do, or off [default: 7d]",
        "verify-every" "TDS_VERIFY_EVERY" "How often both sides are compared (reserved) [default: 24h]",
        "retention" "TDS_RETENTION" "Age at which finished rows are pruned [default: 30d]",
        "image-store" "TDS_IMAGE_STORE" "Where product images go (reserved: off) [default: off]",
    }

    /// The organization whose webhooks are handled.
    ORGANIZATION {
        "zoho-organization-id" "ZOHO_ORGANIZATION_ID" "The organization's id",
    }
}

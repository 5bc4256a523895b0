//! A flag for every variable of the configuration. Their values go where the environment's go, so that both are
//! checked by the same rules and complained about in the same words.

use std::collections::HashMap;

/// Flags given, by the variable that each stands for.
pub(crate) type Given = HashMap<&'static str, String>;

/// Arguments with flags that are settings.
pub(crate) trait Flags {
    /// Notes the flags that were given.
    fn collect(&self, given: &mut Given);
}

/// The secrets, each of which may also come from a file: the variable with _FILE behind its name tells which.
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

/// Every variable that means something.
pub(crate) fn variables() -> impl Iterator<Item = String> {
    let named = [
        DatabaseSettings::VARIABLES,
        AccessSettings::VARIABLES,
        ZohoSettings::VARIABLES,
        WorkerSettings::VARIABLES,
        WebhookSettings::VARIABLES,
        ServeSettings::VARIABLES,
        OrganizationSettings::VARIABLES,
    ];
    let named = named.into_iter().flatten().map(|name| (*name).to_owned());
    named.chain(SECRETS.iter().map(|name| format!("{name}_FILE")))
}

macro_rules! settings {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $field:ident: $variable:literal,)* }) => {
        $(#[$meta])*
        #[derive(clap::Args, Clone, Default)]
        #[command(next_help_heading = "Settings (the value's name is the variable that does the same)")]
        pub(crate) struct $name {
            $($(#[$doc])* #[arg(long, value_name = $variable)] $field: Option<String>,)*
        }

        impl $name {
            const VARIABLES: &'static [&'static str] = &[$($variable),*];
        }

        impl Flags for $name {
            fn collect(&self, given: &mut Given) {
                $(if let Some(value) = &self.$field {
                    given.insert($variable, value.clone());
                })*
            }
        }
    };
}

settings! {
    /// Which database, and what is logged.
    DatabaseSettings {
        /// PostgreSQL, as postgres://user:password@host:5432/name; without it a private cluster is used
        database_url: "DATABASE_URL",
        /// Instead of the URL: the database's host
        db_host: "DB_HOST",
        /// Its port [default: 5432]
        db_port: "DB_PORT",
        /// The database's name
        db_name: "DB_NAME",
        /// The database's user
        db_user: "DB_USER",
        /// The user's password (visible to others on this machine: prefer the variable)
        db_password: "DB_PASSWORD",
        /// Connections that this process opens at most [default: 20]
        db_connections: "TDS_DB_CONNECTIONS",
        /// Where the private cluster lives [default: .tds]
        data_dir: "TDS_DATA_DIR",
        /// Where initdb and postgres are [default: looked for]
        pg_bin_dir: "PG_BIN_DIR",
        /// What is logged, such as info or info,tds_zoho=debug [default: info]
        log: "RUST_LOG",
        /// text or json [default: text]
        log_format: "TDS_LOG_FORMAT",
    }
}

settings! {
    /// Who may read what TDS keeps.
    AccessSettings {
        /// Roles of the database that may read schema erp, comma separated [default: none]
        erp_readers: "TDS_ERP_READERS",
    }
}

settings! {
    /// How Zoho is reached.
    ZohoSettings {
        /// The OAuth client's id
        zoho_client_id: "ZOHO_CLIENT_ID",
        /// The OAuth client's secret (visible to others on this machine: prefer the variable)
        zoho_client_secret: "ZOHO_CLIENT_SECRET",
        /// The OAuth refresh token (visible to others on this machine: prefer the variable)
        zoho_refresh_token: "ZOHO_REFRESH_TOKEN",
        /// The organization's id
        zoho_organization_id: "ZOHO_ORGANIZATION_ID",
        /// us, eu, in, au, jp, ca, sa, cn, uk, ae or sg [default: us]
        zoho_data_center: "ZOHO_DATA_CENTER",
        /// Base URL of Zoho's accounts server [default: of the data centre]
        zoho_accounts_url: "ZOHO_ACCOUNTS_URL",
        /// Base URL of Zoho's API [default: what the token answer says]
        zoho_api_url: "ZOHO_API_URL",
        /// Requests in any 60 seconds [default: 100]
        zoho_requests_per_minute: "ZOHO_REQUESTS_PER_MINUTE",
        /// Requests in flight [default: 5]
        zoho_max_concurrency: "ZOHO_MAX_CONCURRENCY",
        /// First wait before Zoho is asked again while it refuses the account [default: 1m]
        outage_probe: "TDS_OUTAGE_PROBE",
        /// Calls a day [default: none]
        zoho_daily_limit: "ZOHO_DAILY_LIMIT",
        /// Unique custom field of records made by TDS (reserved) [default: cf_tds_id]
        zoho_unique_field: "ZOHO_UNIQUE_FIELD",
        /// 32 bytes, base64 (reserved)
        encryption_key: "ENCRYPTION_KEY",
    }
}

settings! {
    /// How the queue is worked on.
    WorkerSettings {
        /// Concurrent batches; 0 serves HTTP only [default: 4]
        workers: "TDS_WORKERS",
        /// Attempts before the dead letters [default: 8]
        max_attempts: "TDS_MAX_ATTEMPTS",
        /// Shortest wait before a retry [default: 2s]
        retry_base: "TDS_RETRY_BASE",
        /// Longest wait before a retry [default: 15m]
        retry_max: "TDS_RETRY_MAX",
        /// A worker that stops renewing loses its items after this [default: 60s]
        lease: "TDS_LEASE",
    }
}

settings! {
    /// How webhooks prove authentic.
    WebhookSettings {
        /// HMAC key(s), comma separated (visible to others on this machine: prefer the variable)
        webhook_secret: "ZOHO_WEBHOOK_SECRET",
        /// What the header X-Webhook-Key must carry too
        webhook_key: "TDS_WEBHOOK_KEY",
    }
}

settings! {
    /// What only a server needs.
    ServeSettings {
        /// Listen address [default: 127.0.0.1:8000]
        bind: "TDS_BIND",
        /// Listen address of /metrics alone [default: the main one]
        metrics_bind: "TDS_METRICS_BIND",
        /// development or production [default: development]
        app_env: "APP_ENV",
        /// Bearer token(s) of the operator API, comma separated, each optionally name:token
        admin_token: "TDS_ADMIN_TOKEN",
        /// Accepted Host values, comma separated [default: any]
        allowed_hosts: "ALLOWED_HOSTS",
        /// true: without a webhook secret, take bodies as they come (development only)
        allow_unsigned_webhooks: "TDS_ALLOW_UNSIGNED_WEBHOOKS",
        /// Commits of webhooks under way at once [default: 2]
        committers: "TDS_COMMITTERS",
        /// Webhooks of one commit at most [default: 256]
        commit_events: "TDS_COMMIT_EVENTS",
        /// How often changes are read, or off [default: 15m]
        incremental_every: "TDS_INCREMENTAL_EVERY",
        /// How often everything is read, or off [default: 24h]
        full_every: "TDS_FULL_EVERY",
        /// How often stock is read, or off [default: 30m]
        stock_every: "TDS_STOCK_EVERY",
        /// How often price lists are read, or off [default: 1h]
        prices_every: "TDS_PRICES_EVERY",
        /// How often it is tried what the lists of Zoho can do, or off [default: 7d]
        probe_every: "TDS_PROBE_EVERY",
        /// How often both sides are compared (reserved) [default: 24h]
        verify_every: "TDS_VERIFY_EVERY",
        /// Age at which finished rows are pruned [default: 30d]
        retention: "TDS_RETENTION",
        /// Where product images go (reserved: off) [default: off]
        image_store: "TDS_IMAGE_STORE",
    }
}

settings! {
    /// Whose webhooks are handled.
    OrganizationSettings {
        /// The organization's id
        zoho_organization_id: "ZOHO_ORGANIZATION_ID",
    }
}

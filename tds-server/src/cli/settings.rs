//! A flag for every variable of the configuration. The values of flags and of the environment are read through the
//! same lookup, so that the same rules check both and the same messages report errors.

use std::collections::HashMap;

use clap::{Arg, ArgMatches};

/// A setting: its flag, its variable, and its help text.
pub(crate) type Setting = (&'static str, &'static str, &'static str);

/// The values of flags, by the variable that each flag stands for.
pub(crate) type Given = HashMap<String, String>;

const HEADING: &str = "Settings (each can also be given as the environment variable shown after the flag)";

/// The secrets. Each may also come from a file, which the variable with the suffix `_FILE` names.
const SECRETS: [&str; 12] = [
    "DATABASE_URL",
    "DB_PASSWORD",
    "TDS_ADMIN_TOKEN",
    "TDS_VIEWER_TOKEN",
    "ZOHO_CLIENT_SECRET",
    "ZOHO_REFRESH_TOKEN",
    "ENCRYPTION_KEY",
    "ZOHO_WEBHOOK_SECRET",
    "TDS_WEBHOOK_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
];

/// The settings of a server.
pub(crate) const SERVER: [&[Setting]; 12] =
    [LISTEN, SERVE, VERIFY, IMAGES, WEBHOOK, RULES, ENTITIES, ZOHO, WORKER, MIRROR, ACCESS, DATABASE];

/// The schemas of the organization, for commands that need no database: the last two settings of the database.
pub(crate) const SCHEMAS: &[Setting] = match DATABASE.last_chunk::<2>() {
    Some(schemas) => schemas,
    None => &[],
};

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
        "database-url" "DATABASE_URL" "URL of the database, as postgres://user:password@host:5432/name [default: a private cluster]",
        "db-host" "DB_HOST" "Host of the database, as an alternative to the URL",
        "db-port" "DB_PORT" "Port of the database [default: 5432]",
        "db-name" "DB_NAME" "Name of the database",
        "db-user" "DB_USER" "User of the database",
        "db-password" "DB_PASSWORD" "Password of the user (visible to other users of this machine; prefer the variable)",
        "db-connections" "TDS_DB_CONNECTIONS" "Maximum number of connections that this process opens [default: 10]",
        "data-dir" "TDS_DATA_DIR" "Directory of the private cluster [default: .tds]",
        "pg-bin-dir" "PG_BIN_DIR" "Directory of initdb and postgres [default: searched for]",
        "log" "RUST_LOG" "Log level or directives, such as info or info,tds_zoho=debug [default: info]",
        "log-format" "TDS_LOG_FORMAT" "Format of the log: text or json [default: text]",
        "schema" "TDS_SCHEMA" "Schema of the tables of the engine [default: that of the connection]",
        "erp-schema" "TDS_ERP_SCHEMA" "Schema of the mirror [default: erp]",
    }

    /// The columns of the mirror, and who may write them.
    MIRROR {
        "custom-columns" "TDS_CUSTOM_COLUMNS" "Custom fields as columns of schema erp, comma separated, each as TABLE.FIELD:TYPE [default: none]",
        "hide-columns" "TDS_HIDE_COLUMNS" "Columns whose values are not kept, comma separated, each as TABLE.COLUMN or TABLE.COLUMN=hash [default: none]",
        "write-guard" "TDS_WRITE_GUARD" "Refuse changes of schema erp by other programs in the mode zoho_primary: on or off [default: on]",
    }

    /// The roles that may read the tables of TDS.
    ACCESS {
        "erp-readers" "TDS_ERP_READERS" "Roles of the database that may read schema erp, comma separated [default: none]",
    }

    /// The entity types that are synced.
    ENTITIES {
        "entities" "TDS_ENTITIES" "Entity types that are synced, comma separated [default: all]",
    }

    /// The access to Zoho.
    ZOHO {
        "zoho-client-id" "ZOHO_CLIENT_ID" "Id of the OAuth client",
        "zoho-client-secret" "ZOHO_CLIENT_SECRET" "Secret of the OAuth client (visible to other users of this machine; prefer the variable)",
        "zoho-refresh-token" "ZOHO_REFRESH_TOKEN" "OAuth refresh token (visible to other users of this machine; prefer the variable)",
        "zoho-organization-id" "ZOHO_ORGANIZATION_ID" "The organization's id",
        "zoho-data-center" "ZOHO_DATA_CENTER" "Data centre: us, eu, in, au, jp, ca, sa, cn, uk, ae or sg [default: us]",
        "zoho-accounts-url" "ZOHO_ACCOUNTS_URL" "Base URL of Zoho's accounts server [default: that of the data centre]",
        "zoho-api-url" "ZOHO_API_URL" "Base URL of Zoho's API [default: the host in the token answer]",
        "zoho-requests-per-minute" "ZOHO_REQUESTS_PER_MINUTE"
            "Maximum number of calls in any 60 seconds [default: 100]",
        "zoho-max-concurrency" "ZOHO_MAX_CONCURRENCY" "Maximum number of calls in flight [default: 5]",
        "outage-probe" "TDS_OUTAGE_PROBE" "First wait before the next probe while Zoho refuses the account [default: 1m]",
        "zoho-daily-limit" "ZOHO_DAILY_LIMIT" "Number of calls per day that the plan allows [default: none]",
        "zoho-unique-field" "ZOHO_UNIQUE_FIELD" "Unique custom field that identifies records that TDS creates [default: cf_tds_id]",
        "encryption-key" "ENCRYPTION_KEY" "Key of 32 bytes in base64: all processes share one access token, encrypted with this key [default: none]",
    }

    /// How the queue is processed.
    WORKER {
        "workers" "TDS_WORKERS" "Concurrent batches; with 0, the process serves HTTP only [default: 4]",
        "max-attempts" "TDS_MAX_ATTEMPTS" "Attempts before an item becomes a dead letter [default: 8]",
        "retry-base" "TDS_RETRY_BASE" "Shortest wait before a retry [default: 2s]",
        "retry-max" "TDS_RETRY_MAX" "Longest wait before a retry [default: 15m]",
        "derived-wait" "TDS_DERIVED_WAIT" "How long reads of stock, balances and statuses that follow from documents are gathered, or off [default: 2s]",
        "lease" "TDS_LEASE" "Time after which a worker that stops renewing its leases loses its items [default: 60s]",
    }

    /// How both sides are compared.
    VERIFY {
        "verify-sample" "TDS_VERIFY_SAMPLE" "Records that a comparison reads whole, as a random sample of each entity type [default: 100]",
    }

    /// How webhooks are authenticated.
    WEBHOOK {
        "webhook-secret" "ZOHO_WEBHOOK_SECRET" "Webhook secrets (HMAC keys), comma separated (visible to other users of this machine; prefer the variable)",
        "webhook-key" "TDS_WEBHOOK_KEY" "Values of which the header X-Webhook-Key must have one, comma separated; webhooks install uses the last",
    }

    /// Where a server listens.
    LISTEN {
        "bind" "TDS_BIND" "Listen address [default: 127.0.0.1:8000]",
    }

    /// The webhooks and rules that are registered in Zoho.
    RULES {
        "webhook-modules" "TDS_WEBHOOK_MODULES" "Modules of Zoho that rules watch, comma separated, each as PATH=MODULE [default: those of docs/zoho-setup.md]",
        "known-webhook-urls" "TDS_KNOWN_WEBHOOK_URLS" "Beginnings of the URLs that webhooks of other programs have, comma separated [default: none]",
        "settings-pace" "TDS_SETTINGS_PACE" "Pause between two calls to Zoho's settings of webhooks and rules [default: 600ms]",
    }

    /// What is known of the access to Zoho before there is a refresh token.
    CLIENT {
        "zoho-client-id" "ZOHO_CLIENT_ID" "Id of the OAuth client [default: asked for]",
        "zoho-client-secret" "ZOHO_CLIENT_SECRET" "Secret of the OAuth client (visible to other users of this machine; prefer the variable) [default: asked for]",
        "zoho-data-center" "ZOHO_DATA_CENTER" "Data centre: us, eu, in, au, jp, ca, sa, cn, uk, ae or sg [default: us]",
        "zoho-accounts-url" "ZOHO_ACCOUNTS_URL" "Base URL of Zoho's accounts server [default: that of the data centre]",
        "zoho-api-url" "ZOHO_API_URL" "Base URL of Zoho's API [default: the host in the token answer]",
        "entities" "TDS_ENTITIES" "Entity types that are synced, comma separated [default: all]",
        "log" "RUST_LOG" "Log level or directives",
    }

    /// The settings that only a server needs.
    SERVE {
        "shutdown-delay" "TDS_SHUTDOWN_DELAY" "How long a server that was asked to stop still accepts connections while /readyz answers 503, or off [default: off]",
        "metrics-bind" "TDS_METRICS_BIND" "Separate listen address of /metrics [default: none]",
        "app-env" "APP_ENV" "Environment: development or production [default: development]",
        "admin-token" "TDS_ADMIN_TOKEN" "Bearer tokens of the operator API, comma separated, each optionally as name:token",
        "viewer-token" "TDS_VIEWER_TOKEN" "The same for tokens that may only read",
        "allowed-hosts" "ALLOWED_HOSTS" "Accepted values of the header Host, comma separated [default: any]",
        "allow-unsigned-webhooks" "TDS_ALLOW_UNSIGNED_WEBHOOKS"
            "Accept unsigned webhooks if no webhook secret is set (development only): true or false",
        "committers" "TDS_COMMITTERS" "Concurrent commits of webhooks [default: 2]",
        "commit-events" "TDS_COMMIT_EVENTS" "Maximum number of webhooks in one commit [default: 256]",
        "incremental-every" "TDS_INCREMENTAL_EVERY" "Period of the incremental syncs, or off [default: 15m]",
        "full-every" "TDS_FULL_EVERY" "Period of the full syncs, or off [default: 24h]",
        "stock-every" "TDS_STOCK_EVERY" "Period of the stock syncs, or off [default: 30m]",
        "prices-every" "TDS_PRICES_EVERY" "Period of the syncs of price lists, item groups, currencies, taxes and locations, or off [default: 1h]",
        "probe-every" "TDS_PROBE_EVERY" "Period of the probes of what Zoho's lists support, or off [default: 7d]",
        "verify-every" "TDS_VERIFY_EVERY" "Period of the comparisons of both sides, or off [default: 24h]",
        "retention" "TDS_RETENTION" "Age at which finished rows are pruned [default: 30d]",
        "payload-retention" "TDS_PAYLOAD_RETENTION" "Age at which the bodies of ended events are blanked [default: that of --retention]",
        "images-every" "TDS_IMAGES_EVERY" "Period of the looks at product images, or off [default: 1h]",
    }

    /// Where product images are kept.
    IMAGES {
        "image-store" "TDS_IMAGE_STORE" "Place of product images: file:///FOLDER, s3://BUCKET/PATH, or off [default: off]",
        "aws-region" "AWS_REGION" "Region of the bucket [default: us-east-1]",
        "aws-endpoint-url" "AWS_ENDPOINT_URL" "URL of a service with the API of S3, if it is not Amazon's",
        "aws-access-key-id" "AWS_ACCESS_KEY_ID" "Key id for the bucket [default: the role of the machine]",
        "aws-secret-access-key" "AWS_SECRET_ACCESS_KEY" "Secret key for the bucket (visible to other users of this machine; prefer the variable)",
        "aws-session-token" "AWS_SESSION_TOKEN" "Token of temporary credentials for the bucket (visible to other users of this machine; prefer the variable)",
    }
}

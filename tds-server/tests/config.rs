//! Tests the default, the accepted values and the error message of every variable.

use std::{collections::HashMap, time::Duration};

use secrecy::ExposeSecret as _;
use tds_server::config::{Access, Config, ConfigErrors, DatabaseChoice, Environment, LogFormat, Need};
use tds_zoho::entities::Catalogue;

const COMPLETE: [(&str, &str); 4] = [
    ("ZOHO_CLIENT_ID", "1000.ID"),
    ("ZOHO_CLIENT_SECRET", "client-canary"),
    ("ZOHO_REFRESH_TOKEN", "refresh-canary"),
    ("ZOHO_ORGANIZATION_ID", "10234695"),
];

fn read(need: Need, changes: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let mut values: HashMap<&str, &str> = COMPLETE.into_iter().collect();
    values.extend(changes.iter().copied());
    Config::from_lookup(|name| values.get(name).map(|value| (*value).to_owned()), need)
}

fn serve(changes: &[(&str, &str)]) -> Config {
    read(Need::Serve, changes).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn the_defaults_are_those_of_the_handbook() {
    let config = serve(&[]);
    assert_eq!(config.http.bind.to_string(), "127.0.0.1:8000");
    assert_eq!(config.environment, Environment::Development);
    assert!(matches!(&config.database, DatabaseChoice::Embedded(place) if place.data_dir.ends_with(".tds")));
    assert_eq!((config.worker.concurrency, config.worker.policy.max_attempts), (4, 8));
    assert_eq!(config.worker.policy.base, Duration::from_secs(2));
    assert_eq!(config.worker.policy.max, Duration::from_secs(900));
    assert_eq!(config.worker.lease, Duration::from_secs(60));
    assert_eq!(config.retention, Duration::from_secs(30 * 86_400));
    assert_eq!(config.unique_field, "cf_tds_id");
    assert_eq!(serve(&[("ZOHO_UNIQUE_FIELD", "cf_erp_key")]).unique_field, "cf_erp_key");
    let schedules = &config.schedules;
    let minutes = [schedules.incremental, schedules.full, schedules.stock, schedules.prices]
        .map(|every| every.expect("on").as_secs() / 60);
    assert_eq!(minutes, [15, 1_440, 30, 60]);
    let zoho = config.zoho.expect("credentials");
    assert_eq!((zoho.requests_per_minute, zoho.max_concurrency, zoho.daily_limit), (100, 5, None));
    assert_eq!(zoho.accounts_url, "https://accounts.zoho.com");
    assert_eq!((config.log.filter.as_str(), config.log.format), ("info", LogFormat::Text));
}

#[test]
fn every_wrong_value_is_refused_by_name() {
    for (variable, value) in [
        ("APP_ENV", "staging"),
        ("TDS_BIND", "localhost"),
        ("TDS_METRICS_BIND", "9000"),
        ("ALLOWED_HOSTS", "https://tds.example"),
        ("TDS_ADMIN_TOKEN", "ann:"),
        ("TDS_ALLOW_UNSIGNED_WEBHOOKS", "yes"),
        ("ZOHO_ORGANIZATION_ID", "abc"),
        ("ZOHO_DATA_CENTER", "mars"),
        ("ZOHO_ACCOUNTS_URL", "accounts.zoho.com"),
        ("ZOHO_API_URL", "http://www.zohoapis.com"),
        ("ZOHO_REQUESTS_PER_MINUTE", "0"),
        ("ZOHO_MAX_CONCURRENCY", "-1"),
        ("ZOHO_DAILY_LIMIT", "0"),
        ("ZOHO_UNIQUE_FIELD", "cf tds"),
        ("ENCRYPTION_KEY", "c2hvcnQ="),
        ("ENCRYPTION_KEY", "not base64!"),
        ("TDS_WORKERS", "many"),
        ("TDS_MAX_ATTEMPTS", "0"),
        ("TDS_RETRY_BASE", "2"),
        ("TDS_RETRY_BASE", "20m"),
        ("TDS_RETRY_MAX", "1w"),
        ("TDS_LEASE", "5ms"),
        ("TDS_INCREMENTAL_EVERY", "never"),
        ("TDS_FULL_EVERY", "0s"),
        ("TDS_STOCK_EVERY", "30"),
        ("TDS_PRICES_EVERY", "100ms"),
        ("TDS_PROBE_EVERY", "weekly"),
        ("TDS_VERIFY_EVERY", "daily"),
        ("TDS_RETENTION", "off"),
        ("TDS_IMAGE_STORE", "/srv/images"),
        ("TDS_IMAGE_STORE", "ftp://shop/images"),
        ("TDS_IMAGE_STORE", "s3://"),
        ("TDS_IMAGE_STORE", "file:///"),
        ("TDS_IMAGE_STORE", "s3://Shop_Images"),
        ("TDS_IMAGE_STORE", "s3://key:secret-canary@shop/images"),
        ("TDS_IMAGE_STORE", "s3://shop/a path"),
        ("TDS_IMAGES_EVERY", "hourly"),
        ("TDS_CUSTOM_COLUMNS", "products.cf_shelf"),
        ("TDS_CUSTOM_COLUMNS", "products.cf_shelf:varchar"),
        ("TDS_CUSTOM_COLUMNS", "products.cf_shelf:text,products.cf_shelf:date"),
        ("RUST_LOG", "tds=loud"),
        ("RUST_LOG", "inof"),
        ("TDS_LOG_FORMAT", "xml"),
        ("DATABASE_URL", "mysql://user:password-canary@host/name"),
        ("DATABASE_URL", "password-canary"),
        ("DATABASE_URL", "postgres://user:password-canary@host:notaport/name"),
        ("DATABASE_URL", "postgres://user:password-canary@host/name?sslmode=banana"),
        ("TDS_DB_CONNECTIONS", "0"),
        ("PG_BIN_DIR", "/nowhere/at/all"),
        ("DB_NAME", "shop"),
    ] {
        let errors = read(Need::Serve, &[(variable, value)]).expect_err(variable);
        let text = errors.to_string();
        let named = if variable == "DB_NAME" { "DB_HOST" } else { variable };
        assert!(text.starts_with(&format!("{named}: found ")), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("; accepted: ") && !text.contains("canary"), "{text}");
    }
}

#[test]
fn all_errors_are_reported_at_once() {
    let errors = Config::from_lookup(|name| (name == "TDS_WORKERS").then(|| "x".to_owned()), Need::Serve);
    let names: Vec<String> = errors.expect_err("errors").0.into_iter().map(|error| error.variable).collect();
    for (variable, _) in COMPLETE {
        assert!(names.contains(&variable.to_owned()), "{names:?}");
    }
    assert!(names.contains(&"TDS_WORKERS".to_owned()) && names.len() == 5, "{names:?}");
}

#[test]
fn a_file_is_named_that_is_not_read_because_its_variable_is_no_secret() {
    for (variable, file) in
        [("ZOHO_CLIENT_ID", "ZOHO_CLIENT_ID_FILE"), ("ZOHO_ORGANIZATION_ID", "ZOHO_ORGANIZATION_ID_FILE")]
    {
        let error = read(Need::Sync, &[(variable, ""), (file, "/x")]).expect_err(variable).to_string();
        let expected =
            format!("{variable}: found nothing ({file} is not read: only secrets come from files)");
        assert!(error.starts_with(&expected) && error.lines().count() == 1, "{error}");
    }
}

#[test]
fn production_demands_token_secret_and_json_logs() {
    let errors =
        read(Need::Serve, &[("APP_ENV", "production"), ("TDS_LOG_FORMAT", "text")]).expect_err("errors");
    let names: Vec<&str> = errors.0.iter().map(|error| error.variable.as_str()).collect();
    assert_eq!(names, ["TDS_ADMIN_TOKEN", "ZOHO_WEBHOOK_SECRET", "TDS_LOG_FORMAT"]);
    let whole = [("APP_ENV", "production"), ("TDS_ADMIN_TOKEN", "ann:t"), ("ZOHO_WEBHOOK_SECRET", "old,new")];
    let config = serve(&whole);
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(config.webhooks.secrets.len(), 2);
    let mut unsigned = whole.to_vec();
    unsigned.push(("TDS_ALLOW_UNSIGNED_WEBHOOKS", "true"));
    assert!(read(Need::Serve, &unsigned).is_err());
}

#[test]
fn without_a_token_only_loopback_is_served() {
    for (bind, served) in
        [("127.0.0.1:0", true), ("[::1]:0", true), ("0.0.0.0:80", false), ("10.0.0.1:80", false)]
    {
        assert_eq!(read(Need::Serve, &[("TDS_BIND", bind)]).is_ok(), served, "{bind}");
        assert!(read(Need::Serve, &[("TDS_BIND", bind), ("TDS_ADMIN_TOKEN", "t")]).is_ok(), "{bind}");
    }
}

#[test]
fn commands_need_only_what_they_use() {
    let nothing = |need| Config::from_lookup(|_| None, need);
    assert!(nothing(Need::Database).expect("no credentials needed").zoho.is_none());
    assert!(nothing(Need::Sync).is_err());
    assert!(nothing(Need::Serve).is_err());
}

#[test]
fn a_database_is_given_by_url_or_by_parts() {
    let parts = [("DB_HOST", "db"), ("DB_NAME", "shop"), ("DB_USER", "ann"), ("DB_PASSWORD", "p@ss/word")];
    let config = serve(&parts);
    let DatabaseChoice::Url(database) = &config.database else { panic!("{:?}", config.database) };
    assert_eq!(database.url, "postgres://ann:p%40ss%2Fword@db:5432/shop");
    let mut both = parts.to_vec();
    both.push(("DATABASE_URL", "postgres://db/shop"));
    assert!(read(Need::Serve, &both).expect_err("both").to_string().starts_with("DB_HOST"));
    assert!(read(Need::Serve, &[("DB_HOST", "db")]).expect_err("no name").0.len() == 2);
}

#[test]
fn the_schemas_of_an_organization_are_two_names_of_schemas() {
    let DatabaseChoice::Url(default) = &serve(&[("DATABASE_URL", "postgres://db/shop")]).database else {
        panic!()
    };
    assert_eq!((default.schemas.engine.is_none(), default.schemas.mirror.as_str()), (true, "erp"));
    let names = [("DATABASE_URL", "postgres://db/shop"), ("TDS_SCHEMA", "Tds"), ("TDS_ERP_SCHEMA", "select")];
    let DatabaseChoice::Url(named) = &serve(&names).database else { panic!() };
    assert_eq!(named.schemas.engine.as_ref().map(ToString::to_string), Some("Tds".to_owned()));
    assert_eq!(named.schemas.mirror.as_str(), "select");
    for (wrong, variable) in [
        (&[("TDS_SCHEMA", "a b")][..], "TDS_SCHEMA"),
        (&[("TDS_SCHEMA", "x\"; DROP SCHEMA erp; --")], "TDS_SCHEMA"),
        (&[("TDS_SCHEMA", "erp")], "TDS_SCHEMA"),
        (&[("TDS_ERP_SCHEMA", "pg_erp")], "TDS_ERP_SCHEMA"),
        (&[("TDS_ERP_SCHEMA", "public")], "TDS_ERP_SCHEMA"),
        (&[("TDS_ERP_SCHEMA", "information_schema")], "TDS_ERP_SCHEMA"),
    ] {
        let errors = read(Need::Database, wrong).expect_err(variable);
        assert_eq!(errors.0.len(), 1, "{errors}");
        assert!(errors.to_string().starts_with(variable), "{errors}");
    }
}

#[test]
fn secrets_come_from_files_too_and_show_nowhere() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("token");
    std::fs::write(&path, "ann:file-canary\n").expect("a file");
    let path = path.to_str().expect("text");
    let config = serve(&[("TDS_ADMIN_TOKEN_FILE", path), ("ZOHO_WEBHOOK_SECRET", "hook-canary")]);
    assert_eq!(config.auth.tokens[0].name, "ann");
    assert!(!format!("{config:?}").contains("canary"), "{config:?}");
    let both = [("TDS_ADMIN_TOKEN_FILE", path), ("TDS_ADMIN_TOKEN", "t")];
    assert!(read(Need::Serve, &both).expect_err("both").to_string().starts_with("TDS_ADMIN_TOKEN_FILE"));
    let missing =
        read(Need::Serve, &[("ZOHO_CLIENT_SECRET", ""), ("ZOHO_CLIENT_SECRET_FILE", "/nowhere/at/all")]);
    assert!(missing.expect_err("missing").to_string().contains("ZOHO_CLIENT_SECRET_FILE"));
}

#[test]
fn tokens_of_viewers_come_beside_those_of_admins_and_are_others() {
    let tokens = |pairs: &[(&str, &str)]| {
        let all = serve(pairs).auth.tokens;
        all.into_iter().map(|token| (token.name, token.access)).collect::<Vec<_>>()
    };
    assert_eq!(
        tokens(&[("TDS_ADMIN_TOKEN", "a"), ("TDS_VIEWER_TOKEN", "b, vera:c")]),
        [
            ("admin".to_owned(), Access::Admin),
            ("viewer".to_owned(), Access::Viewer),
            ("vera".to_owned(), Access::Viewer)
        ]
    );
    for (pairs, found) in [
        (&[("TDS_VIEWER_TOKEN", "canary")][..], "without TDS_ADMIN_TOKEN"),
        (
            &[("TDS_ADMIN_TOKEN", "ann:canary"), ("TDS_VIEWER_TOKEN", "vera:canary")],
            "a token of TDS_ADMIN_TOKEN",
        ),
        (&[("TDS_ADMIN_TOKEN", "a"), ("TDS_VIEWER_TOKEN", "vera:")], "a name without a token"),
    ] {
        let error = read(Need::Serve, pairs).expect_err(found).to_string();
        assert!(error.starts_with("TDS_VIEWER_TOKEN") && error.contains(found), "{error}");
        assert!(!error.contains("canary"), "{error}");
    }
}

/// Line ends at the end of a file do not belong to the secret. A line end within the text would become part of the
/// secret without being noticed, so such a secret is refused.
#[test]
fn a_secret_is_one_line_wherever_it_comes_from() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("secret");
    let file = path.to_str().expect("text");
    let of = |config: &Config| -> Vec<String> {
        config.webhooks.secrets.iter().map(|secret| secret.expose_secret().to_owned()).collect()
    };
    for content in
        ["TdsSecret0123456", "TdsSecret0123456\n", "TdsSecret0123456\r\n", "\u{feff} TdsSecret0123456 \n\n"]
    {
        std::fs::write(&path, content).expect("a file");
        let config = serve(&[("ZOHO_WEBHOOK_SECRET", ""), ("ZOHO_WEBHOOK_SECRET_FILE", file)]);
        assert_eq!(of(&config), ["TdsSecret0123456"], "{content:?}");
        assert_eq!(
            of(&serve(&[("ZOHO_WEBHOOK_SECRET", content.trim_start_matches('\u{feff}'))])),
            ["TdsSecret0123456"]
        );
    }
    std::fs::write(&path, "OldSecret-canary\nNewSecret-canary\n").expect("a file");
    for settings in [
        [("ZOHO_WEBHOOK_SECRET", ""), ("ZOHO_WEBHOOK_SECRET_FILE", file)],
        [("ZOHO_WEBHOOK_SECRET", "OldSecret-canary\nNewSecret-canary"), ("ZOHO_WEBHOOK_SECRET_FILE", "")],
    ] {
        let error = read(Need::Serve, &settings).expect_err("two lines").to_string();
        assert!(error.starts_with("ZOHO_WEBHOOK_SECRET: found ") && error.contains("commas"), "{error}");
        assert!(!error.contains("canary"), "{error}");
    }
}

#[test]
fn custom_fields_become_columns_of_a_type() {
    let columns =
        serve(&[("TDS_CUSTOM_COLUMNS", "products.cf_shelf:text, customers.cf_since:date")]).custom_columns;
    let texts: Vec<String> = columns.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["products.cf_shelf:text", "customers.cf_since:date"]);
    assert!(serve(&[]).custom_columns.is_empty());
}

#[test]
fn schedules_can_be_off_and_workers_none() {
    let config = serve(&[("TDS_FULL_EVERY", "off"), ("TDS_WORKERS", "0"), ("TDS_IMAGE_STORE", "off")]);
    assert_eq!(config.schedules.full, None);
    assert_eq!(config.worker.concurrency, 0);
}

#[test]
fn a_server_guards_the_mirror_unless_it_is_told_otherwise() {
    let refuses = |need, settings: &[(&'static str, &'static str)]| {
        read(need, settings).map(|config| config.write_guard.map(|guard| guard.refuses))
    };
    let set = |value| [("TDS_WRITE_GUARD", value)];
    for (need, settings, expected) in [
        (Need::Serve, &[][..], Some(true)),
        (Need::Serve, &set("off"), Some(false)),
        (Need::Database, &set("on"), Some(true)),
        (Need::Sync, &[], None),
    ] {
        assert_eq!(refuses(need, settings).expect("a configuration"), expected, "{need:?} {settings:?}");
    }
    let wrong = refuses(Need::Serve, &set("no")).expect_err("neither on nor off").to_string();
    assert!(wrong.starts_with("TDS_WRITE_GUARD: found \"no\""), "{wrong}");
}

#[test]
fn hidden_columns_and_the_age_of_bodies_are_read_and_wrong_ones_are_named() {
    let day = Duration::from_secs(86_400);
    assert_eq!(serve(&[]).privacy.payload_retention, 30 * day);
    assert_eq!(serve(&[("TDS_RETENTION", "9d")]).privacy.payload_retention, 9 * day);
    let both = [("TDS_RETENTION", "9d"), ("TDS_PAYLOAD_RETENTION", "2d")];
    assert_eq!(serve(&both).privacy.payload_retention, 2 * day);
    let hidden = |columns: &'static str| {
        let key = ("ENCRYPTION_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
        let config =
            read(Need::Database, &[("TDS_HIDE_COLUMNS", columns), key]).map_err(|error| error.to_string())?;
        let catalogue = config.catalogue(&Catalogue::default()).map_err(|error| error.to_string())?;
        Ok::<_, String>(catalogue.hidden_values().names().join(","))
    };
    let names = "customers.email=hash,credit-notes.notes,invoice_lines.description,products.cf_note";
    let sorted = "credit_notes.notes,customers.email=hash,invoice_lines.description,products.cf_note";
    assert_eq!(hidden(names).as_deref(), Ok(sorted));
    for (columns, part) in [
        ("customers", "found \"customers\"; accepted: TABLE.COLUMN or TABLE.COLUMN=hash"),
        ("customers.email,customers.email=hash", "accepted: each column once"),
        ("customer.email", "found \"customer.email\"; accepted: TABLE.COLUMN"),
        ("customers.mail", "found \"customers.mail\"; accepted: of customers one of name,"),
        ("stock.cf_note", "found \"stock.cf_note\"; accepted: TABLE.COLUMN"),
    ] {
        let error = hidden(columns).expect_err(columns);
        assert!(error.starts_with("TDS_HIDE_COLUMNS: ") && error.contains(part), "{error}");
    }
    let without_key = read(Need::Database, &[("TDS_HIDE_COLUMNS", "customers.email=hash")]);
    let error = without_key.expect_err("no key").to_string();
    assert!(
        error.starts_with("TDS_HIDE_COLUMNS: found \"customers.email=hash\" without ENCRYPTION_KEY"),
        "{error}"
    );
}

#[test]
fn images_are_kept_in_a_folder_or_in_a_bucket() {
    let store = |settings: &[(&'static str, &'static str)]| serve(settings).images.store;
    assert!(store(&[]).is_none() && store(&[("TDS_IMAGE_STORE", "off")]).is_none());
    let folder = store(&[("TDS_IMAGE_STORE", "file:///srv/images")]).expect("a store");
    assert_eq!(folder.base, "file:///srv/images/");
    let bucket = [
        ("TDS_IMAGE_STORE", "s3://shop-images/products/"),
        ("AWS_ACCESS_KEY_ID", "canary"),
        ("AWS_SECRET_ACCESS_KEY", "canary"),
        ("AWS_ENDPOINT_URL", "https://s3.example.com/"),
        ("AWS_DEFAULT_REGION", "eu-central-1"),
    ];
    let stored = store(&bucket).expect("a store");
    assert_eq!(stored.base, "s3://shop-images/products/");
    let text = format!("{stored:?}");
    assert!(text.contains("eu-central-1") && text.contains("\"https://s3.example.com\""), "{text}");
    assert!(!text.contains("canary"), "{text}");
    let whole = store(&[("TDS_IMAGE_STORE", "s3://shop-images")]).expect("a store");
    assert_eq!(whole.base, "s3://shop-images/");

    let without_secret = read(Need::Serve, &bucket[..2]).expect_err("half of the keys").to_string();
    assert!(without_secret.starts_with("AWS_SECRET_ACCESS_KEY: found nothing"), "{without_secret}");
    let endpoint = [bucket[0], ("AWS_ENDPOINT_URL", "s3.example.com")];
    assert!(
        read(Need::Serve, &endpoint).expect_err("no URL").to_string().starts_with("AWS_ENDPOINT_URL: found")
    );
}

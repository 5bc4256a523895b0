//! Tests wrong usage, wrong configuration and help.

use crate::program::Program;

const COMMANDS: [&[&str]; 33] = [
    &["serve"],
    &["demo"],
    &["migrate"],
    &["bulk-sync"],
    &["images"],
    &["check"],
    &["plan"],
    &["schema", "print"],
    &["schema", "exposures"],
    &["auth"],
    &["webhooks", "plan"],
    &["webhooks", "install"],
    &["webhooks", "status"],
    &["webhooks", "remove"],
    &["webhook", "send"],
    &["queue", "list"],
    &["queue", "show"],
    &["queue", "retry"],
    &["queue", "discard"],
    &["inbox", "list"],
    &["inbox", "show"],
    &["inbox", "replay"],
    &["runs", "list"],
    &["runs", "show"],
    &["runs", "cancel"],
    &["runs", "resume"],
    &["runs", "confirm-deletions"],
    &["pause"],
    &["resume"],
    &["prune"],
    &["completions"],
    &["healthcheck"],
    &["man"],
];

#[tokio::test]
async fn every_subcommand_explains_itself() {
    let program = Program::new();
    for command in COMMANDS {
        let help = program.done(&[command, &["--help"]].concat()).await;
        assert!(help.contains("Usage: tds-server"), "{command:?}: {help}");
    }
    assert!(program.done(&["--help"]).await.contains("Exit status"));
}

#[tokio::test]
async fn what_this_version_does_not_have_is_wrong_usage() {
    let program = Program::new();
    for unknown in ["readiness", "mode", "report", "nonsense"] {
        assert_eq!(program.run(&[unknown]).await.status, 2, "{unknown}");
    }
}

#[tokio::test]
async fn without_a_command_it_serves_and_reports_everything_that_is_missing() {
    for arguments in [&[][..], &["serve"]] {
        let ended = Program::new().with("TDS_BIND", "here").run(arguments).await;
        assert_eq!(ended.status, 2, "{}", ended.stderr);
        for variable in ["TDS_BIND: found \"here\"; accepted: ", "ZOHO_CLIENT_ID", "ZOHO_REFRESH_TOKEN"] {
            assert!(ended.stderr.contains(variable), "{variable} is not in\n{}", ended.stderr);
        }
        assert!(ended.stderr.lines().all(|line| line.starts_with("error: ")), "{}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
}

#[tokio::test]
async fn a_wrong_flag_is_reported_under_the_name_of_its_variable() {
    let ended = Program::new().run(&["serve", "--zoho-data-center", "mars"]).await;
    assert_eq!(ended.status, 2);
    assert!(ended.stderr.contains("ZOHO_DATA_CENTER: found \"mars\"; accepted: "), "{}", ended.stderr);
}

#[tokio::test]
async fn the_environment_goes_before_the_file_and_flags_before_both() {
    let program = Program::new().with("TDS_LEASE", "from the environment");
    let file = "TDS_LEASE=file\nTDS_RETRY_BASE=file\n";
    std::fs::write(program.directory().join(".env"), file).expect("written");
    let stderr = program.run(&["serve"]).await.stderr;
    assert!(stderr.contains("TDS_LEASE: found \"from the environment\""), "{stderr}");
    assert!(stderr.contains("TDS_RETRY_BASE: found \"file\""), "{stderr}");
    let stderr = program.run(&["serve", "--lease", "flag"]).await.stderr;
    assert!(stderr.contains("TDS_LEASE: found \"flag\""), "{stderr}");
}

#[tokio::test]
async fn a_malformed_env_file_is_named_with_its_line_and_without_its_text() {
    let program = Program::new();
    std::fs::write(program.directory().join(".env"), "A=1\n\nZOHO_CLIENT_SECRET hunter2\n").expect("written");
    let ended = program.run(&["queue", "list"]).await;
    assert_eq!(ended.status, 2);
    assert!(ended.stderr.contains(".env line 3"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("hunter2"));
}

#[tokio::test]
async fn production_demands_token_and_webhook_secret() {
    let ended = Program::new().with("APP_ENV", "production").run(&["serve"]).await;
    assert_eq!(ended.status, 2);
    for variable in ["TDS_ADMIN_TOKEN", "ZOHO_WEBHOOK_SECRET"] {
        assert!(ended.stderr.contains(variable), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn error_messages_never_contain_secrets() {
    let ended = Program::new()
        .with("DATABASE_URL", "mysql://tds:hunter2@db/erp")
        .with("ENCRYPTION_KEY", "hunter2")
        .run(&["queue", "list"])
        .await;
    assert_eq!(ended.status, 2);
    assert!(
        ended.stderr.contains("DATABASE_URL") && ended.stderr.contains("ENCRYPTION_KEY"),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
}

#[tokio::test]
async fn the_openapi_document_and_the_completions_need_no_configuration() {
    let program = Program::new();
    let document = program.json(&["openapi"]).await;
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")), "{document}");
    assert!(document["paths"]["/api/zoho/bulk-sync"]["post"].is_object());
    assert!(program.done(&["completions", "bash"]).await.contains("bulk-sync"));
}

/// Returns what bash offers for the last word of a line.
fn offers(script: &std::path::Path, words: &[&str]) -> Vec<String> {
    let last = words.len() - 1;
    let ask = format!(
        "source {script}; COMP_WORDS=({words}); COMP_CWORD={last}; _tds__server tds-server '{word}' '{before}'; \
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        script = script.display(),
        words = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
        word = words[last],
        before = words[last - 1],
    );
    let output = std::process::Command::new("bash").args(["--norc", "-c", &ask]).output().expect("bash");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn bash_completes_every_level() {
    let program = Program::new();
    let script = program.directory().join("completions");
    std::fs::write(&script, program.done(&["completions", "bash"]).await).expect("written");
    assert_eq!(offers(&script, &["tds-server", "sch"]), ["schema"]);
    assert_eq!(offers(&script, &["tds-server", "queue", "li"]), ["list"]);
    assert_eq!(offers(&script, &["tds-server", "runs", "con"]), ["confirm-deletions"]);
    assert_eq!(offers(&script, &["tds-server", "bulk-sync", "--mo"]), ["--mode"]);
    let entities = offers(&script, &["tds-server", "queue", "list", "--entity", ""]);
    assert!(entities.contains(&"credit_notes".to_owned()), "{entities:?}");
    let statuses = offers(&script, &["tds-server", "queue", "list", "--status", "dead"]);
    assert_eq!(statuses, ["dead_letter"]);
    for shell in ["zsh", "fish"] {
        assert!(program.done(&["completions", shell]).await.contains("dead_letter"), "{shell}");
    }
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_a_failure_not_wrong_usage() {
    let program = Program::new().with("DATABASE_URL", "postgres://tds:hunter2@127.0.0.1:1/erp");
    let ended = program.run(&["runs", "list"]).await;
    assert_eq!(ended.status, 1, "{}", ended.stderr);
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    let checked = program.run(&["check"]).await;
    assert_eq!(checked.status, 1);
    assert!(checked.stdout.contains("FAILED   database"), "{}", checked.stdout);
    assert!(checked.stdout.contains("FAILED   configuration   ZOHO_CLIENT_ID"), "{}", checked.stdout);
}

#[tokio::test]
async fn an_entity_type_that_does_not_exist_stops_every_command_that_reads_the_choice() {
    let program = Program::new().with("TDS_ENTITIES", "products,invoces");
    for command in [&["queue", "list"][..], &["inbox", "replay", "1"]] {
        let ended = program.run(command).await;
        assert_eq!(ended.status, 2, "{}", ended.stderr);
        let line = "error: TDS_ENTITIES: found \"invoces\"; accepted: all, or some of products, ";
        assert!(ended.stderr.starts_with(line), "{}", ended.stderr);
        assert!(ended.stderr.ends_with("; did you mean invoices?\n"), "{}", ended.stderr);
    }
    let checked = program.run(&["check"]).await;
    assert!(checked.status == 1 && checked.stdout.contains("TDS_ENTITIES: found"), "{}", checked.stdout);
}

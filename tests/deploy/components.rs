//! The list of components that is part of the image.

use std::{fs, process::Command};

use serde_json::{Value, json};

use crate::{
    linted::told,
    stage::{sources, stub},
};

#[test]
fn the_list_names_what_is_linked_and_nothing_else_and_is_the_only_file_that_stays() {
    let directory = tempfile::tempdir().expect("a directory");
    let here = directory.path();
    for member in ["tds-core", "tds-server", "target"] {
        fs::create_dir(here.join(member)).expect("a directory");
        fs::write(here.join(member).join("sbom.cdx.json"), "{}").expect("a file");
    }
    let component = |name: &str| json!({"bom-ref": name, "name": name, "version": "1.0.0"});
    let components = ["tokio", "wiremock"].map(component);
    let all = json!({
        "metadata": {"component": {"bom-ref": "tds-server"}},
        "components": components,
        "dependencies": [
            {"ref": "tds-server", "dependsOn": ["tokio", "wiremock"]},
            {"ref": "tokio"},
            {"ref": "wiremock", "dependsOn": ["tokio"]},
        ],
    });
    fs::write(here.join("all.json"), all.to_string()).expect("a file");
    let cargo = r#"
        case "$1" in
            cyclonedx) cp "$HERE/all.json" tds-server/sbom.cdx.json ;;
            tree) printf 'tds-server v0.1.0 (/src)\ntokio v1.0.0\ntokio v1.0.0 (*)\n' ;;
        esac"#;
    stub(here, "cargo", cargo);
    let output = Command::new("sh")
        .arg(sources().join("sbom.sh"))
        // The Dockerfile names the file so: as those of the members, and beside them.
        .arg("sbom.cdx.json")
        .current_dir(here)
        .env("PATH", format!("{}:/usr/bin:/bin", here.display()))
        .env("HERE", here)
        .output()
        .expect("sh");
    assert!(output.status.success(), "{}", told(&output));
    let list = fs::read_to_string(here.join("sbom.cdx.json")).expect("the list");
    let list: Value = serde_json::from_str(&list).expect("JSON");
    assert_eq!(list["components"], json!([component("tokio")]));
    assert_eq!(
        list["dependencies"],
        json!([{"ref": "tds-server", "dependsOn": ["tokio"]}, {"ref": "tokio", "dependsOn": []}])
    );
    let stays = |name: &str| here.join(name).join("sbom.cdx.json").exists();
    assert_eq!([stays("tds-core"), stays("tds-server"), stays("target")], [false, false, true]);
}

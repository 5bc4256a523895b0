//! The examples for programs in other languages, as their readers run them.

use std::path::Path;

use tokio::process::Command;

use super::both::Both;

fn example(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(path)
}

/// Runs a program to its end, and returns what it printed.
async fn printed(command: &mut Command) -> String {
    let output =
        command.kill_on_drop(true).output().await.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (out, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {out}{errors}");
    out.into_owned()
}

/// `examples/two_way/shop.sql` with psql, and the Python of `examples/two_way_python/` as far as the language itself
/// checks it: its packages are not installed here.
pub(super) async fn psql(shop: &Both) {
    let script = example("two_way/shop.sql");
    let mut psql = Command::new("psql");
    psql.arg(shop.database.url()).args(["-X", "-f"]).arg(script);
    let told = printed(&mut psql).await;
    shop.arrived("the example").await;
    shop.echo().await;
    shop.arrived("the echoes of the example").await;
    for text in ["| INV-", "Collected at the counter", "{invoice_lines,notes}", "delete    | pushed"] {
        assert!(told.contains(text), "{text:?} is not in {told}");
    }
    assert!(!told.contains("still on their way"), "{told}");
    let invoice =
        "erp.live_invoices WHERE notes = 'Collected at the counter' AND total = 42500 AND balance = 42500";
    assert_eq!(shop.count(invoice).await, 1, "{told}");

    let mut python = Command::new("python3");
    python
        .args(["-c", "import ast, sys; ast.parse(open(sys.argv[1]).read())"])
        .arg(example("two_way_python/pos.py"));
    if Command::new("python3").arg("--version").output().await.is_ok() {
        printed(&mut python).await;
    }
}

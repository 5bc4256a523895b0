//! Load benches: whole programs and a durable PostgreSQL under load, compared with other queues in the same run.
//!
//! `cargo bench -p benches --bench load -- [--json] [NAME…]` runs the scenarios whose names begin with one of the
//! given names, or all of them. Every scenario checks its own result and panics if something is lost.

mod apply;
mod bulk;
mod capture;
mod cluster;
mod drain;
mod flat;
mod http;
mod idle;
mod ingest;
mod latency;
mod pgbench;
mod pushes;
mod report;
mod scale;
mod server;
mod sizing;
mod webhooks;
mod work;

use report::Report;

/// The allocator of the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[expect(clippy::print_stdout, reason = "the figures are the output")]
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    if let Some(("child", rest)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        // A scenario started this program as a separate process.
        runtime.block_on(child(rest));
        return;
    }
    let json = arguments.iter().any(|argument| argument == "--json");
    let names: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|argument| !argument.starts_with("--")).collect();
    let mut report = Report::default();
    runtime.block_on(all(&names, &mut report));
    println!("{}", if json { report.json() } else { report.text() });
    if report.misses() {
        std::process::exit(1);
    }
}

async fn all(names: &[&str], report: &mut Report) {
    let wanted = |scenario: &str| names.is_empty() || names.iter().any(|name| scenario.starts_with(name));
    if wanted("idle") {
        idle::run(report).await;
    }
    if wanted("ingest") {
        ingest::run(report).await;
    }
    if wanted("latency") {
        latency::run(report).await;
    }
    if wanted("drain") {
        drain::run(report).await;
    }
    if wanted("apply") {
        apply::run(report).await;
    }
    if wanted("flat") {
        flat::run(report).await;
    }
    if wanted("scale") {
        scale::run(report).await;
    }
    if wanted("pushes") {
        pushes::run(report).await;
    }
    if wanted("bulk") {
        bulk::run(report).await;
    }
    if wanted("capture") {
        capture::run(report).await;
    }
    if wanted("sizing") {
        sizing::run(report).await;
    }
}

async fn child(arguments: &[String]) {
    match arguments {
        [what, url, argument] if what == "bulk" => bulk::child(url, argument).await,
        [what, url] if what == "drain" => scale::child(url).await,
        other => panic!("no such part: {other:?}"),
    }
}

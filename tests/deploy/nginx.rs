//! A real nginx with the templates of `deploy/nginx`.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    linted::{told, tool},
    stage::{Stage, sources},
};

pub(crate) const DOMAIN: &str = "tds.example.test";
/// What the main configuration of nginx's images and of Debian sets in the same block. nginx refuses a name twice.
const USUAL: &str = "sendfile on; tcp_nopush on; keepalive_timeout 65; default_type application/octet-stream; gzip on; \
     types_hash_max_size 2048; ssl_protocols TLSv1.2; ssl_prefer_server_ciphers on;";

/// A running nginx, which ends with its value.
pub(crate) struct Nginx {
    /// The host that `prepare` has prepared.
    pub(crate) stage: Stage,
    pub(crate) http: u16,
    pub(crate) https: u16,
    pub(crate) local: u16,
    child: Child,
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

impl Nginx {
    /// Starts nginx on a host that `prepare` has prepared. Operators are at 127.0.0.1 only.
    pub(crate) fn start(upstreams: &[SocketAddr]) -> Self {
        let stage = Stage::fresh();
        stage.unstub("openssl");
        let prepared = stage.run("prepare", &[]);
        assert_eq!(prepared.status, 0, "{}", prepared.said);
        stage.write("state/nginx/allow.conf", "allow 127.0.0.1;\n");
        stage.write("state/nginx/upstream.conf", &upstream(upstreams));
        let (http, https, local) = (free_port(), free_port(), free_port());
        let (template, main) = (stage.path("tds.conf"), stage.path("nginx.conf"));
        let directory = |name: &str| stage.path(name).display().to_string();
        let values = [
            ("TDS_DOMAIN", DOMAIN.to_owned()),
            ("TDS_HTTP_PORT", http.to_string()),
            ("TDS_HTTPS_PORT", https.to_string()),
            ("TDS_LOCAL_PORT", local.to_string()),
            ("TDS_BODY_LIMIT", "1m".to_owned()),
            ("TDS_CONNECTIONS", "256".to_owned()),
            ("TDS_SNIPPETS", sources().join("nginx/snippets").display().to_string()),
            ("TDS_SITE", directory("state/nginx")),
            ("TDS_TLS", directory("state/tls")),
            ("TDS_ACME", directory("state/acme")),
        ];
        let mut text =
            fs::read_to_string(sources().join("nginx/templates/tds.conf.template")).expect("the template");
        for (name, value) in values {
            assert!(text.contains(&format!("${{{name}}}")), "the template does not use {name}");
            text = text.replace(&format!("${{{name}}}"), &value);
        }
        assert!(!text.contains("${"), "a name was not filled in");
        fs::write(&template, text).expect("the site");
        let temp = directory("temp");
        fs::create_dir(&temp).expect("a directory");
        // As root, nginx's workers change to another user, who cannot read a temporary directory.
        let text = format!(
            "user root;\ndaemon off;\npid {temp}/pid;\nerror_log {temp}/error.log;\nworker_processes 1;\nevents {{}}\n\
             http {{\n{USUAL}\naccess_log {temp}/access.log;\nclient_body_temp_path {temp}/body;\nproxy_temp_path {temp}/proxy;\n\
             fastcgi_temp_path {temp}/f;\nuwsgi_temp_path {temp}/u;\nscgi_temp_path {temp}/s;\ninclude {};\n}}\n",
            template.display()
        );
        fs::write(&main, text).expect("the configuration");
        let checked = tool("nginx", &["-t", "-c", &main.display().to_string()]);
        assert!(checked.status.success(), "{}", told(&checked));
        let path = "/usr/sbin:/usr/bin:/sbin:/bin";
        let child =
            Command::new("nginx").arg("-c").arg(&main).env("PATH", path).stderr(Stdio::null()).spawn();
        let nginx = Self { stage, http, https, local, child: child.expect("nginx: ./dev test installs it") };
        nginx.until_it_answers();
        nginx
    }

    fn until_it_answers(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.local));
        while std::net::TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "nginx does not start: {}", self.stage.read("temp/error.log"));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn signal(&self, signal: &str) {
        let main = self.main().display().to_string();
        let output = tool("nginx", &["-c", &main, "-s", signal]);
        assert!(output.status.success(), "{}", told(&output));
    }

    fn main(&self) -> PathBuf {
        self.stage.path("nginx.conf")
    }

    /// Sends requests to these processes from now on, as `deploy/bin/deploy` does it.
    pub(crate) fn route(&self, upstreams: &[SocketAddr]) {
        self.stage.write("state/nginx/upstream.conf", &upstream(upstreams));
        let (before, deadline) = (self.workers(), Instant::now() + Duration::from_secs(60));
        self.signal("reload");
        // A reload is done when no worker of before accepts connections any more.
        while self.workers().iter().any(|worker| before.contains(worker)) || self.workers().is_empty() {
            assert!(
                Instant::now() < deadline,
                "nginx does not reload: {}",
                self.stage.read("temp/error.log")
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Returns the processes that serve, without those that are shutting down.
    fn workers(&self) -> Vec<String> {
        let output = tool("ps", &["--ppid", &self.child.id().to_string(), "-o", "pid=,args="]);
        let lines = told(&output);
        let serving =
            lines.lines().filter(|line| line.contains("worker process") && !line.contains("shutting down"));
        serving.filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // A master that is killed leaves its workers behind.
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

fn upstream(servers: &[SocketAddr]) -> String {
    let lines: String = servers.iter().map(|server| format!("    server {server} max_fails=0;\n")).collect();
    format!("upstream tds {{\n    zone tds 64k;\n{lines}}}\n")
}

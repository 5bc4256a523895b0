//! A server with the API of Amazon S3, over a folder of its own: `s3s-fs`, with signed requests.

use std::path::PathBuf;

use hyper_util::rt::TokioIo;
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::AbortHandle};

/// The only user of the server.
pub(crate) const KEY_ID: &str = "shop-key-id";
pub(crate) const SECRET_KEY: &str = "shop-secret-key-canary";
/// The only bucket of the server.
pub(crate) const BUCKET: &str = "shop-images";

/// A running server. It ends when this value is dropped.
pub(crate) struct Bucket {
    directory: TempDir,
    url: String,
    server: AbortHandle,
}

impl Bucket {
    /// Starts a server with one empty bucket on a free port of the loopback interface.
    pub(crate) async fn start() -> Self {
        let directory = TempDir::new().expect("a directory");
        std::fs::create_dir(directory.path().join(BUCKET)).expect("a bucket");
        let files = s3s_fs::FileSystem::new(directory.path()).expect("a file system");
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(KEY_ID, SECRET_KEY));
        let service = service.build();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let serve = async move {
            while let Ok((stream, _)) = listener.accept().await {
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service.clone());
                tokio::spawn(connection);
            }
        };
        Self { directory, url, server: tokio::spawn(serve).abort_handle() }
    }

    /// Returns the URL of the server.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Returns the file in which the server keeps an object.
    pub(crate) fn file(&self, location: &str) -> PathBuf {
        let path = location.strip_prefix("s3://").expect("an object of a bucket");
        self.directory.path().join(path)
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        self.server.abort();
    }
}

//! The simulated organization behind a real HTTP server.

use std::{convert::Infallible, io, net::SocketAddr, ops::Deref, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{StatusCode, body::Incoming, header, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
    time::sleep,
};

use super::{
    organization::SharedOrganization,
    respond::{CONTENT_TYPE, Request, respond},
};

/// A simulated organization that answers HTTP on the loopback interface. The server ends when this value is dropped.
/// The methods of [`SharedOrganization`] change the organization while the server runs.
pub struct SimulatedZoho {
    organization: SharedOrganization,
    address: SocketAddr,
    server: AbortHandle,
}

impl SimulatedZoho {
    /// Starts an empty organization on a free port.
    ///
    /// # Errors
    /// No port of the loopback interface can be opened.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let organization = SharedOrganization::new(format!("http://{address}"));
        let server = tokio::spawn(serve(listener, organization.clone())).abort_handle();
        Ok(Self { organization, address, server })
    }

    /// Returns the base URL of the accounts server and of the API. `/books/v3` or `/inventory/v1` follows it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns a handle to the organization, which may outlive the server.
    #[must_use]
    pub fn organization(&self) -> SharedOrganization {
        self.organization.clone()
    }
}

impl Deref for SimulatedZoho {
    type Target = SharedOrganization;

    fn deref(&self) -> &SharedOrganization {
        &self.organization
    }
}

impl Drop for SimulatedZoho {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Accepts connections until the future is dropped. The connections end with the future.
async fn serve(listener: TcpListener, organization: SharedOrganization) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(connection(stream, organization.clone()))),
                Err(error) => {
                    tracing::warn!(%error, "the simulated organization could not accept a connection");
                    // The process may have no file handles left: a connection has to end first.
                    sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, organization: SharedOrganization) {
    let service = service_fn(|request| answer(request, &organization));
    let served =
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.await {
        tracing::debug!(%error, "a connection to the simulated organization ended early");
    }
}

async fn answer(
    request: hyper::Request<Incoming>,
    organization: &SharedOrganization,
) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let headers = head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let request = Request::arrived(head.method.as_str(), head.uri.path(), head.uri.query(), headers, &body);
    let response = respond(&mut organization.lock(), &request);
    sleep(response.latency).await;
    let (content_type, body) = match response.file {
        Some(file) => (header::HeaderValue::from_str(&file.content_type).ok(), Bytes::from(file.bytes)),
        None => (Some(header::HeaderValue::from_static(CONTENT_TYPE)), response.body.to_string().into()),
    };
    let mut answer = hyper::Response::new(Full::new(body));
    *answer.status_mut() = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().extend(content_type.map(|content_type| (header::CONTENT_TYPE, content_type)));
    if let Ok(date) = response.date.parse() {
        answer.headers_mut().insert(header::DATE, date);
    }
    Ok(answer)
}

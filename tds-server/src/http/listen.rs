//! The accept loop. `axum::serve` sets no timer, so that a half-sent header would stay open for ever.

use std::{future::Future, sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// The time within which the head of a request must be complete. An idle connection is closed after the same time.
const HEADER_TIME: Duration = Duration::from_secs(10);
/// The maximum number of headers of a request.
const MAX_HEADERS: usize = 64;
/// The maximum size of the head of a request, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// The maximum number of open connections. Further connections wait in the backlog.
const MAX_CONNECTIONS: u32 = 1_024;
/// The time after the last connection was accepted in which requests that are on their way still arrive. Connections on
/// which nothing arrived yet are closed afterwards.
const ON_THE_WAY: Duration = Duration::from_secs(1);
/// The time that requests have to finish after the shutdown signal. The whole process has ten seconds.
const DRAIN_TIME: Duration = Duration::from_secs(7);

/// Serves until the shutdown signal, then lets the requests in progress finish. No client that has a connection is cut off:
/// what waits in the backlog is accepted before the listener closes, and what was sent is answered.
pub(crate) async fn serve(listener: TcpListener, router: Router, stop: impl Future<Output = ()>) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS as usize));
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener, &places) => accepted,
        };
        match accepted {
            Ok((stream, place)) => spawn_connection(stream, place, router.clone(), &graceful),
            Err(error) => {
                // The usual cause is too many open files. During the pause, other connections close.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    close(listener, &places, &router, &graceful);
    // Ends at once if no connection is open.
    drop(timeout(ON_THE_WAY, places.acquire_many(MAX_CONNECTIONS)).await);
    if timeout(DRAIN_TIME - ON_THE_WAY, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end in time; their connections are closed");
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}

/// Closes the listener. The kernel has made the connections of the backlog already, and would reset them.
fn close(listener: TcpListener, places: &Arc<Semaphore>, router: &Router, graceful: &GracefulShutdown) {
    let Ok(listener) = listener.into_std() else { return };
    while let Ok(place) = Arc::clone(places).try_acquire_owned() {
        // The listener does not block: the backlog is empty if this fails.
        let Ok((stream, _)) = listener.accept() else { return };
        if stream.set_nonblocking(true).is_ok()
            && let Ok(stream) = TcpStream::from_std(stream)
        {
            spawn_connection(stream, place, router.clone(), graceful);
        }
    }
}

fn spawn_connection(
    stream: TcpStream,
    place: OwnedSemaphorePermit,
    router: Router,
    graceful: &GracefulShutdown,
) {
    // Responses are small and complete. Waiting to fill a packet would only delay them.
    let _ = stream.set_nodelay(true);
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let watched = graceful.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = watched.await {
            tracing::debug!(%error, "connection ended");
        }
        drop(place);
    });
}

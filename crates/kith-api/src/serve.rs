//! The listener: accepts connections, bounds them, and lets them finish when the node stops.

use crate::{admit::Remote, app::App, traffic::Counted};
use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use std::{sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// The most connections held at once; more wait in the system's backlog.
const MAX_CONNECTIONS: usize = 1024;
/// A client that has not sent a request's head by then is cut off.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Serves `router` on `listener` until the node stops, then gives running requests `grace` to finish.
pub async fn serve(app: Arc<App>, router: Router, listener: TcpListener, grace: Duration) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let connections = TaskTracker::new();
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    loop {
        let accepted = tokio::select! {
            () = app.stop.cancelled() => break,
            accepted = async {
                let place = Arc::clone(&places).acquire_owned().await;
                (listener.accept().await, place)
            } => accepted,
        };
        let (socket, remote, place) = match accepted {
            (Ok((socket, remote)), Ok(place)) => (socket, remote, place),
            (Err(error), _) => {
                // Out of file descriptors, mostly: try again when some were closed.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
            (_, Err(_)) => break,
        };
        // The first token must not wait for a full packet.
        let _ = socket.set_nodelay(true);
        let service = router.clone().map_request(move |mut request: axum::http::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(Remote(remote));
            request.map(axum::body::Body::new)
        });
        let builder = builder.clone();
        let stop = app.stop.clone();
        let traffic = Arc::clone(&app.traffic);
        connections.spawn(async move {
            // The protocol is told by the first bytes, and nothing else limits how long they take.
            let mut first = [0; 1];
            let spoke = tokio::select! {
                spoke = tokio::time::timeout(HEAD_TIMEOUT, socket.peek(&mut first)) => spoke,
                () = stop.cancelled() => return,
            };
            if !matches!(spoke, Ok(Ok(1..))) {
                return;
            }
            let connection = builder
                .serve_connection_with_upgrades(TokioIo::new(Counted::new(socket, traffic)), TowerToHyperService::new(service));
            tokio::pin!(connection);
            // Clients that vanish are everyday: there is nobody to tell of an error.
            tokio::select! {
                _ = connection.as_mut() => {}
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    let _ = tokio::time::timeout(grace, connection).await;
                }
            }
            drop(place);
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

//! The listeners: accept connections, bound them, and let them finish when the node stops.

use crate::{
    admit::Remote,
    app::App,
    lan::{LanNames, OnLan},
    traffic::Counted,
};
use axum::Router;
use hyper::rt::{Read, Write};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

/// The most connections held at once; more wait in the system's backlog.
const MAX_CONNECTIONS: usize = 1024;
/// The same for the listener for paired devices.
const MAX_LAN_CONNECTIONS: usize = 256;
/// A client that has not sent a request's head by then is cut off.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// A client that has not agreed on keys by then is cut off.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves `router` on `listener` until the node stops, then gives running requests `grace` to finish.
pub async fn serve(app: Arc<App>, router: Router, listener: TcpListener, grace: Duration) {
    let stop = app.stop.clone();
    accept(app, router, listener, Front::Plain, stop, grace).await;
}

/// Where and how paired devices are served.
pub struct LanFront {
    /// Certificate, key and protocols.
    pub tls: Arc<ServerConfig>,
    /// What the listener is called.
    pub names: Arc<LanNames>,
    /// Cancelled when it is to be turned off.
    pub stop: CancellationToken,
}

/// Serves `router` to paired devices on `listener` until `front.stop`, then gives running requests `grace` to finish.
pub async fn serve_lan(app: Arc<App>, router: Router, listener: TcpListener, front: LanFront, grace: Duration) {
    let LanFront { tls, names, stop } = front;
    accept(app, router, listener, Front::Lan(TlsAcceptor::from(tls), OnLan(names)), stop, grace).await;
}

/// What stands before a connection's requests.
#[derive(Clone)]
enum Front {
    /// Nothing: it is for this machine, or for whom its owner chose.
    Plain,
    /// TLS, and the mark that a request came by the listener for paired devices.
    Lan(TlsAcceptor, OnLan),
}

async fn accept(app: Arc<App>, router: Router, listener: TcpListener, front: Front, stop: CancellationToken, grace: Duration) {
    let most = if matches!(front, Front::Plain) { MAX_CONNECTIONS } else { MAX_LAN_CONNECTIONS };
    let places = Arc::new(Semaphore::new(most));
    let connections = TaskTracker::new();
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    if matches!(front, Front::Lan(..)) {
        // Sockets are opened by an upgrade, and a first byte need not be waited for to know the protocol.
        builder = builder.http1_only();
    }
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
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
        let (router, builder, front) = (router.clone(), builder.clone(), front.clone());
        let (stop, app) = (stop.clone(), Arc::clone(&app));
        connections.spawn(async move {
            let ready = tokio::select! {
                ready = greet(socket, &front, &app) => ready,
                () = stop.cancelled() => return,
            };
            let mark = match front {
                Front::Plain => None,
                Front::Lan(_, mark) => Some(mark),
            };
            let router = router.map_request(move |mut request: axum::http::Request<hyper::body::Incoming>| {
                request.extensions_mut().insert(Remote(remote));
                if let Some(mark) = &mark {
                    request.extensions_mut().insert(mark.clone());
                }
                request.map(axum::body::Body::new)
            });
            let service = TowerToHyperService::new(router);
            // Clients that vanish are everyday: there is nobody to tell of an error.
            match ready {
                Some(Greeted::Plain(socket)) => converse(socket, service, &builder, stop, grace).await,
                Some(Greeted::Tls(socket)) => converse(*socket, service, &builder, stop, grace).await,
                None => {}
            }
            drop(place);
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// A connection whose client has spoken.
enum Greeted {
    Plain(TokioIo<Counted<TcpStream>>),
    Tls(Box<TokioIo<tokio_rustls::server::TlsStream<Counted<TcpStream>>>>),
}

/// Waits for the client's first word; `None` if it has none.
async fn greet(socket: TcpStream, front: &Front, app: &App) -> Option<Greeted> {
    let traffic = Arc::clone(&app.traffic);
    match front {
        Front::Plain => {
            // The protocol is told by the first bytes, and nothing else limits how long they take.
            let mut first = [0; 1];
            let spoke = tokio::time::timeout(HEAD_TIMEOUT, socket.peek(&mut first)).await;
            matches!(spoke, Ok(Ok(1..))).then(|| Greeted::Plain(TokioIo::new(Counted::new(socket, traffic))))
        }
        Front::Lan(acceptor, _) => {
            let agreed = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(Counted::new(socket, traffic))).await;
            Some(Greeted::Tls(Box::new(TokioIo::new(agreed.ok()?.ok()?))))
        }
    }
}

async fn converse<I, S>(socket: I, service: S, builder: &auto::Builder<TokioExecutor>, stop: CancellationToken, grace: Duration)
where
    I: Read + Write + Unpin + Send + 'static,
    S: hyper::service::Service<hyper::Request<hyper::body::Incoming>, Response = axum::response::Response> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let connection = builder.serve_connection_with_upgrades(socket, service);
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => {}
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(grace, connection).await;
        }
    }
}

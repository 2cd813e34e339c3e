//! Ends what a bearer has under way when the bearer ends: the handler that has not answered yet, and the answer in mid-stream.

use crate::{app::App, error::ApiError};
use axum::{
    body::Body,
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use kith_access::{AccessError, Here, Principal, Who};
use std::{
    pin::Pin,
    task::{Context, Poll},
};

type Ended = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A body that is over when its bearer is.
struct Leashed {
    body: Body,
    ended: Ended,
    over: bool,
    /// While its answer is being written, a device is here.
    _here: Option<Here>,
}

impl HttpBody for Leashed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        if this.over {
            return Poll::Ready(None);
        }
        if this.ended.as_mut().poll(context).is_ready() {
            this.over = true;
            // What makes the answer is let go of now, not when the client notices.
            this.body = Body::empty();
            return Poll::Ready(None);
        }
        Pin::new(&mut this.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Runs the handler as this principal. Without a bearer, nothing is different.
///
/// Only a device's handler is cut off too: others may be at the very deed that ends their own bearer, as changing the password, and
/// have more of it to do.
pub(crate) async fn run(app: &App, principal: &Principal, request: Request, next: Next) -> Response {
    if !matches!(principal.who, Who::Bearer { .. }) {
        return next.run(request).await;
    }
    let here = app.access.here(principal);
    let mut ended: Ended = Box::pin(app.access.until_ended(principal));
    let response = if principal.is_device() {
        tokio::select! {
            biased;
            response = next.run(request) => response,
            () = &mut ended => return ApiError::from(AccessError::Unauthorized).into_response(),
        }
    } else {
        next.run(request).await
    };
    if response.body().size_hint().exact().is_some() {
        return response;
    }
    response.map(|body| Body::new(Leashed { body, ended, over: false, _here: here }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt;
    use http_body_util::BodyExt;
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    #[tokio::test]
    async fn an_answer_in_mid_stream_is_over_when_its_bearer_is_and_what_makes_it_is_dropped() {
        struct Flag(Arc<AtomicBool>);
        impl Drop for Flag {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let dropped = Arc::new(AtomicBool::new(false));
        let flag = Flag(Arc::clone(&dropped));
        let endless = futures::stream::once(async { Ok::<_, std::io::Error>(Bytes::from_static(b"x")) }).chain(
            futures::stream::pending().map(move |(): ()| {
                let _ = &flag;
                Ok(Bytes::new())
            }),
        );
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let ended: Ended = Box::pin(async { drop(ended.await) });
        let mut body = Leashed { body: Body::from_stream(endless), ended, over: false, _here: None };
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "x");
        end.send(()).unwrap();
        assert!(body.frame().await.is_none());
        assert!(dropped.load(Ordering::SeqCst) && body.is_end_stream());
    }
}

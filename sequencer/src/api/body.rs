//! Bodies up to a limit, and what becomes of longer ones.
//!
//! An HTTP/1 server that answers before it has read the body must close the connection, and a client
//! that is still writing then sees a broken pipe instead of the answer, or finds its next call on a
//! connection that is gone. So a body over the limit is read to its end and thrown away (within
//! reason), and the answer says that the connection closes.

use super::error::ApiError;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;

/// How many times the limit is read of a body that is thrown away.
const DRAINED: usize = 16;

/// Hands a body of at most `limit` bytes on, whole.
pub async fn limited(limit: usize, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let announced = parts
        .headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok())
        .unwrap_or(0);
    let mut kept = Vec::with_capacity(announced.min(limit));
    let (mut read, mut frames) = (0usize, body.into_data_stream());
    while let Some(frame) = frames.next().await {
        let frame = match frame {
            Ok(frame) => frame,
            Err(e) => return closing(ApiError::bad("body", format!("the body ends early: {e}"))),
        };
        read = read.saturating_add(frame.len());
        if read <= limit {
            kept.extend_from_slice(&frame);
        } else if read / DRAINED > limit {
            break;
        }
    }
    if read > limit {
        return closing(ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            format!("the body is larger than the {limit} bytes that this service takes: split it"),
        ));
    }
    next.run(Request::from_parts(parts, Body::from(kept))).await
}

fn closing(error: ApiError) -> Response {
    let mut response = error.into_response();
    response
        .headers_mut()
        .insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

//! Answers that are not a success: a status, a word for programs, a sentence for people.

use crate::engine::EngineError;
use crate::store::StoreError;
use crate::store::blobs::BlobError;
use assay_client::api::ErrorBody;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

/// An error with its status.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl ApiError {
    /// An error of the caller.
    pub fn bad(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// Something that is not there.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// Any other.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = ErrorBody {
            code: self.code.into(),
            message: self.message,
        };
        (self.status, Json(body)).into_response()
    }
}

impl From<StoreError> for ApiError {
    fn from(e: StoreError) -> Self {
        tracing::error!(error = %e, "the store failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "store", e.to_string())
    }
}

impl From<EngineError> for ApiError {
    fn from(e: EngineError) -> Self {
        let code = match e {
            EngineError::Busy(_) | EngineError::Backlog(_) => "busy",
            EngineError::Closed(_) => "not_accepting",
            EngineError::Stopped => "stopping",
        };
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, e.to_string())
    }
}

impl From<BlobError> for ApiError {
    fn from(e: BlobError) -> Self {
        let message = e.to_string();
        match e {
            BlobError::Missing(_) => Self::not_found(message),
            BlobError::NotAProgram(_)
            | BlobError::Unchecked(_)
            | BlobError::Length { .. }
            | BlobError::Other(_) => Self::bad("blob", message),
            BlobError::Quota { .. } => {
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "quota", message)
            }
            BlobError::Damaged(_) | BlobError::Io(_) => {
                tracing::error!(error = %message, "a blob failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "blob", message)
            }
        }
    }
}

impl From<axum::extract::rejection::BytesRejection> for ApiError {
    fn from(e: axum::extract::rejection::BytesRejection) -> Self {
        Self::new(e.status(), "body", e.body_text())
    }
}

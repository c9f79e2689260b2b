//! The body of a request.

use std::io::{self, Cursor, Read};

use serde::Serialize;

use super::Request;
use crate::error::{Failure, Kind};

const JSON: &str = "application/json";

/// A body that is read while it is sent.
pub(crate) struct Body<'a> {
    pub(crate) content_type: &'static str,
    /// In bytes.
    pub(super) length: u64,
    pub(super) content: Box<dyn Read + 'a>,
}

impl<'a> Body<'a> {
    pub(crate) fn whole(content_type: &'static str, bytes: Vec<u8>) -> Body<'a> {
        Body {
            content_type,
            length: bytes.len() as u64,
            content: Box::new(Cursor::new(bytes)),
        }
    }

    /// JSON that is made twice rather than kept: for its length, and to be sent.
    pub(crate) fn made<R: Read + 'a>(make: impl Fn() -> R) -> io::Result<Body<'a>> {
        Ok(Body {
            content_type: JSON,
            length: io::copy(&mut make(), &mut io::sink())?,
            content: Box::new(make()),
        })
    }
}

impl<'a> Request<'a> {
    pub(crate) fn json(self, body: &impl Serialize) -> Result<Request<'a>, Failure> {
        let body = serde_json::to_vec(body).map(|json| Body::whole(JSON, json));
        self.carrying(body.map_err(io::Error::from))
    }

    pub(crate) fn carrying(self, body: io::Result<Body<'a>>) -> Result<Request<'a>, Failure> {
        let body = body.map(Some).map_err(|error| {
            let words = format!("{self}: failed to write its body as JSON: {error}");
            Failure::new(Kind::Setup, words)
        })?;
        Ok(Request { body, ..self })
    }
}

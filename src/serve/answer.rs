//! Answers out of files: conditions, codings, ranges, in this order.

use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

use hyper::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue,
    LAST_MODIFIED, RANGE, VARY,
};
use hyper::{Method, Response, StatusCode};
use kitbag_fs::{Bytes, Error, Result, mapped};

use super::body::{Body, Chunks};
use super::conditional::{self, Validators, Verdict};
use super::encoding::Accepted;
use super::files::{Coded, Contents, Prepared};
use super::range::{self, Ranges};

/// A file that is read while its client waits, without asking another thread to do it: one that takes no longer than that.
const READ_AT_ONCE: u64 = 64 << 10;

/// The answer to a GET or HEAD of a file.
///
/// # Errors
/// Those of reading it.
pub(super) async fn file(prepared: &Prepared, method: &Method, headers: &HeaderMap) -> Result<Response<Body>> {
    let coded = choose(prepared, headers);
    let etag = coded.map_or(&prepared.etag, |(coded, _)| &coded.etag);
    let current = Validators { etag, modified: prepared.modified };
    match conditional::judge(headers, current) {
        Verdict::NotModified => return Ok(bare(StatusCode::NOT_MODIFIED, prepared, etag)),
        Verdict::Failed => return Ok(bare(StatusCode::PRECONDITION_FAILED, prepared, etag)),
        Verdict::Proceed => {}
    }
    let ranges = match headers.get(RANGE) {
        Some(value) if method == Method::GET && conditional::range_applies(headers, current) => {
            range::parse(value.as_bytes(), prepared.size)
        }
        _ => Ranges::Whole,
    };
    match (ranges, coded) {
        (Ranges::Whole, None) => whole(prepared, method, StatusCode::OK).await,
        (Ranges::Whole, Some((coded, name))) => in_coding(prepared, coded, name, method).await,
        (Ranges::Parts(parts), _) => match &parts[..] {
            [part] => single(prepared, part.clone()).await,
            parts => multiple(prepared, parts).await,
        },
        (Ranges::Unsatisfiable, _) => {
            let mut response = bare(StatusCode::RANGE_NOT_SATISFIABLE, prepared, etag);
            response.headers_mut().insert(CONTENT_RANGE, value(format!("bytes */{}", prepared.size)));
            Ok(response)
        }
    }
}

/// The file as what is shown with another status than 200: conditions and ranges are about other things.
///
/// # Errors
/// Those of reading it.
pub(super) async fn page(prepared: &Prepared, method: &Method, status: StatusCode) -> Result<Response<Body>> {
    let mut response = whole(prepared, method, status).await?;
    for name in [ETAG, LAST_MODIFIED, ACCEPT_RANGES, VARY] {
        response.headers_mut().remove(name);
    }
    Ok(response)
}

/// The coding that the client likes best of those that there are. Parts are always of the file as it is.
fn choose<'p>(prepared: &'p Prepared, headers: &HeaderMap) -> Option<(&'p Coded, &'static str)> {
    if prepared.gzip.is_none() && prepared.brotli.is_none() || headers.contains_key(RANGE) {
        return None;
    }
    let accepted = headers.get(ACCEPT_ENCODING).map_or(Accepted::PLAIN, |value| Accepted::parse(value.as_bytes()));
    let offers = [(&prepared.gzip, "gzip", accepted.gzip), (&prepared.brotli, "br", accepted.brotli)];
    let offers = offers.into_iter().filter_map(|(coded, name, weight)| Some((coded.as_ref()?, name, weight)));
    let (coded, name, weight) = offers.max_by_key(|(.., weight)| *weight)?;
    (weight > 0 && weight >= accepted.identity).then_some((coded, name))
}

/// The head of every answer about a file.
fn head(status: StatusCode, prepared: &Prepared, etag: &HeaderValue, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.reserve(8);
    headers.insert(ETAG, etag.clone());
    headers.insert(LAST_MODIFIED, prepared.last_modified.clone());
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if prepared.gzip.is_some() || prepared.brotli.is_some() {
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    }
    response
}

fn bare(status: StatusCode, prepared: &Prepared, etag: &HeaderValue) -> Response<Body> {
    head(status, prepared, etag, Body::empty())
}

async fn whole(prepared: &Prepared, method: &Method, status: StatusCode) -> Result<Response<Body>> {
    let body = match method == Method::HEAD {
        true => Body::length(prepared.size),
        false => part(&prepared.contents, prepared.size, 0..prepared.size).await?,
    };
    let mut response = head(status, prepared, &prepared.etag, body);
    response.headers_mut().insert(CONTENT_TYPE, prepared.content_type.clone());
    Ok(response)
}

async fn in_coding(prepared: &Prepared, coded: &Coded, name: &'static str, method: &Method) -> Result<Response<Body>> {
    let body = match method == Method::HEAD {
        true => Body::length(coded.size),
        false => match contents(&coded.contents, coded.size).await {
            Ok(bytes) => Body::chunks(coded.chunks(bytes)),
            Err(Error::TooLarge) => part(&coded.contents, coded.size, 0..coded.size).await?,
            Err(error) => return Err(error),
        },
    };
    let mut response = head(StatusCode::OK, prepared, &coded.etag, body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, prepared.content_type.clone());
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
    Ok(response)
}

async fn single(prepared: &Prepared, range: Range<u64>) -> Result<Response<Body>> {
    let body = part(&prepared.contents, prepared.size, range.clone()).await?;
    let mut response = head(StatusCode::PARTIAL_CONTENT, prepared, &prepared.etag, body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, prepared.content_type.clone());
    headers.insert(CONTENT_RANGE, value(content_range(&range, prepared.size)));
    Ok(response)
}

/// `multipart/byteranges` (RFC 9110, 14.6); the whole of a file that does not fit in memory.
async fn multiple(prepared: &Prepared, parts: &[Range<u64>]) -> Result<Response<Body>> {
    let bytes = match contents(&prepared.contents, prepared.size).await {
        Ok(bytes) => bytes,
        Err(Error::TooLarge) => return whole(prepared, &Method::GET, StatusCode::OK).await,
        Err(error) => return Err(error),
    };
    // Not to be foreseen by who writes a file, so that it cannot hold one.
    let boundary = format!("{:016x}{:016x}", RandomState::new().hash_one(0), RandomState::new().hash_one(1));
    let content_type = prepared.content_type.to_str().unwrap_or("application/octet-stream");
    let mut chunks = Vec::new();
    for range in parts {
        let lead = if chunks.is_empty() { "" } else { "\r\n" };
        let content_range = content_range(range, prepared.size);
        let head =
            format!("{lead}--{boundary}\r\nContent-Type: {content_type}\r\nContent-Range: {content_range}\r\n\r\n");
        chunks.extend([head.into(), slice(&bytes, range)?]);
    }
    chunks.push(format!("\r\n--{boundary}--\r\n").into());
    let mut response = head(StatusCode::PARTIAL_CONTENT, prepared, &prepared.etag, Body::chunks(Chunks::new(chunks)));
    response.headers_mut().insert(CONTENT_TYPE, value(format!("multipart/byteranges; boundary={boundary}")));
    Ok(response)
}

fn content_range(range: &Range<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", range.start, range.end - 1)
}

fn value(text: String) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::from(text)).unwrap_or(HeaderValue::from_static(""))
}

/// A part of the contents as a body: shared where they are in memory, read piece by piece where they do not fit there.
async fn part(source: &Contents, size: u64, range: Range<u64>) -> Result<Body> {
    match (contents(source, size).await, source) {
        (Ok(bytes), _) => Ok(Body::chunks(slice(&bytes, &range)?)),
        (Err(Error::TooLarge), Contents::Open(file)) => {
            Ok(Body::pieces(file.clone(), range.start, range.end - range.start))
        }
        (Err(error), _) => Err(error),
    }
}

/// A file that became shorter meanwhile has no such part.
fn slice(bytes: &Bytes, range: &Range<u64>) -> Result<Bytes> {
    if range.end > bytes.len() as u64 {
        return Err(Error::Io);
    }
    Ok(bytes.slice(range.start as usize..range.end as usize))
}

async fn contents(source: &Contents, size: u64) -> Result<Bytes> {
    match source {
        // Pages that the file lost since it was verified read as zeros.
        Contents::Shared(bytes) => mapped::check(bytes).map(|()| bytes.clone()),
        Contents::Open(file) if size <= READ_AT_ONCE => file.read_all(),
        Contents::Open(file) => {
            let file = file.clone();
            tokio::task::spawn_blocking(move || file.read_all()).await.map_err(|_| Error::Io)?
        }
    }
}

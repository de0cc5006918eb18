//! What a handler is told of its request: the meta-variables of RFC 3875, 4.1, and those that WAGI adds.
//!
//! `AUTH_TYPE` and `REMOTE_USER` are empty, since nobody is asked who they are here. `PATH_TRANSLATED` is `PATH_INFO`: the bundle is the
//! handler's root.

use std::net::SocketAddr;

use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, HeaderName};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Version};

use crate::wasi::Strings;

/// Where a request came from and what became of it before it got to a handler.
pub(in crate::serve) struct Matched<'r> {
    /// The pattern of its route, as the manifest has it.
    pub(in crate::serve) route: &'r str,
    /// What the pattern named.
    pub(in crate::serve) params: Vec<(&'r str, Vec<u8>)>,
    /// The part of the path that the pattern says more of than `*`, decoded.
    pub(in crate::serve) script: Vec<u8>,
    /// The rest, decoded, and as a URI has it.
    pub(in crate::serve) info: Vec<u8>,
    pub(in crate::serve) raw_info: String,
    pub(in crate::serve) peer: SocketAddr,
    pub(in crate::serve) local: SocketAddr,
}

/// The variables of a request.
pub(super) fn variables(matched: &Matched<'_>, parts: &Parts, length: Option<u64>, authorization: bool) -> Strings {
    let mut variables = Strings::with_capacity(40, 1000);
    // There are fewer and shorter ones than would not fit, since there are limits to heads, and none with a NUL.
    let mut set = |name: &str, value: &[u8]| _ = variables.push(&[name.as_bytes(), b"=", value]);
    let query = parts.uri.query().unwrap_or_default();
    let host = host(parts);
    let (name, port) = server(&host, matched.local);
    set("GATEWAY_INTERFACE", b"CGI/1.1");
    set("SERVER_SOFTWARE", concat!("kitbag/", env!("CARGO_PKG_VERSION")).as_bytes());
    set("SERVER_PROTOCOL", protocol(parts.version).as_bytes());
    set("SERVER_NAME", name.as_bytes());
    set("SERVER_PORT", port.as_bytes());
    set("REQUEST_METHOD", parts.method.as_str().as_bytes());
    set("REQUEST_URI", parts.uri.path_and_query().map_or("/", |uri| uri.as_str()).as_bytes());
    set("SCRIPT_NAME", &matched.script);
    set("PATH_INFO", &matched.info);
    set("PATH_TRANSLATED", &matched.info);
    set("QUERY_STRING", query.as_bytes());
    let peer = matched.peer.ip().to_canonical().to_string();
    set("REMOTE_ADDR", peer.as_bytes());
    set("REMOTE_HOST", peer.as_bytes());
    set("REMOTE_PORT", matched.peer.port().to_string().as_bytes());
    set("AUTH_TYPE", b"");
    set("REMOTE_USER", b"");
    if let Some(length) = length {
        set("CONTENT_LENGTH", length.to_string().as_bytes());
    }
    if let Some(kind) = parts.headers.get(CONTENT_TYPE) {
        set("CONTENT_TYPE", kind.as_bytes());
    }
    set("X_MATCHED_ROUTE", matched.route.as_bytes());
    set("X_RAW_PATH_INFO", matched.raw_info.as_bytes());
    let uri = parts.uri.path_and_query().map_or("/", |uri| uri.as_str());
    set("X_FULL_URL", format!("http://{host}{uri}").as_bytes());
    for (name, value) in &matched.params {
        set(&format!("X_PARAM_{}", shout(name)), value);
    }
    if !host.is_empty() {
        set("HTTP_HOST", host.as_bytes());
    }
    fields(&parts.headers, authorization, set);
    variables
}

/// The arguments that the query makes, as WAGI has them: what is between the `&`, as it came.
pub(super) fn arguments(parts: &Parts) -> impl Iterator<Item = Vec<u8>> {
    let query = parts.uri.query().filter(|query| !query.is_empty());
    query.into_iter().flat_map(|query| query.split('&').map(|word| word.as_bytes().to_vec()))
}

/// Header fields as `HTTP_…`. Left out: what has a variable of its own or is not always a field (the host), `Proxy`, which would make the variable that programs take
/// for their own proxy, and names that would turn into another's (with an underscore).
fn fields(headers: &HeaderMap, authorization: bool, mut set: impl FnMut(&str, &[u8])) {
    let passes = |name: &HeaderName| {
        let special = *name == CONTENT_LENGTH
            || *name == CONTENT_TYPE
            || *name == HOST
            || name == "proxy"
            || *name == AUTHORIZATION && !authorization;
        !special && name.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let mut joined = Vec::new();
    for name in headers.keys().filter(|name| passes(name)) {
        let separator: &[u8] = if *name == COOKIE { b"; " } else { b", " };
        joined.clear();
        for (number, value) in headers.get_all(name).iter().enumerate() {
            joined.extend_from_slice(if number > 0 { separator } else { b"" });
            joined.extend_from_slice(value.as_bytes());
        }
        set(&format!("HTTP_{}", shout(name.as_str())), &joined);
    }
}

fn shout(name: &str) -> String {
    name.chars().map(|c| if c == '-' { '_' } else { c.to_ascii_uppercase() }).collect()
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP/1.1",
    }
}

/// The host and port that the client asked for: by the target, or else by the field (RFC 9112, 3.2.2; RFC 9113, 8.3.1).
fn host(parts: &Parts) -> String {
    let header = || parts.headers.get(HOST).and_then(|host| host.to_str().ok()).map(str::to_owned);
    parts.uri.authority().map(|authority| authority.as_str().to_owned()).or_else(header).unwrap_or_default()
}

fn server(host: &str, local: SocketAddr) -> (String, String) {
    let port = || local.port().to_string();
    if host.is_empty() {
        return (local.ip().to_string(), port());
    }
    match host.rsplit_once(':') {
        Some((name, digits)) if !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit()) => {
            (name.to_owned(), digits.to_owned())
        }
        _ => (host.to_owned(), port()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use hyper::Request;

    use super::*;

    fn told(request: Request<()>, authorization: bool) -> HashMap<String, String> {
        let matched = Matched {
            route: "/api/:id/*",
            params: vec![("id", b"7".to_vec())],
            script: b"/api/7".to_vec(),
            info: b"/a b".to_vec(),
            raw_info: "/a%20b".to_owned(),
            peer: "[::ffff:192.0.2.1]:999".parse().unwrap(),
            local: "127.0.0.1:8080".parse().unwrap(),
        };
        let variables = variables(&matched, &request.into_parts().0, Some(3), authorization);
        let pair = |variable| std::str::from_utf8(variable).unwrap().split_once('=').unwrap();
        variables.iter().map(pair).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn what_a_handler_is_told() {
        let request = Request::post("/api/7/a%20b?x=1&y")
            .header("Host", "example.org:81")
            .header("Content-Type", "text/plain")
            .header("Content-Length", "3")
            .header("Proxy", "http://evil.example")
            .header("Authorization", "Basic eDp5")
            .header("X_Forwarded", "spoofed")
            .header("X-Forwarded", "a")
            .header("X-Forwarded", "b")
            .header("Cookie", "a=1")
            .header("Cookie", "b=2");
        let told = told(request.body(()).unwrap(), false);
        for (name, value) in [
            ("SERVER_NAME", "example.org"),
            ("SERVER_PORT", "81"),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("REQUEST_METHOD", "POST"),
            ("SCRIPT_NAME", "/api/7"),
            ("PATH_INFO", "/a b"),
            ("X_RAW_PATH_INFO", "/a%20b"),
            ("X_MATCHED_ROUTE", "/api/:id/*"),
            ("X_FULL_URL", "http://example.org:81/api/7/a%20b?x=1&y"),
            ("X_PARAM_ID", "7"),
            ("QUERY_STRING", "x=1&y"),
            ("REMOTE_ADDR", "192.0.2.1"),
            ("CONTENT_LENGTH", "3"),
            ("CONTENT_TYPE", "text/plain"),
            ("HTTP_X_FORWARDED", "a, b"),
            ("HTTP_COOKIE", "a=1; b=2"),
            ("HTTP_HOST", "example.org:81"),
        ] {
            assert_eq!(told.get(name).map(String::as_str), Some(value), "{name}");
        }
        for name in ["HTTP_PROXY", "HTTP_AUTHORIZATION", "HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE"] {
            assert_eq!(told.get(name), None, "{name}");
        }
    }

    #[test]
    fn names_and_ports_of_servers() {
        let local = "127.0.0.1:8080".parse().unwrap();
        for (host, name, port) in [
            ("", "127.0.0.1", "8080"),
            ("a", "a", "8080"),
            ("a:1", "a", "1"),
            ("[::1]", "[::1]", "8080"),
            ("[::1]:5", "[::1]", "5"),
        ] {
            assert_eq!(server(host, local), (name.to_owned(), port.to_owned()), "{host}");
        }
        let told = told(Request::get("/").header("Authorization", "Bearer x").body(()).unwrap(), true);
        assert_eq!(told["HTTP_AUTHORIZATION"], "Bearer x");
    }
}

//! What a handler prints before its answer's body (RFC 3875, 6): fields, then an empty line.
//!
//! Nothing of it gets out that is no field of HTTP, so that a handler that prints what its client sent cannot be made to
//! print a second answer; and nothing that says how the answer is framed, which is the server's to say.

use hyper::StatusCode;
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, LOCATION, PROXY_AUTHENTICATE, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};

/// Bytes of a head, at the most.
pub(super) const MAX: usize = 64 << 10;

/// Fields of a head, at the most.
const FIELDS: usize = 128;

/// What a handler says of its answer.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Bytes of the body, where it says so.
    pub(super) length: Option<u64>,
    /// The path that is to be answered in its place (RFC 3875, 6.2.2).
    pub(super) instead: Option<String>,
}

/// Reads the head at the beginning of `bytes`, and says where the body begins; `None` where the end is still to come.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Head, usize)>, String> {
    let mut head = Draft::default();
    let mut at = 0;
    while let Some(len) = bytes[at..].iter().position(|&byte| byte == b'\n') {
        let line = &bytes[at..at + len];
        at += len + 1;
        if at > MAX {
            break;
        }
        match line.strip_suffix(b"\r").unwrap_or(line) {
            [] => return head.finish().map(|head| Some((head, at))),
            line => head.take(line)?,
        }
    }
    if bytes.len() > MAX { Err(format!("its headers are longer than {MAX} bytes")) } else { Ok(None) }
}

#[derive(Default)]
struct Draft {
    status: Option<StatusCode>,
    headers: HeaderMap,
    length: Option<u64>,
    fields: usize,
}

impl Draft {
    fn take(&mut self, line: &[u8]) -> Result<(), String> {
        let bad = || format!("`{}` is no header", line[..line.len().min(80)].escape_ascii());
        let colon = line.iter().position(|&byte| byte == b':').ok_or_else(bad)?;
        let name = HeaderName::from_bytes(&line[..colon]).map_err(|_| bad())?;
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).map_err(|_| bad())?;
        self.fields += 1;
        if self.fields > FIELDS {
            return Err(format!("it has more than {FIELDS} headers"));
        }
        match name {
            _ if name == "status" => match self.status.replace(status(&value).ok_or_else(bad)?) {
                Some(_) => Err("it has more than one status".to_owned()),
                None => Ok(()),
            },
            CONTENT_LENGTH => match (number(&value).ok_or_else(bad)?, self.length) {
                (length, Some(before)) if length != before => Err("it has more than one length".to_owned()),
                (length, _) => {
                    self.length = Some(length);
                    Ok(())
                }
            },
            CONNECTION | TE | TRAILER | TRANSFER_ENCODING | UPGRADE | PROXY_AUTHENTICATE => Ok(()),
            _ if name == "keep-alive" || name == "proxy-connection" || name == "http2-settings" => Ok(()),
            LOCATION if self.headers.contains_key(LOCATION) => Err("it has more than one location".to_owned()),
            name => {
                self.headers.append(name, value);
                Ok(())
            }
        }
    }

    fn finish(self) -> Result<Head, String> {
        if self.fields == 0 {
            return Err("it has no headers".to_owned());
        }
        let location = self.headers.get(LOCATION).and_then(|location| location.to_str().ok());
        let local = location.filter(|location| location.starts_with('/') && !location.starts_with("//"));
        let instead = local.filter(|_| self.status.is_none()).map(str::to_owned);
        let fallback = if self.headers.contains_key(LOCATION) { StatusCode::FOUND } else { StatusCode::OK };
        Ok(Head { status: self.status.unwrap_or(fallback), headers: self.headers, length: self.length, instead })
    }
}

/// `404 Not Found`: three digits, then words that say no more. What is informational is the server's to send.
fn status(value: &HeaderValue) -> Option<StatusCode> {
    let (digits, rest) = value.as_bytes().split_at_checked(3)?;
    let status = StatusCode::from_bytes(digits).ok()?;
    let ends = rest.first().is_none_or(|&byte| byte == b' ');
    (ends && !status.is_informational() && status.as_u16() < 600).then_some(status)
}

fn number(value: &HeaderValue) -> Option<u64> {
    let digits = value.to_str().ok()?;
    (!digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Head {
        parse(text.as_bytes()).unwrap().unwrap().0
    }

    #[test]
    fn heads() {
        let plain = parse(b"Content-Type: text/plain\r\n\r\nbody").unwrap().unwrap();
        assert_eq!(
            (plain.0.status, plain.1, &plain.0.headers["content-type"]),
            (StatusCode::OK, 28, &HeaderValue::from_static("text/plain"))
        );
        assert_eq!(head("status:404 Not Found\n\n").status, StatusCode::NOT_FOUND);
        assert_eq!(head("Status: 204\n\n").status, StatusCode::NO_CONTENT);
        assert_eq!(head("Content-Length: 007\n\n").length, Some(7));
        let away = head("Location: https://example.org/\n\n");
        assert_eq!((away.status, away.instead), (StatusCode::FOUND, None));
        assert_eq!(head("Location: /a?b\n\n").instead.as_deref(), Some("/a?b"));
        assert_eq!(head("Location: //evil.example/\n\n").instead, None);
        let said = head("Location: /a\nStatus: 301 Gone\n\n");
        assert_eq!((said.status.as_u16(), said.instead), (301, None));
        let two = head("Set-Cookie: a\nSet-Cookie: b\n\n");
        assert_eq!(two.headers.get_all("set-cookie").iter().count(), 2);
        assert!(parse(b"A: b\nC").unwrap().is_none() && parse(b"").unwrap().is_none());
    }

    #[test]
    fn what_would_change_the_framing_is_dropped() {
        let head = head("Transfer-Encoding: chunked\nConnection: close\nKeep-Alive: 1\nUpgrade: h2c\nX: y\n\n");
        assert_eq!(head.headers.len(), 1);
    }

    #[test]
    fn what_is_no_head() {
        for text in [
            "\n",
            "\r\n\r\n",
            "HTTP/1.1 200 OK\n\n",
            "hello\n\n",
            ": x\n\n",
            "A b: c\n\n",
            "A : c\n\n",
            " A: b\n\n",
            "A: b\0c\n\n",
            "A: b\rSet-Cookie: c\n\n",
            "A: b\x0bc\n\n",
            "Status: 99\n\n",
            "Status: 100\n\n",
            "Status: 600\n\n",
            "Status: 2000\n\n",
            "Status: ok\n\n",
            "Status: 200\nStatus: 200\n\n",
            "Content-Length: -1\n\n",
            "Content-Length: 1\nContent-Length: 2\n\n",
            "Content-Length: 99999999999999999999\n\n",
            "Location: /a\nLocation: /b\n\n",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(parse(&[b'a'; MAX + 1]).is_err());
        assert!(parse(format!("{}\n", "A: b\n".repeat(FIELDS + 1)).as_bytes()).is_err());
        assert!(parse(format!("{}\n\n", "A: bbbbbbbbbb\n".repeat(10_000)).as_bytes()).is_err());
    }
}

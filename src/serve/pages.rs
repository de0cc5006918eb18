//! Pages that no bundle has to bring: the words for a status, and the listing of a folder.

use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use kitbag_fs::Bytes;

use super::body::Body;
use super::target;

const LISTING: &str = include_str!("../../assets/serve/listing.html");
const STATUS: &str = include_str!("../../assets/serve/status.html");

/// A page that says what the status means.
pub(super) fn status(status: StatusCode) -> Response<Body> {
    let words = format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or("Error"));
    html(status, STATUS.replace("{{status}}", &words))
}

/// A page that lists a folder: names, and whether they are folders. `top` is for the folder that nothing is above.
pub(super) fn listing(path: &[u8], top: bool, names: &[(Vec<u8>, bool)]) -> Response<Body> {
    let above = if top { None } else { Some("<li><a href=\"../\">..</a></li>\n".to_owned()) };
    let items = names.iter().map(|(name, folder)| {
        let slash = if *folder { "/" } else { "" };
        // A name with a colon would be taken for one with a scheme.
        format!("<li><a href=\"./{}{slash}\">{}{slash}</a></li>\n", target::encode(name), escape(name))
    });
    let items: String = above.into_iter().chain(items).collect();
    html(StatusCode::OK, LISTING.replace("{{path}}", &escape(path)).replace("{{items}}", &items))
}

fn html(status: StatusCode, page: String) -> Response<Body> {
    let mut response = Response::new(Body::chunks(Bytes::from(page)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

/// A name as text of a page. Braces too, so that no name is taken for a place of the template.
fn escape(name: &[u8]) -> String {
    let mut text = String::new();
    for c in String::from_utf8_lossy(name).chars() {
        match c {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&quot;"),
            '\'' => text.push_str("&#39;"),
            '{' => text.push_str("&#123;"),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_text() {
        assert_eq!(escape(b"<a href='&\">{{items}}\xff"), "&lt;a href=&#39;&amp;&quot;&gt;&#123;&#123;items}}\u{fffd}");
    }
}

//! What answers are made of: shared bytes that are handed on without copying, pieces of large files, what a guest prints.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http_body::{Frame, SizeHint};
use kitbag_fs::{Bytes, File};
use tokio::task::JoinHandle;

use super::cgi::GuestBody;
use super::exchange::Exchange;

/// Bytes that are inflated at once of a file that is not kept whole.
const PIECE: u64 = 256 << 10;

/// The body of an answer. Its end, or its being dropped, is the end of the exchange.
pub(super) struct Body {
    kind: Kind,
    exchange: Option<Exchange>,
}

enum Kind {
    Empty,
    /// Bytes, of which so many are left.
    Chunks(Chunks),
    /// The answer of HEAD: so many bytes, which nobody asks for.
    Length(u64),
    Pieces(Pieces),
    Guest(GuestBody),
}

/// Shared bytes one after another.
#[derive(Clone, Default)]
pub(super) struct Chunks {
    first: Bytes,
    others: VecDeque<Bytes>,
    left: u64,
}

impl Chunks {
    pub(super) fn new(chunks: impl IntoIterator<Item = Bytes>) -> Chunks {
        let mut chunks = chunks.into_iter().filter(|chunk| !chunk.is_empty());
        let first = chunks.next().unwrap_or_default();
        let others: VecDeque<_> = chunks.collect();
        let left = others.iter().map(Bytes::len).sum::<usize>() + first.len();
        Chunks { first, others, left: left as u64 }
    }

    pub(super) fn len(&self) -> u64 {
        self.left
    }

    fn next(&mut self) -> Option<Bytes> {
        let next = std::mem::replace(&mut self.first, self.others.pop_front().unwrap_or_default());
        self.left -= next.len() as u64;
        (!next.is_empty()).then_some(next)
    }
}

impl From<Bytes> for Chunks {
    fn from(bytes: Bytes) -> Chunks {
        Chunks { left: bytes.len() as u64, first: bytes, others: VecDeque::new() }
    }
}

/// A part of a file that is read while it is sent.
struct Pieces {
    file: Arc<dyn File>,
    offset: u64,
    left: u64,
    reading: Option<JoinHandle<kitbag_fs::Result<Vec<u8>>>>,
}

impl Pieces {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        if self.left == 0 {
            return Poll::Ready(Ok(None));
        }
        let (offset, len) = (self.offset, self.left.min(PIECE) as usize);
        let file = &self.file;
        let reading = self.reading.get_or_insert_with(|| {
            let file = Arc::clone(file);
            tokio::task::spawn_blocking(move || {
                let mut piece = vec![0; len];
                file.read_at(&mut piece, offset).map(|count| {
                    piece.truncate(count);
                    piece
                })
            })
        });
        let read = ready!(Pin::new(reading).poll(cx));
        self.reading = None;
        let piece = read.map_err(io::Error::other)?.map_err(io::Error::other)?;
        if piece.is_empty() {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        (self.offset, self.left) = (offset + piece.len() as u64, self.left - piece.len() as u64);
        Poll::Ready(Ok(Some(piece.into())))
    }
}

impl Body {
    fn new(kind: Kind) -> Body {
        Body { kind, exchange: None }
    }

    pub(super) fn empty() -> Body {
        Body::new(Kind::Empty)
    }

    pub(super) fn chunks(chunks: impl Into<Chunks>) -> Body {
        Body::new(Kind::Chunks(chunks.into()))
    }

    pub(super) fn length(bytes: u64) -> Body {
        Body::new(Kind::Length(bytes))
    }

    pub(super) fn pieces(file: Arc<dyn File>, offset: u64, len: u64) -> Body {
        Body::new(Kind::Pieces(Pieces { file, offset, left: len, reading: None }))
    }

    pub(super) fn guest(guest: GuestBody) -> Body {
        Body::new(Kind::Guest(guest))
    }

    /// Ends `exchange` with this body.
    pub(super) fn attach(mut self, exchange: Exchange) -> Body {
        self.exchange = Some(exchange);
        self
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(exchange) = &mut self.exchange {
            exchange.take();
        }
        let next = match &mut self.kind {
            Kind::Empty | Kind::Length(_) => Ok(None),
            Kind::Chunks(chunks) => Ok(chunks.next()),
            Kind::Pieces(pieces) => ready!(pieces.poll_piece(cx)),
            Kind::Guest(guest) => ready!(guest.poll_chunk(cx)),
        };
        let last = self.is_end_stream();
        if let (Ok(Some(bytes)), Some(exchange)) = (&next, &mut self.exchange) {
            exchange.hand(bytes.len(), last);
        }
        Poll::Ready(next.map(|bytes| bytes.map(Frame::data)).transpose())
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Empty => true,
            Kind::Chunks(chunks) => chunks.len() == 0,
            Kind::Length(len) => *len == 0,
            Kind::Pieces(pieces) => pieces.left == 0,
            Kind::Guest(guest) => guest.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Chunks(chunks) => SizeHint::with_exact(chunks.len()),
            Kind::Length(len) => SizeHint::with_exact(*len),
            Kind::Pieces(pieces) => SizeHint::with_exact(pieces.left),
            Kind::Guest(guest) => guest.length().map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_come_in_order_and_empty_ones_not_at_all() {
        let mut chunks = Chunks::new(["", "ab", "", "c"].map(|text| Bytes::from_static(text.as_bytes())));
        assert_eq!(chunks.len(), 3);
        assert_eq!(chunks.next().as_deref(), Some(&b"ab"[..]));
        assert_eq!((chunks.len(), chunks.next().as_deref(), chunks.next()), (1, Some(&b"c"[..]), None));
        assert_eq!(Chunks::new([]).next(), None);
    }
}

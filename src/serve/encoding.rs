//! Which codings a client takes (RFC 9110, 12.5.3).

/// Weights of codings, in thousandths; 0 for what is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    pub(super) gzip: u16,
    pub(super) brotli: u16,
    pub(super) identity: u16,
}

impl Accepted {
    /// What a client takes that says nothing of it. Anything would do; the file as it is does for certain.
    pub(super) const PLAIN: Accepted = Accepted { gzip: 0, brotli: 0, identity: 1000 };

    /// Reads the value of `Accept-Encoding`.
    pub(super) fn parse(value: &[u8]) -> Accepted {
        let Ok(value) = str::from_utf8(value) else { return Accepted::PLAIN };
        let (mut gzip, mut brotli, mut identity, mut any) = (None, None, None, None);
        for item in value.split(',') {
            let mut parts = item.split(';').map(str::trim);
            let coding = parts.next().unwrap_or_default();
            let weight =
                parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q="))).map_or(1000, weight);
            match coding.to_ascii_lowercase().as_str() {
                "gzip" | "x-gzip" => gzip = Some(weight),
                "br" => brotli = Some(weight),
                "identity" => identity = Some(weight),
                "*" => any = Some(weight),
                _ => {}
            }
        }
        Accepted {
            gzip: gzip.or(any).unwrap_or(0),
            brotli: brotli.or(any).unwrap_or(0),
            // Taken unless it is refused, but after what is named.
            identity: identity.or(any.filter(|&weight| weight == 0)).unwrap_or(1),
        }
    }
}

/// A weight as it is written: at most three places after the point; 0 for what is none.
fn weight(word: &str) -> u16 {
    match word.parse::<f32>() {
        Ok(weight) if (0.0..=1.0).contains(&weight) => (weight * 1000.0).round() as u16,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights() {
        for (value, gzip, brotli, identity) in [
            ("", 0, 0, 1),
            ("gzip", 1000, 0, 1),
            ("gzip, deflate, br, zstd", 1000, 1000, 1),
            ("GZIP;q=0.5 , br ; q=0.7", 500, 700, 1),
            ("gzip;q=0", 0, 0, 1),
            ("*", 1000, 1000, 1),
            ("*;q=0", 0, 0, 0),
            ("gzip, *;q=0", 1000, 0, 0),
            ("identity;q=0, gzip;q=0.1", 100, 0, 0),
            ("gzip;q=2", 0, 0, 1),
            ("gzip;q=x", 0, 0, 1),
            ("gzip;q=NaN", 0, 0, 1),
        ] {
            assert_eq!(Accepted::parse(value.as_bytes()), Accepted { gzip, brotli, identity }, "{value}");
        }
    }
}

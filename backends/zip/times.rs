//! When an entry was changed.

use std::io::Read;

use ::zip::read::ZipFile;
use ::zip::{DateTime, ExtraField};

use crate::Timestamp;

const SECOND: Timestamp = 1_000_000_000;
const DAY: Timestamp = 86_400 * SECOND;

/// 1601-01-01, where the times of Windows begin, in days from 1970-01-01.
const WINDOWS_EPOCH: Timestamp = -134_774 * DAY;

/// The time of the last change: that of the extended timestamp or NTFS field, else the DOS time taken as UTC, else 0.
pub(super) fn modified<R: Read>(file: &ZipFile<'_, R>) -> Timestamp {
    let dos = file.last_modified().filter(DateTime::is_valid);
    let exact = file.extra_data_fields().find_map(|field| match field {
        ExtraField::ExtendedTimestamp(times) => times.mod_time().map(|seconds| unix(seconds, dos)),
        ExtraField::Ntfs(times) => Some(WINDOWS_EPOCH + Timestamp::from(times.mtime()) * 100),
        _ => None,
    });
    exact.or_else(|| dos.map(utc)).unwrap_or(0)
}

/// The 32 bits are signed (extrafld.txt), but writers of our days go on past 2038: the DOS time tells.
fn unix(seconds: u32, dos: Option<DateTime>) -> Timestamp {
    let late = dos.is_some_and(|time| time.year() >= 2038);
    SECOND * if late { Timestamp::from(seconds) } else { Timestamp::from(seconds.cast_signed()) }
}

fn utc(time: DateTime) -> Timestamp {
    let day = days(time.year().into(), time.month().into(), time.day().into());
    let (hour, minute, second) = (i128::from(time.hour()), i128::from(time.minute()), i128::from(time.second()));
    day * DAY + (hour * 3600 + minute * 60 + second) * SECOND
}

/// Days from 1970-01-01, with the year beginning in March so that the leap day is its last.
fn days(year: i128, month: i128, day: i128) -> i128 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_of_known_dates() {
        assert_eq!(days(1970, 1, 1), 0);
        assert_eq!(days(1601, 1, 1) * DAY, WINDOWS_EPOCH);
        assert_eq!(days(2000, 2, 29), 11_016);
        assert_eq!(days(2000, 3, 1), 11_017);
        assert_eq!(days(2107, 12, 31), 50_402);
    }

    #[test]
    fn signs_of_unix_times() {
        let year = |year| DateTime::from_date_and_time(year, 1, 1, 0, 0, 0).ok();
        assert_eq!(unix(u32::MAX, year(1980)), -SECOND);
        assert_eq!(unix(u32::MAX, year(2106)), 4_294_967_295 * SECOND);
    }
}

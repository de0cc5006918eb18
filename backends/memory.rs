//! Files in memory, with a quota.

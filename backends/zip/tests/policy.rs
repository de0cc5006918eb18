//! Which test answers for which line of the policy.
//!
//! | policy | tests |
//! |---|---|
//! | the central directory counts, and local headers are checked against it | `hostile::headers_disagree`, `hostile::mangled` |
//! | zip64 | `zip64_sizes_and_descriptors`, `hostile::headers_disagree` |
//! | stored, deflated, zstandard | `conforming::stored_and_deflated_whole_and_in_pieces`, `zstandard` |
//! | Info-ZIP's, Python's, 7-Zip's and bsdtar's archives alike | `oracles::info_zip`, `oracles::python`, `oracles::others`, `conforming::made_by_others` |
//! | data before the archive, a comment after it | `data_before_and_comment_after` |
//! | missing directories are made up | `implied_directories_and_odd_spellings` |
//! | unix modes and links, which lead nowhere outside | `modes_times_and_types`, `hostile::links` |
//! | of duplicates the last counts | `of_duplicates_the_last_counts` |
//! | absolute names, `..`, NUL, no name at all | `hostile::names` |
//! | a file where another entry needs a directory | `hostile::conflicts` |
//! | entries that overlap each other or the central directory | `hostile::overlaps` |
//! | encryption, unknown methods | `hostile::unreadable_entries` |
//! | sizes that lie | `hostile::sizes` |
//! | expansion beyond the budget, more entries than allowed | `hostile::budgets`, `hostile::claims_of_more_entries_than_there_is_room_for` |
//! | errors name the entry | `hostile::budgets`, `hostile::names` |
//! | truncation and change at every byte | `hostile::truncated_at_every_byte`, `hostile::every_byte_changed` |
//! | checksums, on inflating and on the first read of what is stored, unless trusted | `damage_is_found_on_reading` |
//! | inflated once for all who ask, within the cache's budget | `large::inflated_once_for_all_threads`, `large::the_budget_is_kept`, `large::a_crowd` |
//! | at most 1 MiB in vain for a read of what is too large to keep | `pieces::a_read_inflates_less_than_a_mebibyte_in_vain`, `pieces::points_keep_within_the_room` |
//! | bounded memory | `zip_memory::bounded` |
//! | stored entries are the archive's pages | `stored_entries_are_slices_of_the_archive` |
//! | 100,000 entries | `many_entries` |

#[test]
fn each_line_has_its_tests() {
    let tests = [
        include_str!("conforming.rs"),
        include_str!("hostile.rs"),
        include_str!("large.rs"),
        include_str!("oracles.rs"),
        include_str!("../tests.rs"),
        include_str!("../pieces.rs"),
        include_str!("../../tests/zip_memory.rs"),
    ];
    crate::tables::name_tests(include_str!("policy.rs"), &tests.concat());
}

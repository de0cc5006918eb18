//! Which test answers for which rule, and for which known failure of others. All of them are held besides to the kernel's own
//! overlayfs by `oracle::as_the_kernels_overlayfs`, and to one merged tree by `oracle::as_one_tree_on_a_tmpfs` and
//! `oracle::as_one_tree_in_memory`.
//!
//! | policy | tests |
//! |---|---|
//! | upper hides lower, directories merge | `merging::the_topmost_wins_and_directories_merge`, `merging::a_file_between_directories_ends_the_merge` |
//! | any number of lowers | `conforming::the_standard_tree_dealt_out_to_layers`, `conforming::over_nothing` |
//! | whiteouts and marks are invisible, and their names can be used | `names::state_is_out_of_reach`, `names::the_reserved_name_is_as_any_other`, `names::names_like_those_of_other_overlays_whiteouts_and_of_full_length`, `faulty::an_upper_without_case_does_not_give_the_state_away` |
//! | copy-up on the first write or change of metadata, not before | `merging::reading_copies_nothing_up`, `handles::times_set_through_a_reading_handle_copy_up` |
//! | parents first, times kept | `merging::copy_up_keeps_times_and_the_inode_of_all_it_touches` |
//! | `rmdir` judges the merged view | `whiteouts::a_directory_with_lower_entries_is_not_empty` |
//! | `mkdir` over a whiteout is opaque | `whiteouts::a_directory_made_again_is_empty_and_stays_so` |
//! | exclusive creation sees lower files, and does not empty them | `whiteouts::exclusive_creation_sees_lower_files_and_leaves_them_alone` |
//! | renaming a lower directory | `renaming::a_lower_directory_moves_without_its_contents_being_copied`, `renaming::a_directory_takes_the_place_of_an_empty_one_and_merges_with_nothing_there` |
//! | renaming a file onto one of a lower | `renaming::a_lower_file_moves_onto_another`, `renaming::two_names_of_one_lower_file_do_not_replace_each_other` |
//! | inode numbers survive copy-up | `merging::copy_up_keeps_times_and_the_inode_of_all_it_touches` |
//! | hard links survive copy-up | `renaming::lower_hard_links_survive_copy_up_and_a_restart`, `renaming::a_new_link_to_a_lower_file` |
//! | handles opened before a copy-up stay coherent | `handles::a_handle_opened_before_a_copy_up_sees_what_is_written_after`, `handles::a_handle_opened_before_sees_truncation_rename_and_removal`, `handles::directory_handles_follow_copy_up_and_rename` |
//! | opening a lower file for writing alone, truncating it | `merging::a_lower_file_that_is_emptied_is_not_copied_first` |
//! | no entry is listed twice, and listings agree with stat | `merging::listings_and_stat_agree_on_inodes_and_no_two_objects_share_one` |
//! | a death or a failure at any step leaves one of two trees | `faulty::a_death_at_any_step_leaves_the_tree_as_before_or_as_after`, `oracle::a_death_leaves_one_of_two_trees`, `oracle::a_failure_leaves_one_tree` |
//! | threads at once | `handles::many_threads_leave_one_tree`, `handles::readers_see_a_file_whole_while_it_is_copied_up_and_replaced` |

#[test]
fn each_rule_has_its_tests() {
    let tests = [
        include_str!("conforming.rs"),
        include_str!("faulty.rs"),
        include_str!("handles.rs"),
        include_str!("merging.rs"),
        include_str!("names.rs"),
        include_str!("oracle.rs"),
        include_str!("renaming.rs"),
        include_str!("whiteouts.rs"),
    ];
    crate::tables::name_tests(include_str!("rules.rs"), &tests.concat());
}

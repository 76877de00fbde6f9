//! Every row of the reference's tables, and the test that is named by it. A row
//! that is new there and has no test here fails, as does a test that is gone.

use std::collections::BTreeSet;
use std::path::Path;

use needs::reference;

/// Where a row is shown to hold.
enum Shown {
    /// By these tests of this folder.
    By(&'static [&'static str]),
    /// By none, for it says nothing of how an aggregate behaves.
    NoBehaviour(&'static str),
}

use Shown::{By, NoBehaviour};

const LISTING: Shown =
    By(&["row_whatever_is_wrong_with_list_resources_is_told_by_the_struct_and_its_code"]);
const REQUEST: Shown = By(&["row_an_rspec_that_is_no_request_for_this_aggregate"]);
const TIMES: Shown = By(&["row_times_that_cannot_be"]);
const PROVISION: Shown = By(&["row_provision_of_what_is_not_there"]);

/// The table of bad input, 2.10.
const INPUTS: [(&str, Shown); 24] = [
    (
        "unknown method; `_dispatch`; wrong arity",
        By(&["row_unknown_method_or_wrong_arity_is_a_fault"]),
    ),
    ("ListResources, no or unreadable credential", LISTING),
    ("ListResources, tampered / other user's credential", LISTING),
    (
        "ListResources without `geni_rspec_version` / no type",
        LISTING,
    ),
    ("ListResources version 99 / int 3", LISTING),
    (
        "ListResources with `geni_slice_urn`, unknown slice",
        LISTING,
    ),
    (
        "Create/Allocate: no creds, user cred only, tampered, other's, other slice, bad URN",
        By(&["row_create_or_allocate_with_wrong_credentials"]),
    ),
    ("Create/Allocate: RSpec not XML or empty", REQUEST),
    ("manifest offered as request", REQUEST),
    (
        "too many nodes",
        By(&[
            "row_too_many_nodes_is_told_with_counts",
            "row_more_than_the_quota_allows_is_told_with_the_counts",
        ]),
    ),
    ("second time", By(&["row_a_second_time_is_17"])),
    ("garbage `geni_end_time`", TIMES),
    ("Renew garbage date", TIMES),
    ("Renew too far", TIMES),
    ("Renew in the past", TIMES),
    ("Renew far with `geni_extend_alap`", TIMES),
    (
        "POA before provision / wrong state / empty / unknown action",
        By(&["row_actions_that_are_not_possible_are_13"]),
    ),
    ("Provision without rspec version", PROVISION),
    (
        "Provision urns empty / string / mixed / unknown sliver",
        PROVISION,
    ),
    ("Provision twice", PROVISION),
    (
        "Describe/Status/Delete of a slice with no slivers here",
        By(&["row_a_slice_with_no_slivers_here_is_12"]),
    ),
    ("Allocate of an `<rspec/>` without nodes", REQUEST),
    (
        "node without `client_id`, duplicate `client_id`, unknown `sliver_type`, node of another component manager",
        By(&[
            "row_an_rspec_that_is_no_request_for_this_aggregate",
            "row_nodes_of_another_component_manager_are_ignored_and_repeated",
        ]),
    ),
    (
        "Shutdown unknown slice",
        By(&["row_shutdown_of_an_unknown_slice_is_true"]),
    ),
];

/// The defects of 1.3, by number.
const DEFECTS: [&str; 16] = [
    "defect_1_what_is_asked_for_compressed_is_the_same_document",
    "defect_2_and_3_describe_and_status_are_structs_of_the_slice",
    "defect_2_and_3_describe_and_status_are_structs_of_the_slice",
    "defect_4_every_prefix_of_what_we_write_is_declared",
    "defect_5_get_version_has_numbers_lists_and_whole_addresses",
    "defect_6_nothing_is_nil_and_all_is_ascii_in_the_types_of_old_clients",
    "defect_7_a_version_of_rspec_that_is_missing_is_1",
    "defect_8_a_wrong_date_is_1_and_every_date_of_ours_has_its_zone",
    "defect_9_what_is_no_method_of_the_api_cannot_be_called",
    "defect_10_nothing_that_a_document_names_is_fetched_and_it_is_checked_all_the_same",
    "defect_11_who_asks_at_the_same_moment_gets_no_more_than_there_is",
    "defect_12_what_is_over_ends_and_what_is_not_does_not",
    "defect_13_what_is_allocated_is_told_to_be_and_what_is_deleted_to_be_gone",
    "defect_14_work_that_fails_is_done_again",
    "defect_15_types_of_several_managers_are_made_by_one_request",
    "defect_16_who_calls_is_known_by_the_certificate_and_by_nothing_else",
];

/// The complaints of section 4, by their sources.
const COMPLAINTS: [(&str, Shown); 23] = [
    (
        "geni-tools #379",
        By(&["complaint_379_nothing_here_is_one_code_and_one_reason_by_every_call"]),
    ),
    (
        "#465, #571, #572, #35, #139",
        By(&["complaint_465_571_572_35_139_every_answer_says_when_it_ends_and_the_same"]),
    ),
    (
        "#527",
        By(&["complaint_527_as_long_as_possible_tells_how_long_that_is"]),
    ),
    (
        "#577, #695, #638",
        By(&["complaint_577_695_638_nothing_outlives_its_credential_and_the_latest_is_told"]),
    ),
    (
        "#714, #693",
        By(&["complaint_714_693_each_refusal_has_a_reason_that_programs_can_read"]),
    ),
    (
        "#547, #561, #606, #696, #801",
        By(&["complaint_547_561_606_696_801_what_is_short_is_told_with_how_much_there_is"]),
    ),
    (
        "#132, #198, #932",
        By(&["complaint_132_198_932_a_defect_is_told_in_clean_words_with_a_number"]),
    ),
    (
        "#438",
        By(&["complaint_438_create_sliver_a_second_time_is_17_whatever_it_asks_for"]),
    ),
    (
        "#261",
        By(&["complaint_261_allocate_makes_nothing_and_is_undone_at_once"]),
    ),
    (
        "#148, #98, #246",
        By(&["complaint_148_98_246_a_wrong_request_is_told_by_line_and_element"]),
    ),
    (
        "#188, #72, #217",
        By(&["complaint_188_72_217_renewals_are_exact_and_provision_wants_its_version"]),
    ),
    (
        "#792, #228",
        By(&["complaint_792_228_the_operator_says_who_may_list_without_a_credential"]),
    ),
    (
        "#890",
        By(&["complaint_890_a_credential_may_call_its_statement_anything"]),
    ),
    (
        "#818, #830",
        By(&["complaint_818_830_who_speaks_for_a_user_makes_nothing_that_outlives_the_word"]),
    ),
    ("#482", By(&["complaint_482_get_version_asks_nobody"])),
    (
        "GRAM [read]",
        By(&[
            "complaint_gram_a_renewal_outlasts_the_process_and_a_new_one_deletes_nothing",
            "complaint_gram_what_is_not_as_it_is_known_after_a_restart_costs_nothing_else",
            "complaint_gram_what_cannot_be_ended_does_not_keep_others_from_ending",
            "complaint_gram_what_cannot_be_deleted_is_seen_by_all_it_concerns_until_it_is_gone",
            "complaint_gram_shutdown_can_be_called_and_what_it_stops_is_not_deleted",
            "complaint_gram_failures_of_the_site_have_codes_of_their_own",
            "complaint_gram_what_a_request_says_is_one_word_of_a_command",
            "complaint_gram_a_login_tells_the_address_and_nobody_is_asked_for_its_name",
        ]),
    ),
    (
        "docker-am [read]",
        By(&[
            "complaint_docker_am_a_component_manager_that_is_mistyped_is_named",
            "complaint_docker_am_what_was_asked_for_outlasts_the_process",
            // A host that was started again.
            "complaint_gram_what_is_not_as_it_is_known_after_a_restart_costs_nothing_else",
            // Another configuration over the same data.
            "slivers_of_a_kind_that_is_not_offered_any_more_are_still_their_slices",
        ]),
    ),
    (
        "eiSoil",
        By(&[
            "defect_15_types_of_several_managers_are_made_by_one_request",
            "complaint_818_830_who_speaks_for_a_user_makes_nothing_that_outlives_the_word",
        ]),
    ),
    (
        "OFELIA ocf #114 #166 #184 #198",
        By(&[
            "complaint_ocf_114_166_184_198_what_breaks_is_told_and_can_be_deleted",
            "complaint_ocf_114_a_site_that_is_away_for_a_while_leaves_nothing_stuck",
        ]),
    ),
    (
        "SREGym #17/#29 (2025)",
        NoBehaviour("it is of a client's upkeep"),
    ),
    (
        "GENI v4 draft",
        NoBehaviour("no method of version 2 or 3 updates what there is"),
    ),
    (
        "DETER survey (122 users)",
        NoBehaviour("it is of tools for the design of experiments"),
    ),
    ("source", NoBehaviour("the head of the table")),
];

/// What the tests of the field's acceptance suite do, of which there are 13 a
/// version, as far as the reference tells; by both versions in each.
const ACCEPTANCE: [(&str, &str); 13] = [
    (
        "GetVersion, each entry of it",
        "get_version_says_what_the_acceptance_tests_want_to_hear",
    ),
    (
        "ListResources, compressed and available, too",
        "list_resources_shows_what_there_is_to_who_may_see_it",
    ),
    (
        "ListResources with a credential that is no XML, was changed, is another's, is in no list",
        "row_whatever_is_wrong_with_list_resources_is_told_by_the_struct_and_its_code",
    ),
    (
        "a signer who is not trusted",
        "no_call_on_a_slice_is_granted_by_what_does_not_grant_it",
    ),
    (
        "a certificate that is not trusted",
        "only_clients_with_a_trusted_certificate_are_let_in_and_authorities_are",
    ),
    (
        "all calls on a slice, version 3",
        "slivers_are_allocated_provisioned_started_and_deleted",
    ),
    (
        "all calls on a slice, version 2",
        "version_2_starts_what_it_reserves",
    ),
    (
        "renewed by minutes and by days",
        "complaint_188_72_217_renewals_are_exact_and_provision_wants_its_version",
    ),
    (
        "an RSpec that is empty, no XML, a manifest",
        "row_an_rspec_that_is_no_request_for_this_aggregate",
    ),
    (
        "a slice that is not there",
        "row_a_slice_with_no_slivers_here_is_12",
    ),
    (
        "several slices",
        "slivers_of_several_slices_are_apart_and_each_wants_its_own_credential",
    ),
    (
        "a credential that was passed on",
        "whom_a_credential_was_passed_on_to_can_do_with_the_slice_what_it_says",
    ),
    (
        "Shutdown",
        "a_slice_that_is_shut_down_can_only_be_looked_at",
    ),
];

/// The functions that are tests here.
fn tests() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/geni");
    let mut found = BTreeSet::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for pair in lines.windows(2) {
            let is_test = pair[0].starts_with("#[test") || pair[0].starts_with("#[tokio::test");
            let name = pair[1]
                .split_once("fn ")
                .and_then(|(_, n)| n.split_once('('));
            found.extend(name.filter(|_| is_test).map(|(name, _)| name.to_owned()));
        }
    }
    found
}

/// What is between two headings.
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = text.split_once(from).unwrap_or_else(|| panic!("no {from}"));
    rest.split_once(to).map_or(rest, |(inside, _)| inside)
}

/// The first cells of a table, without its rule and its empty ones.
fn cells(section: &str) -> BTreeSet<&str> {
    let rows = section.lines().filter_map(|line| line.strip_prefix('|'));
    let first = rows.filter_map(|row| row.split('|').next());
    first
        .map(str::trim)
        .filter(|cell| !cell.is_empty() && !cell.starts_with("---"))
        .collect()
}

fn known(table: &[(&'static str, Shown)]) -> BTreeSet<&'static str> {
    table.iter().map(|(row, _)| *row).collect()
}

#[test]
fn every_test_that_a_row_names_is_there() {
    let there = tests();
    let tables = INPUTS.iter().chain(&COMPLAINTS);
    let named = tables.flat_map(|(row, shown)| match shown {
        By(tests) => tests.iter().map(|test| (*row, *test)).collect::<Vec<_>>(),
        NoBehaviour(why) => {
            assert!(!why.is_empty(), "{row}");
            Vec::new()
        }
    });
    let defects = DEFECTS.iter().map(|test| ("a defect", *test));
    let missing: Vec<(&str, &str)> = named
        .chain(defects)
        .chain(ACCEPTANCE)
        .filter(|(_, test)| !there.contains(*test))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_row_of_the_reference_has_a_test_named_by_it() {
    let Some(folder) = reference("every_row_of_the_reference_has_a_test") else {
        return;
    };
    let text = std::fs::read_to_string(folder.join("reference/geni.md")).unwrap();
    let mut inputs = cells(between(&text, "### 2.10 ", "### 2.11 "));
    assert!(inputs.remove("input"), "the head of the table");
    assert_eq!(inputs, known(&INPUTS));
    assert_eq!(
        cells(between(&text, "\n## 4.", "\n## 5.")),
        known(&COMPLAINTS)
    );

    // The defects stand in one paragraph, by numbers.
    let defects = between(&text, "### 1.3 ", "### 1.4 ");
    let (_, defects) = defects.split_once('\n').unwrap();
    let words: BTreeSet<&str> = defects.split_whitespace().collect();
    let there = (1..).take_while(|n| words.contains(&*format!("{n}.")));
    assert_eq!(there.count(), DEFECTS.len());
    for (n, test) in (1..).zip(DEFECTS) {
        let numbers = test
            .split('_')
            .skip(1)
            .take(3)
            .filter_map(|w| w.parse().ok());
        assert!(numbers.collect::<Vec<i32>>().contains(&n), "{n}: {test}");
    }
    // A complaint's test has the numbers of its threads in its name.
    for (source, shown) in COMPLAINTS {
        let By([first, ..]) = shown else { continue };
        let numbers = source.split(|c: char| !c.is_ascii_digit());
        for number in numbers.filter(|n| !n.is_empty()) {
            let named = first.split('_').any(|word| word == number);
            assert!(named, "{source}: {first}");
        }
    }
}

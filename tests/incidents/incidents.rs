//! What went wrong in other systems, and does not here: one test an incident,
//! named after its public thread, or after its system where there is none.
//!
//! Each plays the faults of its incident on a simulated site and checks the
//! invariant that the incident broke. The invariants are numbered as in
//! `docs/reliability.md`, one file each.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by a panic"
)]

mod i01_an_accepted_create_is_never_forgotten;
mod i02_an_unknown_outcome_is_no_failure;
mod i03_a_destroy_ends_with_evidence;
mod i04_a_sweep_spares_siblings;
mod i05_a_delete_is_bound_to_an_identity;
mod i06_no_limit_is_overrun;
mod i07_everything_ends;
mod i08_a_resize_touches_the_difference_only;
mod i09_the_rate_is_kept;
mod i10_leases_have_one_winner;
mod i11_secondary_things_are_released;
mod i12_credentials_change;
mod i13_secrets_stay_secret;
mod i14_reuse_is_exact;
mod i15_no_short_state_is_missed;
mod support;

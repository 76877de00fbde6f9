//! Any bytes as an RSpec, under libFuzzer.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::rspec(bytes));

#[cfg(not(fuzzing))]
fn main() {
    eprintln!("cargo xtask fuzz builds this with its engine, and runs it");
}

//! XML-RPC as GENI's clients speak it.
//!
//! Written are the types that the oldest of them insist on: `<int>`,
//! `<boolean>`, `<string>` in ASCII, arrays and structs; never `<nil/>`, never
//! a date. Read is what they send: also `<i4>`, `<i8>`, `<base64>`, text
//! without a type, and `<nil/>` as nothing.
//!
//! A fault is for what is wrong with the call itself: no XML-RPC, no such
//! method, a wrong number of arguments. Whatever happens after that is the
//! method's own answer.

mod read;
mod value;
mod write;

pub use read::Call;
pub use value::Value;
pub use write::{Fault, answer};

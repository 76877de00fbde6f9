//! GENI: documents, credentials and calls, against recorded ones.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod accept;
mod advertised;
mod any;
mod appliances;
mod arguments;
mod authority;
mod chains;
mod clusters;
mod complaints;
mod contracts;
mod corpus;
mod credentials;
mod defects;
mod disks;
mod door;
mod effort;
mod ends;
mod foreign;
mod geni_lib;
mod grants;
mod held;
mod issue;
mod kept;
mod kinds;
mod lab;
mod limits;
mod links;
#[path = "../shared/log.rs"]
mod log;
mod modes;
mod older;
mod operators;
mod passed;
mod places;
mod reads;
mod remembered;
mod restless;
mod ring;
mod room;
mod rows;
mod rspec;
mod shaping;
mod slice;
mod slices;
mod strange;
mod table;
mod together;
mod told;
mod users;
mod xmlrpc;

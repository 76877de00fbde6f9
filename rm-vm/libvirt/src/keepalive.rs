//! Whether the server is alive, by the program that libvirt has for it.

use std::time::Duration;

use crate::config::Keepalive;
use crate::error::Down;
use crate::message::{Header, KEEPALIVE, Kind, Status};
use crate::session::Session;

/// Are you alive?
pub(crate) const PING: i32 = 1;
/// Yes.
pub(crate) const PONG: i32 = 2;

pub(crate) fn message(procedure: i32) -> Header {
    Header {
        program: KEEPALIVE,
        procedure,
        kind: Kind::Event,
        serial: 0,
        status: Status::Ok,
    }
}

/// Ask a silent server whether it is alive; ends when it is not. Whatever it
/// says is a sign of life.
pub(crate) async fn watch(session: &Session, when: Option<Keepalive>) -> Down {
    let Some(Keepalive { interval, count }) = when else {
        return std::future::pending().await;
    };
    let mut silent = Duration::ZERO;
    let mut asked = 0;
    loop {
        tokio::time::sleep(interval).await;
        if session.has_heard() {
            silent = Duration::ZERO;
            asked = 0;
            continue;
        }
        silent += interval;
        if asked >= count {
            return Down::Silent(silent);
        }
        asked += 1;
        session.beside(&message(PING));
    }
}

//! Server-sent events, as far as the daemon speaks them.

use std::collections::VecDeque;

use serde_json::Value;

/// The longest line that an event could have.
const MOST: usize = 16 * 1024 * 1024;

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    /// The cursor.
    pub(crate) id: String,
    /// What happened.
    pub(crate) data: Value,
}

/// Events as they come.
#[derive(Debug)]
pub(crate) struct Events {
    answer: reqwest::Response,
    parser: Parser,
}

impl Events {
    pub(super) fn new(answer: reqwest::Response) -> Self {
        Self {
            answer,
            parser: Parser::default(),
        }
    }

    /// The next one; `None` where the stream has ended or broken off.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.parser.ready.pop_front() {
                return Some(event);
            }
            match self.answer.chunk().await {
                Ok(Some(chunk)) if self.parser.line.len() + chunk.len() <= MOST => {
                    self.parser.feed(&chunk);
                }
                _ => return None,
            }
        }
    }
}

#[derive(Debug, Default)]
struct Parser {
    line: Vec<u8>,
    id: String,
    data: String,
    ready: VecDeque<Event>,
}

impl Parser {
    fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                self.take(String::from_utf8_lossy(&line).trim_end_matches('\r'));
            } else {
                self.line.push(byte);
            }
        }
    }

    fn take(&mut self, line: &str) {
        if line.is_empty() {
            let data = std::mem::take(&mut self.data);
            if let Ok(data) = serde_json::from_str(&data) {
                self.ready.push_back(Event {
                    id: self.id.clone(),
                    data,
                });
            }
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => value.clone_into(&mut self.id),
            "data" => {
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            // Comments keep the line open; "event" is in the data, too.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_come_whole_however_the_bytes_are_cut() {
        let wire =
            b": hello\n\nid: 7\nevent: cluster.ready\ndata: {\"seq\":\ndata: 7}\n\n: ping\n\n";
        for cut in 1..wire.len() {
            let mut parser = Parser::default();
            for chunk in wire.chunks(cut) {
                parser.feed(chunk);
            }
            assert_eq!(
                parser.ready,
                [Event {
                    id: "7".to_owned(),
                    data: json!({"seq": 7})
                }]
            );
        }
    }
}

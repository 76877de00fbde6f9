//! A server on loopback that answers what it was told, in recorded bytes.
#![allow(clippy::disallowed_methods, reason = "a test is a host")]

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
    /// Whether the body came to its announced end.
    pub(crate) complete: bool,
}

impl Seen {
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }

    pub(crate) fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Say {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    /// Closes the connection instead of answering.
    Hang,
    /// Never answers.
    Stall,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::Say {
            status,
            headers: vec![("Content-Type".into(), "application/json".into())],
            body: body.to_string().into_bytes(),
        }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        if let Self::Say { headers, .. } = &mut self {
            headers.retain(|(header, _)| !header.eq_ignore_ascii_case(name));
            headers.push((name.into(), value.into()));
        }
        self
    }
}

/// One recorded exchange.
pub(crate) struct Recording {
    pub(crate) name: String,
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) sent: Value,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Value,
}

impl Recording {
    /// Reads `min/055-heat-create` of the recordings.
    pub(crate) fn load(reference: &Path, name: &str) -> Self {
        let path = reference.join(format!("data/openstack-wire/{name}.json"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        let all: Value = serde_json::from_str(&text).unwrap();
        let url = all["request"]["url"].as_str().unwrap();
        let rest = url.split_once("://").unwrap().1;
        let headers = all["response"]["headers"].as_object().unwrap();
        Self {
            name: name.to_owned(),
            method: all["request"]["method"].as_str().unwrap().to_owned(),
            target: rest[rest.find('/').unwrap_or(rest.len())..].to_owned(),
            sent: all["request"]["body"].clone(),
            status: u16::try_from(all["response"]["status"].as_u64().unwrap()).unwrap(),
            headers: headers
                .iter()
                .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
                .collect(),
            body: all["response"]["body"].clone(),
        }
    }

    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(header, _)| header.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn answer(&self) -> Answer {
        Answer::Say {
            status: self.status,
            headers: self
                .headers
                .iter()
                .filter(|(name, _)| !name.eq_ignore_ascii_case("content-length"))
                .cloned()
                .collect(),
            body: match &self.body {
                Value::String(text) => text.clone().into_bytes(),
                other => other.to_string().into_bytes(),
            },
        }
    }
}

#[derive(Default)]
struct Routes {
    answers: BTreeMap<(String, String), VecDeque<Answer>>,
    seen: Vec<Seen>,
    connections: usize,
}

/// The server. Every address of the lab in what it says becomes its own.
pub(crate) struct Server {
    pub(crate) base: String,
    routes: Arc<Mutex<Routes>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let routes = Arc::new(Mutex::new(Routes::default()));
        let task = tokio::spawn({
            let (base, routes) = (base.clone(), Arc::clone(&routes));
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    routes.lock().unwrap().connections += 1;
                    tokio::spawn(serve(stream, base.clone(), Arc::clone(&routes)));
                }
            }
        });
        Self { base, routes, task }
    }

    /// Answers requests of this method for this path, with any query unless one is given. Several
    /// answers are used one after the other, the last of them for ever.
    pub(crate) fn on(&self, method: &str, target: &str, answer: Answer) -> &Self {
        self.routes
            .lock()
            .unwrap()
            .answers
            .entry((method.into(), target.into()))
            .or_default()
            .push_back(answer);
        self
    }

    /// Answers only those who come with this token.
    pub(crate) fn on_token(
        &self,
        token: &str,
        method: &str,
        target: &str,
        answer: Answer,
    ) -> &Self {
        self.on(method, &format!("{target}#{token}"), answer)
    }

    /// Answers as recorded, where it was recorded.
    pub(crate) fn play(&self, recording: &Recording) -> &Self {
        self.on(&recording.method, &recording.target, recording.answer())
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.routes.lock().unwrap().seen.clone()
    }

    /// Requests of this method for this path.
    pub(crate) fn count(&self, method: &str, path: &str) -> usize {
        self.seen()
            .iter()
            .filter(|seen| seen.method == method && seen.path() == path)
            .count()
    }

    pub(crate) fn connections(&self) -> usize {
        self.routes.lock().unwrap().connections
    }
}

async fn serve(mut stream: TcpStream, base: String, routes: Arc<Mutex<Routes>>) {
    let mut buffer = Vec::new();
    while let Some(seen) = request(&mut stream, &mut buffer).await {
        let complete = seen.complete;
        let answer = {
            let mut routes = routes.lock().unwrap();
            let token = seen
                .headers
                .get("x-auth-token")
                .cloned()
                .unwrap_or_default();
            let key = [
                format!("{}#{token}", seen.target),
                seen.target.clone(),
                seen.path().to_owned(),
            ]
            .map(|target| (seen.method.clone(), target))
            .into_iter()
            .find(|key| routes.answers.contains_key(key))
            .unwrap_or_default();
            routes.seen.push(seen);
            match routes.answers.get_mut(&key) {
                Some(queue) if queue.len() > 1 => queue.pop_front(),
                Some(queue) => queue.front().cloned(),
                None => None,
            }
        };
        if !complete {
            return;
        }
        match answer.unwrap_or(Answer::json(599, &Value::from("not told what to say"))) {
            Answer::Hang => return,
            Answer::Stall => std::future::pending().await,
            Answer::Say {
                status,
                headers,
                body,
            } => {
                let body = localised(&body, &base);
                let mut head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n", body.len());
                for (name, value) in headers {
                    let value = localised(value.as_bytes(), &base);
                    head.push_str(&format!(
                        "{name}: {}\r\n",
                        String::from_utf8(value).unwrap()
                    ));
                }
                head.push_str("\r\n");
                let mut bytes = head.into_bytes();
                bytes.extend_from_slice(&body);
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Recorded addresses of the lab, on whatever port, become this server's.
fn localised(bytes: &[u8], base: &str) -> Vec<u8> {
    const LAB: &str = "http://127.0.0.1:25";
    let Ok(text) = std::str::from_utf8(bytes) else {
        return bytes.to_vec();
    };
    let mut parts = text.split(LAB);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(base);
        out.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    out.into_bytes()
}

async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> bool {
    let mut chunk = [0; 16 * 1024];
    match stream.read(&mut chunk).await {
        Ok(0) | Err(_) => false,
        Ok(length) => {
            buffer.extend_from_slice(&chunk[..length]);
            true
        }
    }
}

async fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Seen> {
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if !more(stream, buffer).await {
            return None;
        }
    };
    let head = String::from_utf8(buffer.drain(..end).collect()).unwrap();
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let mut seen = Seen {
        method: first.next()?.to_owned(),
        target: first.next()?.to_owned(),
        headers: lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect(),
        body: Vec::new(),
        complete: true,
    };
    if seen
        .headers
        .get("transfer-encoding")
        .is_some_and(|how| how == "chunked")
    {
        loop {
            let Some(at) = buffer.windows(2).position(|two| two == b"\r\n") else {
                if !more(stream, buffer).await {
                    seen.complete = false;
                    return Some(seen);
                }
                continue;
            };
            let size =
                usize::from_str_radix(std::str::from_utf8(&buffer[..at]).unwrap(), 16).unwrap();
            while buffer.len() < at + 4 + size {
                if !more(stream, buffer).await {
                    seen.complete = false;
                    return Some(seen);
                }
            }
            seen.body.extend_from_slice(&buffer[at + 2..at + 2 + size]);
            buffer.drain(..at + 4 + size);
            if size == 0 {
                return Some(seen);
            }
        }
    }
    let length: usize = seen
        .headers
        .get("content-length")
        .map_or(0, |length| length.parse().unwrap());
    while buffer.len() < length {
        if !more(stream, buffer).await {
            seen.complete = false;
            break;
        }
    }
    seen.body = buffer.drain(..length.min(buffer.len())).collect();
    Some(seen)
}

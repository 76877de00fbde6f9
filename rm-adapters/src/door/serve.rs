//! The listener: accepts connections within limits, and ends them well.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::routing::any;
use axum::serve::{Listener, ListenerExt};
use hyper_util::service::TowerToHyperService;
use rm_core::{Error, ErrorKind, Host, Result};
use serde_json::Value;
use tokio::sync::watch;

use super::contract::{Dialect, JsonContract, Route};
use super::handle::handle;
use super::lines::{self, LineLimits};
use super::mount::Table;
use super::openapi;
use super::own::Own;
use super::tokens::Tokens;

/// The limits of a door, and what the host brings.
#[derive(Debug, Clone)]
pub struct DoorOptions {
    /// The largest body, in bytes.
    pub body_limit: usize,
    /// How long a body may take to arrive.
    pub body_time: Duration,
    /// How long a client may take for its headers, and a line may be idle.
    pub header_time: Duration,
    /// How many connections there are at once; more wait to be accepted. Those
    /// on which nothing was asked yet give way, and one address has a quarter
    /// of all for them.
    pub connections: usize,
    /// How long calls that are under way may take when the service stops.
    pub grace: Duration,
    /// The adapters to serve, by name; all that are registered where absent.
    pub only: Option<Vec<String>>,
    /// What `/metrics` says beside the door's own numbers.
    pub metrics: Metrics,
}

impl Default for DoorOptions {
    fn default() -> Self {
        Self {
            body_limit: 2 * 1024 * 1024,
            body_time: Duration::from_secs(30),
            header_time: Duration::from_secs(30),
            connections: 1024,
            grace: Duration::from_secs(10),
            only: None,
            metrics: Metrics::default(),
        }
    }
}

/// What makes the host's part of `/metrics`.
#[derive(Clone, Default)]
pub struct Metrics(Option<Arc<dyn Fn() -> String + Send + Sync>>);

impl Metrics {
    /// By a function that is called for each scrape.
    pub fn new(text: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(text)))
    }

    pub(super) fn text(&self) -> String {
        self.0.as_ref().map(|f| f()).unwrap_or_default()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// How often what was answered how.
#[derive(Debug, Default)]
pub(super) struct Numbers(Mutex<BTreeMap<(&'static str, u16), u64>>);

impl Numbers {
    pub(super) fn text(&self) -> String {
        use std::fmt::Write as _;
        let mut text = String::from("# TYPE rm_http_requests_total counter\n");
        for ((operation, status), n) in &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = writeln!(
                text,
                "rm_http_requests_total{{operation=\"{operation}\",status=\"{status}\"}} {n}"
            );
        }
        text
    }
}

/// What every request needs.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) host: Arc<Host>,
    pub(super) tokens: Tokens,
    pub(super) options: DoorOptions,
    pub(super) table: Table,
    pub(super) closing: watch::Sender<bool>,
    numbers: Arc<Numbers>,
}

impl Inner {
    pub(super) fn count(&self, operation: &'static str, status: u16) {
        *self
            .numbers
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry((operation, status))
            .or_default() += 1;
    }

    /// How clients speak below a path where nothing is.
    pub(super) fn dialect_of(&self, path: &str) -> Dialect {
        self.table
            .adapters
            .iter()
            .map(|a| a.dialect())
            .filter(|d| {
                path.strip_prefix(d.prefix.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
            .max_by_key(|d| d.prefix.len())
            .cloned()
            .unwrap_or_else(Dialect::plain)
    }
}

/// One door to a host: everything its JSON adapters offer, over HTTP.
///
/// ```no_run
/// # async fn demo() -> rm_core::Result<()> {
/// use rm_adapters::{Door, DoorOptions, Parts, TokioEnv, Tokens, door, rest};
/// use std::sync::Arc;
///
/// let mut builder = rm_core::Host::builder(Arc::new(TokioEnv::new()));
/// rest::register(builder.registries(), Parts::ALL, rest::RestOptions::default())?;
/// let host = Arc::new(builder.build()?);
/// let tokens = Tokens::default().with("a token", rm_core::Caller::operator("ann", "physics"))?;
/// let door = Door::new(host, tokens, DoorOptions::default())?;
/// let (listener, address) = door::listen("127.0.0.1:8080").await?;
/// door.serve(listener, std::future::pending()).await;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Door {
    inner: Arc<Inner>,
    document: Value,
    router: Router,
}

impl Door {
    /// A door to what is registered at the host.
    ///
    /// # Errors
    ///
    /// Where two adapters want one path, or an adapter's tables contradict
    /// each other.
    pub fn new(host: Arc<Host>, tokens: Tokens, options: DoorOptions) -> Result<Self> {
        let mut adapters = host.adapters().all::<dyn JsonContract>();
        if let Some(only) = &options.only {
            for name in only {
                if !adapters.iter().any(|a| a.name() == name) {
                    let known: Vec<&str> = adapters.iter().map(|a| a.name()).collect();
                    return Err(Error::invalid(format!("there is no adapter {name:?}"))
                        .advice(format!("there are: {}", known.join(", "))));
                }
            }
            adapters.retain(|a| only.iter().any(|name| name == a.name()));
        }
        let numbers = Arc::new(Numbers::default());
        let own = Arc::new(Own::new(options.metrics.clone(), Arc::clone(&numbers)));
        adapters.push(Arc::clone(&own) as Arc<dyn JsonContract>);
        let mut table = Table::build(adapters)?;
        let document = openapi::document(&table);
        let _ = own.document.set(document.clone());
        let places = std::mem::take(&mut table.places);
        let inner = Arc::new(Inner {
            host,
            tokens,
            options,
            table,
            closing: watch::Sender::new(false),
            numbers,
        });
        let mut router = Router::new();
        for (path, place) in places {
            let (inner, place) = (Arc::clone(&inner), Arc::new(place));
            router = router.route(
                &path,
                any(move |request: axum::extract::Request| {
                    handle(Arc::clone(&inner), Some(Arc::clone(&place)), request)
                }),
            );
        }
        let nowhere = Arc::clone(&inner);
        router = router.fallback(move |request: axum::extract::Request| {
            handle(Arc::clone(&nowhere), None, request)
        });
        Ok(Self {
            inner,
            document,
            router,
        })
    }

    /// The OpenAPI document.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// Every operation that is served: the prefix of its paths, and its entry
    /// in the table.
    pub fn routes(&self) -> Vec<(String, Route)> {
        self.inner
            .table
            .adapters
            .iter()
            .flat_map(|a| {
                a.routes()
                    .iter()
                    .map(|route| (a.dialect().prefix.clone(), *route))
            })
            .collect()
    }

    /// Serves until `stop` ends; then nothing new is accepted, what waits or
    /// streams is told to end, and what is under way has the grace of the
    /// options. A listener may bring TLS.
    pub async fn serve(
        &self,
        listener: impl Listener<Addr = SocketAddr>,
        stop: impl Future<Output = ()>,
    ) {
        let options = &self.inner.options;
        let limits = LineLimits {
            connections: options.connections,
            header_time: options.header_time,
            grace: options.grace,
        };
        let open = |io| {
            let service = TowerToHyperService::new(self.router.clone());
            std::future::ready(Some((io, service)))
        };
        lines::serve(listener, limits, open, stop, || {
            self.inner.closing.send_replace(true);
        })
        .await;
    }
}

/// Listens for plain HTTP.
///
/// # Errors
///
/// [`ErrorKind::Unavailable`] where the address cannot be had.
pub async fn listen(
    address: impl tokio::net::ToSocketAddrs + fmt::Display,
) -> Result<(impl Listener<Addr = SocketAddr>, SocketAddr)> {
    let cannot = |e: std::io::Error| {
        Error::new(
            ErrorKind::Unavailable,
            format!("the address {address} cannot be listened on: {e}"),
        )
        .advice("choose another, or stop what has it")
    };
    let listener = tokio::net::TcpListener::bind(&address)
        .await
        .map_err(cannot)?;
    let at = listener.local_addr().map_err(cannot)?;
    let listener = listener.tap_io(|line| {
        // Answers are small and wanted at once.
        if let Err(e) = line.set_nodelay(true) {
            tracing::debug!(error = %e, "no TCP_NODELAY");
        }
    });
    Ok((listener, at))
}

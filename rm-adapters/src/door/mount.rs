//! Puts the route tables of all adapters into one.

use std::collections::BTreeMap;
use std::sync::Arc;

use rm_core::{Error, ErrorKind, Result};

use super::contract::{JsonContract, Route};
use super::schema::Schemas;

/// One operation at its place.
#[derive(Debug, Clone)]
pub(crate) struct Mounted {
    pub(crate) route: Route,
    pub(crate) adapter: Arc<dyn JsonContract>,
    /// The whole template, with the names of its parameters.
    pub(crate) template: String,
    pub(crate) names: Vec<&'static str>,
}

/// All operations of one path.
#[derive(Debug, Default)]
pub(crate) struct Place {
    pub(crate) served: Vec<Mounted>,
}

impl Place {
    /// The methods there are, for `Allow`.
    pub(crate) fn allow(&self) -> String {
        let mut words: Vec<&str> = Vec::new();
        for m in &self.served {
            words.push(m.route.method.as_str());
            if m.route.method == super::Method::Get {
                words.push("HEAD");
            }
        }
        words.sort_unstable();
        words.join(", ")
    }
}

/// Everything that is served.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// By path, with the parameters numbered instead of named.
    pub(crate) places: BTreeMap<String, Place>,
    pub(crate) adapters: Vec<Arc<dyn JsonContract>>,
    pub(crate) schemas: Schemas,
}

impl Table {
    pub(crate) fn build(adapters: Vec<Arc<dyn JsonContract>>) -> Result<Self> {
        let mut table = Self::default();
        let mut operations: BTreeMap<&str, &str> = BTreeMap::new();
        for adapter in &adapters {
            let prefix = &adapter.dialect().prefix;
            if !(prefix.is_empty() || (prefix.starts_with('/') && !prefix.ends_with('/'))) {
                return Err(Error::invalid(format!(
                    "{prefix:?} cannot be the prefix of the adapter {:?}",
                    adapter.name()
                ))
                .advice("write it like /name, or leave it empty"));
            }
            for (name, schema) in adapter.schemas() {
                if table
                    .schemas
                    .get(&name)
                    .is_some_and(|known| *known != schema)
                {
                    return Err(defect(adapter, &format!("another schema {name:?}")));
                }
                table.schemas.insert(name, schema);
            }
            for route in adapter.routes() {
                if operations.insert(route.operation, adapter.name()).is_some() {
                    return Err(defect(
                        adapter,
                        &format!("another operation {:?}", route.operation),
                    ));
                }
                table.mount(adapter, route)?;
            }
        }
        // Clients forget the last slash; where the path without it is free,
        // they are served as well.
        for adapter in adapters.iter().filter(|a| a.dialect().slash) {
            table.lend(adapter.name());
        }
        for place in table.places.values() {
            for m in &place.served {
                let named = m
                    .route
                    .input
                    .iter()
                    .chain(m.route.output.iter().filter_map(|(_, s)| s.as_ref()));
                for schema in named {
                    if !table.schemas.contains_key(*schema) {
                        return Err(defect(&m.adapter, &format!("no schema {schema:?}")));
                    }
                }
            }
        }
        table.adapters = adapters;
        Ok(table)
    }

    fn mount(&mut self, adapter: &Arc<dyn JsonContract>, route: &Route) -> Result<()> {
        let template = format!("{}{}", adapter.dialect().prefix, route.path);
        let Some((numbered, names)) = number(&template) else {
            return Err(defect(adapter, &format!("the path {template:?}")));
        };
        let names = names
            .iter()
            .filter_map(|name| {
                // The prefix has no parameters, so that each is in the route.
                let at = route.path.find(&format!("{{{name}}}"))?;
                route.path.get(at + 1..at + 1 + name.len())
            })
            .collect();
        let place = self.places.entry(numbered).or_default();
        if let Some(other) = place.served.iter().find(|m| m.route.method == route.method) {
            return Err(Error::new(
                ErrorKind::Exists,
                format!(
                    "{} {template} is served by {:?} and by {:?}",
                    route.method,
                    other.adapter.name(),
                    adapter.name()
                ),
            )
            .advice("give one of them another prefix"));
        }
        place.served.push(Mounted {
            route: *route,
            adapter: Arc::clone(adapter),
            template,
            names,
        });
        Ok(())
    }

    fn lend(&mut self, adapter: &str) {
        let bare: Vec<(String, Vec<Mounted>)> = self
            .places
            .iter()
            .filter_map(|(path, place)| {
                let bare = path.strip_suffix('/').filter(|p| !p.is_empty())?;
                let mine: Vec<Mounted> = place
                    .served
                    .iter()
                    .filter(|m| m.adapter.name() == adapter)
                    .cloned()
                    .collect();
                (!mine.is_empty() && !self.places.contains_key(bare))
                    .then(|| (bare.to_owned(), mine))
            })
            .collect();
        for (path, served) in bare {
            self.places.insert(path, Place { served });
        }
    }
}

/// `/a/{x}/{y}` as `/a/{p0}/{p1}` and `[x, y]`; none for what is no template.
fn number(template: &str) -> Option<(String, Vec<&str>)> {
    let mut numbered = String::new();
    let mut names = Vec::new();
    for segment in template.strip_prefix('/')?.split('/') {
        numbered.push('/');
        match segment.strip_prefix('{').and_then(|s| s.strip_suffix('}')) {
            Some(name) if !name.is_empty() && !names.contains(&name) => {
                numbered.push_str(&format!("{{p{}}}", names.len()));
                names.push(name);
            }
            Some(_) => return None,
            None if segment.contains(['{', '}', '*', ':']) => return None,
            None => numbered.push_str(segment),
        }
    }
    Some((numbered, names))
}

fn defect(adapter: &Arc<dyn JsonContract>, what: &str) -> Error {
    Error::new(
        ErrorKind::Internal,
        format!("the adapter {:?} brings {what}", adapter.name()),
    )
}

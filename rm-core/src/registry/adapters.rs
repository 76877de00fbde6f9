//! Adapters, and the contracts by which they are asked for.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::id::Kind;

/// A translator for one contract and some kinds.
pub trait Adapter: fmt::Debug + Send + Sync + 'static {
    /// Unique among the adapters of its contract.
    fn name(&self) -> &'static str;
    /// Which kinds it translates.
    fn kinds(&self) -> &[Kind];
}

/// What an Rpc asks of an adapter: a trait of the Rpc's own. Implement it for
/// the `dyn` type alone, so that a registration under the wrong type does not
/// compile:
///
/// ```
/// # use std::sync::Arc;
/// # use rm_core::Kind;
/// use rm_core::registry::{Adapter, Contract, Registries};
///
/// trait Translates: Adapter {}
/// impl Contract for dyn Translates {
///     const NAME: &'static str = "translates";
/// }
///
/// #[derive(Debug)]
/// struct Mine;
/// impl Translates for Mine {}
/// # impl Adapter for Mine {
/// #     fn name(&self) -> &'static str { "mine" }
/// #     fn kinds(&self) -> &[Kind] { &[] }
/// # }
///
/// Registries::new().adapter::<dyn Translates>(Arc::new(Mine))?;
/// # Ok::<(), rm_core::Error>(())
/// ```
///
/// Under its own type nobody would find it:
///
/// ```compile_fail,E0277
/// # use std::sync::Arc;
/// # use rm_core::Kind;
/// # use rm_core::registry::{Adapter, Contract, Registries};
/// # trait Translates: Adapter {}
/// # impl Contract for dyn Translates {
/// #     const NAME: &'static str = "translates";
/// # }
/// # #[derive(Debug)]
/// # struct Mine;
/// # impl Translates for Mine {}
/// # impl Adapter for Mine {
/// #     fn name(&self) -> &'static str { "mine" }
/// #     fn kinds(&self) -> &[Kind] { &[] }
/// # }
/// Registries::new().adapter(Arc::new(Mine))?;
/// # Ok::<(), rm_core::Error>(())
/// ```
pub trait Contract: Adapter {
    /// The contract's name, for messages.
    const NAME: &'static str;
}

/// Adapters, by the contract they fulfil.
#[derive(Default)]
pub struct AdapterRegistry {
    // TypeId of the contract's dyn type -> Vec<Arc<that dyn type>>.
    by_contract: BTreeMap<TypeId, Box<dyn Any + Send + Sync>>,
    names: Vec<(&'static str, &'static str)>,
}

impl fmt::Debug for AdapterRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AdapterRegistry").field(&self.names).finish()
    }
}

impl AdapterRegistry {
    pub(super) fn add<C: ?Sized + Contract>(&mut self, adapter: Arc<C>) -> Result<()> {
        let entry = (C::NAME, adapter.name());
        if self.names.contains(&entry) {
            return Err(Error::new(
                ErrorKind::Exists,
                format!("two adapters for {} are called {:?}", entry.0, entry.1),
            )
            .advice("link only one of them"));
        }
        self.names.push(entry);
        self.names.sort_unstable();
        let list = self
            .by_contract
            .entry(TypeId::of::<C>())
            .or_insert_with(|| Box::new(Vec::<Arc<C>>::new()));
        if let Some(list) = list.downcast_mut::<Vec<Arc<C>>>() {
            list.push(adapter);
            list.sort_by_key(|a| a.name());
        }
        Ok(())
    }

    /// The adapters that fulfil the contract, by name.
    pub fn all<C: ?Sized + Contract>(&self) -> Vec<Arc<C>> {
        self.by_contract
            .get(&TypeId::of::<C>())
            .and_then(|list| list.downcast_ref::<Vec<Arc<C>>>())
            .cloned()
            .unwrap_or_default()
    }

    /// Those of them that translate the kind.
    pub fn supporting<C: ?Sized + Contract>(&self, kind: &Kind) -> Vec<Arc<C>> {
        let mut all = self.all::<C>();
        all.retain(|a| a.kinds().contains(kind));
        all
    }

    /// Contracts and adapters there are, as (contract, adapter), sorted.
    pub fn names(&self) -> &[(&'static str, &'static str)] {
        &self.names
    }
}

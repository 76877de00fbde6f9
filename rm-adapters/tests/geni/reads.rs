//! What a list of all there is costs the store: no more where there are more sites.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use rm_adapters::geni::register;
use rm_adapters::geni::rspec::Rspec;
use rm_adapters::geni::xmlrpc::Value;
use rm_core::catalog::{NewCredential, NewSite};
use rm_core::record::Document;
use rm_core::store::{Cursor, Page, Store, Versioned};
use rm_core::{Caller, Result, Tenant};
use rm_testkit::{Around, Between};

use super::lab::{lab, options, sfa};
use super::slice::value;

/// Counts the lists and the single documents that are read.
#[derive(Debug, Default)]
struct Counting(AtomicUsize);

#[async_trait]
impl Between for Counting {
    async fn document(
        &self,
        store: &dyn Store,
        space: &str,
        id: &str,
    ) -> Result<Option<Versioned<Document>>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        store.document(space, id).await
    }

    async fn documents(
        &self,
        store: &dyn Store,
        space: &str,
        index: Option<(&str, &str)>,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Versioned<Document>>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        store.documents(space, index, after, limit).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_there_is_of_twenty_sites_is_read_as_often_as_of_one() {
    let mut lab = lab("reads").await;
    let store = Around::new(Arc::clone(lab.host.store()), Counting::default());
    let counted: Arc<dyn Store> = Arc::<Around<Counting>>::clone(&store);
    lab.restart_with(counted, |all| register(all).unwrap())
        .await;
    let mine = Value::Array(vec![sfa(&lab.user_credential(&lab.alice))]);
    let list = async || {
        let before = store.0.load(Ordering::SeqCst);
        let arguments = vec![mine.clone(), options(vec![])];
        let answer = lab.call(&lab.alice, 3, "ListResources", arguments).await;
        let there = Rspec::parse(value(&answer).as_text().unwrap()).unwrap();
        let now: Vec<bool> = there
            .nodes
            .iter()
            .map(|node| node.available[0].now.as_deref() == Some("true"))
            .collect();
        (now, store.0.load(Ordering::SeqCst) - before)
    };
    let (now, one) = list().await;
    assert_eq!(now, [true]);
    assert!((1..=4).contains(&one), "{one}");
    let operator = Caller::operator("root", "ops");
    let catalog = lab.host.catalog();
    for n in 1..20 {
        let name = format!("rack-{n}");
        let site = NewSite::new(&name, "sim", &format!("sim://{name}"));
        catalog.add_site(&operator, site).await.unwrap();
        if n % 2 == 0 {
            let means = NewCredential {
                tenant: Some(Tenant("lab:one".to_owned())),
                ..NewCredential::new(&name, &name, serde_json::json!({"account": "geni"}))
            };
            catalog.add_credential(&operator, means).await.unwrap();
        }
    }
    let (now, all) = list().await;
    assert_eq!(now.iter().filter(|there| **there).count(), 10);
    assert_eq!((now.len(), all), (20, one));
}

//! TCP, and TLS with certificates on both sides, to a real libvirtd.

use crate::lab::Lab;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_tcp() {
    let Some(lab) = Lab::of_this_run("by_tcp") else {
        return;
    };
    let client = lab.client("test_tcp");
    assert_eq!(client.driver_type().await.unwrap(), "TEST");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_tls_whoever_has_a_certificate() {
    let Some(lab) = Lab::of_this_run("by_tls_whoever_has_a_certificate") else {
        return;
    };
    let known = lab.client("test_tls");
    assert_eq!(known.driver_type().await.unwrap(), "TEST");

    let stranger = lab.client("test_tls_stranger");
    let said = stranger.driver_type().await.unwrap_err().to_string();
    assert!(said.contains("cannot connect to libvirt"), "{said}");
    assert!(said.contains("certificate"), "{said}");
}

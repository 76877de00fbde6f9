//! Networks, as they are on the wire.

use rm_libvirt::{Code, Effect};

use crate::server::{ERROR, OK, Server, error, text, words};

const LIST: u32 = 283;
const BY_NAME: u32 = 46;
const CREATE: u32 = 40;
const DESTROY: u32 = 42;
const XML: u32 = 43;

fn network(name: &str) -> Vec<u8> {
    [text(name), vec![5; 16]].concat()
}

#[tokio::test]
async fn the_life_of_a_network() {
    let server = Server::start().await;
    let client = server.client();
    let mut line = server.welcome().await;
    let serve = async {
        let call = line.call(CREATE).await;
        assert_eq!(call.payload, text("<network/>"));
        line.write(&call.answer(OK, &network("a"))).await;
        let call = line.call(LIST).await;
        assert_eq!(call.payload, words(&[1, 0]));
        let two = [words(&[2]), network("a"), network("other"), words(&[2])];
        line.write(&call.answer(OK, &two.concat())).await;
        let call = line.call(BY_NAME).await;
        assert_eq!(call.payload, text("a"));
        line.write(&call.answer(OK, &network("a"))).await;
        let call = line.call(XML).await;
        assert_eq!(call.payload, [network("a"), words(&[0])].concat());
        line.write(&call.answer(OK, &text("<network>a</network>")))
            .await;
        let call = line.call(DESTROY).await;
        assert_eq!(call.payload, network("a"));
        line.write(&call.answer(OK, &[])).await;
    };
    let live = async {
        let made = client.create_network_xml("<network/>").await.unwrap();
        let all = client.list_networks().await.unwrap();
        let names: Vec<&str> = all.iter().map(|network| network.name.as_str()).collect();
        assert_eq!(names, ["a", "other"]);
        let found = client.network_by_name("a").await.unwrap();
        assert_eq!((&found, &found), (&made, &all[0]));
        let xml = client.network_xml(&found).await.unwrap();
        assert_eq!(xml, "<network>a</network>");
        client.destroy_network(&found).await.unwrap();
    };
    tokio::join!(live, serve);
}

#[tokio::test]
async fn a_network_that_is_not_there_and_a_list_that_says_too_much() {
    let server = Server::start().await;
    let client = server.client();
    let mut line = server.welcome().await;
    let serve = async {
        let call = line.call(BY_NAME).await;
        let none = error(43, "Network not found");
        line.write(&call.answer(ERROR, &none)).await;
        let call = line.call(LIST).await;
        line.write(&call.answer(OK, &words(&[u32::MAX]))).await;
    };
    let ask = async {
        let none = client.network_by_name("a").await.unwrap_err();
        assert_eq!(none.code(), Some(Code::NO_NETWORK), "{none}");
        let wrong = client.list_networks().await.unwrap_err();
        assert_eq!((wrong.code(), wrong.effect()), (None, Effect::None));
    };
    tokio::join!(ask, serve);
}

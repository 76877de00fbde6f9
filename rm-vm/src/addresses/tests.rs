use super::*;

fn pool(first: &str, last: &str, prefix: u8) -> Pool {
    Pool {
        first: first.parse().unwrap(),
        last: last.parse().unwrap(),
        prefix,
        gateway: None,
        bridge: None,
    }
}

fn site(pools: Vec<Pool>) -> SiteConfig {
    SiteConfig {
        bridge: Some("br0".to_owned()),
        pools,
        ..SiteConfig::default()
    }
}

#[test]
fn what_is_the_hosts_or_somebody_elses_is_not_given_by_name() {
    let mut pool = pool("10.0.0.1", "10.0.0.50", 24);
    pool.gateway = Some("10.0.0.1".parse().unwrap());
    let site = site(vec![pool]);
    let ask = |bridge: Option<&str>, address: &str| {
        let interface = Interface {
            bridge: bridge.map(str::to_owned),
            addresses: vec![address.parse().unwrap()],
            ..Interface::default()
        };
        choose("n", &[interface], &site, &mut Taken::default())
    };
    for (bad, why) in [
        ("10.0.0.1/24", "gateway"),
        ("10.0.0.60/24", "in no pool"),
        ("10.9.0.5/24", "in no pool"),
    ] {
        let e = ask(None, bad).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Invalid);
        assert!(e.to_string().contains(why) && e.next().is_some(), "{e}");
    }
    ask(None, "10.0.0.7/24").unwrap();
    // A link's are the request's, and so is what no pool says anything of.
    ask(Some("rml0123456789ab"), "10.0.0.1/24").unwrap();
    ask(None, "fd00::7/64").unwrap();
}

#[test]
fn an_interface_in_a_vlan_gets_no_address_of_the_usual_network() {
    let mut site = site(vec![pool("10.0.0.10", "10.0.0.250", 24)]);
    site.vlans.push(crate::config::Vlan {
        number: 10,
        on: None,
        bridge: "br0v10".to_owned(),
    });
    let given = |site: &SiteConfig, bridge: &str| {
        let wanted = Interface {
            bridge: Some(bridge.to_owned()),
            ..Interface::default()
        };
        let mut nics = choose("a", &[wanted], site, &mut Taken::default()).unwrap();
        nics.remove(0).addresses.len()
    };
    let on = ["br0", "br1", "br0v10"];
    assert_eq!(on.map(|bridge| given(&site, bridge)), [1, 1, 0]);
    let mut own = pool("10.0.10.10", "10.0.10.250", 24);
    own.bridge = Some("br0v10".to_owned());
    site.pools.push(own);
    assert_eq!(on.map(|bridge| given(&site, bridge)), [1, 1, 1]);
}

#[test]
fn each_gets_an_address_of_its_own_until_there_is_none() {
    let site = site(vec![
        pool("10.0.0.10", "10.0.0.13", 24),
        pool("fd00::1", "fd00::ffff:ffff:ffff", 64),
    ]);
    let mut taken = Taken::default();
    let mut seen = BTreeSet::new();
    for n in 0..4 {
        assert_eq!(room(&[], &site, &taken), Some(4 - n));
        let nics = choose(&format!("rm-{n}"), &[], &site, &mut taken).unwrap();
        assert_eq!(nics[0].addresses.len(), 2, "one of each family");
        assert_eq!(nics[0].addresses[0].prefix, 24);
        assert!(seen.insert(nics[0].addresses[0].ip));
    }
    let full = choose("rm-4", &[], &site, &mut taken).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::NoCapacity);
    let none = "0 of the 4 addresses 10.0.0.10 to 10.0.0.13 are free";
    assert!(full.what().ends_with(none), "{full}");
    let told = pools_for(&[], &site, &taken);
    assert!(
        told.starts_with(&format!("{none} and 1 asked for; ")),
        "{told}"
    );
    assert!(
        told.contains(" fd00::1 to fd00::ffff:ffff:ffff are free"),
        "{told}"
    );
}

#[test]
fn only_the_pools_that_a_node_would_take_from_are_told() {
    let mut apart = pool("10.1.0.1", "10.1.0.2", 24);
    apart.bridge = Some("br1".to_owned());
    apart.gateway = Some("10.1.0.1".parse().unwrap());
    let site = site(vec![apart, pool("10.0.0.10", "10.0.0.10", 24)]);
    let into = |bridge: &str| Interface {
        bridge: Some(bridge.to_owned()),
        ..Interface::default()
    };
    let told = |wanted: &[Interface]| pools_for(wanted, &site, &Taken::default());
    let usual = "1 of the 1 addresses 10.0.0.10 to 10.0.0.10 are free and 1 asked for";
    assert_eq!(told(&[]), usual);
    let twice = told(&[into("br1"), into("br1")]);
    let apart = "1 of the 2 addresses 10.1.0.1 to 10.1.0.2 are free and 2 asked for";
    assert!(twice.starts_with(apart), "{twice}");
}

#[test]
fn the_same_name_gets_the_same_again() {
    let site = site(vec![pool("10.0.0.10", "10.0.0.200", 24)]);
    let give = |name| choose(name, &[], &site, &mut Taken::default()).unwrap();
    assert_eq!(give("rm-a"), give("rm-a"));
    assert_ne!(give("rm-a")[0].mac, give("rm-b")[0].mac);
}

#[test]
fn no_two_have_one_address() {
    let site = site(vec![pool("10.0.0.10", "10.0.0.12", 24)]);
    let asked = |ip: &str| Interface {
        addresses: vec![format!("{ip}/24").parse().unwrap()],
        ..Interface::default()
    };
    let mut taken = Taken::default();
    choose("rm-a", &[asked("10.0.0.11")], &site, &mut taken).unwrap();
    let again = choose("rm-b", &[asked("10.0.0.11")], &site, &mut taken).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Conflict);
    let twice = [asked("10.0.0.12"), asked("10.0.0.12")];
    let twice = choose("rm-c", &twice, &site, &mut Taken::default()).unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::Conflict);
    // What a request names is not given to its other interface.
    let both = [Interface::default(), asked("10.0.0.12")];
    let nics = choose("rm-d", &both, &site, &mut taken).unwrap();
    assert_eq!(nics[0].addresses[0].ip.to_string(), "10.0.0.10");
}

#[test]
fn who_chose_what_another_one_has_too_chooses_again() {
    let site = site(vec![pool("10.0.0.10", "10.0.0.11", 24)]);
    let first = choose("rm-a", &[], &site, &mut Taken::default()).unwrap();
    let mut others = Taken::default();
    assert!(!others.any(&first));
    others.pass_over(&first);
    assert!(others.any(&first));
    let second = choose("rm-a", &[], &site, &mut others).unwrap();
    assert_eq!(second[0].mac, first[0].mac);
    assert_ne!(second[0].addresses, first[0].addresses);
}

#[test]
fn each_link_has_addresses_of_its_own_and_none_of_a_pool() {
    let mut own = pool("10.0.0.1", "10.0.0.3", 24);
    own.gateway = Some("10.0.0.1".parse().unwrap());
    let site = site(vec![own]);
    let end = |link: &str, addresses: &[&str]| Interface {
        bridge: Some(link.to_owned()),
        addresses: addresses.iter().map(|a| a.parse().unwrap()).collect(),
        ..Interface::default()
    };
    let mut taken = Taken::default();
    let one = [
        Interface::default(),
        end("rmlaaaaaaaaaaaa", &["10.0.0.2/24"]),
        end("rmlbbbbbbbbbbbb", &[]),
    ];
    // The gateway is nobody's.
    assert_eq!(room(&one, &site, &taken), Some(2));
    let nics = choose("rm-a", &one, &site, &mut taken).unwrap();
    assert_eq!(nics[2].addresses, []);
    assert_eq!(super::nics(&nics, &site)[1].gateways, [] as [IpAddr; 0]);
    let other = [end("rmlbbbbbbbbbbbb", &["10.0.0.2/24"])];
    assert!(choose("rm-b", &other, &site, &mut taken).is_ok());
    let again = choose("rm-c", &other, &site, &mut taken).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Conflict);
}

#[test]
fn each_bridge_has_pools_of_its_own_and_the_smallest_counts() {
    let on = |bridge: &str, first: &str, last: &str| Pool {
        bridge: Some(bridge.to_owned()),
        ..pool(first, last, 24)
    };
    let site = site(vec![
        on("br0", "10.0.0.1", "10.0.0.9"),
        on("br1", "10.1.0.1", "10.1.0.3"),
    ]);
    let into = |bridge: &str| Interface {
        bridge: Some(bridge.to_owned()),
        ..Interface::default()
    };
    let both = [Interface::default(), into("br1")];
    let mut taken = Taken::default();
    for n in 0..3 {
        assert_eq!(room(&both, &site, &taken), Some(3 - n));
        let nics = choose(&format!("rm-{n}"), &both, &site, &mut taken).unwrap();
        let given: Vec<String> = nics.iter().map(|n| n.addresses[0].to_string()).collect();
        assert!(given[0].starts_with("10.0.0."), "{given:?}");
        assert!(given[1].starts_with("10.1.0."), "{given:?}");
    }
    assert_eq!(room(&both, &site, &taken), Some(0));
    // Who needs none of that one goes on; one that is nobody's pool has none.
    assert_eq!(room(&[], &site, &taken), Some(6));
    let apart = [Interface::default(), into("br2")];
    assert_eq!(room(&apart, &site, &taken), Some(6));
    let nics = choose("rm-apart", &apart, &site, &mut taken).unwrap();
    assert_eq!(nics[1].addresses, []);
    // One pool of all is taken on both.
    let shared = SiteConfig {
        pools: vec![pool("10.0.0.1", "10.0.0.9", 24)],
        ..site.clone()
    };
    assert_eq!(room(&both, &shared, &Taken::default()), Some(4));
}

#[test]
fn a_gateway_is_given_to_nobody_and_to_everybody_as_the_way_out() {
    let mut own = pool("10.0.0.1", "10.0.0.2", 24);
    own.gateway = Some("10.0.0.1".parse().unwrap());
    let site = site(vec![own]);
    let given = choose("rm-a", &[], &site, &mut Taken::default()).unwrap();
    assert_eq!(given[0].addresses[0].ip.to_string(), "10.0.0.2");
    let nics = nics(&given, &site);
    assert_eq!(nics[0].gateways, ["10.0.0.1".parse::<IpAddr>().unwrap()]);
}

#[test]
fn absurd_pools_are_empty_and_no_panic() {
    for absurd in [
        pool("10.0.0.9", "10.0.0.1", 24),
        pool("10.0.0.9", "::1", 24),
    ] {
        let site = site(vec![absurd]);
        let e = choose("rm-a", &[], &site, &mut Taken::default()).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::NoCapacity);
    }
    let all = pool("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0);
    assert!(choose("rm-a", &[], &site(vec![all]), &mut Taken::default()).is_ok());
}
